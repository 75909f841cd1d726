"""`VectorStore`: a folder of concept vectors, one safetensors file each."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from safegen.arguments import as_path
from safegen.concepts.vector import ConceptVector, load_vector
from safegen.errors import ConceptError, InputError, OutputError, UnknownConceptError, nearest

_PACKAGE = Path(str(files("safegen"))).resolve()
_SHIPPED = _PACKAGE / "concepts" / "vectors"


def shipped_sets() -> list[str]:
    """The names of the sets that ship."""
    return sorted(path.name for path in _SHIPPED.iterdir() if path.is_dir())


def is_shipped(folder: Path) -> bool:
    """Whether a folder is part of the installed package, however it is named."""
    return folder.resolve().is_relative_to(_PACKAGE)


def own_folder(folder: Path) -> Path:
    """`folder`, if vectors may be written there.

    Raises:
        OutputError: it is part of the installed package, or has the name of a shipped set, by which
            a store would never find it.
    """
    if is_shipped(folder):
        raise OutputError(
            f"{folder} is part of the installed package", "choose a folder of your own with --out"
        )
    if str(folder) in shipped_sets():
        raise OutputError(
            f"{str(folder)!r} is the name of a set that ships: --store would read that one",
            "choose a folder of another name with --out",
        )
    return folder


def demand_free(others: Sequence[Path]) -> None:
    """Refuse to replace files that hold something else.

    Raises:
        OutputError: there are such.
    """
    if others:
        raise OutputError(
            f"{', '.join(map(str, others))} would be replaced: something else is there",
            "choose an empty folder",
        )


class VectorStore(Mapping[str, ConceptVector]):
    """Vectors by concept name; each file is read when its concept is first asked for."""

    def __init__(self, folder: Path | str) -> None:
        """Open a folder, or a shipped set by its name, e.g. "reference".

        A `Path`, and anything that is not exactly such a name, is a folder: "./reference" is one of
        your own.

        Raises:
            InputError: neither a folder nor a shipped set has that name, or it is empty.
        """
        # Compared with names, never joined: "." and ".." would name folders of the package.
        shipped = isinstance(folder, str) and folder in shipped_sets()
        self.folder = _SHIPPED / folder if shipped else as_path("folder", folder)
        if not os.path.isdir(self.folder):  # noqa: PTH112 - Path.is_dir raises PermissionError
            names = ", ".join(shipped_sets())
            raise InputError(
                f"no folder of concept vectors at {folder}", f"give a folder, or one of: {names}"
            )
        self._loaded: dict[str, ConceptVector] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The concepts in the store, sorted.

        Raises:
            InputError: the folder cannot be read.
        """
        try:
            found = list(self.folder.iterdir())  # glob would find nothing, and say nothing
        except OSError as error:
            raise InputError(
                f"cannot read the concept vectors in {self.folder}: {error.strerror}",
                "give a folder that you may read",
            ) from error
        return tuple(sorted(path.stem for path in found if path.suffix == ".safetensors"))

    def __getitem__(self, concept: str) -> ConceptVector:
        """The vector of a concept.

        Raises:
            UnknownConceptError: the store has no such concept.
            ConceptError: its file is damaged, or holds another concept.
        """
        if concept not in self.names:
            near = nearest(str(concept), self.names)
            hint = f"did you mean {near!r}? " if near else ""
            raise UnknownConceptError(
                f"no concept {concept!r} in {self.folder}",
                f"{hint}the store has: {', '.join(self.names) or 'nothing'}",
            )
        if concept not in self._loaded:
            path = self.folder / f"{concept}.safetensors"
            vector = load_vector(path)
            if vector.passport.concept != concept:
                raise ConceptError(
                    f"{path} holds the concept {vector.passport.concept!r}, as its passport says",
                    "give the file the name of its concept",
                )
            self._loaded[concept] = vector
        return self._loaded[concept]

    def __iter__(self) -> Iterator[str]:
        """The concepts, sorted."""
        return iter(self.names)

    def __len__(self) -> int:
        """How many concepts there are."""
        return len(self.names)

    def __contains__(self, concept: object) -> bool:
        """Whether the store has it, by its name; its file is not read."""
        return concept in self.names

    def __repr__(self) -> str:
        return f"VectorStore({str(self.folder)!r})"
