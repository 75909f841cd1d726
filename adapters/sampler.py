"""`Sampler`: what a pipeline is called with beside the prompt and the seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from PIL import Image

from safegen.arguments import demand
from safegen.errors import InputError
from safegen.pixels import pixels_digest

_SAMPLER = "give it in Sampler(steps, guidance_scale)"
_POLICY = "a guard takes it from the policy: a rule's `then: {negative_prompt: …}`"
_ONE_PROMPT = "a guard assesses one prompt, the argument of generate, and the pipeline repeats it"
_TEXT = (
    "put it into the prompt, which the policy reads; without a guard, give it to a SteeredPipeline"
    "; open the file of a picture first"
)
_NOT_TAKEN = "a guard does not take it; without a guard, give it to a SteeredPipeline"
_OWN = {
    "prompt": "give it as the argument of generate",
    "generator": "give the seed as an argument of generate",
    "num_images_per_prompt": "give the number of images as an argument of generate",
    "num_inference_steps": _SAMPLER,
    "guidance_scale": _SAMPLER,
    **dict.fromkeys(("prompt_2", "prompt_3"), _ONE_PROMPT),
    **dict.fromkeys(("negative_prompt", "negative_prompt_2", "negative_prompt_3"), _POLICY),
    **dict.fromkeys(
        (
            "prompt_embeds", "negative_prompt_embeds", "latents", "output_type", "return_dict",
            "callback", "callback_on_step_end", "timesteps", "sigmas",
        ),
        _NOT_TAKEN,
    ),
}  # fmt: skip
"""What SafeGen gives the pipeline itself, and where each comes from instead."""

_MOST = 2**53  # what a record can tell


@dataclass(frozen=True)
class Sampler:
    """Settings of the denoising loop that decide, with the seed, what an image looks like."""

    steps: int = 25
    guidance_scale: float = 5.0
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the pipeline's call, the same for every image: `image`, `mask_image` and
    `strength` of image-to-image and inpainting, `width`, `height`; pictures or numbers. Text is
    refused, for pipelines read it as further prompts, which no policy has seen.

    Pictures reach the pipeline in RGB: of transparent ones the colours, as diffusers' `load_image`
    makes them."""

    _told: Mapping[str, str | int | float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check all, and take a picture as it is now: its file, or its caller, may change it.

        Raises:
            InputError: a number is none or out of range, a picture cannot be read, or `more` holds
                what SafeGen gives itself, or what no record could tell.
        """
        steps, scale = _plain("steps", self.steps), _plain("guidance_scale", self.guidance_scale)
        if type(steps) is not int or steps < 1:
            raise InputError(
                f"expected steps to be a whole number of at least 1, got {steps!r}", "give more"
            )
        if type(scale) not in (int, float):
            raise InputError(
                f"expected a number as 'guidance_scale', got {scale!r}", "give one, such as 5.0"
            )
        demand("more", self.more, Mapping, "give arguments of the pipeline's call by their names")
        more = {name: _argument(name, value) for name, value in self.more.items()}
        told = {
            name: f"sha256:{pixels_digest(value)}" if isinstance(value, Image.Image) else value
            for name, value in more.items()
        }
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "guidance_scale", float(scale))
        object.__setattr__(self, "more", more)
        numbers = {"steps": steps, "guidance_scale": self.guidance_scale}
        object.__setattr__(self, "_told", told | numbers)

    @property
    def pictures(self) -> frozenset[str]:
        """The names of the arguments that are pictures."""
        return frozenset(k for k, each in self.more.items() if isinstance(each, Image.Image))

    def as_record(self) -> dict[str, str | int | float]:
        """For the ledger; `pictures` by their digest, of which a guard records an HMAC."""
        return dict(self._told)


def _plain(name: str, value: Any) -> Any:
    """A number as Python's own, NumPy's scalars too; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    number = int(value) if isinstance(value, Integral) else float(value)
    if not -_MOST < number < _MOST:
        raise InputError(f"expected a number as {name!r}, got {value}", "give another one")
    return number


def _argument(name: str, value: Any) -> Any:
    """A further argument of the pipeline's call, as it is given."""
    if name in _OWN:
        raise InputError(f"{name!r} cannot be given to the pipeline past SafeGen", _OWN[name])
    if isinstance(value, Image.Image):
        return _picture(name, value)
    value = _plain(name, value)
    if isinstance(value, str):  # of whatever name: each pipeline has its own for further prompts
        raise InputError(
            f"expected a picture or a number as {name!r}, got text, which may be a further prompt: "
            "a guard assesses one, the argument of generate",
            _TEXT,
        )
    if not isinstance(value, int | float):
        raise InputError(
            f"expected a picture or a number as {name!r}, got {type(value).__name__}",
            "what an image was made from is on record, so SafeGen must know what it is",
        )
    return value


def _picture(name: str, picture: Image.Image) -> Image.Image:
    """A copy in RGB, which is what its digest is of.

    In other modes pipelines misread pictures: four channels are latents to image-to-image, and
    indices of a palette are shades.
    """
    if picture.mode.startswith(("I", "F")):
        raise InputError(
            f"expected a picture of 8 bits a channel as {name!r}, got the mode {picture.mode!r}",
            "scale its values to 0 to 255 and give it in the mode L or RGB",
        )
    try:
        return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises of broken files
        raise InputError(
            f"the picture {name!r} cannot be read: {error}", "give a whole one, opened"
        ) from error
