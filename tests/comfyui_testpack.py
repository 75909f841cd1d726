"""Nodes for the tests alone: other models, and other people's patches. ComfyUI loads this file."""

import io
import shutil
from typing import Any

import comfy.controlnet
import comfy.latent_formats
import comfy.ldm.flux.model
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import nodes
import torch
from PIL import Image

from safegen.adapters.comfyui import v1
from safegen.audit.marking import Mark

TEXT = 16
HOWS = (
    "lora",
    "middle",
    "overflow",
    "undone",
    "block",
    "take block 0",
    "older",
    "tiles",
    "tiles in one batch",
)


def _patcher(base: Any) -> Any:
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(base, load_device=cpu, offload_device=cpu)


def _random(base: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    network = base.diffusion_model
    # ComfyUI leaves buffers too as the memory was, and NaN there is no model to steer.
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.data = 0.1 * torch.randn(tensor.shape, generator=generator)
    return _patcher(base)


def _conditioning(pooled: int, length: int = 4) -> list[Any]:
    text = torch.linspace(-1, 1, length * TEXT).reshape(1, length, TEXT)
    return [[text, {"pooled_output": torch.ones(1, pooled), "guidance": 3.5}]]


class _Tiny:
    INPUT_TYPES = classmethod(lambda _: {"required": {}})
    RETURN_TYPES = ("MODEL", "CONDITIONING")
    FUNCTION = "make"
    CATEGORY = "test"


class TinyFlux(_Tiny):
    """FLUX with two double blocks of 32 channels."""

    def make(self) -> tuple[Any, Any]:
        """Model and text."""
        config = comfy.supported_models.Flux(
            {
                "image_model": "flux",
                "in_channels": 4,
                "out_channels": 4,
                "patch_size": 2,
                "vec_in_dim": TEXT,
                "context_in_dim": TEXT,
                "hidden_size": 32,
                "mlp_ratio": 2.0,
                "num_heads": 2,
                "depth": 2,
                "depth_single_blocks": 1,
                "axes_dim": [4, 4, 8],
                "theta": 10000,
                "txt_ids_dims": [],
                "qkv_bias": True,
                "guidance_embed": True,
            }
        )
        config.latent_format = comfy.latent_formats.SD15()
        config.set_inference_dtype(torch.float32, None)
        return _random(comfy.model_base.Flux(config)), _conditioning(TEXT)


class TinySD3(_Tiny):
    """Stable Diffusion 3 with two joint blocks of 64 channels."""

    def make(self) -> tuple[Any, Any]:
        """Model and text."""
        config = comfy.supported_models.SD3(
            {
                "in_channels": 4,
                "out_channels": 4,
                "patch_size": 2,
                "depth": 1,
                "input_size": None,
                "adm_in_channels": TEXT,
                "num_patches": 64,
                "pos_embed_max_size": 8,
                "context_embedder_config": {
                    "target": "torch.nn.Linear",
                    "params": {"in_features": TEXT, "out_features": 64},
                },
            }
        )
        config.latent_format = comfy.latent_formats.SD15()
        config.set_inference_dtype(torch.float32, None)
        return _random(comfy.model_base.SD3(config)), _conditioning(TEXT)


class Unknown:
    """A model of a class that nobody has heard of."""

    INPUT_TYPES = classmethod(lambda _: {"required": {"model": ("MODEL",)}})
    RETURN_TYPES = ("MODEL",)
    FUNCTION = "make"
    CATEGORY = "test"

    def make(self, model: Any) -> tuple[Any]:
        """The same parts around another network."""
        config = model.model.model_config
        base = comfy.model_base.BaseModel(config, unet_model=_Unheard)
        return (_patcher(base),)


class _Unheard(torch.nn.Module):
    dtype = torch.float32

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.only = torch.nn.Linear(4, 4)


class Patched:
    """A model with the patches of other nodes."""

    INPUT_TYPES = classmethod(
        lambda _: {
            "required": {
                "model": ("MODEL",),
                "how": (list(HOWS),),
            }
        }
    )
    RETURN_TYPES = ("MODEL",)
    FUNCTION = "make"
    CATEGORY = "test"

    def make(self, model: Any, how: str) -> tuple[Any]:
        """A clone with one patch."""
        if how == "older":
            return (_older(model),)
        clone = model.clone()
        if how == "lora":
            key = next(
                k
                for k in clone.model.state_dict()
                if k.endswith("middle_block.2.out_layers.3.weight")
            )
            weight = torch.ones_like(clone.model.state_dict()[key])
            clone.add_patches({key: ("diff", (0.02 * weight,))}, 1.0)
        elif how == "middle":
            clone.set_model_middle_block_after_patch(lambda given: {"h": given["h"] * 1.5})
        elif how == "overflow":
            clone.set_model_input_block_patch(_overflown)
        elif how == "undone":
            clone.set_model_middle_block_after_patch(_undone)
        elif how.startswith("tiles"):
            clone.set_model_unet_function_wrapper(_batched if "batch" in how else _tiled)
        elif how == "block":
            clone.set_model_patch_replace(_doubled, "dit", "double_block", 0)
        else:
            clone.set_model_patch_replace(_alone, "dit", "double_block", 0)
        return (clone,)


def _doubled(given: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    made = extra["original_block"](given)
    return made | {"img": made["img"] * 2}


def _tiled(apply: Any, given: dict[str, Any]) -> torch.Tensor:
    tiles = given["input"].chunk(2, 2)
    return torch.cat([apply(tile, given["timestep"], **given["c"]) for tile in tiles], 2)


def _batched(apply: Any, given: dict[str, Any]) -> torch.Tensor:
    tiles = torch.cat(given["input"].chunk(2, 2))
    twice = given["c"] | {"c_crossattn": given["c"]["c_crossattn"].repeat(2, 1, 1)}
    return torch.cat(apply(tiles, given["timestep"].repeat(2), **twice).chunk(2), 2)


def _undone(given: dict[str, Any]) -> dict[str, Any]:
    return {"h": torch.zeros_like(given["h"])}


def _overflown(hidden: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
    return hidden * float("inf") if float(options["sigmas"][0]) < 1 else hidden


def _alone(given: dict[str, Any], extra: dict[str, Any]) -> Any:
    return extra["original_block"](given)


class _Older(comfy.model_patcher.ModelPatcher):
    """A patcher from before there was a patch of the middle block."""

    @property
    def set_model_middle_block_after_patch(self) -> Any:
        raise AttributeError


def _older(model: Any) -> Any:
    clone = model.clone()
    clone.__class__ = _Older
    return clone


class Control:
    """A conditioning under something like a ControlNet, which adds to the middle block."""

    INPUT_TYPES = classmethod(lambda _: {"required": {"conditioning": ("CONDITIONING",)}})
    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "make"
    CATEGORY = "test"

    def make(self, conditioning: list[Any]) -> tuple[Any]:
        """The same text, controlled."""
        return ([[text, more | {"control": _Net()}] for text, more in conditioning],)


class _Net(comfy.controlnet.ControlBase):
    def get_control(self, x_noisy: torch.Tensor, *_: Any) -> dict[str, list[Any]]:
        shape = (len(x_noisy), 256, x_noisy.shape[2] // 4, x_noisy.shape[3] // 4)
        return {"input": [], "middle": [torch.ones(shape)], "output": []}

    def get_models(self) -> list[Any]:
        return []


class Piped:
    """A model and its texts in one link, as several packs have it."""

    INPUT_TYPES = classmethod(
        lambda _: {
            "required": {
                "model": ("MODEL",),
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
            }
        }
    )
    RETURN_TYPES = ("BASIC_PIPE",)
    FUNCTION = "make"
    CATEGORY = "test"

    def make(self, **inside: Any) -> tuple[Any]:
        """The pipe."""
        return (inside,)


class PipeSampler:
    """A sampler of such a pipe."""

    INPUT_TYPES = classmethod(
        lambda _: {"required": {"pipe": ("BASIC_PIPE",), "latent": ("LATENT",)}}
    )
    RETURN_TYPES = ("LATENT",)
    FUNCTION = "make"
    CATEGORY = "test"

    def make(self, pipe: dict[str, Any], latent: dict[str, Any]) -> Any:
        """Four steps from half the noise."""
        texts = (pipe["positive"], pipe["negative"])
        how = (0, 4, 5.0, "euler", "normal")
        return nodes.common_ksampler(pipe["model"], *how, *texts, latent, denoise=0.5)


class Alpha:
    """Images with alpha."""

    INPUT_TYPES = classmethod(lambda _: {"required": {"images": ("IMAGE",)}})
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "make"
    CATEGORY = "test"

    def make(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        """A picture that only alpha carries."""
        return (torch.cat([torch.zeros_like(images), images.mean(-1, keepdim=True)], -1),)


class Marker:
    """A marker of another pack's, with which something goes wrong."""

    INPUT_TYPES = classmethod(
        lambda _: {
            "required": {
                "how": (["fails", "second is no picture", "takes the ledger away"],),
                "ledger": ("STRING", {}),
            }
        }
    )
    RETURN_TYPES = ("SAFEGEN_MARKER",)
    FUNCTION = "make"
    CATEGORY = "test"
    name, digest = "own", ""

    def make(self, how: str, ledger: str) -> "tuple[Marker]":
        """Itself."""
        self._how, self._ledger = how, ledger
        return (self,)

    def mark(self, image: Image.Image, mark: Mark) -> bytes:
        """A file, if nothing is to go wrong with this one."""
        if self._how == "fails":
            raise RuntimeError("the KMS is away")
        if self._how == "second is no picture" and mark.image == 1:
            return b"no picture"
        if self._how == "takes the ledger away":
            shutil.rmtree(self._ledger, ignore_errors=True)
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue()


_NODES = (TinyFlux, TinySD3, Unknown, Patched, Control, Piped, PipeSampler, Alpha, Marker)
NODE_CLASS_MAPPINGS = {f"Test{cls.__name__}": cls for cls in _NODES} | {
    f"V1{name}": cls for name, cls in v1.NODE_CLASS_MAPPINGS.items()
}
