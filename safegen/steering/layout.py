"""The layout of a denoiser's calls: what each run of rows of a batch is."""

from typing import Literal, get_args

from safegen.errors import SteeringError

Rows = Literal["uncond", "cond", "perturbed"]
GUIDED: tuple[Rows, ...] = ("uncond", "cond")
"""diffusers' layout under classifier-free guidance: unconditional rows first."""
UNGUIDED: tuple[Rows, ...] = ("cond",)
"""No guidance (scale ≤ 1, distilled models): conditional rows alone."""
SPLIT: tuple[tuple[Rows, ...], ...] = (("cond",), ("uncond",))
"""The calls of a step where guidance calls the denoiser twice, as FLUX and the guiders do."""


def demand_rows(layout: tuple[Rows, ...]) -> None:
    """Check that a layout is of kinds of rows that there are: others would not be steered.

    Raises:
        SteeringError: it is not.
    """
    if wrong := [kind for kind in layout if kind not in get_args(Rows)]:
        raise SteeringError(
            f"expected a layout of {', '.join(get_args(Rows))}, got {wrong[0]!r}",
            'say what each run of rows is, as in ("uncond", "cond")',
        )
