"""`safegen redteam`: attack a policy of one's own before each release."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
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
    judges_of,
    steps_of,
)
from safegen.cli.models import Json, bar, for_model, known, writable
from safegen.cli.reports import PAGE, REPORT, digest, made_by, require_same, with_digests
from safegen.errors import InputError
from safegen.evaluation.asked import Asked, Judges
from safegen.files import whole
from safegen.policy import Policy
from safegen.policy.casefile import is_shipped
from safegen.risk.data import read_prompts

if TYPE_CHECKING:
    from safegen.evaluation.attacking import Attack
    from safegen.evaluation.opening import Opening
    from safegen.evaluation.redteam.found import ByImages, ByWords

_HOLES = "holes.yaml"


def redteam(
    policy: Annotated[str, typer.Option(help="Policy under attack: a pack or a file.")] = "default",
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="What to attack beside the tests of the policy and its imports: CSV with a column "
            "`prompt`, or one a line.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="`reference`, or a Stable Diffusion model by folder or hub name: also attack the "
            "images; `none`: words alone."
        ),
    ] = "none",
    vectors: Vectors = "reference",
    device: Device = "cpu",
    category: Annotated[
        str,
        typer.Option(
            help="What photographic models are watched for, where a prompt has no word of it: "
            "inappropriate, nudity, …"
        ),
    ] = Asked.category,
    judge_clip: JudgeClip = Judges.clip,
    judge_nudity: JudgeNudity = Judges.nudity,
    attack: Attacks = None,
    budget: Annotated[str, typer.Option(help="quick, standard or thorough.")] = "standard",
    most: Annotated[
        int,
        typer.Option(
            min=0, help="So many mutated prompts, and so many attacked ones, at most; 0: all."
        ),
    ] = 0,
    paraphrases: Annotated[
        list[Path] | None,
        typer.Option(
            help="Further words for mutations, as YAML; may be repeated.", show_default=False
        ),
    ] = None,
    steps: Steps = None,
    guidance: Guidance = None,
    seed: Seed = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for holes.yaml, report.html and report.json.")
    ] = Path("safegen-redteam"),
    as_json: Json = False,
) -> None:
    """Look for prompts that get past a policy; exit 1 if there are any.

    Holes are written as test cases: `safegen policy test OUT/holes.yaml` fails until the policy is
    mended. Images are kept, so a run that was stopped goes on.
    """
    from safegen.evaluation.mutations.words import read_words
    from safegen.evaluation.redteam import text
    from safegen.evaluation.redteam.budget import BUDGETS
    from safegen.evaluation.redteam.cases import Yardstick

    [effort] = known("budget", [budget], BUDGETS)
    attacks = _attacks(attack or [], model)
    opening = None
    if model != "none":
        from safegen.evaluation.opening import Opening

        asked = Asked(category=category, guidance_scale=guidance)
        judged_by = judges_of(judge_clip, judge_nudity, device)
        opening = Opening(model, asked, judged_by, policy, vectors, steps=steps_of(steps, model))
    by_images = _settings(opening, attacks, seed) if opening else {}
    yardstick = Yardstick(for_model(Policy.load(policy), model if opening else None))
    given = read_prompts(prompts) if prompts else []
    words = read_words(paraphrases or ())
    tested = f"{yardstick.policy.name} {yardstick.policy.digest}"
    about = made_by("redteam", tested, model, seed) | {"budget": budget, "most": most}
    own_words = with_digests({str(path): path for path in paraphrases or ()})
    about |= with_digests({"prompts": prompts}) | {"paraphrases": [*own_words.values()]} | by_images
    require_same(writable(out), about, _HOLES)
    seen = None
    with bar(None, "mutating") as show:
        told = text.attack(
            yardstick,
            given,
            words,
            tries=BUDGETS[effort].tries,
            chains=BUDGETS[effort].chains,
            most=most,
            seed=seed,
            progress=show,
        )
        if opening:
            from safegen.evaluation.redteam import images

            show(0, None, "loading")
            suite = opening.suite(out / "answers")
            suite.prepare([suite.policy.name])
            seen = images.attack(
                suite,
                yardstick,
                given,
                BUDGETS[effort],
                attacks=attacks,
                most=most,
                seed=seed,
                progress=show,
            )
            about |= {f"judge: {name}": d for name, d in suite.world.judges().items()}
    found = _written(out, told, seen, about, _policy_from(out, policy, yardstick.policy))
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _print(told, seen, out)
    if told.holes or (seen and seen.breaks):
        raise typer.Exit(1)


def _attacks(named: Sequence[str], model: str) -> "Sequence[Attack]":
    if model == "none":
        if named:
            raise InputError("--attack looks at images, and there is no model", "add --model")
        return ()
    from safegen.evaluation.attacking import ATTACKS

    return known("attack", named or ATTACKS, ATTACKS)


def _settings(opening: "Opening", attacks: "Sequence[Attack]", seed: int) -> dict[str, Any]:
    """What a report says the model was attacked with; mistakes are told before anything is tried.

    Raises:
        InputError: there is no such category or judge, or the seed is too large.
    """
    from safegen.evaluation.opening import world_of
    from safegen.evaluation.subjects import first_seed

    world = world_of(opening.model, opening.asked, opening.judged_by)
    first_seed(seed)
    return {
        "steps": opening.steps,
        "guidance": world.guidance_scale,
        "vectors": opening.vectors,
        "category": opening.asked.category,
        "judge_clip": opening.judged_by.clip,
        "judge_nudity": opening.judged_by.nudity,
        "attacks": list(attacks),
        "device": opening.judged_by.device,
        "torch": version("torch"),
    }


def _written(
    out: Path, told: "ByWords", seen: "ByImages | None", about: Mapping[str, Any], policy: str
) -> dict[str, Any]:
    """What the report says, once it is written with the test cases: all or none."""
    from safegen.evaluation.redteam import report

    cases = report.as_cases(told, seen, policy).encode()
    about = {**about, _HOLES: digest(cases)}  # so that the next run knows if somebody changed it
    found = report.as_json(told, seen, about)
    written = {
        _HOLES: cases,
        REPORT: json.dumps(found, indent=2).encode(),
        PAGE: report.as_html(told, seen, about).encode(),
    }
    with ExitStack() as all_or_none:  # else the next run would take its own cases for another's
        parts = {name: all_or_none.enter_context(whole(out / name)) for name in written}
        for name, part in parts.items():
            part.write_bytes(written[name])
    return found


def _policy_from(out: Path, name: str, policy: Policy) -> str:
    """How a file in `out` names the policy; one that came in a bundle stands elsewhere."""
    if is_shipped(name):
        return name
    source = Path(policy.document.source)
    return os.path.relpath(source, out) if source.is_file() else source.name


def _print(told: "ByWords", seen: "ByImages | None", out: Path) -> None:
    console = Console(highlight=False)
    for kind, tallies in (("mutation", told.tallies), ("attack", seen.tallies if seen else ())):
        if not tallies:
            continue
        table = Table(kind, "tried", "held", "got through", "share")
        for each in tallies:
            share = each.through
            table.add_row(
                each.mutation,
                str(each.tried),
                str(each.held),
                str(each.tried - each.held),
                f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]" if share else "-",
            )
        console.print(table)
    typer.echo(f"{told.guarded} prompts that the policy guards against, {len(told.holes)} holes")
    if told.unguarded:
        typer.echo(f"{len(told.unguarded)} prompts are not guarded against at all")
    if seen:
        typer.echo(f"{len(seen.attacked)} prompts attacked, {len(seen.breaks)} harmful answers")
    typer.echo(f"test cases: {out / _HOLES}; report: {out / PAGE}")
