"""Vectors that are in a folder already: whether each is what a run would learn."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from safegen.concepts.discovery.spec import Budget, ConceptSpec
from safegen.concepts.store import VectorStore
from safegen.concepts.vector import Method, Passport
from safegen.errors import OutputError

Settings = dict[str, str | int | float | bool]
_GROUP, _DECLARED = "centred with", "declared as"


def settings_of(spec: ConceptSpec, unit: Sequence[ConceptSpec], budget: Budget) -> Settings:
    """What a passport says of how `spec` was learned along with the rest of its `unit`."""
    settings: Settings = budget.model_dump(exclude={"seed"}) | {"guidance": spec.guidance}
    if budget.centre and len(unit) > 1:
        others = {each.name: each for each in unit if each.name != spec.name}
        settings[_GROUP] = ", ".join(sorted(others))
        settings[_DECLARED] = _digest([others[name] for name in sorted(others)])
    return settings


def _digest(specs: Sequence[ConceptSpec]) -> str:
    """Of all that decides what is learned of them."""
    told = "\n".join(spec.model_dump_json(exclude={"held_out"}) for spec in specs)
    return f"sha256:{hashlib.sha256(told.encode()).hexdigest()}"


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
    declared, now = there.pop(_DECLARED, ""), asked.pop(_DECLARED, "")
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
    if declared != now and there.get(_GROUP) == asked.get(_GROUP):
        told.append(
            f"other declarations of {asked[_GROUP]}, which it is centred with"
            if declared
            else f"it does not say how {asked[_GROUP]}, which it is centred with, was declared"
        )
    if told:
        files = "the files of its group" if _GROUP in asked else "the file"
        raise OutputError(
            f"{path} is there already and was learned otherwise: {'; '.join(told)}",
            f"choose another folder with --out, or remove {files} to have it learned anew",
        )
