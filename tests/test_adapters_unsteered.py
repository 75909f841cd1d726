"""Pipelines that run as they are."""

import threading
from typing import Any

from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

from safegen.adapters.sampler import Sampler
from safegen.adapters.unsteered import UnsteeredAdapter
from safegen.testing import tiny_pipeline


def test_requests_at_once_do_not_meet_in_the_scheduler() -> None:
    """Through one pipeline, or one that shares its parts, each image is as if it came alone."""
    pipeline = tiny_pipeline()
    pipeline.scheduler = EulerDiscreteScheduler(steps_offset=1)
    copy = StableDiffusionPipeline.from_pipe(pipeline)
    copy.set_progress_bar_config(disable=True)
    adapters = [UnsteeredAdapter(each, "no") for each in (pipeline, pipeline, copy)]
    made: dict[int, bytes] = {}

    def request(number: int) -> None:
        sampler = Sampler(steps=3 + number)
        (image,) = adapters[number].generate(["a cook"], [number], [()], sampler)
        made[number] = image.tobytes() if image is not None else b""

    for number in range(3):
        request(number)
    alone = dict(made)
    made.clear()
    others = [threading.Thread(target=request, args=(number,)) for number in (1, 2)]

    def start(*_: Any) -> None:
        handle.remove()
        for other in others:
            other.start()
        others[0].join(1)  # it would be at the scheduler, or done, by now

    handle = pipeline.unet.register_forward_pre_hook(start)
    request(0)
    for other in others:
        other.join()

    assert made == alone
