"""A run of discovery into a folder of vectors, that goes on where an interrupted one was."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from safegen.concepts.discovery.file import Concepts
from safegen.concepts.discovery.kept import demand_as_asked
from safegen.concepts.discovery.spec import Budget
from safegen.concepts.discovery.work import clear_state, run_name
from safegen.concepts.vector import ConceptVector, Method, save_vector


class Run:
    """What there is in a folder already, what is left to learn, and where its state is kept.

    Args:
        folder: of the vectors, one file per concept.
        concepts: their declarations.
        model: the name of the model.
        method: of all concepts.
        budget: of all concepts.
        only: these concepts, not all that are declared.
        sites: learn at these, not at those declared.
    """

    def __init__(
        self,
        folder: Path,
        concepts: Concepts,
        model: str,
        method: Method,
        budget: Budget,
        only: Iterable[str] = (),
        sites: Sequence[str] = (),
    ) -> None:
        self.method, self.budget = method, budget
        names = tuple(only) or tuple(concepts.specs)
        self.paths = {name: folder / f"{name}.safetensors" for name in names}
        self.kept = {name: path for name, path in self.paths.items() if path.exists()}
        changed = {"sites": tuple(sites)} if sites else {}
        self._asked = [
            [spec.model_copy(update=changed) for spec in unit] for unit in concepts.units(names)
        ]
        missing = self.paths.keys() - self.kept.keys()
        self.units = [unit for unit in self._asked if missing & {spec.name for spec in unit}]
        self.state = folder / ".discovery"
        self.name = run_name(model, method, budget, self._asked)

    def demand_as_asked(self, model_digest: Callable[[], str]) -> None:
        """Refuse vectors that are there already and were learned otherwise.

        Raises:
            OutputError: one was learned otherwise.
            ConceptError: one is damaged, or holds another concept.
        """
        demand_as_asked(self.kept, self._asked, self.method, self.budget, model_digest)

    def save(self, learned: Mapping[str, ConceptVector]) -> dict[str, Path]:
        """Write those of a unit's vectors that were asked for and are not there; where, by name."""
        written = {}
        for name in sorted(learned.keys() & self.paths.keys() - self.kept.keys()):
            save_vector(learned[name], self.paths[name])
            written[name] = self.paths[name]
        return written

    def end(self) -> None:
        """Remove its state, but not what other runs that stopped have noted as theirs."""
        clear_state(self.state, self.name)
