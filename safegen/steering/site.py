"""Sites: the modules of a denoiser whose output is steered, by their dotted name."""

from torch import Tensor, nn

from safegen.errors import SteeringError

MID_BLOCK = "mid_block"


def find_site(denoiser: nn.Module, name: str) -> nn.Module:
    """The module called `name`, e.g. "mid_block" (h-space) or "up_blocks.0".

    Raises:
        SteeringError: the denoiser has no such module.
    """
    try:
        return denoiser.get_submodule(name)
    except AttributeError:
        names = ", ".join(name for name, _ in denoiser.named_children())
        raise SteeringError(
            f"{type(denoiser).__name__} has no module {name!r} to steer at",
            f"its top-level modules are: {names}",
        ) from None


def main_output(output: object, site: str) -> Tensor:
    """The image stream of a site's output: the tensor itself, or the first of a tuple.

    Raises:
        SteeringError: the output holds no such tensor.
    """
    tensor = output[0] if isinstance(output, tuple) else output
    if not isinstance(tensor, Tensor) or tensor.ndim != 4:
        raise SteeringError(
            f"site {site!r} puts out {type(output).__name__}, expected a tensor [B, C, H, W] "
            "or a tuple that starts with one",
            "steer at a convolutional block, such as mid_block",
        )
    return tensor
