"""The descent on the vectors, and the pool of states that it draws from."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from safegen.concepts.discovery.replay import Replay, measure_costs, replays
from safegen.concepts.discovery.spec import SEED_BLOCK, Budget
from safegen.concepts.discovery.trajectories import precision
from safegen.concepts.discovery.work import Workbench
from safegen.errors import ConceptError
from safegen.steering.site import changed

_SAVE_SECONDS = 3.0
_CHECK_EVERY = 5
_HELD_OUT = 8  # every 8th run is held out
_ROWS = 32  # of the held-out states, and of a piece of the record
# Positions of the latents that are differentiated at once: four rows of Stable Diffusion 1.5, which
# learns in 8 GiB so (benchmarks/discovery_memory.py).
AT_ONCE = 4 * 64 * 64


@dataclass(frozen=True)
class Batch:
    """Noisy latents [B, 4, h, w], timesteps [B], text [B, L, D], the prediction to reach.

    `weights` [B] says how much each row counts; `rows` where it stands in the replay, if it does.
    """

    latents: Tensor
    timesteps: Tensor
    text: Tensor
    goals: Tensor
    weights: Tensor
    rows: Tensor | None = None

    def parts(self) -> "Iterator[Batch]":
        """It, in pieces that are differentiated one after the other."""
        size = max(1, AT_ONCE // self.latents[0, 0].numel())
        for start in range(0, len(self.goals), size):
            some = slice(start, start + size)
            yield Batch(
                self.latents[some],
                self.timesteps[some],
                self.text[some],
                self.goals[some],
                self.weights[some],
                None if self.rows is None else self.rows[some],
            )


@dataclass(frozen=True)
class Pool:
    """M states drawn once: those of held-out runs measure, the others are learned from."""

    latents: Tensor
    timesteps: Tensor
    text: tuple[str, ...]
    goals: Tensor
    weights: Tensor
    runs: Tensor

    def batch(self, bench: Workbench, rows: Tensor) -> Batch:
        """These rows of the pool."""
        return Batch(
            self.latents[rows],
            self.timesteps[rows],
            bench.text([self.text[int(row)] for row in rows]),
            self.goals[rows],
            self.weights[rows],
            rows,
        )

    @property
    def held_out(self) -> Tensor:
        """Rows of runs that are not learned from, at most 32 of them, evenly spread."""
        rows = (self.runs % _HELD_OUT == 0).nonzero().flatten()
        return rows[torch.linspace(0, len(rows) - 1, min(_ROWS, len(rows))).long()]

    @property
    def learned_from(self) -> Tensor:
        """Rows of all other runs."""
        return (self.runs % _HELD_OUT != 0).nonzero().flatten()

    @staticmethod
    def of(parts: Sequence["Pool"]) -> "Pool":
        """All of these in one."""
        return Pool(
            text=tuple(text for part in parts for text in part.text),
            **{
                name: torch.cat([getattr(part, name) for part in parts])
                for name in ("latents", "timesteps", "goals", "weights", "runs")
            },
        )


@dataclass
class Learned:
    """What a method found: tensors by site [C, H, W], what it cost, and how well it did."""

    tensors: dict[str, Tensor]
    forwards: float
    evidence: dict[str, float] = field(default_factory=dict)


@dataclass
class _State:
    step: int = 0
    best: float = float("inf")
    idle: int = 0
    before: float = 0.0
    forwards: float = 0.0


def descend(
    bench: Workbench,
    name: str,
    sites: Sequence[str],
    draw: Callable[[int], Batch],
    held_out: Sequence[Batch],
    budget: Budget,
    pool: Pool | None = None,
) -> Learned:
    """Learn one vector per site so that the prediction, with the vectors added, meets the goal.

    With a `pool` that all batches come from, what precedes the sites is computed once for each of
    its rows. With `patience`, the vectors are those of the lowest held-out loss.

    Raises:
        ConceptError: the loss is not finite, or the held-out loss did not fall.
    """
    unet = bench.pipeline.unet
    costs = measure_costs(unet, sites, held_out[0].text)
    replay, recorded = _recorded(bench, sites, pool, budget)
    row = 1 - costs.prefix * (replay is not None)
    vectors = _Vectors(bench, sites, held_out[0], budget)
    optimizer = torch.optim.Adam(vectors.values.values(), lr=budget.learning_rate)
    state = _State(forwards=recorded * costs.prefix)
    best: dict[str, Tensor] = {}
    with replay.instead() if replay else nullcontext():

        def measured() -> float:
            state.forwards += row * sum(len(batch.goals) for batch in held_out)
            with torch.no_grad():
                losses = [_loss(bench, batch, budget, replay).item() for batch in held_out]
            return sum(losses) / len(losses)

        if saved := bench.load(name):
            state, best = _State(**saved["state"]), saved["best"]
            optimizer.load_state_dict(saved["optimizer"])
            vectors.put(saved["values"])
        else:
            state.before = measured()
        with vectors.added():
            kept = time.monotonic()
            while state.step < budget.steps and not 0 < budget.patience <= state.idle:
                batch = draw(state.step)
                loss = _step(bench, batch, budget, replay, optimizer, state)
                state.forwards += len(batch.goals) * (row + costs.backward)
                last = state.step == budget.steps
                if budget.patience and (last or state.step % _CHECK_EVERY == 0):
                    held = measured()
                    state.idle = 0 if held < state.best else state.idle + 1
                    if held < state.best:
                        state.best, best = held, vectors.plain()
                bench.progress(state.step, budget.steps, f"loss {loss:.4f}")
                if time.monotonic() - kept > _SAVE_SECONDS:
                    _keep(bench, name, state, best, optimizer, vectors)
                    kept = time.monotonic()
            _keep(bench, name, state, best, optimizer, vectors)
            vectors.put(best)
            after = measured()
    if not after < state.before * (1 - 1e-4):
        raise ConceptError(
            f"nothing was learned: the held-out loss was {state.before:.5f} without the vector "
            f"and is {after:.5f} with it",
            "give it a larger budget or another learning rate, and look whether the model shows "
            "for the target prompts what it does not show for the neutral ones",
        )
    evidence = {"loss_before": state.before, "loss_after": after, "steps": float(state.step)}
    return Learned(vectors.tensors(), state.forwards, evidence)


def _step(
    bench: Workbench,
    batch: Batch,
    budget: Budget,
    replay: Replay | None,
    optimizer: torch.optim.Optimizer,
    state: _State,
) -> float:
    """One step of the optimiser; the loss before it."""
    optimizer.zero_grad()
    total = 0.0
    for part in batch.parts():
        loss = _loss(bench, part, budget, replay) * (len(part.goals) / len(batch.goals))
        if not loss.isfinite():
            raise ConceptError(
                f"the loss became {loss.item()} at step {state.step + 1}",
                "learn with a smaller learning rate",
            )
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    optimizer.step()
    state.step += 1
    if budget.relative:
        for group in optimizer.param_groups:
            group["lr"] = budget.learning_rate * (1 - state.step / budget.steps) ** 0.5
    return total


def _loss(bench: Workbench, batch: Batch, budget: Budget, replay: Replay | None) -> Tensor:
    """The weighted mean squared error of the prediction."""
    if replay is not None and batch.rows is not None:
        replay.rows(batch.rows)
    # On a CPU the fused attention's backward takes several times as long as the plain one's.
    kernels = [SDPBackend.MATH]
    if bench.device.type != "cpu":
        kernels += [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
    with precision(bench, budget), sdpa_kernel(kernels):
        predicted = bench.pipeline.unet(batch.latents, batch.timesteps, batch.text).sample
    error: Tensor = (predicted.float() - batch.goals).square().mean((1, 2, 3))
    return (error * batch.weights).mean()


def _keep(
    bench: Workbench,
    name: str,
    state: _State,
    best: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    vectors: "_Vectors",
) -> None:
    bench.save(
        name,
        {
            "state": asdict(state),
            "best": dict(best),
            "optimizer": optimizer.state_dict(),
            "values": vectors.plain(),
        },
    )


def draws(bench: Workbench, pool: Pool, budget: Budget) -> Callable[[int], Batch]:
    """The batch of every step, from what is not held out; which one is decided by the seed."""
    rows = pool.learned_from

    def draw(step: int) -> Batch:
        generator = torch.Generator().manual_seed(budget.seed * SEED_BLOCK + step)
        return pool.batch(
            bench, rows[torch.randint(len(rows), (budget.batch,), generator=generator)]
        )

    return draw


def _recorded(
    bench: Workbench, sites: Sequence[str], pool: Pool | None, budget: Budget
) -> tuple[Replay | None, int]:
    """What precedes the sites, for each row of the pool, and how many rows were run for it."""
    unet = bench.pipeline.unet
    if pool is None or not replays(unet, sites):
        return None, 0
    replay = Replay(unet)
    for rows in torch.split(torch.arange(len(pool.goals)), _ROWS):
        batch = pool.batch(bench, rows)
        bench.progress(int(rows[0]), len(pool.goals), "computing what comes before the site")
        with precision(bench, budget):
            if not replay.record(batch.latents, batch.timesteps, batch.text):
                return None, int(rows[-1]) + 1
    replay.finish()
    return replay, len(pool.goals)


class _Vectors:
    """One parameter per site, in units of a scale."""

    def __init__(self, bench: Workbench, sites: Sequence[str], like: Batch, budget: Budget) -> None:
        """Start them where the budget says, in the shapes that the sites put out for `like`."""
        self._unet = bench.pipeline.unet
        self.values: dict[str, nn.Parameter] = {}
        self.scales: dict[str, float] = {}
        numbers = torch.Generator().manual_seed(budget.seed)

        def start(site: str, hidden: Tensor) -> Tensor:
            values = torch.rand(hidden.shape[1:], generator=numbers) * 2 - 1
            self.values[site] = nn.Parameter((values * budget.initial).to(hidden.device))
            self.scales[site] = hidden.float().std().item() if budget.relative else 1.0
            return hidden

        with torch.no_grad(), precision(bench, budget), changed(self._unet, sites, start):
            self._unet(like.latents, like.timesteps, like.text)

    @contextmanager
    def added(self) -> Iterator[None]:
        """They are added within the block, to what the modules now at their sites put out."""

        def add(site: str, hidden: Tensor) -> Tensor:
            return hidden + (self.values[site] * self.scales[site]).to(hidden.dtype)

        with changed(self._unet, self.values, add):
            yield

    def put(self, values: Mapping[str, Tensor]) -> None:
        """Take these values."""
        with torch.no_grad():
            for site, value in values.items():
                self.values[site].copy_(value)

    def plain(self) -> dict[str, Tensor]:
        """The values as they are now, without gradients."""
        return {site: value.detach().clone() for site, value in self.values.items()}

    def tensors(self) -> dict[str, Tensor]:
        """What is added at every site."""
        return {site: (v * self.scales[site]).cpu() for site, v in self.plain().items()}
