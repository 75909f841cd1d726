"""`safegen eval`: protocols on a model, bare, with peers, and with SafeGen."""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from safegen.cli.models import bar, open_pipeline, writable
from safegen.errors import InputError
from safegen.files import write_file


def evaluate(
    protocol: Annotated[
        list[str],
        typer.Argument(
            help="fair, fair-extended, safe, safe-asked, text, quality, cost, attacks; or all."
        ),
    ],
    guard: Annotated[
        list[str] | None,
        typer.Option(
            help="none, a peer, steering, text, unaudited, or the policy's name; may be repeated.",
            show_default="none and the policy",
        ),
    ] = None,
    policy: Annotated[str, typer.Option(help="Policy under test: a pack or a file.")] = "default",
    vectors: Annotated[str, typer.Option(help="Store of its concepts.")] = "reference",
    model: Annotated[str, typer.Option(help="The reference model.")] = "reference",
    out: Annotated[Path, typer.Option(help="Folder for report and images; a run goes on.")] = (
        Path("safegen-eval")
    ),
    images: Annotated[
        int, typer.Option(min=1, help="Images per occupation, for fair; others in proportion.")
    ] = 100,
    limit: Annotated[int, typer.Option(min=0, help="Prompts per protocol; 0: all.")] = 0,
    attacked: Annotated[int, typer.Option(min=1, help="Prompts to attack.")] = 12,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the sampler.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Decides everything random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Measure a model with and without guards; answers are kept, so a run that stopped goes on."""
    from safegen.evaluation import report
    from safegen.evaluation.run import PROTOCOLS, Scale, measure
    from safegen.evaluation.suite import Suite
    from safegen.evaluation.worlds import reference_world

    if model != "reference":
        raise InputError(
            f"the judges know the reference world only, the model is {model!r}",
            "use --model reference",
        )
    chosen = PROTOCOLS if protocol == ["all"] else tuple(p for p in PROTOCOLS if p in protocol)
    if unknown := sorted({*protocol} - {*PROTOCOLS, "all"}):
        raise InputError(f"there is no protocol {unknown[0]!r}", f"one of: {', '.join(PROTOCOLS)}")
    scale = Scale(
        fair_images=images,
        safe_images=max(1, images // 10),
        text_images=max(1, images // 25),
        quality_images=max(1, images // 50),
        limit=limit,
        attacked=attacked,
    )
    with bar(1, "loading") as show:
        suite = Suite(
            open_pipeline(model),
            reference_world(),
            writable(out) / "answers",
            policy=policy,
            vectors=vectors,
            steps=steps,
            progress=show,
        )
        names = tuple(guard or ("none", suite.policy.name))
        for name in names:
            suite.check(name)
        measured = [
            measure(suite, each, name, scale, seed, show) for each in chosen for name in names
        ]
    about = {
        "model": model,
        "policy": f"{suite.policy.name} {suite.policy.digest}",
        "seed": seed,
        "steps": steps,
        "safegen": version("safegen"),
        "machine": platform.machine(),
    }
    told = report.as_json(measured, about)
    write_file(out / "report.json", json.dumps(told, indent=2).encode())
    write_file(out / "report.html", report.as_html(measured, about).encode())
    if as_json:
        typer.echo(json.dumps(told))
        return
    _print(told, out)


def _print(told: dict[str, Any], out: Path) -> None:
    console = Console(highlight=False)
    for protocol, subjects in told["results"].items():
        names = list(dict.fromkeys(n for found in subjects.values() for n in found["figures"]))
        table = Table("subject", *names, title=protocol)
        for subject, found in subjects.items():
            figures = found["figures"]
            table.add_row(
                subject,
                *(
                    f"{figures[n]['value']:.3f} [{figures[n]['low']:.3f}, {figures[n]['high']:.3f}]"
                    if n in figures
                    else "-"
                    for n in names
                ),
            )
        console.print(table)
    console.print(f"report: {out / 'report.html'}")
