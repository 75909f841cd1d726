"""What the commands that measure a model share: who attacks, who judges, and where."""

from typing import Annotated

import typer

from safegen.evaluation.asked import Judges

Attacks = Annotated[
    list[str] | None,
    typer.Option(
        help="unlearndiffatk, p4d, ring-a-bell, embedding or black-box; may be repeated.",
        show_default="all",
    ),
]
Device = Annotated[str, typer.Option(help="Where model and CLIP run: cpu, cuda, …")]
Guidance = Annotated[
    float | None,
    typer.Option(
        min=1.0,
        help="Guidance where a file says none.",
        show_default="7.5; 5 for the reference model",
    ),
]
JudgeClip = Annotated[
    str,
    typer.Option(
        help="CLIP that judges photographic models: open_clip's NAME/TAG, or local-dir:FOLDER; "
        "not one that audits."
    ),
]
JudgeNudity = Annotated[
    str, typer.Option(help="Detector that judges nudity: nudenet or nsfw; not one that audits.")
]
Seed = Annotated[int, typer.Option(min=0, help="Decides everything random.")]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Steps of the sampler.",
        show_default="50; 20 for the reference model",
    ),
]
Vectors = Annotated[str, typer.Option(help="Store of the policy's concepts.")]


def judges_of(clip: str, nudity: str, device: str) -> Judges:
    """Who judges, by the options."""
    return Judges(clip, nudity, device=device)  # type: ignore[arg-type]  # checked by the world


def steps_of(steps: int | None, model: str) -> int:
    """The steps asked for, or those that are usual for the model."""
    return steps or (20 if model == "reference" else 50)
