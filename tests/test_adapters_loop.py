"""Loops of one's own: k-diffusion's shape, a hand-written DDIM loop, and the hook-free way."""

from dataclasses import replace

import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn

from safegen.adapters.loop import residuals, steered
from safegen.errors import ConceptError, SteeringError, UnknownConceptError
from safegen.nouns import Intervention
from safegen.steering.layout import UNGUIDED, Rows
from safegen.steering.plan import Plan
from safegen.testing import random_vector, tiny_unet

VECTORS = {"a": random_vector("a", {"mid_block": (32, 4, 4)})}
SAMPLES = [[Intervention(concept="a")], []]
TEXT = torch.ones(2, 3, 16)


def ddim(unet: nn.Module, steps: int = 3, guidance_scale: float = 5.0) -> Tensor:
    """A hand-written DDIM loop with classifier-free guidance, [uncond, cond] in one batch."""
    scheduler = DDIMScheduler()
    scheduler.set_timesteps(steps)
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    text = torch.cat([torch.zeros_like(TEXT), TEXT])
    with torch.no_grad():
        for timestep in scheduler.timesteps:
            uncond, cond = unet(torch.cat([latents] * 2), timestep, text).sample.chunk(2)
            noise = uncond + guidance_scale * (cond - uncond)
            latents = scheduler.step(noise, timestep, latents).prev_sample
    return latents


class EpsDenoiser(nn.Module):
    """k-diffusion's shape: called with x and sigma, it calls the UNet with scaled x and t."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.unet = unet
        alphas: Tensor = DDIMScheduler().alphas_cumprod
        self.sigmas = ((1 - alphas) / alphas).sqrt()

    def forward(self, x: Tensor, sigma: Tensor, text: Tensor) -> Tensor:
        """The denoised image: x - sigma * ε."""
        timestep = (self.sigmas - sigma[0]).abs().argmin().expand(len(x))
        scale = 1 / (sigma[0] ** 2 + 1).sqrt()
        predicted: Tensor = self.unet(x * scale, timestep, text).sample
        return x - sigma[0] * predicted


def euler(model: nn.Module) -> Tensor:
    """k-diffusion's `sample_euler`, split calls: one for the conditional rows alone."""
    x = 10 * torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for sigma, after in ((10.0, 3.0), (3.0, 0.5)):
            denoised = model(x, torch.full((2,), sigma), TEXT)
            x = x + (x - denoised) / sigma * (after - sigma)
    return x


def test_a_hand_written_loop() -> None:
    """The first sample is steered, the second comes out bit for bit as without."""
    unet = tiny_unet()
    bare = ddim(unet)
    with steered(unet, VECTORS, SAMPLES):
        made = ddim(unet)

    assert not torch.allclose(made[0], bare[0], atol=1e-3)
    assert torch.equal(made[1], bare[1])
    assert torch.equal(ddim(unet), bare)


@pytest.mark.parametrize("layout", [("cond",), ("cond", "uncond", "cond")])
def test_residuals_for_other_rows_are_an_error(layout: tuple[Rows, ...]) -> None:
    """One row would be broadcast over the batch, the unconditional rows included."""
    unet, latents = tiny_unet(), torch.zeros(2, 4, 8, 8)
    with residuals(unet, VECTORS, SAMPLES[:1], layout) as add:
        with pytest.raises(
            SteeringError, match=f"(?s)expected latents of {len(layout)} row.*got 2"
        ):
            add(500, latents)
        add(500, latents[:1].repeat(len(layout), 1, 1, 1))


def test_a_compiled_denoiser() -> None:
    """What is attached before its first call steers; a graph without it is an error."""
    unet = tiny_unet()
    step = (torch.zeros(2, 4, 8, 8), torch.tensor(500), TEXT)
    compiled = torch.compile(unet, backend="eager")
    with torch.no_grad():
        bare = unet(*step).sample
        with steered(compiled, VECTORS, SAMPLES, UNGUIDED):
            made = compiled(*step).sample
        assert not torch.equal(made[0], bare[0])
        assert torch.equal(made[1], bare[1])
        assert torch.equal(compiled(*step).sample, bare)
        with pytest.raises(SteeringError, match="in 0 of 1 calls of the denoiser"):
            with steered(compiled, VECTORS, SAMPLES, UNGUIDED):
                compiled(*step)


def test_a_k_diffusion_sampler() -> None:
    """The UNet inside a sigma-parametrised denoiser is steered in the same way."""
    unet = tiny_unet()
    model = EpsDenoiser(unet)
    bare = euler(model)
    with steered(unet, VECTORS, SAMPLES, UNGUIDED):
        made = euler(model)

    assert not torch.allclose(made[0], bare[0], atol=1e-3)
    assert torch.equal(made[1], bare[1])


@pytest.mark.parametrize("every_row", [False, True])
def test_a_plan_in_place_of_interventions(every_row: bool) -> None:
    """It says whether unconditional rows are steered and how far; both ways add the same."""
    unet, latents, text = tiny_unet(), torch.zeros(4, 4, 8, 8), torch.cat([TEXT, TEXT])
    capped = {"a": random_vector("a", {"mid_block": (32, 4, 4)}, activation_norm=0.01)}
    free = Plan.of(SAMPLES, every_row=every_row, norm_cap=None)
    made = {}
    with torch.no_grad():
        bare = unet(latents, 700, text).sample
        for name, plan in {"free": free, "capped": replace(free, norm_cap=2.0)}.items():
            with steered(unet, capped, plan):
                made[name] = unet(latents, 700, text).sample
            with residuals(unet, capped, plan) as add:
                unhooked = unet(latents, 700, text, **add(700, latents)).sample
            torch.testing.assert_close(unhooked, made[name], atol=1e-5, rtol=1e-5)
            assert torch.equal(made[name][0], bare[0]) != every_row  # unconditional
            assert torch.equal(made[name][1::2], bare[1::2])  # the sample left alone

    changed = {name: (each - bare)[2].norm() for name, each in made.items()}
    assert changed["free"] > 2 * changed["capped"]


def test_residuals_add_what_the_hook_adds() -> None:
    """The hook-free way through ControlNet's arguments gives the hook's output."""
    unet, timestep = tiny_unet(), torch.tensor(700)
    latents = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    text = torch.cat([TEXT, TEXT])
    with torch.no_grad():
        with steered(unet, VECTORS, SAMPLES):
            hooked = unet(latents, timestep, text).sample
        with residuals(unet, VECTORS, SAMPLES) as add:
            free = unet(latents, timestep, text, **add(timestep, latents)).sample

    torch.testing.assert_close(free, hooked, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(8, 12), (10, 9)])
def test_residuals_at_sizes_that_do_not_halve(size: tuple[int, int]) -> None:
    """Down blocks round odd sides up; so do the residuals, and add what the hook adds."""
    unet = tiny_unet(
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        block_out_channels=(32, 32, 32),
    )
    latents = torch.randn(4, 4, *size, generator=torch.Generator().manual_seed(0))
    text = torch.cat([TEXT, TEXT])
    with torch.no_grad():
        with steered(unet, VECTORS, SAMPLES):
            hooked = unet(latents, 700, text).sample
        with residuals(unet, VECTORS, SAMPLES) as add:
            free = unet(latents, 700, text, **add(700, latents)).sample

    torch.testing.assert_close(free, hooked, atol=1e-5, rtol=1e-5)


def test_residuals_reach_the_mid_block_alone() -> None:
    """Vectors of other sites are refused rather than left out."""
    vectors = {"a": random_vector("a", {"mid_block": (32,), "up_blocks.0": (32,)})}
    with pytest.raises(SteeringError, match=r"up_blocks\.0"):
        residuals(tiny_unet(), vectors, SAMPLES).__enter__()


def test_residuals_of_a_concept_not_given() -> None:
    """A misspelt concept is refused with what there is."""
    with pytest.raises(UnknownConceptError, match="attached are: a"):
        residuals(tiny_unet(), VECTORS, [[Intervention(concept="b")]]).__enter__()


def test_residuals_of_another_width() -> None:
    """A vector of another model is refused, as by the hook."""
    vectors = {"a": random_vector("a", {"mid_block": (16,)})}
    with pytest.raises(ConceptError, match="16 channels at 'mid_block', the denoiser has 32"):
        residuals(tiny_unet(), vectors, SAMPLES).__enter__()


@pytest.mark.parametrize("samples", [[[]], [[Intervention(concept="a", strength=0.0)], []]])
def test_residuals_of_nothing_are_none(samples: list[list[Intervention]]) -> None:
    """Without vectors, too: the UNet is called as it would be without SafeGen."""
    vectors = VECTORS if any(samples) else {}
    with residuals(tiny_unet(), vectors, samples) as add:
        assert add(500, torch.zeros(4, 4, 8, 8)) == {}


def test_residuals_at_timesteps_that_are_no_time() -> None:
    """A window cannot tell when it is; what acts all the time need not know."""
    windowed = [[Intervention(concept="a", start=0.5)]]
    with residuals(tiny_unet(), VECTORS, [[Intervention(concept="a")]]) as add:
        assert add(-1.5, torch.zeros(2, 4, 8, 8))
    with residuals(tiny_unet(), VECTORS, windowed) as add:
        add(100, torch.zeros(2, 4, 8, 8))
        with pytest.raises(SteeringError, match=r"from 1000 to 0, got -1\.5"):
            add(-1.5, torch.zeros(2, 4, 8, 8))


def test_residuals_tell_of_a_window_between_two_steps() -> None:
    """Nothing was added then, and the images are the bare ones."""
    samples = [[Intervention(concept="a", start=0.3, stop=0.35)]]

    def loop() -> None:
        with residuals(tiny_unet(), VECTORS, samples) as add:
            for timestep in (900, 500, 100):
                add(timestep, torch.zeros(2, 4, 8, 8))

    with pytest.raises(SteeringError, match="'a' added nothing"):
        loop()


@pytest.mark.parametrize("layout", [("negative", "positive"), ("uncond", "conditional"), ("COND",)])
def test_a_layout_of_rows_that_there_are_not(layout: tuple[str, ...]) -> None:
    """Rows of an unknown kind would be left alone."""
    unet = tiny_unet()
    with pytest.raises(SteeringError, match="expected a layout of uncond, cond, perturbed"):
        steered(unet, VECTORS, SAMPLES, layout).__enter__()  # type: ignore[arg-type]
    with pytest.raises(SteeringError, match="expected a layout of uncond, cond, perturbed"):
        residuals(unet, VECTORS, SAMPLES, layout).__enter__()  # type: ignore[arg-type]


def test_rows_at_different_timesteps_are_an_error() -> None:
    """One timestep decides what is added to all rows of a call."""
    unet, latents = tiny_unet(), torch.zeros(2, 4, 8, 8)
    with (
        torch.no_grad(),
        pytest.raises(SteeringError, match="different timesteps"),
        steered(unet, VECTORS, SAMPLES, UNGUIDED),
    ):
        unet(latents, torch.tensor([900, 100]), TEXT)


def test_a_step_that_leaves_out_a_call_is_an_error() -> None:
    """As where guidance is limited to some steps: the next call would be taken for the other."""
    unet, latents = tiny_unet(), torch.zeros(2, 4, 8, 8)

    def loop(guided: set[int]) -> None:
        with torch.no_grad(), steered(unet, VECTORS, SAMPLES, ("cond",), ("uncond",)):
            for timestep in (900, 500, 100):
                unet(latents, timestep, TEXT)
                if timestep in guided:
                    unet(latents, timestep, TEXT)

    loop({900, 500, 100})
    with pytest.raises(SteeringError, match="once for each layout"):
        loop({900, 100})
