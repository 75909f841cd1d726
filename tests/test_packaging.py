"""What users install: the wheel and the source distribution, built from a clean copy."""

import email
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = {
    "safegen": "safegen",
    "adapters": "safegen/adapters",
    "docs": "safegen/docs",
    "policies": "safegen/policies",
}
FILES = ["pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE"]
SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist built from a copy of the tree, and the wheel built from the sdist."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in SOURCES:
        shutil.copytree(ROOT / folder, tree / folder, ignore=SKIPPED)
    for name in FILES:
        shutil.copy(ROOT / name, tree / name)
    dist = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(tree)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dist


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    """The one wheel."""
    [path] = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip lays it down."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)  # noqa: S202 - we built it
    return folder


def run_from(folder: Path, program: str) -> str:
    """What a program prints that finds SafeGen in `folder` and nowhere else.

    `-S` keeps the editable install out, whose finder stands in a .pth file; the dependencies are
    found because their folder is put on the path by hand.
    """
    path = [str(folder), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path += {path!r}\n{program}"],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def wanted() -> set[str]:
    """Every file of the source folders, under the name that it has once installed.

    Of the docs those that `safegen docs` prints.
    """
    return {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in SOURCES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        if folder != "docs" or path.suffix in {".md", ".py"}
    }


def test_wheel_holds_every_source_file(wheel: Path) -> None:
    """No module, policy, weight or picture of the tree is forgotten, and nothing else is added."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    packaged = {name for name in names if ".dist-info/" not in name}
    assert packaged == wanted()
    assert {"safegen/py.typed", "safegen/adapters/__init__.py", "safegen/policies/__init__.py"} <= (
        packaged
    )


def test_wheel_carries_the_licences(wheel: Path) -> None:
    """The licence of SafeGen and the notices of what it ships travel with it."""
    with zipfile.ZipFile(wheel) as archive:
        texts = {
            Path(name).name: archive.read(name).decode()
            for name in archive.namelist()
            if "/licenses/" in name or name.endswith("assets/LICENSES.txt")
        }
    assert "Version 2.0, January 2004" in texts["LICENSE"]
    assert "END OF TERMS AND CONDITIONS" in texts["LICENSE"]
    assert "Noto Emoji" in texts["NOTICE"]
    assert "emoji-datasource-google" in texts["LICENSES.txt"]


def test_wheel_names_its_extras_and_needs_no_torch(wheel: Path) -> None:
    """The base install stays light: what is heavy is asked for by an extra only."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    assert set(metadata.get_all("Provides-Extra", [])) == {
        "all",
        "c2pa",
        "clip",
        "diffusers",
        "evaluation",
        "faces",
        "gpu",
        "nsfw",
        "nudenet",
        "openvino",
        "otel",
        "parquet",
        "postgres",
        "ray",
        "remote",
        "review",
        "risk",
    }
    always = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert any(line.startswith("pydantic") for line in always)
    assert not [
        line for line in always if line.startswith(("torch", "diffusers", "onnx", "nudenet"))
    ]


def test_sdist_can_be_built_again(dist: Path) -> None:
    """The source distribution holds every source file, as the wheel is built from it."""
    [path] = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = {
        path.relative_to(ROOT).as_posix()
        for folder in SOURCES
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        if folder != "docs" or path.suffix in {".md", ".py"}
    }
    assert sources | set(FILES) <= names


def test_adapters_and_policies_are_found_in_the_wheel(unpacked: Path) -> None:
    """The two top-level folders of the repository are packages of SafeGen once installed."""
    program = """
import safegen.adapters, safegen.policies
from importlib.resources import files
assert files("safegen.policies").joinpath("default.yaml").is_file()
print(safegen.__file__, safegen.adapters.__file__, safegen.policies.__file__, sep="\\n")
"""
    for line in run_from(unpacked, program).splitlines():
        assert Path(line).is_relative_to(unpacked)


def test_command_line_runs_from_the_wheel(unpacked: Path) -> None:
    """The default policy passes its own tests where only the wheel is installed."""
    program = """
sys.argv = ["safegen", "policy", "test", "default"]
from safegen.cli.main import main
main()
"""
    assert run_from(unpacked, program)
