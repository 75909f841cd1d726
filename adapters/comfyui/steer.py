"""Steering a MODEL of ComfyUI: which rows, when, and where. `safegen.steering.add` adds.

Nothing of a run is kept on the model: a clone of it carries the patches, and they carry the plan.
So two graphs with different plans on one loaded model do not meet, and the model that came in needs
no unpatching.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from safegen.adapters.comfyui.graph import executing, signatures, upstream
from safegen.adapters.comfyui.patching import patch
from safegen.adapters.comfyui.sites import model_digest, patches, place_of
from safegen.concepts.vector import ConceptVector
from safegen.errors import ConceptError, SteeringError
from safegen.nouns import Intervention
from safegen.steering.add import Addition, finite, phase, totals
from safegen.steering.plan import PHASES, Plan, relative_gram

_KEY = "safegen"
_KEPT = 256  # of so many nodes, the latest, it is known what was sampled for them
_BARE = "safegen_bare"
_CONDITIONAL = 0  # the place of the positive conditioning in ComfyUI's lists of conditionings
_TIMESTEPS = 1000
# What is known to work: of a loaded model, the digests of vectors that were seen to change it, and
# whose patches stood around them then.
_Known = tuple[frozenset[str], frozenset[str]]
_PROVEN: "WeakKeyDictionary[Any, set[_Known]]" = WeakKeyDictionary()


def steer(
    model: Any,
    vectors: Mapping[str, ConceptVector],
    samples: Sequence[Sequence[Intervention]],
    *,
    other_model: bool = False,
) -> tuple[Any, "ModelSteering"]:
    """A clone of `model` that adds `samples` while it samples, and what watches over it.

    Args:
        model: a ModelPatcher, whatever patches it has already.
        vectors: all concepts that `samples` name.
        samples: the interventions of each image of the batch that will be sampled.
        other_model: accept vectors that were learned on other weights.

    Raises:
        SteeringError: the model cannot be steered at a site, or is steered already.
        ConceptError: a vector was made for another model.
        UnknownConceptError: `samples` name a concept that is not among `vectors`.
    """
    plan = Plan.of(samples)
    named = {each.concept for sample in samples for each in sample}
    used = {name: vector for name, vector in vectors.items() if name in named}
    digest = model_digest(model)
    for concept, vector in used.items():
        if not other_model and not vector.passport.made_for(digest):
            raise ConceptError(
                f"concept {concept!r} was learned on the model "
                f"{vector.passport.model_digest[:19]}…, this one is {digest[:19] or 'not known'}…",
                "learn it on this model (Discover Vectors), or switch other_model on in Steer "
                "Model and look at the effect yourself",
            )
    if _KEY in model.model_options["transformer_options"]:
        raise SteeringError(
            "the model is steered already", "use one Steer Model node between model and sampler"
        )
    steering = ModelSteering(model.model, used, plan)
    steered = model.clone()
    steering.attach(steered)
    return steered, steering


@dataclass
class _Run:
    """One sampling: the ids of its positive conditionings, and what was seen of it."""

    positive: frozenset[Any]
    calls: int = 0
    conditional: int = 0
    added: dict[str, int] = field(default_factory=dict)
    # Both are read at the end: before it the host would wait.
    phases: list[Tensor] = field(default_factory=list)
    finite: list[Tensor] = field(default_factory=list)


@dataclass
class _Site:
    """One site: what is added there, and how much, [PHASES, B, K]; per device and dtype."""

    addition: Addition
    table: Tensor
    placed: dict[tuple[torch.device, torch.dtype], tuple[Addition, Tensor]] = field(
        default_factory=dict
    )

    def at(self, like: Tensor) -> tuple[Addition, Tensor]:
        """Both where `like` is."""
        key = (like.device, like.dtype)
        if key not in self.placed:
            self.placed[key] = (self.addition.to(like), self.table.to(like.device))
        return self.placed[key]


@dataclass(frozen=True)
class Sampled:
    """A sampling that ended with every addition made: when in the denoising, and for which node."""

    prompt: str
    node: str
    reached: NDArray[np.bool_]


class ModelSteering:
    """One plan on one clone of a model: its patches, and the proof that they took effect.

    ComfyUI keeps it, and what was sampled with it, from one queued graph to the next. So what was
    seen in one says nothing of images that another made.
    """

    def __init__(self, base: Any, vectors: Mapping[str, ConceptVector], plan: Plan) -> None:
        """Prepare `plan` for the loaded model `base`; see `steer` for what is raised."""
        self.plan = plan
        self._fresh: list[Sampled] = []
        self._kept: dict[str, NDArray[np.bool_]] = {}
        self._base = base
        self._run: _Run | None = None
        self._layouts: dict[tuple[int, tuple[bool, ...]], tuple[Tensor, Tensor]] = {}
        sites = sorted({site for vector in vectors.values() for site in vector.arrays})
        self._places = {site: place_of(base.diffusion_model, site) for site in sites}
        self._gated = torch.from_numpy(plan.gated(list(vectors))).float()
        self._any_gated = bool(self._gated.any())
        self._sites = {
            site: _Site(
                Addition.of(site, vectors),
                torch.from_numpy(plan.coefficients(site, vectors, relative_gram(site, vectors))),
            )
            for site in sites
        }
        self._digests = frozenset(vector.digest for vector in vectors.values())

    def attach(self, model: Any) -> None:
        """Put the patches on `model`, behind those that it has."""
        import comfy.patcher_extension as extension

        options = model.model_options["transformer_options"]
        options[_KEY] = self
        for site, place in self._places.items():
            patch(model, place, partial(self._add, site))
        for kind, wrapper in (("OUTER_SAMPLE", self._sample), ("APPLY_MODEL", self._call)):
            extension.add_wrapper_with_key(
                getattr(extension.WrappersMP, kind),
                _KEY,
                wrapper,
                model.model_options,
                is_model_options=True,
            )

    def _sample(self, executor: Any, noise: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Around a whole sampling: what is batched must fit the plan, and the plan must be seen."""
        expected = len(self.plan.samples)
        if noise.shape[0] != expected:
            raise SteeringError(
                f"the sampler makes {noise.shape[0]} images at once, the decision is for "
                f"{expected}",
                "set images in Guard Prompt to the batch size of the latents",
            )
        positive = executor.class_obj.conds.get("positive") or ()
        run = self._run = _Run(frozenset(each.get("uuid") for each in positive))
        try:
            result = executor(noise, *args, **kwargs)
        finally:
            self._run = None
        self._demand_effect(run)
        reached = np.zeros(PHASES, bool)
        reached[[int(each) for each in run.phases]] = True
        self._fresh.append(Sampled(*executing(), reached))
        return result

    def demand_effect(self, graph: Mapping[str, Any], audit: str) -> None:
        """Check that the images which a node of a graph audits were sampled with all additions.

        Not each sampling by itself needs them: a graph may sample the first steps with one node,
        the rest with another.

        Raises:
            SteeringError: none of the nodes that made the images sampled, now or when ComfyUI kept
                what it gave; or an intervention had no strength in any, so that nothing was added.
        """
        prompt, _ = executing()
        # A node that was expanded into others gave them names that begin with its own.
        now = [(each.node.split(".")[0], each) for each in self._fresh if each.prompt == prompt]
        self._fresh = []
        signed = signatures(graph)
        for node, each in now:
            if at := signed.get(node):
                self._kept[at] = each.reached | self._kept.pop(at, False)
        self._kept = dict(list(self._kept.items())[-_KEPT:])
        made_by = upstream(graph, audit, "images")
        found = [self._kept.get(signed[node]) for node in made_by]
        self._demand_strength([each for each in found if each is not None])

    def demand_strength(self) -> None:
        """Check that what was sampled with it so far gave every intervention some strength.

        Raises:
            SteeringError: nothing was sampled, or an intervention had none.
        """
        self._demand_strength([each.reached for each in self._fresh])

    def _demand_strength(self, reached: Sequence[NDArray[np.bool_]]) -> None:
        if not reached:
            raise SteeringError(
                "no sampler ran with the MODEL that Steer Model put out",
                "wire it to the sampler; if that was interrupted before, queue another seed",
            )
        self.plan.demand_strength(np.logical_or.reduce(reached))

    def _demand_effect(self, run: _Run) -> None:
        if self.plan.idle:
            return
        for site in self._sites:
            if run.added.get(site, 0) != run.calls:
                raise SteeringError(
                    f"at {site} the plan was added in {run.added.get(site, 0)} of {run.calls} "
                    "calls of the model",
                    "put Steer Model last before the sampler: another node has taken its place, or "
                    "skips calls, as EasyCache does",
                )
        if not all(run.finite):
            raise SteeringError(
                "where the plan was added, the activations hold values that are not finite",
                "lower the strength, or run the model in bfloat16 or float32 (--bf16-unet)",
            )
        if not run.conditional:
            raise SteeringError(
                "the sampler's guider gave the model no rows of the positive conditioning",
                "use KSampler, CFGGuider or BasicGuider",
            )

    def _call(
        self,
        executor: Any,
        x: Tensor,
        t: Tensor,
        c_concat: Any = None,
        c_crossattn: Any = None,
        control: Any = None,
        transformer_options: Any = None,
        **kwargs: Any,
    ) -> Tensor:
        """Around each call of the model: count it, and prove at the first that adding works."""
        options = transformer_options or {}
        if self._run is not None:
            self._run.calls += 1

        def called(control: Any, more: Mapping[str, Any]) -> Tensor:
            out: Tensor = executor(
                x, t, c_concat, c_crossattn, control, {**options, **more}, **kwargs
            )
            return out

        if self.plan.idle:
            return called(control, {})
        proven, known = _PROVEN.setdefault(self._base, set()), (self._digests, patches(options))
        if known in proven:
            return called(control, {})
        must, may = self._touched(x, options)
        if not must.any():
            return called(control, {})
        # ControlNet's lists are emptied by the model as it goes.
        bare = called({k: list(v) for k, v in control.items()} if control else control, {_BARE: 1})
        steered = called(control, {})
        changed = (steered != bare).flatten(1).any(1).cpu()
        if not changed[must].all() or changed[~may].any():
            raise SteeringError(
                "self-test: the plan does not change the conditional rows alone",
                "put Steer Model last before the sampler; another node may undo it",
            )
        proven.add(known)
        return steered

    def _touched(self, x: Tensor, options: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Which rows the plan must change now, and which it may: behind a gate, it may not."""
        index, shares = self._rows(x.shape[0], self._steered(options))
        now = self._phase(options).cpu()
        weights = [s.table.index_select(0, now)[0][index] * shares for s in self._sites.values()]
        open_ = 1 - self._gated[index]
        must = torch.stack([(w * open_).ne(0).any(1) for w in weights]).any(0)
        return must, torch.stack([w.ne(0).any(1) for w in weights]).any(0)

    def _add(self, site: str, hidden: Tensor, options: dict[str, Any]) -> Tensor:
        if options.get(_BARE):
            return hidden
        steered = self._steered(options)
        steers = any(steered)
        if self._run is not None:
            self._run.added[site] = self._run.added.get(site, 0) + 1
            self._run.conditional += steers
        index, shares = self._rows(hidden.shape[0], steered)
        if self.plan.idle or not steers:
            return hidden
        addition, table = self._sites[site].at(hidden)
        channels = hidden.shape[-1 if hidden.ndim == 3 else 1]
        if channels != addition.vectors.shape[1]:
            raise SteeringError(
                f"the model has {channels} channels at {site}, the vectors have "
                f"{addition.vectors.shape[1]}",
                "use vectors that were learned on this kind of model",
            )
        now = self._phase(options)
        if self._run is not None:
            self._run.phases.append(now)
        row = table.index_select(0, now.to(table.device))[0]
        weights = row[index.to(row.device)] * shares.to(row.device)
        gated = self._gated[index] if self._any_gated else None
        added = addition(hidden, weights, gated, now)
        if self._run is not None:
            self._run.finite.append(finite(totals(added), weights))
        return added

    def _steered(self, options: Mapping[str, Any]) -> tuple[bool, ...]:
        """Of each conditioning in a call, whether its rows are steered.

        They are if ComfyUI says that it is the positive one, and if it is one of the sampling's
        positive ones: some nodes call the model for a negative one alone.
        """
        chunks = options["cond_or_uncond"]
        ids = options.get("uuids") or [None] * len(chunks)
        positive = self._run.positive if self._run is not None else ids
        return tuple(
            kind == _CONDITIONAL and uuid in positive
            for kind, uuid in zip(chunks, ids, strict=True)
        )

    def _rows(self, rows: int, steered: tuple[bool, ...]) -> tuple[Tensor, Tensor]:
        """Of each row of a call, the sample it belongs to, [R], and 1 if it is steered, [R, 1]."""
        key = (rows, steered)
        if key not in self._layouts:
            each, samples = rows // len(steered), len(self.plan.samples)
            # More rows might be tiles, of which nothing says what each belongs to.
            if rows % len(steered) or each != samples:
                raise SteeringError(
                    f"the model was called with {rows} rows for {len(steered)} conditionings, the "
                    f"decision is for {samples} images",
                    "set images in Guard Prompt to the batch size of the latents, and the batch of "
                    "a tiling node to 1 tile",
                )
            shares = torch.tensor(steered).float().repeat_interleave(each)[:, None]
            self._layouts[key] = (torch.arange(samples).repeat(len(steered)), shares)
        return self._layouts[key]

    @cached_property
    def _trained(self) -> Any:
        """The schedule of noise that the model was trained by."""
        import comfy.model_sampling

        return comfy.model_sampling.ModelSamplingDiscrete(self._base.model_config)

    def _phase(self, options: Mapping[str, Any]) -> Tensor:
        """At which phase the denoising is, as an index, [1]."""
        import comfy.model_sampling

        sampling = self._base.model_sampling
        sigma: Tensor = options["sigmas"].flatten()[:1].float()
        if isinstance(sampling, comfy.model_sampling.CONST):  # flow matching: σ is the time
            return phase(sigma, 1.0)
        if not isinstance(sampling, comfy.model_sampling.ModelSamplingDiscrete) or isinstance(
            sampling, comfy.model_sampling.ModelSamplingDiscreteEDM
        ):  # their timesteps are no steps of the training, but σ is what it is there
            sampling = self._trained
        timestep: Tensor = sampling.timestep(sigma)
        return phase(timestep.float(), _TIMESTEPS)
