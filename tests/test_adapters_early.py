import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    PNDMScheduler,
    SASolverScheduler,
    TCDScheduler,
    UniPCMultistepScheduler,
)
from PIL import Image
from tiny import Made, flux, image_to_image, lcm, pixart, sample, sd, sd3, sdxl, sdxl_modular

from safegen.adapters.decoding import decoded
from safegen.adapters.diffusers import DiffusersAdapter
from safegen.adapters.early import EarlyLook, generated, looking
from safegen.adapters.sampler import Sampler
from safegen.errors import InputError
from safegen.reference import load_pipeline
from safegen.testing import tiny_pipeline

FEW = Sampler(steps=4, guidance_scale=5.0)
PROMPTS, SEEDS = ["a cook", "a judge"], [0, 1]


class Judge:
    """Stops the rows it is told to; remembers the previews."""

    def __init__(self, *stopped: bool) -> None:
        self.stopped = stopped
        self.seen: list[Image.Image] = []

    def __call__(self, images: Sequence[Image.Image]) -> Sequence[bool]:
        """Which rows end."""
        self.seen.extend(images)
        return self.stopped


def run(pipeline: Any, early: EarlyLook | None) -> list[Image.Image | None]:
    """Two images by an adapter."""
    adapter = DiffusersAdapter(pipeline, {})
    try:
        return adapter.generate(PROMPTS, SEEDS, [(), ()], FEW, early=early)
    finally:
        adapter.detach()


def steps(pipeline: Any) -> list[int]:
    """Counts the calls of the denoiser from now on."""
    calls: list[int] = []
    pipeline.unet.register_forward_hook(lambda *_: calls.append(1))
    return calls


SCHEDULERS = [None, DDPMScheduler, EulerDiscreteScheduler, EulerAncestralDiscreteScheduler]


@pytest.mark.parametrize("kind", SCHEDULERS, ids=lambda kind: kind.__name__ if kind else "DDIM")
@pytest.mark.parametrize("stopped", [(False, False), (True, False)])
def test_rows_that_go_on_are_bit_identical(kind: Any, stopped: tuple[bool, bool]) -> None:
    """Looking changes nothing; a stopped row beside them changes nothing either."""
    pipeline = tiny_pipeline()
    if kind:
        pipeline.scheduler = kind()
    bare = run(pipeline, None)
    judge = Judge(*stopped)

    images = run(pipeline, EarlyLook(0.5, judge))

    assert len(judge.seen) == 2
    for image, other, stop in zip(images, bare, stopped, strict=True):
        assert other is not None
        assert (image is None) == stop
        assert image is None or image.tobytes() == other.tobytes()
    assert "step" not in vars(pipeline.scheduler)


@pytest.mark.parametrize(("at", "made"), [(0.0, 1), (0.5, 3), (1.0, 4)])
def test_the_rest_of_the_work_is_saved(at: float, made: int) -> None:
    """When no row goes on, the denoiser is not called again."""
    pipeline = tiny_pipeline()
    calls = steps(pipeline)

    assert generated_by(pipeline, EarlyLook(at, Judge(True, True))) == [None, None]
    assert len(calls) == made
    assert "step" not in vars(pipeline.scheduler)


def generated_by(pipeline: Any, early: EarlyLook) -> list[Image.Image | None]:
    """Two images by the bare pipeline."""
    return generated(
        pipeline, early, lambda: pipeline(PROMPTS, num_inference_steps=4, guidance_scale=5.0)
    )


def test_the_pipeline_works_after_a_stop() -> None:
    """The next run is as if nothing had been stopped."""
    pipeline = tiny_pipeline()
    bare = run(pipeline, None)
    run(pipeline, EarlyLook(0.5, Judge(True, True)))

    after = run(pipeline, None)
    assert [i and i.tobytes() for i in after] == [i and i.tobytes() for i in bare]


@pytest.mark.parametrize("name", ["nsfw_content_detected", "nsfw_detected"])
@pytest.mark.parametrize("faults", [None, [False, False], [True, False], np.array([False, True])])
def test_what_a_safety_checker_found_is_no_image(name: str, faults: Any) -> None:
    """Pipelines return a black picture in its place, and say so beside the pictures."""
    images = [Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8))]
    output = SimpleNamespace(images=images, **{name: faults})
    expected = [False, False] if faults is None else list(faults)

    assert [i is None for i in generated(tiny_pipeline(), None, lambda: output)] == expected


def test_an_error_while_looking_is_an_error() -> None:
    """It reaches the caller, and the scheduler is left as it was."""
    pipeline = tiny_pipeline()

    def broken(images: Sequence[Image.Image]) -> Sequence[bool]:
        raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        run(pipeline, EarlyLook(0.5, broken))
    assert "step" not in vars(pipeline.scheduler)


def test_the_preview_is_like_the_image() -> None:
    """On the reference model, each preview is nearer to its own image, and more so later."""
    pipeline = load_pipeline()
    sampler = Sampler(steps=8)
    adapter = DiffusersAdapter(pipeline, {})
    off = []
    for at in (0.5, 0.9):
        judge = Judge(False, False)
        images = adapter.generate(
            ["a photo of a cat", "a photo of a tree"],
            SEEDS,
            [(), ()],
            sampler,
            None,
            EarlyLook(at, judge),
        )
        a, b = (np.asarray(image).astype(float) for image in images if image is not None)
        x, y = (np.asarray(image).astype(float) for image in judge.seen)
        assert (
            np.abs(x - a).mean() + np.abs(y - b).mean()
            < np.abs(x - b).mean() + np.abs(y - a).mean()
        )
        off.append(np.abs(x - a).mean() + np.abs(y - b).mean())
    adapter.detach()

    assert off[1] < off[0]


@pytest.mark.parametrize("make", [sd, lcm, sdxl, sd3, pixart])
def test_other_pipelines(make: Callable[[], Made]) -> None:
    """Every kind with image latents gives a preview of each image."""
    pipeline, arguments, _ = make()
    pipeline.set_progress_bar_config(disable=True)
    judge = Judge(True, True)

    images = generated(
        pipeline, EarlyLook(0.5, judge), lambda: pipeline(**arguments, num_inference_steps=3)
    )

    assert images == [None, None]
    assert len(judge.seen) == 2


@pytest.mark.parametrize("make", [lcm, sdxl, sd3, pixart])
def test_other_pipelines_go_on_as_without(make: Callable[[], Made]) -> None:
    """However a pipeline takes its scheduler's answer, the look leaves it as it was."""
    pipeline, arguments, _ = make()
    bare = sample(pipeline, arguments)
    with looking(pipeline, EarlyLook(0.5, Judge(True, False))):
        made = sample(pipeline, arguments)

    assert torch.equal(made, bare)


def test_a_step_that_is_asked_for_an_object_gives_one() -> None:
    """A loop that takes `prev_sample` from the scheduler finds it at the look too."""
    pipeline, sample = tiny_pipeline(), torch.zeros(1, 4, 8, 8)
    pipeline.scheduler.set_timesteps(1)
    with looking(pipeline, EarlyLook(0.5, Judge(False))):
        stepped = pipeline.scheduler.step(sample, pipeline.scheduler.timesteps[0], sample)

    assert torch.equal(stepped.prev_sample, stepped.to_tuple()[0])


@pytest.mark.parametrize("stop", [True, False])
def test_a_modular_pipeline(stop: bool) -> None:
    """Its images are looked at, stopped, or left as they are."""
    pipeline = sdxl_modular()[0]
    pipeline.set_progress_bar_config(disable=True)
    bare = run(pipeline, None)

    assert run(pipeline, EarlyLook(0.5, Judge(stop, stop))) == ([None, None] if stop else bare)


def unknown_scheduler() -> Made:
    """A scheduler whose prediction is not known."""
    pipeline, arguments, site = sd()
    pipeline.scheduler = PNDMScheduler()
    return pipeline, arguments, site


def switched(kind: Any) -> Callable[[], Made]:
    """A scheduler put in by the usual idiom, which carries over the settings of DPM++."""

    def make() -> Made:
        pipeline, arguments, site = sd()
        before = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
        pipeline.scheduler = kind.from_config(before.config)
        return pipeline, arguments, site

    return make


@pytest.mark.parametrize(
    "make",
    [flux, unknown_scheduler, *map(switched, (PNDMScheduler, TCDScheduler))],
)
def test_what_gives_no_preview_is_refused(make: Callable[[], Made]) -> None:
    """Packed latents, or a scheduler that does not tell what it predicts, are an error."""
    pipeline, arguments, _ = make()
    pipeline.set_progress_bar_config(disable=True)
    with pytest.raises(InputError, match="an early look does not know"):
        generated(
            pipeline,
            EarlyLook(0.5, Judge(False, False)),
            lambda: pipeline(**arguments, num_inference_steps=4, generator=torch.Generator()),
        )


@pytest.mark.parametrize(
    "kind", [DPMSolverMultistepScheduler, UniPCMultistepScheduler, SASolverScheduler]
)
@pytest.mark.parametrize("carried", [False, True])
def test_a_solver_that_keeps_predictions(kind: Any, carried: bool) -> None:
    """The look is at (x_t - sigma·eps) / alpha, fresh or after a switch from another scheduler."""
    pipeline, judge = tiny_pipeline(), Judge(False)
    other = UniPCMultistepScheduler if kind is SASolverScheduler else DPMSolverMultistepScheduler
    pipeline.scheduler = kind.from_config(other().config) if carried else kind()
    pipeline.scheduler.set_timesteps(1)
    timestep = pipeline.scheduler.timesteps[0]
    noise, latents = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    kept = pipeline.scheduler.alphas_cumprod[timestep]
    with looking(pipeline, EarlyLook(0.5, judge)):
        pipeline.scheduler.step(noise, timestep, latents)

    expected = decoded(pipeline, (latents - (1 - kept).sqrt() * noise) / kept.sqrt())
    off = np.abs(np.asarray(judge.seen[0], int) - np.asarray(expected[0], int))
    assert off.max() <= 1


def test_a_flow() -> None:
    """The look is at x_t - sigma·v, with the sigma that the step begins at."""
    pipeline, judge = tiny_pipeline(), Judge(False)
    pipeline.scheduler = FlowMatchEulerDiscreteScheduler()
    pipeline.scheduler.set_timesteps(2)
    finished, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with looking(pipeline, EarlyLook(0.0, judge)):
        pipeline.scheduler.step(noise - finished, pipeline.scheduler.timesteps[0], noise)

    off = np.abs(np.asarray(judge.seen[0], int) - np.asarray(decoded(pipeline, finished)[0], int))
    assert off.max() <= 1


def test_requests_at_once_look_at_their_own_images() -> None:
    """Another request that comes while one looks waits; each sees and gets what it would alone."""
    adapter = DiffusersAdapter(tiny_pipeline(), {})
    judges = {images: Judge(*[False] * images) for images in (1, 2)}
    made: dict[int, list[bytes]] = {}

    def request(images: int, stop: Callable[[Sequence[Image.Image]], Sequence[bool]]) -> None:
        seeds, plan = range(images), [()] * images
        sampler = Sampler(steps=3 + images)
        found = adapter.generate(
            ["a cook"] * images, seeds, plan, sampler, None, EarlyLook(0.5, stop)
        )
        made[images] = [image.tobytes() for image in found if image is not None]

    for images, judge in judges.items():
        request(images, judge)
    alone, previews = dict(made), {n: judge.seen.copy() for n, judge in judges.items()}
    made.clear()
    other = threading.Thread(target=request, args=(2, judges[2]))

    def stop(images: Sequence[Image.Image]) -> Sequence[bool]:
        other.start()
        time.sleep(0.2)  # it would be at the scheduler by now
        return judges[1](images)

    request(1, stop)
    other.join()

    assert made == alone
    for images, judge in judges.items():
        assert [i.tobytes() for i in judge.seen] == [i.tobytes() for i in previews[images]] * 2


def begun_by_euler() -> Made:
    """Image-to-image with a scheduler that is told where to begin, unlike DDIM."""
    pipeline, arguments, site = image_to_image()
    pipeline.scheduler = EulerDiscreteScheduler()
    return pipeline, arguments, site


@pytest.mark.parametrize("make", [image_to_image, begun_by_euler, sdxl_modular])
@pytest.mark.parametrize(("strength", "looked"), [(0.3, 2), (0.6, 4), (0.8, 5)])
def test_steps_that_image_to_image_takes(
    make: Callable[[], Made], strength: float, looked: int
) -> None:
    """Half-way is half of the steps that it takes: of ten steps' six, after the third."""
    pipeline, _, _ = make()
    pipeline.set_progress_bar_config(disable=True)
    picture = Image.new("RGB", (16, 16), "red")
    given = {"image": picture, "strength": strength, "height": 16, "width": 16}
    if make is not sdxl_modular:  # which alone takes another size than the picture's
        given = {"image": picture, "strength": strength}
    adapter = DiffusersAdapter(pipeline, {})
    calls, at = steps(pipeline), []

    def stop(images: Sequence[Image.Image]) -> Sequence[bool]:
        at.append(len(calls))
        return [False] * len(images)

    early = EarlyLook(0.5, stop)
    adapter.generate(["a cook"], [0], [()], Sampler(10, 1.0, given), early=early)

    assert at == [looked]


def test_a_look_that_never_happens_is_an_error() -> None:
    """A pipeline that ends before its scheduler came to the look gives no unseen images."""
    pipeline = tiny_pipeline()
    pipeline.scheduler.set_timesteps(4)
    unseen = SimpleNamespace(images=[Image.new("RGB", (8, 8))])
    with pytest.raises(InputError, match="ended after 0 of 4 steps"):
        generated(pipeline, EarlyLook(0.5, Judge(False)), lambda: unseen)
