"""`safegen doctor`: what works on this machine, and what to do about what does not."""

import platform
import re
from collections import defaultdict
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import typer
from packaging.requirements import Requirement
from PIL import Image
from rich.console import Console
from rich.table import Table

from safegen.audit.detectors import detector_names, inspect, load_detector
from safegen.audit.detectors.registry import GROUP
from safegen.cli.models import Json
from safegen.concepts.store import VectorStore, shipped_sets
from safegen.errors import MissingExtraError, SafeGenError
from safegen.nouns import Frozen
from safegen.policy import Policy
from safegen.risk.build import build
from safegen.risk.head import HeadSettings
from safegen.shipped import REINSTALL, damage

_EXTRA = re.compile(r"""extra\s*==\s*["']([\w-]+)["']""")
_DEMO_EXTRAS = ("clip", "diffusers", "nsfw")
# Modules whose packages have other names; the rest differ by "-" and "_" at most.
_PACKAGES = {
    "argon2": "argon2-cffi",
    "c2pa": "c2pa-python",
    "dlib": "dlib-bin",
    "open_clip": "open_clip_torch",
    "opentelemetry": "opentelemetry-sdk",
    "sklearn": "scikit-learn",
}
# What must lie in the installed package, by its folders of weights.
_WEIGHTS = {
    "reference model": "pipeline",
    "reference judges": "judge",
    "reference CLIP": "clip",
    "judging CLIP": "judge-clip",
}
_DEMO_DETECTORS = {"clip": "clip", "nsfw": "nsfw"}  # and their extras
_WORKS, _WHOLE, _UNCHECKED = "works", "whole", "there, not checked"


class Extra(Frozen):
    """One optional part of SafeGen; it is complete when nothing is missing."""

    missing: tuple[str, ...]
    install: str


class Missing(Frozen):
    """Something that `safegen demo` needs and does not find, and the command that brings it."""

    what: str
    mend: str


class Diagnosis(Frozen):
    """What `safegen doctor` found; `demo` says whether `safegen demo` can run."""

    demo: bool
    safegen: str
    python: str
    platform: str
    packages: dict[str, str | None]
    extras: dict[str, Extra]
    classifiers: dict[str, str]
    detectors: dict[str, str]
    devices: dict[str, str]
    onnx_providers: tuple[str, ...]
    shipped: dict[str, str]
    missing: tuple[Missing, ...]


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _requirements() -> dict[str, list[Requirement]]:
    """What SafeGen's own metadata asks for, by extra; "" is what it always needs."""
    found: dict[str, list[Requirement]] = defaultdict(list)
    for line in requires("safegen") or ():
        requirement = Requirement(line)
        extra = _EXTRA.search(str(requirement.marker))
        if requirement.name != "safegen":  # the extra `all` only names other extras
            found[extra[1] if extra else ""].append(requirement)
    return dict(found)


def _unmet(requirement: Requirement) -> bool:
    found = _installed(requirement.name)
    return found is None or not requirement.specifier.contains(found, prereleases=True)


def lacking(error: ModuleNotFoundError) -> MissingExtraError | None:
    """What a failed import says to the user, if the module is that of an optional package.

    None where the package is there and lacks a part: installing the extra would change nothing.
    """
    module = (error.name or "").partition(".")[0]
    if not module or find_spec(module):
        return None
    wanted = _PACKAGES.get(module, module).replace("_", "-")
    for extra, requirements in _requirements().items():
        for package in (each.name for each in requirements if extra):
            if package.replace("_", "-") == wanted:
                return MissingExtraError(package, extra, "this command")
    return None


def _devices() -> dict[str, str]:
    """Each device torch knows of: "works", or the error that a small product of matrices met."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return {"torch": f"cannot be imported: {error}"}
    names = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        names.append("mps")
    results = {}
    for name in names:
        try:
            ones = torch.ones(4, 4, device=name)
            right = (ones @ ones).sum().item() == 64
            results[name] = "works" if right else "computes wrong results"
        except RuntimeError as error:
            results[name] = str(error).splitlines()[0]
    return results


def _onnx_providers() -> tuple[str, ...]:
    try:
        import onnxruntime
    except (ImportError, OSError):
        return ()
    return tuple(onnxruntime.get_available_providers())


def _classifiers(extras: Mapping[str, Extra]) -> dict[str, str]:
    """Each kind of a policy's classifiers: "works", or what it lacks.

    The shipped head, and with it the sentence embeddings that `similarity` uses, scores a prompt.
    What needs a model or a service of the policy's own can only be asked for its packages.
    """
    try:
        build({"head": HeadSettings(kind="head")})[0](["a bowl of fruit"])
        sentences = "works"
    except SafeGenError as error:
        sentences = f"{error.message}: {error.mend}"
    found = {"terms": "works", "head": sentences, "similarity": sentences}
    for kind, extra in (("encoder", "diffusers"), ("huggingface", "diffusers"), ("http", "remote")):
        lacks = extras[extra]
        told = f"missing {', '.join(lacks.missing)}: {lacks.install}"
        found[kind] = told if lacks.missing else "its packages are there"
    return found


def _detectors() -> dict[str, str]:
    """Each detector: "works", if it looked at a blank picture, or why it could not.

    Those of other packages may fetch or ask whatever they like, and so are not tried.
    """
    others = {point.name for point in entry_points(group=GROUP)}
    return {name: _UNCHECKED if name in others else _tried(name) for name in detector_names()}


def _tried(name: str) -> str:
    try:
        inspect([load_detector(name)], [Image.new("RGB", (64, 64), "white")])
    except MissingExtraError as error:
        return f"missing {error.package}: pip install 'safegen[{error.extra}]'"
    except SafeGenError as error:
        return f"{error.message}: {error.mend}"
    return _WORKS


def _shipped() -> dict[str, str]:
    """What comes in the package: "whole", or what is wrong with it."""
    weights = Path(str(files("safegen.reference"))) / "weights"
    found = {name: damage(weights / folder) or _WHOLE for name, folder in _WEIGHTS.items()}
    return found | {"concept vectors": _vectors(), "default policy": _default_policy()}


def _vectors() -> str:
    try:
        stores = [VectorStore(name) for name in shipped_sets()]
        loaded = [store[concept] for store in stores for concept in store.names]
    except MissingExtraError:
        return _UNCHECKED
    except (SafeGenError, OSError) as error:
        return str(error)
    return _WHOLE if loaded else "no vectors are there"


def _default_policy() -> str:
    try:
        Policy.load("default")
    except SafeGenError as error:
        return error.message
    return _WHOLE


def diagnose() -> Diagnosis:
    """Look at the installed packages, devices and files; writes nothing, needs no network."""
    requirements = _requirements()
    extras = {
        name: Extra(
            missing=tuple(str(r).partition(";")[0].strip() for r in wanted if _unmet(r)),
            install=f"pip install 'safegen[{name}]'",
        )
        for name, wanted in sorted(requirements.items())
        if name
    }
    shipped, detectors = _shipped(), _detectors()
    devices = _devices()
    missing = [
        *(
            Missing(what=", ".join(extras[name].missing), mend=extras[name].install)
            for name in _DEMO_EXTRAS
            if extras[name].missing
        ),
        *(
            Missing(what=f"{name}: {state}", mend=REINSTALL)
            for name, state in shipped.items()
            if state not in (_WHOLE, _UNCHECKED)
        ),
        *(
            Missing(what=f"a detector {name} that works", mend=detectors[name])
            for name, extra in _DEMO_DETECTORS.items()
            if detectors[name] != _WORKS and not extras[extra].missing
            if shipped["reference CLIP"] == _WHOLE or name != "clip"  # which was told already
        ),
    ]
    if "works" not in devices.values() and not extras["diffusers"].missing:
        missing.append(
            Missing(
                what=f"a device that works: {devices}",
                mend="pip install --force-reinstall --no-deps torch",
            )
        )
    return Diagnosis(
        demo=not missing,
        safegen=version("safegen"),
        python=platform.python_version(),
        platform=platform.platform(),
        packages={
            name: _installed(name)
            for name in sorted({r.name for wanted in requirements.values() for r in wanted})
        },
        extras=extras,
        classifiers=_classifiers(extras),
        detectors=detectors,
        devices=devices,
        onnx_providers=_onnx_providers(),
        shipped=shipped,
        missing=tuple(missing),
    )


def _show(diagnosis: Diagnosis) -> None:
    table = Table(
        title=f"SafeGen {diagnosis.safegen}, Python {diagnosis.python}, {diagnosis.platform}",
        title_justify="left",
        show_header=False,
    )
    for package, found in diagnosis.packages.items():
        table.add_row("package", package, found or "not installed")
    table.add_section()
    for name, extra in diagnosis.extras.items():
        lacks = f"missing {', '.join(extra.missing)}: {extra.install}"
        table.add_row("extra", name, lacks if extra.missing else "complete")
    table.add_section()
    for kind, state in diagnosis.classifiers.items():
        table.add_row("classifier", kind, state)
    table.add_section()
    for name, state in diagnosis.detectors.items():
        table.add_row("detector", name, state)
    table.add_section()
    for device, state in diagnosis.devices.items():
        table.add_row("device", device, state)
    table.add_row("device", "onnxruntime", ", ".join(diagnosis.onnx_providers) or "not installed")
    table.add_section()
    for name, state in diagnosis.shipped.items():
        table.add_row("in the package", name, state)
    Console(markup=False, highlight=False).print(table)
    for lack in diagnosis.missing:
        typer.echo(f"missing {lack.what}\n  mend: {lack.mend}")
    typer.echo("`safegen demo` can run." if diagnosis.demo else "`safegen demo` cannot run.")


def doctor(
    as_json: Json = False,
) -> None:
    """Say what works here and how to get what is missing; exit 1 if the demo cannot run."""
    # Loading every detector takes a while.
    with Console(stderr=True).status("looking at what is installed, and trying the detectors"):
        diagnosis = diagnose()
    if as_json:
        typer.echo(diagnosis.model_dump_json(indent=2))
    else:
        _show(diagnosis)
    raise typer.Exit(0 if diagnosis.demo else 1)
