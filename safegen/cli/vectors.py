"""`safegen vectors`: learn concept vectors, look at them, and work with them."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from safegen.cli import vector_tools
from safegen.cli.models import Bar, bar, writable
from safegen.cli.vector_card import Clip, card_, cards, tables
from safegen.cli.vector_tools import Json, Store
from safegen.concepts.store import VectorStore, own_folder
from safegen.concepts.vector import ConceptVector
from safegen.errors import UnknownConceptError
from safegen.policy.load import did_you_mean
from safegen.reference import open_pipeline

app = typer.Typer(help="Concept vectors: learn, look at, combine, share.", no_args_is_help=True)
for _tool in (
    card_,
    vector_tools.compare_,
    vector_tools.compose_,
    vector_tools.centre_,
    vector_tools.verify_,
    vector_tools.import_,
    vector_tools.export_,
    vector_tools.push_,
    vector_tools.pull_,
):
    app.command(_tool.__name__.removesuffix("_"))(_tool)


@app.command("discover")
def discover_(
    concepts: Annotated[Path, typer.Argument(help="YAML file that declares the concepts.")],
    out: Annotated[Path, typer.Option(help="Folder for the vectors.")] = Path("vectors"),
    model: Annotated[str, typer.Option(help="reference, a folder, or a hub name.")] = "reference",
    method: Annotated[
        str, typer.Option(help="score-matching, self-discovery or contrast.")
    ] = "score-matching",
    budget: Annotated[str, typer.Option(help="quick, standard or published.")] = "standard",
    only: Annotated[list[str] | None, typer.Option(help="Just these concepts.")] = None,
    site: Annotated[
        list[str] | None, typer.Option(help="Learn at these sites, not those declared.")
    ] = None,
    trajectories: Annotated[
        int | None, typer.Option(help="Images of the model's own data, not those of --budget.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps, at most.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="In units of the site's activations.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides everything random.")] = 0,
    engine: Annotated[str, typer.Option(help="local, or ray: a task per concept.")] = "local",
    device: Annotated[str, typer.Option(help="Where the model runs: cpu, cuda, …")] = "cpu",
    clip: Clip = None,
    card: Annotated[
        bool, typer.Option("--card/--no-card", help="Measure what was learned, by its judge.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Learn one vector per concept; run again after an interruption, it goes on where it was.

    Concepts that are in --out already are kept and not learned again. Each gets a card, if there is
    a judge of the model's images: those of the reference model, or --clip.
    """
    from safegen.concepts.discovery.discover import METHODS
    from safegen.concepts.discovery.file import load_concepts
    from safegen.concepts.discovery.spec import Budget, preset
    from safegen.concepts.vector import save_vector

    file = load_concepts(concepts)
    for name in only or ():
        if name not in file.specs:
            raise UnknownConceptError(
                f"{concepts} declares no concept {name!r}", did_you_mean(name, file.specs)
            )
    for value, known in ((method, list(METHODS)), (engine, ["local", "ray"])):
        if value not in known:
            raise typer.BadParameter(f"expected one of {', '.join(known)}, got {value!r}")
    given = {"trajectories": trajectories, "steps": steps, "learning_rate": learning_rate}
    fields = preset(budget, method, seed).model_dump()
    chosen = Budget(**fields | {key: value for key, value in given.items() if value is not None})
    sites = ["mid_block"] if budget == "published" and not site else site
    writable(own_folder(out))
    missing = [name for name in only or file.specs if not (out / f"{name}.safetensors").exists()]
    units = [
        [spec.model_copy(update={"sites": tuple(sites)}) if sites else spec for spec in unit]
        for unit in file.units(missing)
    ]
    written: dict[str, str] = {}
    state = out / ".discovery"
    opened = partial(open_pipeline, model, device)
    for learned in _learned(opened, units, method, chosen, engine, state):
        for name in sorted(learned.keys() & set(missing)):
            path = out / f"{name}.safetensors"
            save_vector(learned[name], path)
            written[name] = str(path)
    rmtree(state, ignore_errors=True)
    verdicts = {}
    if card and (clip or model == "reference"):
        made = cards(list(written), out, model, concepts, clip)
        verdicts = {name: each.verdict for name, each in made.items()}
    if as_json:
        typer.echo(json.dumps({"written": list(written.values()), "verdicts": verdicts}))
        return
    for name, where in written.items():
        typer.echo(f"{where}  {verdicts.get(name, 'not measured')}")


def _learned(
    opened: Callable[[], Any], units: Any, method: Any, budget: Any, engine: str, state: Path
) -> Iterator[dict[str, ConceptVector]]:
    """The vectors of each unit as it is finished, behind a progress bar."""
    from safegen.concepts.discovery.discover import discover
    from safegen.concepts.discovery.work import Workbench

    with bar(len(units), "opening the model") as show:
        if engine == "ray":
            from safegen.concepts.discovery.ray import discover_on_ray

            for number, vectors in enumerate(
                discover_on_ray(opened, units, method, budget, state.absolute())
            ):
                show(number + 1, len(units), f"learned {', '.join(vectors)}")
                yield vectors
            return
        if not units:
            return
        bench = Workbench(opened(), folder=state)
        for unit in units:
            names = ", ".join(spec.name for spec in unit)
            bench.progress = partial(_show, show, names)
            yield discover(bench, unit, method, budget)


def _show(show: Bar, names: str, done: int, total: int, line: str) -> None:
    show(done, total, f"{names}: {line}")


@app.command("list")
def list_(store: Store = "reference", as_json: Json = False) -> None:
    """The concepts of a store."""
    names = VectorStore(store).names
    typer.echo(json.dumps(list(names)) if as_json else "\n".join(names))


@app.command("show")
def show_(
    concept: Annotated[str, typer.Argument(help="Name of the concept.")],
    store: Store = "reference",
    as_json: Json = False,
) -> None:
    """A vector's passport and card."""
    vector = VectorStore(store)[concept]
    passport = vector.passport.model_dump(mode="json") | {"digest": vector.digest}
    if as_json:
        typer.echo(json.dumps(passport))
        return
    card = passport.pop("card")
    table = Table("field", "value")
    for name, value in passport.items():
        table.add_row(name, json.dumps(value) if isinstance(value, dict) else str(value))
    if card is None:
        table.add_row("card", "not measured: safegen vectors card")
    Console().print(table)
    for each in tables(concept, vector.passport.card) if vector.passport.card else ():
        Console().print(each)
