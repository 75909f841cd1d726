"""`safegen vectors`: learn concept vectors, look at them, and work with them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from safegen.cli import vector_tools
from safegen.cli.models import Bar, Json, bar, choice, writable
from safegen.cli.vector_card import Clip, card_, cards, concept_file, tables
from safegen.cli.vector_tools import Store
from safegen.cluster import ENGINES
from safegen.concepts.store import VectorStore, own_folder
from safegen.concepts.vector import ConceptVector
from safegen.errors import SafeGenError, UnknownConceptError, did_you_mean
from safegen.reference import open_pipeline

if TYPE_CHECKING:
    from safegen.concepts.discovery.run import Run
    from safegen.concepts.discovery.spec import ConceptSpec
    from safegen.concepts.discovery.work import Workbench

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
    concepts: Annotated[
        Path,
        typer.Argument(
            parser=concept_file,
            metavar="FILE",
            help="YAML file that declares the concepts; reference: the one that ships.",
        ),
    ],
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

    Concepts that are in --out already are kept if they were learned as asked for, and else an
    error. Each that has none yet gets a card, if there is a judge of the model's images (those of
    the reference model, or --clip), and held-out and unrelated prompts. Exit code 1: one could not
    be measured.
    """
    from safegen.concepts.discovery.discover import METHODS
    from safegen.concepts.discovery.file import load_concepts
    from safegen.concepts.discovery.run import Run
    from safegen.concepts.discovery.spec import preset
    from safegen.concepts.discovery.work import Workbench

    file = load_concepts(concepts)
    for name in only or ():
        if name not in file.specs:
            raise UnknownConceptError(
                f"{concepts} declares no concept {name!r}", did_you_mean(name, file.specs)
            )
    how = choice(method, METHODS)
    choice(engine, ENGINES)
    options = {"trajectories": trajectories, "steps": steps, "learning_rate": learning_rate}
    given = {key: value for key, value in options.items() if value is not None}
    chosen = preset(budget, method, seed, given)
    sites = ["mid_block"] if budget == "published" and not site else site
    writable(own_folder(out))
    run = Run(out, file, model, how, chosen, only or (), sites or ())
    opened = partial(open_pipeline, model, device)
    bench = cache(lambda: Workbench(opened(), folder=run.state, run=run.name))
    if run.kept:
        with bar(None, "looking at what is there already"):
            run.demand_as_asked(lambda: bench().digest)
    store = VectorStore(out)
    there = {name: store[name].passport.card for name in run.kept}
    verdicts: dict[str, str] = {name: each.verdict for name, each in there.items() if each}
    uncarded = [name for name in run.paths if name not in verdicts]
    if not card:
        why = "--no-card was given; safegen vectors card tells whether it has an effect"
        not_measured = dict.fromkeys(uncarded, why)
    elif clip is None and model != "reference":
        not_measured = dict.fromkeys(uncarded, f"nobody judges images of {model}; give --clip")
    else:
        not_measured = _unmeasurable(file.specs, uncarded, concepts)
    learning = _on_ray(opened, run) if engine == "ray" else _here(bench, run)
    written: dict[str, Path] = {}
    for learned in learning:
        written |= run.save(learned)
    run.end()
    if run.state.exists():
        typer.echo(
            f"{run.state} keeps what other runs had learned when they stopped: for those to go on, "
            "or to be deleted",
            err=True,
        )
    failed: dict[str, SafeGenError] = {}
    if names := [name for name in uncarded if name not in not_measured]:
        made, failed = cards(names, out, model, concepts, clip)
        verdicts |= {name: each.verdict for name, each in made.items()}
        not_measured |= {name: error.message for name, error in failed.items()}
    _tell(written, run.kept, verdicts, not_measured, as_json)
    if failed:
        raise typer.Exit(1)


def _tell(
    written: Mapping[str, Path],
    kept: Mapping[str, Path],
    verdicts: Mapping[str, str],
    not_measured: Mapping[str, str],
    as_json: bool,
) -> None:
    if as_json:
        told = {
            "written": [str(path) for path in written.values()],
            "kept": [str(path) for path in kept.values()],
            "verdicts": verdicts,
            "not_measured": not_measured,
        }
        typer.echo(json.dumps(told))
        return
    found = {**verdicts, **{name: f"not measured: {why}" for name, why in not_measured.items()}}
    for name, path in written.items():
        typer.echo(f"{path}  {found[name]}")
    for name, path in kept.items():
        typer.echo(f"{path}  kept; {found[name]}")


def _unmeasurable(
    specs: "Mapping[str, ConceptSpec]", names: Sequence[str], source: Path
) -> dict[str, str]:
    """Of these concepts those that no card can be measured of, and why; told before learning."""
    reasons = {}
    for name in names:
        given = {"held-out": specs[name].held_out, "unrelated": specs[name].unrelated}
        if lacking := [kind for kind, prompts in given.items() if not prompts]:
            reasons[name] = f"{source} has no {' and no '.join(lacking)} prompts for it"
            typer.echo(f"{name} will get no card: {reasons[name]}", err=True)
    return reasons


def _on_ray(opened: Callable[[], Any], run: "Run") -> Iterator[dict[str, ConceptVector]]:
    """The vectors of each unit as a cluster brings them, behind a progress bar."""
    from safegen.concepts.discovery.ray import discover_on_ray

    tasks = discover_on_ray(
        opened, run.units, run.method, run.budget, run.state.absolute(), run.name
    )
    with bar(len(run.units), "learning on a cluster") as show:
        for number, vectors in enumerate(tasks):
            show(number + 1, len(run.units), f"learned {', '.join(vectors)}")
            yield vectors


def _here(bench: "Callable[[], Workbench]", run: "Run") -> Iterator[dict[str, ConceptVector]]:
    """The vectors of each unit as it is finished, behind a progress bar."""
    from safegen.concepts.discovery.discover import discover

    if not run.units:
        return
    with bar(len(run.units), "opening the model") as show:
        for unit in run.units:
            names = ", ".join(spec.name for spec in unit)
            bench().progress = partial(_show, show, names)
            yield discover(bench(), unit, run.method, run.budget)


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
    Console(markup=False).print(table)
    for each in tables(concept, vector.passport.card) if vector.passport.card else ():
        Console(markup=False).print(each)
