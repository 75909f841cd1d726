"""Sites: the modules of a denoiser whose output is steered, by their dotted name.

"mid_block" is the UNet's bottleneck, h-space. A transformer's block may put out several streams;
":1" after its name picks the one to steer, counted from 0 ("transformer_blocks.11:1" in FLUX).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from safegen.errors import SteeringError

MID_BLOCK = "mid_block"


def find_site(denoiser: nn.Module, name: str) -> nn.Module:
    """The module called `name`, e.g. "mid_block" (h-space) or "up_blocks.0".

    Raises:
        SteeringError: the denoiser has no such module.
    """
    try:
        return denoiser.get_submodule(_split(name)[0])
    except AttributeError:
        names = ", ".join(name for name, _ in denoiser.named_children())
        raise SteeringError(
            f"{type(denoiser).__name__} has no module {name!r} to steer at",
            f"its top-level modules are: {names}",
        ) from None


def main_output(output: object, site: str) -> Tensor:
    """The image stream of a site's output: [B, C, H, W], or [B, N, C] of a transformer.

    Raises:
        SteeringError: the output holds no such tensor.
    """
    index = _split(site)[1]
    tensor = output
    if isinstance(output, tuple):
        tensor = output[index] if index < len(output) else None
    if not isinstance(tensor, Tensor) or tensor.ndim not in (3, 4):
        raise SteeringError(
            f"site {site!r} puts out {type(output).__name__}, expected a tensor [B, C, H, W] or "
            f"[B, N, C], or a tuple with one at {index}",
            "steer at a block such as mid_block; NAME:1 picks the second of several outputs",
        )
    return tensor


def with_main_output(output: object, site: str, steered: Tensor) -> object:
    """`output` with its image stream exchanged for `steered`."""
    if not isinstance(output, tuple):
        return steered
    index = _split(site)[1]
    return (*output[:index], steered, *output[index + 1 :])


@contextmanager
def changed(
    denoiser: nn.Module, sites: Iterable[str], change: Callable[[str, Tensor], Tensor]
) -> Iterator[None]:
    """Within the block, what each site puts out is `change(site, image stream)`.

    For learning and measuring; what requests are steered by is `hook.Steering`.

    Raises:
        SteeringError: the denoiser lacks a site.
    """

    def hook(site: str) -> Callable[[nn.Module, object, object], object]:
        return lambda _, __, output: with_main_output(
            output, site, change(site, main_output(output, site))
        )

    handles = [find_site(denoiser, site).register_forward_hook(hook(site)) for site in sites]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _split(site: str) -> tuple[str, int]:
    """The module's dotted name, and which of its outputs is meant."""
    module, _, index = site.partition(":")
    return module, int(index or 0)
