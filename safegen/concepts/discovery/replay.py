"""What precedes the first site does not depend on the vector: computed once, replayed after.

At the mid block and beyond, that is the UNet's whole down path. Its outputs are recorded for a
fixed set of states and put in the place of the modules that made them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from safegen.nouns import Frozen
from safegen.steering.site import MID_BLOCK, changed

_MOST_BYTES = 4 * 2**30


class Costs(Frozen):
    """What parts of the UNet cost, in forwards of the whole: multiply-adds as torch counts them.

    `prefix` is the share of the forward that a replay saves, `backward` what differentiating one
    row costs: gradients flow back to the first site only, and to no weight.
    """

    prefix: float
    backward: float


def replays(unet: nn.Module, sites: Sequence[str]) -> bool:
    """Whether the down path comes before every site."""
    return isinstance(unet, UNet2DConditionModel) and all(
        site == MID_BLOCK or site.startswith("up_blocks.") for site in sites
    )


class _Done(Exception):  # noqa: N818 - no error: what follows the mid block is not needed
    pass


class _Replay(nn.Module):
    """Puts out what is set, whatever comes in."""

    has_cross_attention = False
    output: Any = None

    def forward(self, *_: object, **__: object) -> Any:
        return self.output


class Replay:
    """The down path's outputs for M states: rows of them take its place while a block runs."""

    def __init__(self, unet: Any) -> None:
        """Nothing is recorded yet."""
        self._unet = unet
        self._kept: list[Any] = []

    @torch.no_grad()
    def record(self, latents: Tensor, timesteps: Tensor, text: Tensor) -> bool:
        """Add the states of these rows; False: they take more memory than is allowed."""
        outputs: list[Any] = []
        modules = [*self._unet.down_blocks, self._unet.mid_block]

        def keep(module: nn.Module, _: object, output: Any) -> None:
            outputs.append(_tree(output, lambda tensor: tensor.cpu()))
            if module is modules[-1]:
                raise _Done

        handles = [module.register_forward_hook(keep) for module in modules]
        try:
            self._unet(latents, timesteps, text)
        except _Done:
            pass
        finally:
            for handle in handles:
                handle.remove()
        self._kept.append(outputs)
        return self.bytes <= _MOST_BYTES

    @property
    def bytes(self) -> int:
        """How much memory the record takes."""
        sizes: list[int] = []
        _tree(self._kept, lambda tensor: sizes.append(tensor.nbytes))
        return sum(sizes)

    def finish(self) -> None:
        """All states are recorded: one tensor for each output."""
        self._kept = _joined(self._kept)

    @contextmanager
    def instead(self) -> Iterator["Replay"]:
        """The down path is replaced within the block; `rows` says by which states."""
        down, mid = self._unet.down_blocks, self._unet.mid_block
        self._unet.down_blocks = nn.ModuleList([_Replay() for _ in down])
        self._unet.mid_block = _Replay()
        try:
            yield self
        finally:
            self._unet.down_blocks, self._unet.mid_block = down, mid

    def rows(self, rows: Tensor) -> None:
        """Replay these states in the next call of the UNet."""
        device = self._unet.device
        for module, output in zip(
            [*self._unet.down_blocks, self._unet.mid_block], self._kept, strict=True
        ):
            module.output = _tree(output, lambda tensor: tensor[rows].to(device))


def measure_costs(unet: Any, sites: Sequence[str], text: Tensor) -> Costs:
    """Counted on one row, in float32."""
    size = unet.config.sample_size
    latents = torch.zeros(1, unet.config.in_channels, size, size, device=unet.device)
    given = (latents.to(unet.dtype), torch.ones(1, device=unet.device), text[:1])
    with torch.no_grad(), FlopCounterMode(display=False) as whole:
        unet(*given)
    before = 0
    if replays(unet, sites):
        with FlopCounterMode(display=False) as prefix:
            Replay(unet).record(*given)
        before = prefix.get_total_flops()

    def differentiated(_: str, hidden: Tensor) -> Tensor:
        return hidden + torch.zeros_like(hidden, requires_grad=True)

    with torch.enable_grad(), changed(unet, sites, differentiated):
        output = unet(*given).sample.sum()
    with FlopCounterMode(display=False) as backward:
        output.backward()
    total = whole.get_total_flops()
    return Costs(prefix=before / total, backward=backward.get_total_flops() / total)


def _tree(value: Any, change: Any) -> Any:
    """`value` with `change` done to each tensor in its lists and tuples."""
    if isinstance(value, Tensor):
        return change(value)
    return type(value)(_tree(each, change) for each in value)


def _joined(parts: Sequence[Any]) -> Any:
    """Values of one shape, their tensors joined along the first axis."""
    if isinstance(parts[0], Tensor):
        return torch.cat(list(parts))
    return type(parts[0])(_joined(each) for each in zip(*parts, strict=True))
