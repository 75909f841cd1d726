"""`safegen vectors card`: measure vectors on held-out prompts, and say so in their passports."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from safegen.cli.models import Bar, Json, bar
from safegen.cli.vector_tools import Store
from safegen.concepts.card import Card
from safegen.concepts.store import VectorStore, is_shipped
from safegen.concepts.vector import ConceptVector, save_vector
from safegen.errors import InputError, SafeGenError
from safegen.files import write_file
from safegen.nouns import LARGEST_TRAINING_SEED
from safegen.reference import open_pipeline

Clip = Annotated[
    str | None,
    typer.Option(help="Who judges: an open_clip model, NAME/TAG or local-dir:FOLDER."),
]


_JUDGED = 3  # times as many images as for the other figures


class Size(NamedTuple):
    """How much is measured, and how images are sampled."""

    images: int = 4
    prompts: int = 4
    steps: int = 20
    guidance: float = 5.0
    seed: int = 0


_DEFAULT = Size()


def concept_file(name: str) -> Path:
    """The file of concepts at a path, or by the name "reference" the one that ships.

    "./reference" is one of your own.
    """
    from safegen.reference import CONCEPTS

    return CONCEPTS if name == "reference" else Path(name)


def card_(
    names: Annotated[list[str] | None, typer.Argument(help="Concepts; all if none.")] = None,
    store: Store = "reference",
    model: Annotated[str, typer.Option(help="reference, a folder, or a hub name.")] = "reference",
    concepts: Annotated[
        Path | None,
        typer.Option(
            parser=concept_file,
            metavar="FILE",
            help="Declares what to measure on (reference: the one that ships); by default the "
            "passport does.",
        ),
    ] = None,
    clip: Clip = None,
    images: Annotated[
        int, typer.Option(min=1, help="Per held-out prompt; three times as many for the verdict.")
    ] = _DEFAULT.images,
    prompts: Annotated[
        int, typer.Option(min=1, help="Held-out prompts, at most.")
    ] = _DEFAULT.prompts,
    steps: Annotated[int, typer.Option(min=1, help="Denoising steps.")] = _DEFAULT.steps,
    guidance: Annotated[float, typer.Option(help="Guidance scale.")] = _DEFAULT.guidance,
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_TRAINING_SEED, help="Of the images' noise.")
    ] = _DEFAULT.seed,
    as_json: Json = False,
) -> None:
    """Measure vectors on held-out prompts; writes the card into each file, a picture beside it.

    Vectors that ship with the package are measured and their figures printed; their files stay.
    Exit code 1: some were measured, and one could not be.
    """
    size = Size(images, prompts, steps, guidance, seed)
    made, failed = cards(names, store, model, concepts, clip, size)
    if failed and not made:
        raise next(iter(failed.values()))
    if as_json:
        errors = {name: {"error": error.message} for name, error in failed.items()}
        told = {name: card.model_dump(mode="json") for name, card in made.items()}
        typer.echo(json.dumps(told | errors))
    else:
        for name, card in made.items():
            for table in tables(name, card):
                Console(markup=False).print(table)
        for name, error in failed.items():
            typer.echo(f"{name}: {error}", err=True)
    if failed:
        raise typer.Exit(1)


def cards(
    names: Sequence[str] | None,
    store: str | Path,
    model: str,
    concepts: Path | None,
    clip: str | None,
    size: Size = _DEFAULT,
) -> tuple[dict[str, Card], dict[str, SafeGenError]]:
    """Measure vectors of a store behind a progress bar; and why others could not be.

    See `card_`.
    """
    folder = VectorStore(store)
    shipped = is_shipped(folder.folder)
    vectors = {name: folder[name] for name in names or folder.names}
    if model != "reference" and clip is None:
        raise InputError(f"nobody judges images of {model}", "give --clip")
    pipeline = open_pipeline(model)
    from safegen.adapters.sampler import Sampler
    from safegen.evaluation.card import Case

    made: dict[str, Card] = {}
    failed: dict[str, SafeGenError] = {}
    sampler = Sampler(size.steps, size.guidance)
    with bar(1, "measuring") as show:
        for name, vector in vectors.items():
            path = None if shipped else folder.folder / f"{name}.safetensors"
            try:
                pairs, unrelated = _held_out(vector, concepts, model)
                case = Case(pairs, unrelated, size.images, _JUDGED * size.images, sampler)
                case = case.at_most(size.prompts).of_seed(size.seed)
                made[name] = _measured(pipeline, model, vector, case, clip, path, show)
            except SafeGenError as error:  # of this one: the others are measured all the same
                failed[name] = error
    if shipped:
        typer.echo("not written: these vectors ship with the package, their files stay", err=True)
    return made, failed


def _measured(
    pipeline: Any,
    model: str,
    vector: ConceptVector,
    case: Any,
    clip: str | None,
    path: Path | None,
    show: Bar,
) -> Card:
    """Measure a vector; write it to `path`, if any, with its card, and its pictures beside it."""
    from safegen.evaluation.card import Measurement
    from safegen.evaluation.eyes import eyes_for

    concept = vector.passport.concept
    eyes = eyes_for(concept, reference=model == "reference", clip=clip)

    def told(done: int, total: int, line: str) -> None:
        show(done, total, f"{concept}: {line}")

    with Measurement(pipeline, vector, case, eyes, told) as measurement:
        card = measurement.card()
        if path is None:
            return card
        strip = measurement.strip()
    buffer = io.BytesIO()
    strip.save(buffer, "png", optimize=True)
    write_file(path.with_suffix(".png"), buffer.getvalue())
    passport = vector.passport.model_copy(update={"card": card})
    save_vector(replace(vector, passport=passport), path)
    return card


def tables(name: str, card: Card) -> Sequence[Table]:
    """For people: the verdict, the doses, the transfer."""
    recommended = f"strength {card.strength:g}, window {card.start:g} to {card.stop:g}"
    doses = Table("strength", "window", "success", "content kept", title=f"{name}: {card.verdict}")
    for dose in card.doses:
        best = (dose.strength, dose.start, dose.stop) == (card.strength, card.start, card.stop)
        doses.add_row(
            f"{dose.strength:g}",
            f"{dose.start:g} to {dose.stop:g}",
            f"{dose.success:.2f}",
            f"{dose.content:.2f}",
            style="bold" if best else None,
        )
    doses.add_section()
    doses.add_row(
        "none", "on other noises", f"{card.unsteered:.2f}", f"{card.unsteered_content:.2f}"
    )
    doses.add_row("recommended", "on other noises", f"{card.success:.2f}", f"{card.content:.2f}")
    doses.caption = (
        f"recommended: {recommended}; {card.images} images a figure, {card.judged} below the line "
        f"(so much gain by chance: p = {card.p_value:.2g}), by {card.judge}; unrelated prompts: "
        f"pixel distance {card.unrelated:.3f}, CLIP score {-card.clip_drop:+.1%}"
    )
    transfer = Table("at the recommended dose", "unsteered", "success", "content kept")
    for each in card.transfer:
        transfer.add_row(
            each.what, f"{each.unsteered:.2f}", f"{each.success:.2f}", f"{each.content:.2f}"
        )
    return doses, transfer


def _held_out(vector: ConceptVector, file: Path | None, model: str) -> tuple[Any, Any]:
    """Pairs and unrelated prompts: of the file, else of the passport, else of what ships."""
    from safegen.concepts.discovery.file import load_concepts
    from safegen.concepts.discovery.spec import PromptPair
    from safegen.reference import CONCEPTS

    passport = vector.passport
    if file is None and passport.held_out:
        pairs = [PromptPair(neutral=n, target=t, avoid=a) for n, t, a in passport.held_out]
        return pairs, passport.prompts.get("unrelated", ())
    if file is None and model == "reference":
        file = CONCEPTS
    if file is None:
        return (), ()
    specs = load_concepts(file).specs
    if passport.concept not in specs:
        raise InputError(
            f"{file} declares no concept {passport.concept!r}", "declare it there, with `held_out`"
        )
    spec = specs[passport.concept]
    return spec.held_out, spec.unrelated
