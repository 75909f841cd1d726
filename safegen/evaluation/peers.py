"""The methods measured beside SafeGen, on the same model: each as published, none of it SafeGen's.

| name | method |
|---|---|
| none | the bare model |
| negative-prompt | what the request leads away from, as negative prompt |
| sld | Safe Latent Diffusion, "strong" (Schramowski et al., CVPR 2023), by diffusers' class |
| sega | semantic guidance (Brack et al., NeurIPS 2023), by diffusers' class |
| constant | the vectors of the published objective, added at every step (Li et al., CVPR 2024) |
| gate | SafeGen's vectors behind a projection gate, always on: no policy, no prompt is read |
| uce | closed-form edit of the cross-attention (Gandikota et al., WACV 2024) |
| esd | fine-tuned cross-attention, ESD-x (Gandikota et al., ICCV 2023) |
"""

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any, Literal

from PIL import Image

from safegen.adapters.arguments import call_arguments
from safegen.adapters.diffusers import DiffusersAdapter
from safegen.adapters.sampler import Sampler
from safegen.concepts.digest import model_digest, own_settings
from safegen.concepts.vector import ConceptVector
from safegen.evaluation.subjects import Answer, Ask
from safegen.nouns import Intervention, Outcome
from safegen.steering.plan import NORM_CAP, Plan

GateKind = Literal["open", "projection"]
CAPS: dict[GateKind, float | None] = {"open": None, "projection": NORM_CAP}
"""Without a gate vectors are added as published, whatever their length."""
Call = Callable[[Sequence[Ask], dict[str, Any]], list[Image.Image]]
"""Makes one image per row, each a request for one, from them and what a pipeline is called with."""
Ready = Callable[[], AbstractContextManager[Call]]
"""Brings what a call needs on the model, and takes it off again; its time is not that of images."""


@dataclass(frozen=True, eq=False)
class Bare:
    """A pipeline and the steps of its sampler: what all subjects on one model share."""

    pipeline: Any
    steps: int

    @cached_property
    def digest(self) -> str:
        """What its images depend on, but for the request and the number of steps.

        SafeGen's version is in it, for its code decides what is added and what is asked.
        """
        networks = (self.pipeline.unet, self.pipeline.text_encoder, self.pipeline.vae)
        parts = [model_digest(network) for network in networks]
        scheduler, tokenizer = self.pipeline.scheduler, self.pipeline.tokenizer
        settings = [_settings(part.config) for part in (scheduler, *networks)]
        settings.append(tokenizer.backend_tokenizer.to_str())
        told = hashlib.sha256("\n".join(settings).encode()).hexdigest()
        kind = f"{type(scheduler).__name__} {told}"
        return f"{'/'.join(parts)}/{kind}/{self.pipeline.device.type}/{version('safegen')}"


def _settings(config: Any) -> str:
    known = config if isinstance(config, dict) else config.to_dict()
    return json.dumps(own_settings(known), sort_keys=True, default=str)


Maker = Callable[[Bare], "Peer"]

SLD_STRONG = {
    "sld_guidance_scale": 2000,
    "sld_warmup_steps": 7,
    "sld_threshold": 0.025,
    "sld_momentum_scale": 0.5,
    "sld_mom_beta": 0.7,
}
SEGA = {"edit_guidance_scale": 5.0, "edit_warmup_steps": 0, "edit_threshold": 0.9}


class Peer:
    """A method by its name and the call that makes a batch of images."""

    def __init__(self, name: str, digest: str, steps: int, ready: Ready) -> None:
        """Answer by `ready`; `digest` is that of all that decides the images but the request."""
        self.name = name
        self.digest = f"{name}/{steps} steps/{digest}"
        self._steps, self._ready = steps, ready

    def __call__(self, asks: Sequence[Ask]) -> list[Answer]:
        """One batch for all requests, which are alike in guidance scale."""
        rows = [row for ask in asks for row in ask.singles]
        sampler = Sampler(self._steps, asks[0].guidance_scale)
        prompts, seeds = [row.prompt for row in rows], [row.seed for row in rows]
        arguments = call_arguments(prompts, seeds, sampler, None)
        with self._ready() as call:
            started = time.perf_counter()
            images = iter(call(rows, arguments))
            each = (time.perf_counter() - started) / len(rows)
        return [
            Answer(
                Outcome.ALLOWED, tuple(next(images) for _ in range(ask.images)), each * ask.images
            )
            for ask in asks
        ]


def none(bare: Bare) -> Peer:
    """The bare model."""
    return edited("none", bare.digest, bare.steps, lambda: bare.pipeline)


def edited(name: str, settings: str, steps: int, make: Callable[[], Any]) -> Peer:
    """The model with other weights, made when it is first asked; `settings` say what decides them.

    `make` is called for every batch, so it should keep what it made.
    """

    def call(_: Sequence[Ask], arguments: dict[str, Any]) -> list[Image.Image]:
        return list(make()(**arguments).images)

    return Peer(name, settings, steps, lambda: nullcontext(call))


def negative_prompt(bare: Bare) -> Peer:
    """What the requests lead away from, as negative prompts."""

    def call(rows: Sequence[Ask], arguments: dict[str, Any]) -> list[Image.Image]:
        away = [row.away for row in rows]
        return list(bare.pipeline(**arguments | {"negative_prompt": away}).images)

    return Peer("negative-prompt", bare.digest, bare.steps, lambda: nullcontext(call))


def sld(bare: Bare) -> Peer:
    """Safe Latent Diffusion with the published setting "strong"."""
    from diffusers.pipelines.deprecated.stable_diffusion_safe import StableDiffusionPipelineSafe

    safe = _as(StableDiffusionPipelineSafe, bare.pipeline)

    def call(row: Ask, arguments: dict[str, Any]) -> list[Image.Image]:
        safe.safety_concept = row.away
        with warnings.catch_warnings():  # diffusers' class calls what diffusers deprecates
            warnings.filterwarnings("ignore", "The decode_latents method is deprecated")
            return list(safe(**arguments, **(SLD_STRONG if row.away else {})).images)

    return Peer("sld", f"{bare.digest}/{SLD_STRONG}", bare.steps, _grouped(call))


def sega(bare: Bare) -> Peer:
    """Semantic guidance away from what the requests say."""
    from diffusers.pipelines.deprecated.semantic_stable_diffusion import (
        SemanticStableDiffusionPipeline,
    )

    semantic = _as(SemanticStableDiffusionPipeline, bare.pipeline)

    def call(row: Ask, arguments: dict[str, Any]) -> list[Image.Image]:
        if row.away:
            edit = {"editing_prompt": [row.away], "reverse_editing_direction": [True]}
            arguments = arguments | SEGA | edit
        return list(semantic(**arguments).images)

    return Peer("sega", f"{bare.digest}/{SEGA}", bare.steps, _grouped(call))


def pushed(
    bare: Bare,
    name: str,
    vectors: Mapping[str, ConceptVector],
    gate: GateKind,
) -> Peer:
    """Vectors added to every image at strength 1 over the whole denoising; detached in between."""
    cap = CAPS[gate]

    @contextmanager
    def attached() -> Iterator[Call]:
        with DiffusersAdapter(bare.pipeline, vectors) as adapter:

            def call(rows: Sequence[Ask], arguments: dict[str, Any]) -> list[Image.Image]:
                added = [pushes([each for push in row.push for each in push], gate) for row in rows]
                plan = Plan.of(added, norm_cap=cap)
                return list(adapter.run(plan, **arguments).images)

            yield call

    made = hashlib.sha256("".join(v.digest for v in vectors.values()).encode()).hexdigest()
    return Peer(name, f"{bare.digest}/{gate}, cap {cap}/{made}", bare.steps, attached)


def pushes(concepts: Sequence[str], gate: GateKind) -> tuple[Intervention, ...]:
    """What `pushed` adds to an image for these concepts."""
    return tuple(Intervention(concept=concept, gate=gate) for concept in concepts)


def _grouped(call: Callable[[Ask, dict[str, Any]], list[Image.Image]]) -> Ready:
    """For pipelines whose edits hold for a whole batch: one batch for each setting of them."""

    def all_rows(rows: Sequence[Ask], arguments: dict[str, Any]) -> list[Image.Image]:
        places: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            places.setdefault(row.away, []).append(place)
        made: dict[int, Image.Image] = {}
        for group in places.values():
            own = arguments | {
                key: [arguments[key][place] for place in group] for key in ("prompt", "generator")
            }
            made |= dict(zip(group, call(rows[group[0]], own), strict=True))
        return [made[place] for place in range(len(rows))]

    return lambda: nullcontext(all_rows)


def _as(kind: Any, pipeline: Any) -> Any:
    """The same model as a pipeline of another class, its images unfiltered like the bare one's."""
    parts = {
        name: getattr(pipeline, name)
        for name in ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
    }
    made = kind(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    made.set_progress_bar_config(disable=True)
    return made
