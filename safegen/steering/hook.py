"""`Steering`: attach to a denoiser, add, detach. The only code that changes an activation."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from safegen.errors import SteeringError
from safegen.steering.plan import Plan
from safegen.steering.site import find_site, main_output

Rows = Literal["uncond", "cond"]
GUIDED: tuple[Rows, ...] = ("uncond", "cond")
"""diffusers' layout under classifier-free guidance: unconditional rows first."""
UNGUIDED: tuple[Rows, ...] = ("cond",)
"""No guidance (scale ≤ 1, distilled models), or the conditional call of a split pair."""


class Steering:
    """Hooks on the sites of one denoiser; idle until a plan is put in force by `using`.

    Only conditional rows are steered, as in the paper (Li et al. 2024, §3), so the effect grows
    with the guidance scale. Not thread-safe: a denoiser runs one batch at a time anyhow.
    """

    def __init__(self, denoiser: nn.Module, sites: Sequence[str], timesteps: int = 1000) -> None:
        """Hook the sites. Do this before `torch.compile`, which ignores hooks added after it.

        Args:
            denoiser: called as `denoiser(sample, timestep, …)`, as diffusers' UNets are.
            sites: dotted names of modules, e.g. ("mid_block",).
            timesteps: number of training timesteps T of the noise schedule.

        Raises:
            SteeringError: a site does not exist.
        """
        self.denoiser = denoiser
        self.sites = tuple(sites)
        self._timesteps = timesteps
        self._progress = 0.0
        self._plan: Plan | None = None
        self._layout: tuple[Rows, ...] = UNGUIDED
        self._cache: dict[object, Tensor | None] = {}
        self._added: set[str] = set()
        modules = {site: find_site(denoiser, site) for site in self.sites}
        self._handles: list[RemovableHandle] = [
            denoiser.register_forward_pre_hook(self._before, with_kwargs=True)
        ]
        for site, module in modules.items():
            self._handles.append(module.register_forward_hook(self._adder(site)))

    def __enter__(self) -> Self:
        """Itself; leaving the block detaches."""
        return self

    def __exit__(self, *_: object) -> None:
        """Detach."""
        self.detach()

    @property
    def attached(self) -> bool:
        """Whether the hooks are in place."""
        return bool(self._handles)

    def detach(self) -> None:
        """Remove every hook; the denoiser is as it was before."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    @contextmanager
    def using(self, plan: Plan, layout: tuple[Rows, ...] = GUIDED) -> Iterator[None]:
        """Put `plan` in force for the calls of the denoiser within the block.

        Args:
            plan: one tuple of interventions per sample.
            layout: what each run of len(plan.samples) rows of the batch is.

        Raises:
            SteeringError: detached, another plan is in force, or the plan asked for an addition
                that never happened (a site that was not called).
        """
        if not self.attached:
            raise SteeringError("steering was detached", "attach to the model again")
        if self._plan is not None:
            raise SteeringError("another plan is in force", "one batch at a time per model")
        self._plan, self._layout = plan, layout
        self._cache.clear()
        self._added.clear()
        try:
            yield
            self._demand_effect(plan)
        finally:
            self._plan = None
            self._cache.clear()

    def _demand_effect(self, plan: Plan) -> None:
        used = {c.concept for sample in plan.samples for c in sample if c.strength != 0}
        wanted = {site for concept in used for site in plan.vectors[concept].arrays}
        if missing := wanted - self._added:
            raise SteeringError(
                f"nothing was added at {', '.join(sorted(missing))}, though the plan asks for it",
                "attach before torch.compile, and turn off caches that skip blocks",
            )

    def _before(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._plan is None:
            return
        timestep = args[1] if len(args) > 1 else kwargs["timestep"]
        value = float(timestep.flatten()[0]) if isinstance(timestep, Tensor) else float(timestep)
        self._progress = 1 - value / self._timesteps

    def _adder(self, site: str) -> Callable[[nn.Module, Any, Any], Any]:
        def add(_: nn.Module, __: Any, output: Any) -> Any:
            plan = self._plan
            if plan is None or plan.idle:
                return output
            hidden = main_output(output, site)
            delta = self._delta(plan, site, hidden)
            if delta is None:
                return output
            self._added.add(site)
            steered = hidden + delta
            return (steered, *output[1:]) if isinstance(output, tuple) else steered

        return add

    def _delta(self, plan: Plan, site: str, hidden: Tensor) -> Tensor | None:
        expected = len(plan.samples) * len(self._layout)
        if hidden.shape[0] != expected:
            raise SteeringError(
                f"the denoiser was called with {hidden.shape[0]} rows, expected {expected}: "
                f"{len(plan.samples)} samples x {'+'.join(self._layout)}",
                "tell the adapter the batch layout that the sampler really uses",
            )
        active = tuple(
            i.start <= self._progress <= i.stop for sample in plan.samples for i in sample
        )
        key = (site, active, tuple(hidden.shape), hidden.dtype, hidden.device)
        if key not in self._cache:
            _, channels, height, width = hidden.shape
            delta = plan.delta(site, self._progress, (channels, height, width))
            if delta is not None:
                rows = [
                    delta if kind == "cond" else torch.zeros_like(delta) for kind in self._layout
                ]
                delta = torch.cat(rows).to(hidden.device, hidden.dtype)
            self._cache[key] = delta
        return self._cache[key]
