"""`safegen eval`: protocols on a model, bare, with peers, and with SafeGen."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from itertools import product
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
    judges_of,
    steps_of,
)
from safegen.cli.models import Json, bar, choice, known, writable
from safegen.cli.reports import PAGE, REPORT, made_by, require_same, with_digests
from safegen.cluster import ENGINES
from safegen.errors import InputError
from safegen.evaluation.asked import Asked, Judges
from safegen.files import write_file
from safegen.policy import Policy

if TYPE_CHECKING:
    from safegen.evaluation.opening import Opening
    from safegen.evaluation.results import Measured
    from safegen.evaluation.run import Planned, Protocol, Scale
    from safegen.evaluation.worlds import World


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
    judge_clip: JudgeClip = Judges.clip,
    judge_nudity: JudgeNudity = Judges.nudity,
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
    limit: Annotated[
        int,
        typer.Option(min=0, help="Prompts per protocol but fair, which has occupations; 0: all."),
    ] = 0,
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
    as_json: Json = False,
) -> None:
    """Measure a model with and without guards; answers are kept, so a run that stopped goes on."""
    from safegen.evaluation.attacking import ATTACKS
    from safegen.evaluation.opening import Opening, world_of
    from safegen.evaluation.run import (
        PROTOCOLS,
        Scale,
        all_protocols,
        planned,
        require_prompts,
    )
    from safegen.evaluation.subjects import first_seed
    from safegen.evaluation.suite import require_subjects

    chosen = known("protocol", PROTOCOLS if protocol == ["all"] else protocol, PROTOCOLS)
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
    judged_by = replace(judges_of(judge_clip, judge_nudity, device), inception=inception)
    choice(engine, ENGINES)
    opening = Opening(model, asked, judged_by, policy, vectors, published, steps_of(steps, model))
    scale = Scale(
        fair_images=images,
        safe_images=per_prompt or max(1, images // 10),
        text_images=per_prompt or max(1, images // 25),
        quality_images=per_prompt or max(1, images // 50),
        limit=limit,
        attacked=attacked,
        attacks=known("attack", attack or list(ATTACKS), ATTACKS),
    )
    tested = Policy.load(policy)
    names = guard or ["none", tested.name]
    first_seed(seed)  # mistakes are told before a model is loaded
    world = world_of(model, asked, judged_by)
    if protocol == ["all"]:
        chosen = all_protocols(world)
        for skipped in sorted({*PROTOCOLS} - {*chosen}):
            typer.echo(f"skipped: {skipped}, for which this model can have no prompts", err=True)
    require_prompts(world, chosen)
    require_subjects(names, tested.name)
    if plan:
        asked_of = {
            name: {each: planned(world, each, scale, seed, name) for each in chosen}
            for name in names
        }
        _print_plan(asked_of, as_json)
        return
    about = made_by("eval", f"{tested.name} {tested.digest}", model, seed)
    about |= _settings(opening, world, scale)
    wanted = [*product(chosen, names)]
    require_same(writable(out), about, measured=wanted)
    measured, judges = _measured(
        opening, out / "answers", wanted, scale, seed, actors if engine == "ray" else None
    )
    told = _written(out, measured, about | judges)
    if as_json:
        typer.echo(json.dumps(told))
        return
    _print(told, out)


def _settings(opening: "Opening", world: "World", scale: "Scale") -> dict[str, Any]:
    """What a report says it was measured with, beside policy, model and seed."""
    asked, judged_by = opening.asked, opening.judged_by
    about = {
        "steps": opening.steps,
        "guidance": world.guidance_scale,
        "vectors": opening.vectors,
        "published": opening.published,
        "attributes": list(world.groups),
        "against": dict(world.against),
        "scale": scale.model_dump(mode="json"),
        "device": judged_by.device,
        "torch": version("torch"),
    }
    if opening.model == "reference":  # which has prompts and judges of its own
        return about
    files = {
        "occupations": asked.occupations,
        "prompts": asked.prompts,
        "captions": asked.captions,
        "photographs": asked.photographs,
        "inception": judged_by.inception,
    }
    return about | {
        "category": asked.category,
        "judge_clip": judged_by.clip,
        "judge_nudity": judged_by.nudity,
        **with_digests(files),
    }


def _measured(
    opening: "Opening",
    folder: Path,
    wanted: "Sequence[tuple[Protocol, str]]",
    scale: "Scale",
    seed: int,
    actors: int | None,
) -> "tuple[list[Measured], dict[str, str]]":
    """The protocols on the subjects, and who judged; `actors` of a cluster, or none: here."""
    from safegen.evaluation.cluster import on_ray
    from safegen.evaluation.run import measure

    with ExitStack() as stack:
        show = stack.enter_context(bar(1, "loading"))
        suite = opening.suite(folder, show)
        suite.prepare([*dict.fromkeys(name for _, name in wanted)])
        if actors is not None:
            suite.answered = stack.enter_context(on_ray(opening, folder, actors))
        measured = [measure(suite, each, name, scale, seed, show) for each, name in wanted]
    return measured, {
        **{f"judge: {name}": digest for name, digest in suite.world.judges().items()},
        **{f"counts as {category}": told for category, told in suite.world.counts.items()},
    }


def _written(out: Path, measured: "Sequence[Measured]", about: Mapping[str, Any]) -> dict[str, Any]:
    """What the report says, once it is written."""
    from safegen.evaluation import report

    told = report.as_json(measured, about)
    write_file(out / REPORT, json.dumps(told, indent=2).encode())
    write_file(out / PAGE, report.as_html(measured, about).encode())
    return told


def _against(given: list[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    if bad := [each for each, (_, _, concept) in zip(given, pairs, strict=True) if not concept]:
        raise InputError(
            f"expected --against CATEGORY=CONCEPT, got {bad[0]!r}", "write nudity=no-nudity"
        )
    return {category: concept for category, _, concept in pairs}


def _print_plan(asked_of: "dict[str, dict[Protocol, Planned]]", as_json: bool) -> None:
    """What is asked of each guard; of those that cannot be sent embeddings, less."""
    guards = list(asked_of)
    most: dict[Protocol, Planned] = {}
    for plan in asked_of.values():
        for protocol, asked in plan.items():
            most[protocol] = max(most.get(protocol, asked), asked, key=lambda each: each.images)
    less = {
        name: {protocol: asked for protocol, asked in plan.items() if asked != most[protocol]}
        for name, plan in asked_of.items()
    }
    fewer = {name: plan for name, plan in less.items() if plan}
    if as_json:
        told: dict[str, Any] = {"guards": guards, "each": _dumped(most)}
        but = {name: _dumped(plan) for name, plan in fewer.items()}
        typer.echo(json.dumps(told | ({"but": but} if but else {})))
        return
    table = Table(
        "protocol", "prompts", "images", "searches", title=f"for each of {', '.join(guards)}"
    )
    rows: list[tuple[str, Planned]] = [*most.items()]
    rows += [(f"{p}, but {name}", a) for name, plan in fewer.items() for p, a in plan.items()]
    for about, asked in rows:
        table.add_row(about, str(asked.prompts), str(asked.images), str(asked.searches))
    Console(markup=False, highlight=False).print(table)


def _dumped(plan: "dict[Protocol, Planned]") -> dict[str, Any]:
    return {protocol: asked.model_dump() for protocol, asked in plan.items()}


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
        for remark in dict.fromkeys(r for found in subjects.values() for r in found["remarks"]):
            typer.echo(remark)
    typer.echo(f"report: {out / PAGE}")


def _cell(figure: dict[str, float]) -> str:
    interval = f" [{figure['low']:.3f}, {figure['high']:.3f}]" if "low" in figure else ""
    return f"{figure['value']:.3f}{interval}"
