"""The classifiers that a policy names, and the files that these are made from.

A path starts from the folder of the file that writes it, as imports do; in a bundle, where the
folders are no longer known, from the bundle's own.
"""

import hashlib
from pathlib import Path

from safegen.errors import ClassifierError
from safegen.policy.load import Document
from safegen.policy.whole import Whole
from safegen.risk.build import Settings, build
from safegen.risk.cache import Cached
from safegen.risk.encoder import EncoderSettings, Unattached
from safegen.risk.head import HeadSettings
from safegen.risk.huggingface import HuggingFaceSettings

_ELSEWHERE = ("model", "url")
_LOOKS_BY = ("model", "pretrained", "probes")


def made(whole: Whole) -> list[Cached | Unattached]:
    """The classifiers of a policy and of all that it imports.

    Raises:
        MissingExtraError: a package that one needs is not installed.
        ClassifierError: one cannot be made, with file:line:column.
    """
    found: list[Cached | Unattached] = []
    for name, settings in whole.classifiers.items():
        document = _writer_of(whole, name)
        file = _file_of(settings, document)
        read = settings.model_copy(update={file[0]: str(file[1])}) if file else settings
        try:
            found += build({name: read})
        except ClassifierError as error:
            placed = document.error(("classifiers", name), error.message, error.mend)
            raise ClassifierError(placed.message, placed.mend) from error
    return found


def files_read(whole: Whole) -> dict[str, str]:
    """Settings that name a file or folder of this machine -> sha256:… of what it holds.

    Raises:
        PolicyError: one cannot be read, with file:line:column.
    """
    digests = {}
    for name, settings in whole.classifiers.items():
        document = _writer_of(whole, name)
        if file := _file_of(settings, document):
            key, path = file
            try:
                digests[f"classifiers.{name}.{key}"] = _digest(path)
            except OSError as error:
                place = ("classifiers", name, key)
                raise document.error(place, f"cannot read it: {error}", "put it there") from error
    return digests


def read_elsewhere(whole: Whole) -> tuple[str, ...]:
    """Settings that name what no file here holds, or what only a detector knows how to read."""
    told = {
        f"classifiers.{name}.{key}"
        for name, settings in whole.classifiers.items()
        for key in _ELSEWHERE
        if getattr(settings, key, "") and not _file_of(settings, _writer_of(whole, name))
    }
    told |= {
        f"detectors.{name}.settings.{key}"
        for name, use in whole.detectors.items()
        for key in _LOOKS_BY
        if use.settings.get(key)
    }
    return tuple(sorted(told))


def _writer_of(whole: Whole, name: str) -> Document:
    """The file that a classifier in force is written in."""
    settings = whole.classifiers[name]
    documents = whole.documents.values()
    return next(each for each in documents if each.file.classifiers.get(name) is settings)


def _file_of(settings: Settings, document: Document) -> tuple[str, Path] | None:
    """The setting that names a file or folder of this machine, and where that is."""
    folder = Path(document.source).parent
    folder = folder.parent if folder.is_file() else folder  # a bundle holds its files as a folder
    match settings:
        case HeadSettings(path=path) if path:
            return "path", folder / path
        case EncoderSettings(model=model) | HuggingFaceSettings(model=model) if model:
            return ("model", folder / model) if (folder / model).is_dir() else None
        case _:
            return None


def _digest(path: Path) -> str:
    """Of a file, its SHA-256; of a folder, that of all names and files below it."""
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.is_file())
        told = "\n".join(f"{_digest(each)} {each.relative_to(path).as_posix()}" for each in files)
        return f"sha256:{hashlib.sha256(told.encode()).hexdigest()}"
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
