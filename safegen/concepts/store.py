"""`VectorStore`: a folder of concept vectors, one safetensors file each."""

import difflib
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from safegen.concepts.vector import ConceptVector, load_vector
from safegen.errors import InputError, UnknownConceptError

_SHIPPED = Path(str(files("safegen.concepts"))) / "vectors"


class VectorStore:
    """Vectors by concept name; each file is read when its concept is first asked for."""

    def __init__(self, folder: Path | str) -> None:
        """Open a folder, or a shipped set by its name, e.g. "reference".

        Raises:
            InputError: neither a folder nor a shipped set has that name.
        """
        shipped = _SHIPPED / str(folder)
        self.folder = shipped if shipped.is_dir() else Path(folder)
        if not self.folder.is_dir():
            names = ", ".join(sorted(path.name for path in _SHIPPED.iterdir() if path.is_dir()))
            raise InputError(
                f"no folder of concept vectors at {folder}", f"give a folder, or one of: {names}"
            )
        self._loaded: dict[str, ConceptVector] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The concepts in the store, sorted."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.safetensors")))

    def __getitem__(self, concept: str) -> ConceptVector:
        """The vector of a concept.

        Raises:
            UnknownConceptError: the store has no such concept.
            ConceptError: its file is damaged.
        """
        if concept not in self.names:
            near = difflib.get_close_matches(concept, self.names, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UnknownConceptError(
                f"no concept {concept!r} in {self.folder}",
                f"{hint}the store has: {', '.join(self.names) or 'nothing'}",
            )
        if concept not in self._loaded:
            self._loaded[concept] = load_vector(self.folder / f"{concept}.safetensors")
        return self._loaded[concept]
