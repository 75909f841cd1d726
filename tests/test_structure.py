"""The shape of the code: imports go one way, torch comes late, files stay small."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import version
from pathlib import Path

import pytest
from programs import printed

import safegen

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "safegen": ROOT / "safegen",
    "safegen.adapters": ROOT / "adapters",
    "safegen.policies": ROOT / "policies",
}
# From the bottom up: a module imports from its own layer and from those before it in this list.
LAYERS = (
    (
        "arguments",
        "cluster",
        "diagnostics",
        "errors",
        "files",
        "forks",
        "nouns",
        "pages",
        "pixels",
        "shipped",
        "signing",
        "wire",
    ),
    ("risk",),
    ("policy", "policies"),
    ("concepts",),
    ("steering",),
    ("adapters",),
    ("concepts.discovery",),
    ("audit",),
    ("assessment", "climb", "guard", "guarded", "request", "underway"),
    ("reference", "evaluation", "testing"),
    ("adapters.comfyui",),
    ("cli", "__main__"),
)
MAX_LINES = 500
HEAVY = "{'torch', 'diffusers', 'transformers', 'onnxruntime', 'open_clip'}"
PUBLIC = [
    "Agreement",
    "Assessment",
    "C2paMarker",
    "Check",
    "ClassifierError",
    "ConceptError",
    "ConceptVector",
    "Context",
    "Decision",
    "Detector",
    "DetectorError",
    "Event",
    "Finding",
    "FiredRule",
    "Guard",
    "GuardedImage",
    "GuardedPipeline",
    "ImageRecord",
    "InputError",
    "Intervention",
    "Ledger",
    "LedgerError",
    "LedgerTamperedError",
    "LivePolicy",
    "Mark",
    "MarkedElsewhere",
    "Marker",
    "MarkingError",
    "MissingExtraError",
    "Outcome",
    "OutputError",
    "Passport",
    "Policy",
    "PolicyError",
    "Reaction",
    "Record",
    "Result",
    "SafeGenError",
    "Sampler",
    "Scores",
    "SinkError",
    "Span",
    "SteeringError",
    "SteeringReport",
    "Tampering",
    "UnknownConceptError",
    "UnknownModelError",
    "VectorStore",
]


def modules() -> dict[str, Path]:
    """Name -> file of every module of the package."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join([package, *parts]).removesuffix(".__init__")
            found[name] = path
    return found


MODULES = modules()


def is_for_typing(node: ast.stmt) -> bool:
    """Whether a statement is for type checkers alone."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imported(path: Path, *, typing: bool = True) -> set[str]:
    """Every module of SafeGen that a file imports, at its top or inside a function.

    Without `typing`, those under `if TYPE_CHECKING` are left out.
    """
    names: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not typing:
        tree.body = [each for each in tree.body if not is_for_typing(each)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                names.add(module if module in MODULES else node.module)
    return {name for name in names if name.split(".")[0] == "safegen"}


def layer(module: str) -> int:
    """The number of a module's layer; the longest name in LAYERS that it starts with decides."""
    inner = module.removeprefix("safegen.")
    matches = [
        (len(name), number)
        for number, names in enumerate(LAYERS)
        for name in names
        if f"{inner}.".startswith(f"{name}.")
    ]
    assert matches, f"{module} is in no layer: give it one here and in docs/architecture.md"
    return max(matches)[1]


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"safegen"}))
def test_imports_go_one_way(module: str) -> None:
    """No module imports one that stands above it, and none imports the package's top."""
    mine = layer(module)
    for name in imported(MODULES[module]):
        assert name != "safegen", f"{module} imports the top of the package, which imports it"
        assert layer(name) <= mine, f"{module} imports {name}, which stands above it"


def test_imports_run_in_no_circle() -> None:
    """Each module can be read before all that import it, but for type checkers alone."""
    needs = {name: imported(path, typing=False) & {*MODULES} for name, path in MODULES.items()}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' <- '.join(error.args[1])}")


def test_the_docs_show_these_layers() -> None:
    """The page for those who change the code tells of each, from the top down, and of each file."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d+ \| (.*?) \|", page, re.MULTILINE)
    layers = [set(re.findall(r"`(.*?)`", row)) for row in reversed(rows)]
    files = {path.stem for path in (ROOT / "safegen").glob("[a-z]*.py")}

    assert layers == [set(layer) - {"__main__"} for layer in LAYERS]
    assert [name for name in sorted(files) if f"{name}.py" not in page] == []


def test_the_command_line_is_not_part_of_the_sdk() -> None:
    """`safegen/__init__.py` gathers the public names and needs neither cli nor reference."""
    assert not [
        name
        for name in imported(MODULES["safegen"])
        if f"{name}.".startswith(("safegen.cli.", "safegen.reference.", "safegen.evaluation."))
    ]


@pytest.mark.parametrize(
    "module",
    ["safegen", "safegen.risk", "safegen.policy", "safegen.audit.ledger", "safegen.cli.main"],
)
def test_heavy_packages_come_late(module: str) -> None:
    """The policy and ledger side starts without torch and the like, in a process of its own."""
    program = f"import sys, {module}; print(sorted({HEAVY} & set(sys.modules)))"
    assert printed(program) == "[]"


def test_public_names() -> None:
    """The public names are these and no others; a change here is a change for the changelog."""
    assert sorted(safegen.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(safegen, name).__module__.startswith("safegen.")
        assert name in dir(safegen)


def test_public_names_load_nothing_heavy() -> None:
    """To name a result, a sampler or the ledger in a program costs no torch."""
    program = (
        "import sys; from safegen import *; from safegen import __version__; "
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    assert printed(program) == "[]"


def test_the_version_is_told() -> None:
    """`safegen.__version__` is that of the installed package, and completion offers it."""
    assert safegen.__version__ == version("safegen")
    assert "__version__" in dir(safegen)


@pytest.mark.parametrize(
    "path",
    sorted([*MODULES.values(), *ROOT.glob("tests/*.py"), *ROOT.glob("scripts/*.py")]),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_files_stay_small(path: Path) -> None:
    """A file that has outgrown what a reader holds in mind wants to be two."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
