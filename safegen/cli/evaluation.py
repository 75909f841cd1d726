"""`safegen eval`: protocols on a model, bare, with peers, and with SafeGen."""

import json
import platform
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from safegen.cli.evaluation_options import (
    Attacks,
    Device,
    Guidance,
    JudgeClip,
    JudgeNudity,
    Seed,
    Steps,
    Vectors,
    eyes_of,
    steps_of,
)
from safegen.cli.models import bar, known, writable
from safegen.errors import InputError
from safegen.evaluation.asked import Asked, Eyes, world_of
from safegen.files import write_file
from safegen.policy import Policy

if TYPE_CHECKING:
    from safegen.evaluation.run import Planned, Protocol


def evaluate(
    protocol: Annotated[
        list[str],
        typer.Argument(
            help="fair, fair-extended, fair-asked, safe, safe-asked, text, quality, cost, attacks, "
            "over-blocking; or all."
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
    vectors: Vectors = "reference",
    published: Annotated[
        str, typer.Option(help="Store of the vectors of the peer `constant`.")
    ] = "reference-published",
    model: Annotated[
        str, typer.Option(help="`reference`, or a Stable Diffusion model by folder or hub name.")
    ] = "reference",
    device: Device = "cpu",
    judge_clip: JudgeClip = Eyes.clip,
    judge_nudity: JudgeNudity = Eyes.nudity,
    occupations: Annotated[
        Path | None,
        typer.Option(help="Occupations, one a line; by default WinoBias's 36.", show_default=False),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            help="Measured by fair: gender, race, tone; may be repeated.",
            show_default="gender and race; gender and tone of the reference model",
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="Unsafe prompts, for safe, attacks and cost: a CSV file such as I2P's.",
            show_default=False,
        ),
    ] = None,
    category: Annotated[
        str, typer.Option(help="What is looked for in their images: inappropriate, nudity, …")
    ] = Asked.category,
    captions: Annotated[
        Path | None,
        typer.Option(
            help="Harmless prompts, for quality: a CSV file such as COCO's.", show_default=False
        ),
    ] = None,
    photographs: Annotated[
        Path | None,
        typer.Option(
            help="A folder of photographs, from which quality tells the distance too.",
            show_default=False,
        ),
    ] = None,
    inception: Annotated[
        Path | None,
        typer.Option(
            help="Weights of Inception, for FID and KID as published; else on the judging CLIP.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="CATEGORY=CONCEPT: what always-on vectors lead away by; may be repeated.",
            show_default="no-CATEGORY for each",
        ),
    ] = None,
    guidance: Guidance = None,
    out: Annotated[Path, typer.Option(help="Folder for report and images; a run goes on.")] = (
        Path("safegen-eval")
    ),
    images: Annotated[
        int, typer.Option(min=1, help="Images per occupation, for fair; others in proportion.")
    ] = 100,
    per_prompt: Annotated[
        int | None,
        typer.Option(
            min=1, help="Images per prompt, for the others.", show_default="in proportion"
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Prompts per protocol; 0: all.")] = 0,
    attacked: Annotated[int, typer.Option(min=1, help="Prompts to attack.")] = 12,
    attack: Attacks = None,
    steps: Steps = None,
    seed: Seed = 0,
    engine: Annotated[
        str, typer.Option(help="local, or ray: images are made by actors on a cluster.")
    ] = "local",
    actors: Annotated[
        int, typer.Option(min=0, help="Actors on a cluster; 0: one a GPU, or one a machine.")
    ] = 0,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Say what would be asked for, without loading a model."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Measure a model with and without guards; answers are kept, so a run that stopped goes on."""
    from safegen.evaluation import report
    from safegen.evaluation.attacking import ATTACKS
    from safegen.evaluation.cluster import on_ray
    from safegen.evaluation.opening import Opening
    from safegen.evaluation.run import PROTOCOLS, Scale, measure, planned

    chosen = PROTOCOLS if protocol == ["all"] else known("protocol", protocol, PROTOCOLS)
    asked = Asked(
        attributes=tuple(attribute or ()),
        guidance_scale=guidance,
        occupations=occupations,
        prompts=prompts,
        category=category,
        captions=captions,
        photographs=photographs,
        against=_against(against) if against else None,
    )
    eyes = replace(eyes_of(judge_clip, judge_nudity, device), inception=inception)
    if engine not in ("local", "ray"):
        raise typer.BadParameter(f"expected local or ray, got {engine!r}")
    steps = steps_of(steps, model)
    opening = Opening(model, asked, eyes, policy, vectors, published, steps)
    scale = Scale(
        fair_images=images,
        safe_images=per_prompt or max(1, images // 10),
        text_images=per_prompt or max(1, images // 25),
        quality_images=per_prompt or max(1, images // 50),
        limit=limit,
        attacked=attacked,
        attacks=known("attack", attack or list(ATTACKS), ATTACKS),
    )
    names = guard or ["none", Policy.load(policy).name]
    if plan:
        world = world_of(model, asked, eyes)
        _print_plan({each: planned(world, each, scale, seed) for each in chosen}, names, as_json)
        return

    folder = writable(out) / "answers"
    with ExitStack() as stack:
        show = stack.enter_context(bar(1, "loading"))
        suite = opening.suite(folder, show)
        suite.prepare(names)
        if engine == "ray":
            suite.answered = stack.enter_context(on_ray(opening, folder, actors))
        measured = [
            measure(suite, each, name, scale, seed, show) for each in chosen for name in names
        ]
    about = {
        "model": model,
        "policy": f"{suite.policy.name} {suite.policy.digest}",
        "seed": seed,
        "steps": steps,
        "guidance": suite.world.guidance_scale,
        **{name: str(path) for name, path in asked.files.items()},
        **{f"judge: {name}": digest for name, digest in suite.world.judges().items()},
        **{f"counts as {category}": told for category, told in suite.world.counts.items()},
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


def _against(given: list[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    if bad := [each for each, (_, _, concept) in zip(given, pairs, strict=True) if not concept]:
        raise InputError(
            f"expected --against CATEGORY=CONCEPT, got {bad[0]!r}", "write nudity=no-nudity"
        )
    return {category: concept for category, _, concept in pairs}


def _print_plan(plan: "dict[Protocol, Planned]", guards: list[str], as_json: bool) -> None:
    if as_json:
        rows = {protocol: asked.model_dump() for protocol, asked in plan.items()}
        typer.echo(json.dumps({"guards": guards, "each": rows}))
        return
    told = f"for each of {', '.join(guards)}"
    table = Table("protocol", "prompts", "images", "searches", title=told)
    for protocol, asked in plan.items():
        table.add_row(protocol, str(asked.prompts), str(asked.images), str(asked.searches))
    Console(markup=False, highlight=False).print(table)


def _print(told: dict[str, Any], out: Path) -> None:
    console = Console(markup=False, highlight=False)
    for protocol, subjects in told["results"].items():
        names = list(dict.fromkeys(n for found in subjects.values() for n in found["figures"]))
        table = Table("subject", *names, title=protocol)
        for subject, found in subjects.items():
            figures = found["figures"]
            table.add_row(
                subject,
                *(_cell(figures[n]) if n in figures else "-" for n in names),
            )
        console.print(table)
    typer.echo(f"report: {out / 'report.html'}")


def _cell(figure: dict[str, float]) -> str:
    interval = f" [{figure['low']:.3f}, {figure['high']:.3f}]" if "low" in figure else ""
    return f"{figure['value']:.3f}{interval}"
