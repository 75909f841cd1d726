"""Vectors that are in a folder already: whether each is what a run would learn."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from safegen.concepts.discovery.spec import Budget, ConceptSpec, Method
from safegen.concepts.store import VectorStore
from safegen.concepts.vector import Passport
from safegen.errors import OutputError

Settings = dict[str, str | int | float | bool]


def settings_of(spec: ConceptSpec, unit: Sequence[ConceptSpec], budget: Budget) -> Settings:
    """What a passport says of how `spec` was learned along with the rest of its `unit`."""
    settings: Settings = budget.model_dump(exclude={"seed"}) | {"guidance": spec.guidance}
    if budget.centre and len(unit) > 1:
        others = sorted(each.name for each in unit if each.name != spec.name)
        settings["centred with"] = ", ".join(others)
    return settings


def demand_as_asked(
    kept: Mapping[str, Path],
    units: Iterable[Sequence[ConceptSpec]],
    method: Method,
    budget: Budget,
    model_digest: Callable[[], str],
) -> None:
    """Refuse files of vectors, by concept, that were not learned as asked; see `_demand_same`.

    Raises:
        OutputError: one was learned otherwise.
        ConceptError: one is damaged, or holds another concept.
    """
    for unit in units:
        for spec in unit:
            if path := kept.get(spec.name):
                passport = VectorStore(path.parent)[spec.name].passport
                _demand_same(path, passport, spec, unit, method, budget, model_digest())


def _demand_same(
    path: Path,
    passport: Passport,
    spec: ConceptSpec,
    unit: Sequence[ConceptSpec],
    method: Method,
    budget: Budget,
    model_digest: str,
) -> None:
    """Refuse to take the vector at `path` for one that was learned as asked.

    Raises:
        OutputError: its passport says otherwise; the error names what.
    """
    asked = settings_of(spec, unit, budget)
    there = dict(passport.settings)
    if there.get("precision") == "full":  # said of mixed, too, on a machine without bfloat16
        asked["precision"] = "full"
    pairs = tuple((pair.neutral, pair.target, pair.avoid) for pair in spec.held_out)
    told = [
        f"{what} {ours} there, {wanted} asked for"
        for what, ours, wanted in (
            ("model", passport.model_digest, model_digest),
            ("method", passport.method, method),
            ("seed", passport.seed, budget.seed),
            ("sites", sorted(passport.site_shapes), sorted(spec.sites)),
            *((key, there.get(key), asked.get(key)) for key in sorted({**asked, **there})),
        )
        if ours != wanted
    ]
    if passport.prompts != spec.prompts():
        told.append("other prompts")
    if passport.held_out != pairs:
        told.append("other held-out prompts")
    if told:
        raise OutputError(
            f"{path} is there already and was learned otherwise: {'; '.join(told)}",
            "choose another folder with --out, or remove the file to have it learned anew",
        )
