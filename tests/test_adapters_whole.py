"""An interrupted denoising is an error, whoever called the pipeline and however it was steered."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

import pytest

from safegen.adapters.batches import BatchingAdapter
from safegen.adapters.diffusers import DiffusersAdapter, SteeredPipeline
from safegen.adapters.sampler import Sampler
from safegen.adapters.unsteered import UnsteeredAdapter
from safegen.errors import SteeringError
from safegen.nouns import Intervention
from safegen.testing import random_vector, tiny_pipeline

FEW = Sampler(4, 5.0)


@pytest.fixture
def pipeline() -> Any:
    """The tiny one."""
    pipeline = tiny_pipeline()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def adapter(pipeline: Any) -> Iterator[DiffusersAdapter]:
    """Attached to it."""
    calm = random_vector("calm", {"mid_block": (32,)})
    with DiffusersAdapter(pipeline, {"calm": calm}, other_model=True) as adapter:
        yield adapter


def cancelling(pipeline: Any, when: Callable[[int], bool]) -> list[int]:
    """Cancel in the calls of the UNet of which this holds; the rows of each are noted."""
    rows: list[int] = []

    def note(_: Any, given: Any) -> None:
        rows.append(len(given[0]))
        if when(len(rows)):
            pipeline._interrupt = True

    pipeline.unet.register_forward_pre_hook(note)
    return rows


@pytest.mark.parametrize("steers", [[()], [[Intervention(concept="calm")]]])
def test_a_cancelled_call(adapter: DiffusersAdapter, steers: Any) -> None:
    """It raises, and says how far it came; the next one is whole."""
    cancelling(adapter.pipeline, lambda call: call == 2)

    with pytest.raises(SteeringError, match="interrupted after 2 of 4 steps"):
        adapter.generate(["a cook"], [0], steers, FEW)
    assert adapter.generate(["a cook"], [0], steers, FEW) != [None]
    assert "step" not in vars(adapter.pipeline.scheduler)


def test_a_callback_that_cancels(adapter: DiffusersAdapter) -> None:
    """The wrapped pipeline raises too, even where the flag is set back before anybody looks."""

    def cancel(pipeline: Any, step: int, *_: Any) -> dict[str, Any]:
        pipeline._interrupt = step == 0
        return {}

    decode = adapter.pipeline.vae.decode

    def forgetting(*args: Any, **kwargs: Any) -> Any:
        adapter.pipeline._interrupt = False
        return decode(*args, **kwargs)

    adapter.pipeline.vae.decode = forgetting
    with pytest.raises(SteeringError, match="interrupted after 1 of 3 steps"):
        SteeredPipeline(adapter)("a cook", num_inference_steps=3, callback_on_step_end=cancel)


def test_cancelled_before_the_first_step(adapter: DiffusersAdapter) -> None:
    """Nothing but noise was made."""
    encode = adapter.pipeline.encode_prompt

    def cancelling(*args: Any, **kwargs: Any) -> Any:
        adapter.pipeline._interrupt = True
        return encode(*args, **kwargs)

    adapter.pipeline.encode_prompt = cancelling
    with pytest.raises(SteeringError, match="interrupted after 0 of 4 steps"):
        adapter.generate(["a cook"], [0], [()], FEW)


def test_cancelled_too_late(adapter: DiffusersAdapter) -> None:
    """An image of which every step was made is whole."""
    cancelling(adapter.pipeline, lambda call: call == 4)

    assert adapter.generate(["a cook"], [0], [()], FEW) != [None]


def test_an_unsteered_pipeline(pipeline: Any) -> None:
    """It is no less an error."""
    cancelling(pipeline, lambda call: call == 2)
    with pytest.raises(SteeringError, match="interrupted after 2 of 4 steps"):
        UnsteeredAdapter(pipeline, "not attached").generate(["a cook"], [0], [()], FEW)


def test_the_others_of_a_cancelled_batch(adapter: DiffusersAdapter) -> None:
    """They are made alone."""
    batching = BatchingAdapter(adapter, 8)

    def together(call: int) -> bool:
        while call == 1 and len(batching._waiting) < 2:
            sleep(0.001)
        return rows[-1] == 4

    def ask(seed: int) -> Any:
        return batching.generate(["a cook"], [seed], [()], FEW)

    rows = cancelling(adapter.pipeline, together)
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(ask, 0)]
        while not rows:
            sleep(0.001)
        futures += [pool.submit(ask, seed) for seed in (1, 2)]
        made = [each.result(60) for each in futures]

    assert rows == [2] * 4 + [4] + [2] * 8  # rows of guidance beside those of the images
    assert None not in [image for images in made for image in images]
