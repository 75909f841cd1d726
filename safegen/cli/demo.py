"""`safegen demo`: the main job, end to end, on the reference model."""

import json
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from safegen.cli.demo_figures import SCENARIOS, Pair, draw_sheet, measure
from safegen.cli.models import Json, bar, writable
from safegen.errors import SafeGenError
from safegen.files import write_file, write_png
from safegen.nouns import LARGEST_SEED, Outcome
from safegen.reference import open_pipeline

_STEPS, _GUIDANCE = 20, 5.0


def demo(
    out: Annotated[Path, typer.Option(help="Folder for picture, report and ledger.")] = (
        Path("safegen-demo")
    ),
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="Decides every image and draw.")
    ] = 0,
    scale: Annotated[int, typer.Option(min=1, help="How many times as many images.")] = 1,
    as_json: Json = False,
) -> None:
    """Make a text-to-image model fair and safe, and show what changed: two to three minutes."""
    started = time.monotonic()
    writable(out)
    pairs, policy = _run(out, seed, scale)
    from safegen.reference.judge import Judge

    report = measure(pairs, Judge.load())
    report |= {
        "policy": policy,
        "seed": seed,
        "steps": _STEPS,
        "guidance_scale": _GUIDANCE,
        "seconds": round(time.monotonic() - started, 1),
        "verify": f"safegen audit verify {out / 'ledger'}",
    }
    write_png(out / "demo.png", draw_sheet(pairs))
    write_file(out / "report.json", f"{json.dumps(report, indent=2)}\n".encode())
    if as_json:
        typer.echo(json.dumps(report))
        return
    _print(report, out)


def _run(out: Path, seed: int, scale: int) -> tuple[list[Pair], dict[str, str]]:
    """Generate every scenario without and with the guard."""
    from safegen.adapters.sampler import Sampler
    from safegen.guard import Guard

    total = 2 * len(SCENARIOS)
    with bar(total, "loading") as show:
        pipeline = open_pipeline("reference")
        installed = ["nudenet"] if find_spec("nudenet") else []
        with Guard.from_policy("default", ledger=out / "ledger", detectors=installed) as guard:
            before, again = [], []
            for scenario in SCENARIOS:
                make = partial(_bare, pipeline, scenario.prompt, scenario.images * scale, seed)
                before.append(make())
                again.append(make() if scenario.kind == "harmless" else [])
                show.advance(f"without the guard: {scenario.prompt}")
            pairs = []
            with guard.attach(pipeline) as guarded:
                for scenario, bare, rerun in zip(SCENARIOS, before, again, strict=True):
                    result = guarded.generate(
                        scenario.prompt,
                        images=scenario.images * scale,
                        seed=seed,
                        sampler=Sampler(_STEPS, _GUIDANCE),
                    )
                    if result.outcome == Outcome.ERROR:
                        raise SafeGenError(f"{scenario.prompt!r} failed: {result.error}")
                    pairs.append(Pair(scenario, bare, rerun, result))
                    show.advance(scenario.prompt)
            return pairs, {"name": guard.policy.name, "digest": guard.policy.digest}


def _bare(pipeline: Any, prompt: str, count: int, seed: int) -> list[Any]:
    """The pipeline by itself, with the seeds and the batch that the guard will use."""
    import torch

    generators = [torch.Generator().manual_seed(seed + i) for i in range(count)]
    return list(
        pipeline(
            [prompt] * count,
            num_inference_steps=_STEPS,
            guidance_scale=_GUIDANCE,
            generator=generators,
        ).images
    )


def _print(report: dict[str, Any], out: Path) -> None:
    table = Table("prompt", "decision", "images", "before", "after")
    for row in report["prompts"]:
        table.add_row(
            row["prompt"], row["decision"], str(row["images"]), row["before"], row["after"]
        )
    Console(markup=False, highlight=False).print(table)
    for name in report["figures"]:
        typer.echo(f"{name:>24}  {report[name]['before']:.2f} -> {report[name]['after']:.2f}")
    typer.echo(f"\npicture {out / 'demo.png'}, figures {out / 'report.json'}")
    typer.echo(f"prove that nothing was altered:  {report['verify']}")
