"""`safegen reference`: train and check the model that ships with SafeGen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from safegen.cli.models import Json, bar, writable
from safegen.files import demand_no_folder, write_png
from safegen.nouns import LARGEST_TRAINING_SEED
from safegen.reference import open_pipeline

app = typer.Typer(help="The reference model: train it, check it.", no_args_is_help=True)
_Seed = Annotated[
    int, typer.Option(min=0, max=LARGEST_TRAINING_SEED, help="Decides initial weights and data.")
]


@app.command("train")
def train(
    checkpoints: Annotated[Path, typer.Option(help="State of the training; goes on from it.")] = (
        Path(".checkpoints")
    ),
    out: Annotated[Path, typer.Option(help="Folder for the finished pipeline.")] = (
        Path("reference-model")
    ),
    seed: _Seed = 0,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Rounds of 4096 images.", show_default="as it ships")
    ] = None,
    autoencoder_steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of the autoencoder.", show_default="as it ships"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train the diffusion model from nothing: about three hours on two CPU cores."""
    from safegen.reference.train import AUTOENCODER_STEPS, ROUNDS
    from safegen.reference.train import train as run

    rounds, steps = rounds or ROUNDS, autoencoder_steps or AUTOENCODER_STEPS
    writable(out)
    with bar(rounds, "training") as show:
        run(
            writable(checkpoints),
            out,
            seed,
            lambda stage, done, total, line: show(done, total, f"{stage}: {line}"),
            steps,
            rounds,
        )
    typer.echo(json.dumps({"pipeline": str(out)}) if as_json else f"written: {out}")


@app.command("train-judges")
def train_judges(
    out: Annotated[Path, typer.Option(help="Folder for the weights.")] = Path("judge"),
    steps: Annotated[int, typer.Option(min=1, help="Steps per judge.")] = 650,
    seed: _Seed = 0,
    as_json: Json = False,
) -> None:
    """Train the judges on fresh renders: minutes."""
    from safegen.reference.judge_train import train_judges as run

    _train_and_print(run, out, steps, seed, as_json)


@app.command("train-clip")
def train_clip(
    out: Annotated[Path, typer.Option(help="Folder for the weights.")] = Path("clip"),
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 900,
    seed: _Seed = 0,
    as_json: Json = False,
) -> None:
    """Train the reference world's small CLIP: minutes."""
    from safegen.reference.clip import train_clip as run

    _train_and_print(run, out, steps, seed, as_json)


@app.command("check")
def check(
    out: Annotated[Path, typer.Option(help="Where to write the sheet of samples.")] = (
        Path("reference-check.png")
    ),
    per_occupation: Annotated[
        int, typer.Option("-n", min=1, help="Images per occupation and kind.")
    ] = 12,
    seed: _Seed = 0,
    as_json: Json = False,
) -> None:
    """Measure the shipped model against its bar, by the judges; exit code 1 where it is missed."""
    from safegen.reference.check import check as run
    from safegen.reference.judge import Judge
    from safegen.reference.world import OCCUPATIONS

    writable(out.parent)
    demand_no_folder(out)  # told before the minutes that it takes
    total = 2 * per_occupation * len(OCCUPATIONS)
    with bar(total, "sampling") as show:
        quality, picture = run(
            open_pipeline("reference"),
            Judge.load(),
            per_occupation,
            seed,
            lambda done: show(done, total, f"sampling {done}/{total}"),
        )
    write_png(out, picture)
    _print({**quality.model_dump(), "passed": quality.passed, "sheet": str(out)}, as_json)
    raise typer.Exit(0 if quality.passed else 1)


def _train_and_print(
    train: Callable[[Path, int, int, Callable[[str, int, int, str], None]], dict[str, float]],
    out: Path,
    steps: int,
    seed: int,
    as_json: bool,
) -> None:
    with bar(steps, "training") as show:
        measured = train(
            writable(out), steps, seed, lambda s, done, n, line: show(done, n, f"{s}: {line}")
        )
    _print(measured, as_json)


def _print(values: dict[str, object] | dict[str, float], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(values))
    else:
        for name, value in values.items():
            typer.echo(f"{name:>24}  {value}")
