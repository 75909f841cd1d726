"""Cards: how well one vector works on prompts that it was not learned from.

Success by strength (the dose-response curve), the window, what else changes, and whether it still
works under other schedulers, steps, guidance scales and sizes. The recommended strength and window
are the ones with the most success and content together, the smallest strength among equals.

Whoever takes the best of ten doses takes luck with it. So the dose is chosen on some noises and
judged on others, from which nothing was learned either.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any, NamedTuple, Self

import numpy as np
from PIL import Image, ImageDraw

from safegen.adapters.arguments import call_arguments
from safegen.adapters.diffusers import DiffusersAdapter
from safegen.adapters.sampler import Sampler
from safegen.concepts.card import Card, Dose, Effect, Setting
from safegen.concepts.discovery.spec import SEED_BLOCK, Progress, PromptPair
from safegen.concepts.vector import ConceptVector
from safegen.errors import InputError
from safegen.evaluation.quality import pixel_distance
from safegen.evaluation.results import evenly
from safegen.evaluation.stats import chance_of_gain
from safegen.evaluation.worlds import ClipScore
from safegen.nouns import Intervention
from safegen.steering.plan import NORM_CAP, Plan

STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
WINDOWS = ((0.0, 0.7), (0.0, 0.4), (0.2, 1.0))
SCHEDULERS = ("DPMSolverMultistepScheduler", "EulerAncestralDiscreteScheduler", "DDIMScheduler")
STEPS = (10, 50)
GUIDANCE = (2.0, 7.5)
FULL = (0.0, 1.0)
_CHOOSING, _JUDGING = 400_000, 700_000  # in a seed's block: learning has what comes before
_ROOM, _CHANCE = 0.9, 0.025
_LEAST = 6  # images that all gain the concept are below that chance
_BATCH = 16
_LABEL = 14  # px

Saw = Callable[[Sequence[Image.Image], Sequence[PromptPair]], list[bool]]


@dataclass(frozen=True)
class Eyes:
    """Who looks at the images: nothing of it may have taken part in making the vector.

    `shows`: whether an image shows the concept; `kept`: whether it shows the rest of its prompt.
    """

    name: str
    shows: Saw
    kept: Saw
    clip_score: ClipScore


class Seen(NamedTuple):
    """Image by image: whether it shows the concept, and whether the rest of what was asked for."""

    shown: Sequence[bool]
    kept: Sequence[bool]

    @property
    def success(self) -> float:
        """The share that shows the concept."""
        return sum(self.shown) / len(self.shown)

    @property
    def content(self) -> float:
        """The share that shows the rest."""
        return sum(self.kept) / len(self.kept)


@dataclass(frozen=True)
class Case:
    """What a card is measured on; images take the seeds that follow the first."""

    pairs: Sequence[PromptPair]
    unrelated: Sequence[str]
    images: int = 4
    """Per pair, for each figure but the verdict's."""
    judged: int = 12
    """Per pair, for what the chosen dose does."""
    sampler: Sampler = field(default_factory=lambda: Sampler(20, 5.0))
    choosing: int = _CHOOSING
    """Seed of the first image to choose the dose on."""
    judging: int = _JUDGING
    """Seed of the first image of all else."""

    def of_seed(self, seed: int) -> "Case":
        """With noise that neither discovery nor a card of another seed has drawn."""
        first = seed * SEED_BLOCK
        return replace(self, choosing=first + _CHOOSING, judging=first + _JUDGING)

    def at_most(self, prompts: int) -> "Case":
        """With so many of the pairs and of the unrelated prompts, spread evenly over them."""
        return replace(
            self, pairs=evenly(self.pairs, prompts), unrelated=evenly(self.unrelated, prompts)
        )


class Measurement:
    """Measures one vector on one pipeline, within a `with` block."""

    def __init__(
        self,
        pipeline: Any,
        vector: ConceptVector,
        case: Case,
        eyes: Eyes,
        progress: Progress | None = None,
        norm_cap: float | None = NORM_CAP,
    ) -> None:
        """Nothing is generated yet; additions are bounded by `norm_cap`, as in `Plan`.

        Raises:
            InputError: there is no held-out pair or no unrelated prompt.
        """
        for kind, given in (("held-out", case.pairs), ("unrelated", case.unrelated)):
            if not given:
                raise InputError(
                    f"there are no {kind} prompts to measure {vector.passport.concept!r} on",
                    "declare `held_out` words and `unrelated` prompts in the concept file, and "
                    "give it with --concepts",
                )
        self._pipeline, self._vector, self._case, self._eyes = pipeline, vector, case, eyes
        self._progress, self._norm_cap = progress, norm_cap
        self._done = 0
        self._unrelated = [prompt for prompt in case.unrelated for _ in range(case.images)]

    def __enter__(self) -> Self:
        """Steer the pipeline until the block is left.

        Raises:
            ConceptError: the vector was made for another model.
            SteeringError: the vector cannot be added to this pipeline.
        """
        vectors = {self._vector.passport.concept: self._vector}
        self._adapter = DiffusersAdapter(self._pipeline, vectors)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the pipeline as it was."""
        self._adapter.detach()

    def card(self) -> Card:
        """Measure everything.

        Raises:
            InputError: with so few images even a vector that always works could not be told.
        """
        case = self._case
        if (judged := len(case.pairs) * case.judged) < _LEAST:
            raise InputError(
                f"{judged} images show nothing of {self._vector.passport.concept!r}: even "
                f"{_LEAST - 1} that gain the concept may do so by chance",
                "measure more images of each held-out prompt (--images), or more of the prompts",
            )
        doses = [self.dose(strength) for strength in STRENGTHS]
        doses += [self.dose(best(doses).strength, window) for window in WINDOWS]
        chosen = best(doses)
        window = (chosen.start, chosen.stop)
        bare, steered = self.judged(0.0), self.judged(chosen.strength, window)
        p_value = chance_of_gain(bare.shown, steered.shown)
        before, after = self.unrelated(chosen.strength, window)
        transfer = [
            self._setting(chosen, what, **change) for what, change in self._changes().items()
        ]
        return Card(
            verdict=_verdict(bare.success, p_value),
            strength=chosen.strength,
            start=chosen.start,
            stop=chosen.stop,
            success=steered.success,
            unsteered=bare.success,
            content=steered.content,
            unsteered_content=bare.content,
            unrelated=distance(before, after),
            clip_drop=self._clip_drop(before, after),
            p_value=p_value,
            judged=len(bare.shown),
            doses=tuple(doses),
            transfer=tuple(transfer),
            images=len(case.pairs) * case.images,
            judge=self._eyes.name,
            sampler=case.sampler.as_record()
            | {"scheduler": type(self._pipeline.scheduler).__name__},
            chosen_from=case.choosing,
            judged_from=case.judging,
        )

    def strip(self, prompts: int = 4) -> Image.Image:
        """One row for each of some held-out prompts, one column for no steering and each strength.

        Every row starts from the same noise. For a person to look at, beside the card's figures.
        """
        pairs = evenly(self._case.pairs, prompts)
        strengths = (0.0, *STRENGTHS)
        seeds = [self._case.judging] * len(pairs)
        columns = [self._made([p.neutral for p in pairs], seeds, s, FULL, {}) for s in strengths]
        width, height = columns[0][0].size
        sheet = Image.new("RGB", (width * len(columns), _LABEL + height * len(pairs)), "white")
        draw = ImageDraw.Draw(sheet)
        for x, (strength, column) in enumerate(zip(strengths, columns, strict=True)):
            draw.text((x * width + 3, 1), f"{strength:g}" if strength else "none", fill="black")
            for y, image in enumerate(column):
                sheet.paste(image, (x * width, _LABEL + y * height))
        return sheet

    def dose(self, strength: float, window: tuple[float, float] = FULL) -> Dose:
        """What this strength does in this window, on the noises to choose by."""
        line = f"strength {strength:g}, window {window[0]:g} to {window[1]:g}"
        case = self._case
        seen = self._seen(strength, window, line, case.images, case.choosing)
        return Dose(
            strength=strength,
            start=window[0],
            stop=window[1],
            success=seen.success,
            content=seen.content,
        )

    def judged(self, strength: float, window: tuple[float, float] = FULL) -> Seen:
        """What a dose does on noises that it was not chosen on; 0 is no steering."""
        case = self._case
        return self._seen(strength, window, "judging", case.judged, case.judging)

    def _setting(self, dose: Dose, what: str, **change: Any) -> Setting:
        few = (self._case.images, self._case.judging)
        bare = self._seen(0.0, FULL, f"{what}, unsteered", *few, **change)
        seen = self._seen(dose.strength, (dose.start, dose.stop), what, *few, **change)
        return Setting(
            what=what, success=seen.success, unsteered=bare.success, content=seen.content
        )

    def _changes(self) -> dict[str, dict[str, Any]]:
        steps, guidance = self._case.sampler.steps, self._case.sampler.guidance_scale
        side = self._pipeline.unet.config.sample_size * self._pipeline.vae_scale_factor * 3 // 2
        own = type(self._pipeline.scheduler).__name__
        return {
            **{f"scheduler {name}": {"scheduler": name} for name in SCHEDULERS if name != own},
            **{f"{n} steps": {"sampler": Sampler(n, guidance)} for n in STEPS if n != steps},
            **{
                f"guidance {g:g}": {"sampler": Sampler(steps, g)} for g in GUIDANCE if g != guidance
            },
            f"size {side}x{side}": {"size": {"height": side, "width": side}},
        }

    def _seen(
        self,
        strength: float,
        window: tuple[float, float],
        line: str,
        images_per_pair: int,
        first_seed: int,
        **change: Any,
    ) -> Seen:
        asked = [pair for pair in self._case.pairs for _ in range(images_per_pair)]
        seeds = [first_seed + i for i in range(len(asked))]
        images = self._made([pair.neutral for pair in asked], seeds, strength, window, change)
        self._tell(line)
        return Seen(self._eyes.shows(images, asked), self._eyes.kept(images, asked))

    def unrelated(
        self, strength: float, window: tuple[float, float] = FULL
    ) -> tuple[list[Image.Image], list[Image.Image]]:
        """Images of prompts that have nothing to do with the concept, unsteered and steered."""
        prompts = self._unrelated
        seeds = [self._case.judging + i for i in range(len(prompts))]
        before = self._made(prompts, seeds, 0.0, FULL, {})
        after = self._made(prompts, seeds, strength, window, {})
        self._tell("unrelated prompts")
        return before, after

    def _clip_drop(self, before: Sequence[Image.Image], after: Sequence[Image.Image]) -> float:
        """The share of CLIP score that steering costs unrelated prompts."""
        prompts = self._unrelated
        old, new = (np.mean(self._eyes.clip_score(each, prompts)) for each in (before, after))
        return float((old - new) / old)

    def _made(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        strength: float,
        window: tuple[float, float],
        change: Mapping[str, Any],
    ) -> list[Image.Image]:
        concept = self._vector.passport.concept
        steer = Intervention(concept=concept, strength=strength, start=window[0], stop=window[1])
        plan = Plan.of([[steer] if strength else []], norm_cap=self._norm_cap)
        sampler = change.get("sampler", self._case.sampler)
        images: list[Image.Image] = []
        with _scheduler(self._pipeline, change.get("scheduler")):
            for i in range(0, len(prompts), _BATCH):
                chunk = slice(i, i + _BATCH)
                arguments = call_arguments(prompts[chunk], seeds[chunk], sampler, None)
                made = self._adapter.run(plan, **arguments, **change.get("size", {}))
                images += made.images
        return images

    def _tell(self, line: str) -> None:
        self._done += 1
        total = 3 + len(STRENGTHS) + len(WINDOWS) + 2 * len(self._changes())
        if self._progress:
            self._progress(self._done, total, line)


def distance(before: Sequence[Image.Image], after: Sequence[Image.Image]) -> float:
    """The mean pixel distance of images to those of the same place."""
    return float(np.mean([pixel_distance(a, b) for a, b in zip(before, after, strict=True)]))


def best(doses: Sequence[Dose]) -> Dose:
    """The one with the most success times content; of equals the one with the least strength."""
    return max(doses, key=lambda dose: (dose.success * dose.content, -dose.strength))


def _verdict(unsteered: float, p_value: float) -> Effect:
    if unsteered >= _ROOM:
        return "no room"
    return "works" if p_value < _CHANCE else "no effect shown"


@contextmanager
def _scheduler(pipeline: Any, name: str | None) -> Iterator[None]:
    """Another scheduler while the block runs, with the timesteps and noise of the model's own."""
    import diffusers

    own = pipeline.scheduler
    if name:
        kind = getattr(diffusers, name)
        # Clipping is for pixels; some schedulers do it unless told otherwise, which ruins latents.
        latent = {"clip_sample": False} if "clip_sample" in signature(kind).parameters else {}
        pipeline.scheduler = kind.from_config(own.config, **latent)
    try:
        yield
    finally:
        pipeline.scheduler = own
