"""`safegen generate`: one prompt through the guard, images and decision out."""

import json
from pathlib import Path
from typing import Annotated

import typer

from safegen.cli.models import ContextOption, Json, context_of, writable
from safegen.errors import InputError
from safegen.files import write_file, write_png
from safegen.nouns import LARGEST_SEED, Outcome
from safegen.reference import open_pipeline


def generate(
    prompt: Annotated[str, typer.Argument(help="What to draw.")],
    policy: Annotated[str, typer.Option(help="YAML file, or a shipped pack.")] = "default",
    policy_key: Annotated[
        Path | None,
        typer.Option(
            help="Ed25519 public key (PEM): the policy must be a bundle that it verifies.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[int, typer.Option("-n", min=1, help="How many images.")] = 1,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=LARGEST_SEED,
            help="Decides images and draws.",
            show_default="another each time",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for images and ledger.")] = Path("generated"),
    model: Annotated[str, typer.Option(help="reference, a folder, or a hub name.")] = "reference",
    vectors: Annotated[str, typer.Option(help="Folder of vectors, or a shipped set.")] = (
        "reference"
    ),
    steps: Annotated[int, typer.Option(min=1, help="Denoising steps.")] = 25,
    guidance_scale: Annotated[float, typer.Option(min=0, help="Guidance scale.")] = 5.0,
    context: ContextOption = None,
    no_guard: Annotated[
        bool, typer.Option("--no-guard", help="Neither steer nor check; the ledger says bypassed.")
    ] = False,
    mark: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="CERTIFICATES KEY",
            help="PEM files by which images are marked as generated, where the policy wants that.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Generate images of a prompt; exit code 1 where nothing may be returned."""
    from safegen.audit.marking.c2pa import C2paMarker
    from safegen.guard import Guard

    known = context_of(context)
    if {"images", "seed"} & known.model_fields_set:
        raise InputError("--context says nothing of images and seed here", "give -n and --seed")
    writable(out)
    with Guard.from_policy(
        policy,
        ledger=out / "ledger",
        vectors=vectors,
        policy_key=policy_key,
        marker=C2paMarker(*mark) if mark else None,
    ) as guard:
        wanted = guard.policy.marking_rules
        if mark and not wanted:
            raise InputError(
                f"no rule of the policy {guard.policy.name!r} wants images marked, as --mark asks",
                "add a rule with `then: {mark: true}`, or leave --mark out",
            )
        pipeline = open_pipeline(model)
        from safegen.adapters.sampler import Sampler

        with guard.attach(pipeline) as guarded:
            result = guarded.generate(
                prompt,
                images=count,
                seed=seed,
                context=known,
                sampler=Sampler(steps, guidance_scale),
                bypass="asked for with --no-guard" if no_guard else "",
            )
    files = []
    for i, image in enumerate(result.images):
        if image.image is not None:
            path = out / f"{result.record_id[:8]}-{i}.png"
            if image.marked:
                write_file(path, image.marked)
            else:
                write_png(path, image.image)
            files.append(str(path))
    if as_json:
        report = {
            "outcome": result.outcome,
            "error": result.error,
            "record": result.record_id,
            "seed": result.seed,
            "decision": result.decision.model_dump(mode="json") if result.decision else None,
            "images": [image.as_record().model_dump(mode="json") for image in result.images],
            "files": files,
        }
        typer.echo(json.dumps(report))
    else:
        rules = ", ".join(rule.id for rule in result.decision.rules) if result.decision else ""
        typer.echo(f"{result.outcome}  rules: {rules or 'none'}  {result.error}")
        typer.echo(f"seed {result.seed}, record {result.record_id} in {out / 'ledger'}")
        typer.echo("\n".join(files) or "no image may be returned")
    if mark and files and not any(image.marked for image in result.images):
        typer.echo(
            f"not marked: of the rules that mark ({', '.join(wanted)}) none fired; do they ask for "
            "a --context?",
            err=True,
        )
    if result.outcome == Outcome.ERROR or not files:
        raise typer.Exit(1)
