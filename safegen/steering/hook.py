"""`Steering`: attach to a denoiser, add, detach.

What is added depends on the timestep and the plan only through tensors, so the same hook works in
eager mode, under `torch.compile` (attach first) and in captured graphs, and one compiled denoiser
serves every plan.
"""

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from safegen.concepts.vector import ConceptVector
from safegen.errors import ConceptError, SteeringError
from safegen.steering.add import Addition, finite, phase, totals
from safegen.steering.layout import GUIDED, Rows, demand_rows
from safegen.steering.plan import PHASES, Plan, demand_width, relative_gram
from safegen.steering.site import find_site, main_output, with_main_output
from safegen.steering.strengths import Strengths

_CALLS = 2**14
"""Calls of the denoiser under one plan of which the timesteps are noted."""


_exporting = getattr(torch.compiler, "is_exporting", lambda: False)  # torch before 2.7 lacks it


@dataclass
class _Site:
    """One hooked module: what is added there, and the plan's numbers."""

    name: str
    module: nn.Module
    addition: Addition
    gram: NDArray[np.float64]
    strengths: Strengths
    any_gated: bool = False
    width: int = 0
    """The channels of activations that the vectors were seen to fit."""
    left: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """The totals and weights of each addition under the plan in force, of those in no graph."""

    def follow(self, device: torch.device) -> None:
        """Have all of it where the activations are: from elsewhere every step would wait for it.

        A model that was attached to on the CPU may be moved, or offload itself between its calls.
        """
        if self.strengths.table.device != device:
            self.addition = self.addition.to(self.addition.vectors.to(device))
            self.strengths = self.strengths.moved(device)


class Steering:
    """Hooks on the sites of one denoiser; idle until a plan is put in force by `using`.

    One batch at a time: while a plan is in force, `using` in another thread waits. Calls of the
    denoiser in other threads are bare, except where it is compiled: a graph cannot tell threads.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        vectors: Mapping[str, ConceptVector],
        *,
        timesteps: float = 1000,
        compose: bool = False,
    ) -> None:
        """Hook every site that `vectors` need. Do this before `torch.compile`.

        Args:
            denoiser: called as `denoiser(sample, timestep, …)`, as diffusers' denoisers are; what
                `torch.compile` gives stands for what it compiles.
            vectors: all concepts that plans will name.
            timesteps: the timestep of pure noise: 1000 in most models, 1 where timesteps are given
                as fractions.
            compose: allow a second steering of the same denoiser; both add.

        Raises:
            SteeringError: a site does not exist, or the denoiser is steered already.
            ConceptError: vectors of one site do not fit together.
        """
        denoiser = getattr(denoiser, "_orig_mod", denoiser)
        if not compose and any("_safegen_calls" in name for name, _ in denoiser.named_buffers()):
            raise SteeringError(
                "the denoiser is steered already",
                "detach the other one first (pipelines that share a denoiser are steered one at a "
                "time); with Steering itself, compose=True adds both",
            )
        self.denoiser = denoiser
        self.vectors = dict(vectors)
        self.sites = tuple(sorted({site for vector in vectors.values() for site in vector.arrays}))
        self._timesteps = timesteps
        self._adds = False
        self._expected = 0
        self._lock = threading.Lock()
        self._owner = 0
        self._process = os.getpid()
        number = next(i for i in itertools.count() if not hasattr(denoiser, f"_safegen_calls{i}"))
        # Buffers, so that they follow the modules to their device; not persistent, so that they
        # are no part of the model's weights.
        self._buffers: list[tuple[nn.Module, str]] = []
        with torch.inference_mode(False):  # else nobody could write to them outside that mode
            notes = {
                "calls": torch.zeros(1, dtype=torch.int64),
                # The least and the largest of each call, as bits: `.to(dtype)` would round them.
                "timesteps": torch.zeros(_CALLS, 2, dtype=torch.int32),
                "phase": torch.zeros(1, dtype=torch.int64),
                "finite": torch.ones((), dtype=torch.bool),
            }
            self._names = {note: f"_safegen_{note}{number}" for note in notes}
            self._sites = [self._site(name) for name in self.sites]
            for note, empty in notes.items():
                self._buffer(denoiser, self._names[note], empty)
            for site in self._sites:
                counter = torch.zeros((), dtype=torch.int64)
                self._buffer(site.module, self._counter(site.name), counter)
        self._handles: list[RemovableHandle] = [
            denoiser.register_forward_pre_hook(self._before, with_kwargs=True),
            *(site.module.register_forward_hook(self._adder(site)) for site in self._sites),
        ]

    def __enter__(self) -> Self:
        """Itself; leaving the block detaches."""
        return self

    def __exit__(self, *_: object) -> None:
        """Detach."""
        self.detach()

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or pickled, as the denoiser's hooks would be with it.

        Raises:
            SteeringError: always.
        """
        raise SteeringError(
            "a steered denoiser cannot be copied or pickled", "detach, copy it, and attach again"
        )

    @property
    def attached(self) -> bool:
        """Whether the hooks are in place."""
        return bool(self._handles)

    def detach(self) -> None:
        """Remove hooks and buffers, once no plan is in force; the denoiser is as it was before."""
        mine = self._owner == threading.get_ident()  # an error while a plan is in force
        forked = os.getpid() != self._process  # whose thread may hold the lock, which is not here
        with nullcontext() if mine or forked else self._lock:
            self._remove()

    def _remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        for module, name in self._buffers:
            delattr(module, name)
        self._handles, self._buffers = [], []

    @contextmanager
    def using(self, plan: Plan, *calls: tuple[Rows, ...], whole: bool = True) -> Iterator[None]:
        """Put `plan` in force for this thread's calls of the denoiser within the block.

        Args:
            plan: one tuple of interventions per sample.
            calls: the layout of each call that makes up one step of the sampler: what each run of
                len(plan.samples) rows of its batch is. By default one call, `GUIDED`; a sampler
                that calls the denoiser once per condition has ("cond",), ("uncond",), in its order.
            whole: the block is a whole denoising, in which every intervention must have had some
                of its strength; False for a part, in which a window may be shut.

        Raises:
            SteeringError: detached, a plan of this thread is in force already, the calls differ in
                length or are of unknown kinds, or the plan asked for an addition that did not
                happen at every call of the denoiser, or for one that has no strength at any, or
                one that left values that are not finite; or rows of one call, or calls of one step,
                were at different timesteps, or a plan that goes by time met others than there are.
            UnknownConceptError: the plan names a concept that is not attached.
            ConceptError: it asks for what was not measured when the vector was learned, or for a
                vector of another width than the site's.
        """
        if getattr(self.denoiser, "is_cache_enabled", False):
            raise SteeringError(
                "the denoiser has a block cache, which passes steered blocks by",
                "call disable_cache() on it",
            )
        if self._owner == threading.get_ident():
            raise SteeringError("another plan is in force", "one batch at a time per model")
        with self._lock:
            if not self.attached:
                raise SteeringError("steering was detached", "attach to the model again")
            self._owner = threading.get_ident()
            try:
                with torch.inference_mode(False):
                    self._load(plan, calls or (GUIDED,))
                yield
                self._demand_effect(plan, calls or (GUIDED,), whole)
            finally:
                self._adds, self._expected, self._owner = False, 0, 0
                self._unload()

    def _load(self, plan: Plan, calls: tuple[tuple[Rows, ...], ...]) -> None:
        parts = len(calls[0])
        if any(len(layout) != parts for layout in calls):
            raise SteeringError(
                f"expected calls of one number of rows, got the layouts {calls}",
                "where their batches differ, use one block per call of the denoiser, whole=False",
            )
        for layout in calls:
            demand_rows(layout)
        self._adds, self._expected = not plan.idle, len(plan.samples) * parts
        steered = np.array([[plan.every_row or kind == "cond" for kind in c] for c in calls])
        gated = plan.gated(list(self.vectors))
        for each in self._counters().values():
            each.zero_()
        self._note("finite").fill_(True)
        behind = {i.concept for each in plan.samples for i in each if i.gate == "projection"}
        for site in self._sites:
            here = {c for c in behind if site.name in self.vectors[c].arrays}
            if missing := sorted(c for c in here if site.name not in self.vectors[c].levels):
                raise ConceptError(
                    f"concept {missing[0]!r} has no levels at {site.name!r} for a projection gate",
                    'use the gate "open", or learn the vector again',
                )
            table = plan.coefficients(site.name, self.vectors, site.gram)
            site.strengths = site.strengths.loaded(table, steered, gated)
            site.any_gated = bool(gated.any())

    def _unload(self) -> None:
        for site in self._sites:
            site.strengths.unload()
            site.left.clear()

    def _counters(self) -> dict[str, Tensor]:
        """How often the denoiser ("") and each site were called under the plan in force."""
        counters: dict[str, Tensor] = {"": self._note("calls")}
        for site in self._sites:
            counters[site.name] = getattr(site.module, self._counter(site.name))
        return counters

    def _demand_effect(self, plan: Plan, calls: tuple[tuple[Rows, ...], ...], whole: bool) -> None:
        if plan.idle or not (plan.every_row or any("cond" in layout for layout in calls)):
            return
        wanted = {site for concept in plan.concepts for site in self.vectors[concept].arrays}
        made = {name: int(count) for name, count in self._counters().items()}
        for site in sorted(wanted):
            if made[site] != made[""] or not made[site]:
                raise SteeringError(
                    f"at {site} the plan was added in {made[site]} of {made['']} calls of the "
                    "denoiser",
                    "attach before torch.compile, turn off caches that skip blocks and gradient "
                    "checkpointing, which runs them twice, and leave out what changes the batch on "
                    "the way, such as a callback_on_step_end that ends guidance"
                    if made[""]
                    else "call the denoiser within the block that puts the plan in force, in its "
                    "thread; to trace or export it is no call: for that, fold the vectors in by "
                    "safegen.steering.bake.bake",
                )
        left = [finite(*map(torch.stack, zip(*s.left, strict=True))) for s in self._sites if s.left]
        if not all([self._note("finite"), *left]):
            raise SteeringError(
                "where the plan was added, the activations hold values that are not finite",
                "lower the strength, or run the model in bfloat16 or float32",
            )
        if made[""] > _CALLS:
            raise SteeringError(
                f"the denoiser was called {made['']} times under one plan, expected at most "
                f"{_CALLS}, of which the timesteps are noted",
                "put the plan in force for a part of the steps at a time, whole=False",
            )
        noted = self._note("timesteps")[: made[""]].cpu().view(torch.float32).numpy()
        beyond = self._timesteps / PHASES
        if plan.timed and not ((noted >= -beyond) & (noted <= self._timesteps + beyond)).all():
            raise SteeringError(
                "the denoiser was called at timesteps that are not between 0 and "
                f"{self._timesteps:g}, so that nothing tells how far the denoising was",
                f"use a scheduler whose timesteps fall from {self._timesteps:g} to 0, or steer "
                "over the whole denoising, constantly and with an open gate",
            )
        first = np.repeat(noted[:: len(calls), :1], len(calls), 0)[: len(noted)]
        if not np.array_equal(noted, np.broadcast_to(first, noted.shape), equal_nan=True):
            raise SteeringError(
                "rows of one call, or the calls of one step, were at different timesteps",
                "call the denoiser for one timestep at a time, and at every step once for each "
                "layout that was given",
            )
        if whole and plan.scheduled:
            reached = np.zeros(PHASES, bool)
            reached[phase(torch.from_numpy(noted[:, 0]), self._timesteps).numpy()] = True
            plan.demand_strength(reached)

    def _counter(self, site: str) -> str:
        return f"{self._names['calls']}_{site.replace('.', '_')}"

    def _note(self, name: str) -> Tensor:
        """What is noted of the plan in force: on the device, for to read it makes the host wait."""
        note: Tensor = getattr(self.denoiser, self._names[name])
        return note

    def _buffer(self, module: nn.Module, name: str, value: Tensor) -> None:
        home = next(self.denoiser.parameters()).device
        module.register_buffer(name, value.to(home), persistent=False)
        self._buffers.append((module, name))

    def _site(self, name: str) -> _Site:
        # In full precision, as what weights are stored in may be no dtype to calculate in.
        like = torch.empty(0, dtype=torch.float32, device=next(self.denoiser.parameters()).device)
        return _Site(
            name=name,
            module=find_site(self.denoiser, name),
            addition=Addition.of(name, self.vectors).to(like),
            gram=relative_gram(name, self.vectors),
            strengths=Strengths.none(len(self.vectors), like.device),
        )

    @property
    def _idle(self) -> bool:
        """Whether nothing is to be added in this thread. A compiled graph does not ask."""
        return self._owner != threading.get_ident() or not self._adds

    def _before(self, denoiser: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        compiling = torch.compiler.is_compiling()
        if not compiling and self._idle:
            return
        traced = not compiling and torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        if traced or (_exporting() and self._adds):
            raise SteeringError(
                "the denoiser is exported or traced while a plan is in force, which would not be "
                "in what comes of it",
                "export it outside of the block, or fold the vectors in by "
                "safegen.steering.bake.bake",
            )
        # Few operations, and none that the host waits for: all is judged at the plan's end.
        timestep = args[1] if len(args) > 1 else kwargs["timestep"]
        calls = self._note("calls")
        each = torch.as_tensor(timestep, dtype=torch.float32, device=calls.device).flatten()
        limits = torch.stack(each.aminmax()) if len(each) > 1 else each
        bits = limits.view(torch.int32).expand(1, 2)
        self._note("timesteps").index_copy_(0, calls % _CALLS, bits)
        self._note("phase").copy_(phase(each[:1], self._timesteps))
        calls.add_(1)

    def _demand_fit(self, site: _Site, hidden: Tensor) -> None:
        if hidden.shape[0] != self._expected:
            raise SteeringError(
                f"the denoiser was called with {hidden.shape[0]} rows, the plan is for "
                f"{self._expected}",
                "leave out what changes the batch on the way, such as a callback_on_step_end "
                "that ends guidance; in a loop of your own, give the layout it really uses",
            )
        channels = hidden.shape[-1 if hidden.ndim == 3 else 1]
        if channels != site.width:
            demand_width(site.name, self.vectors, channels)
            site.width = channels
        site.follow(hidden.device)

    def _adder(self, site: _Site) -> Callable[[nn.Module, Any, Any], Any]:
        counter = self._counter(site.name)

        def add(module: nn.Module, _: Any, output: Any) -> Any:
            compiling = torch.compiler.is_compiling()
            if not compiling and self._idle:
                return output
            hidden = main_output(output, site.name)
            if not compiling:
                self._demand_fit(site, hidden)
            rows, strengths = hidden.shape[0], site.strengths
            if rows > strengths.room:  # under a graph alone: no plan has so many
                return output
            weights = strengths.now(rows, self._note("phase"), self._note("calls"))
            gated = strengths.gated[:rows] if site.any_gated else None
            made = getattr(module, counter)
            graph = compiling or (hidden.is_cuda and torch.cuda.is_current_stream_capturing())
            if graph:  # it serves other plans too, and bare calls
                here = strengths.in_force.eq(rows)
                made.add_(here.to(made.device))
                weights = weights * here
            else:
                made.add_(1)
            steered = site.addition(hidden, weights, gated, self._note("phase"))
            if graph:
                whole = self._note("finite")
                whole.logical_and_(finite(totals(steered), weights).to(whole.device))
            else:
                site.left.append((totals(steered), weights))
            return with_main_output(output, site.name, steered)

        return add
