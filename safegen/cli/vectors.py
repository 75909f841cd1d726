"""`safegen vectors`: learn concept vectors, look at them."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from safegen.cli.models import bar, open_pipeline, writable
from safegen.concepts.store import VectorStore
from safegen.errors import UnknownConceptError

app = typer.Typer(help="Concept vectors: learn, list, show.", no_args_is_help=True)
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
_Store = Annotated[str, typer.Option("--store", help="Folder, or name of a shipped set.")]


@app.command("discover")
def discover(
    concepts: Annotated[Path, typer.Argument(help="YAML file that declares the concepts.")],
    out: Annotated[Path, typer.Option(help="Folder for the vectors.")] = Path("vectors"),
    model: Annotated[str, typer.Option(help="reference, a folder, or a hub name.")] = "reference",
    method: Annotated[str, typer.Option(help="score-matching or self-discovery.")] = (
        "score-matching"
    ),
    only: Annotated[list[str] | None, typer.Option(help="Just these concepts.")] = None,
    site: Annotated[
        list[str] | None, typer.Option(help="Learn at these sites, not those declared.")
    ] = None,
    trajectories: Annotated[int, typer.Option(help="Images of the model's own data.")] = 48,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 120,
    learning_rate: Annotated[float, typer.Option(help="Relative to the activations.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Decides everything random.")] = 0,
    as_json: _Json = False,
) -> None:
    """Learn one vector per concept; those already in --out are kept and not learned again."""
    from safegen.concepts.discovery.score_matching import score_matching
    from safegen.concepts.discovery.self_discovery import self_discovery
    from safegen.concepts.discovery.spec import Budget, load_specs
    from safegen.concepts.vector import save_vector

    specs = load_specs(concepts)
    for name in only or ():
        if name not in specs:
            raise UnknownConceptError(
                f"{concepts} declares no concept {name!r}", f"it declares: {', '.join(specs)}"
            )
    methods = {"score-matching": score_matching, "self-discovery": self_discovery}
    if method not in methods:
        raise typer.BadParameter(f"expected one of {', '.join(methods)}, got {method!r}")
    budget = Budget(trajectories=trajectories, steps=steps, learning_rate=learning_rate, seed=seed)
    pipeline = open_pipeline(model)
    written = []
    for name in only or specs:
        path = writable(out) / f"{name}.safetensors"
        if path.exists():
            continue
        spec = specs[name].model_copy(update={"sites": tuple(site)} if site else {})
        with bar(steps, name) as show:
            vector = methods[method](
                pipeline,
                spec,
                budget,
                lambda done, n, line, name=name: show(done, n, f"{name}: {line}"),  # type: ignore[misc]
            )
        save_vector(vector, path)
        written.append(str(path))
    typer.echo(json.dumps({"written": written}) if as_json else "\n".join(written))


@app.command("list")
def list_(store: _Store = "reference", as_json: _Json = False) -> None:
    """The concepts of a store."""
    names = VectorStore(store).names
    typer.echo(json.dumps(list(names)) if as_json else "\n".join(names))


@app.command("show")
def show_(
    concept: Annotated[str, typer.Argument(help="Name of the concept.")],
    store: _Store = "reference",
    as_json: _Json = False,
) -> None:
    """A vector's passport."""
    vector = VectorStore(store)[concept]
    passport = vector.passport.model_dump(mode="json") | {"digest": vector.digest}
    if as_json:
        typer.echo(json.dumps(passport))
        return
    table = Table("field", "value")
    for name, value in passport.items():
        table.add_row(name, json.dumps(value) if isinstance(value, dict) else str(value))
    Console().print(table)
