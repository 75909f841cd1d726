"""Workers that are forked: what works in them, and what is told where it would hang."""

from pathlib import Path

import pytest
from programs import FORKED, printed

TWO_THREADS = """
import torch
torch.set_num_threads(2)
"""
RAISES = """
from safegen.errors import SafeGenError

def raises(call):
    "What a call raises, to look at."
    try:
        call()
    except SafeGenError as error:
        print(type(error).__name__, "-", error.message.replace(" ", "_"))
"""
NONE_LEFT = "this_process_is_a_fork_of_one_in_which_torch_calculated"


def test_a_guard_whose_detector_ran_on_torch_before_the_fork(tmp_path: Path) -> None:
    """To attach it, or to inspect by it, would hang; so would another one, made after the fork."""
    program = f"""
from PIL import Image
from safegen.guard import Guard
from safegen.reference import load_pipeline

def make():
    return Guard.from_policy("default", ledger={str(tmp_path / "ledger")!r})

def work():
    raises(lambda: guard.attach(pipeline))
    raises(lambda: guard.inspect([Image.new("RGB", (64, 64))]))
    raises(make)
    print(guard.assess("a photo of a cat")[1].outcome)

guard, pipeline = make(), load_pipeline()
print(forked(work), len(guard.inspect([Image.new("RGB", (64, 64))])))
"""
    told = printed(TWO_THREADS + RAISES + FORKED + program).split()

    assert told[:9:3] == ["InputError"] * 3
    assert all(each.startswith(NONE_LEFT) and "'clip'" in each for each in told[2:9:3])
    assert told[9:] == ["allowed", "0", "1"]


def test_a_guard_that_was_attached_before_the_fork(tmp_path: Path) -> None:
    """Attaching it anew in the worker is what would hang then."""
    program = f"""
from serving import STEER, guard, policy
from safegen.testing import tiny_pipeline

made, pipeline = guard({str(tmp_path)!r}, policy(STEER)), tiny_pipeline()
made.attach(pipeline, other_model=True).detach()
print(forked(lambda: raises(lambda: made.attach(pipeline, other_model=True))))
made.attach(pipeline, other_model=True).detach()
"""
    assert NONE_LEFT in printed(TWO_THREADS + RAISES + FORKED + program)


def test_a_guard_without_models_is_made_before_the_fork(tmp_path: Path) -> None:
    """It is attached in the worker, on as many threads as there are."""
    program = f"""
from serving import FEW, STEER, guard, policy
from safegen.testing import tiny_pipeline

def work():
    with made.attach(tiny_pipeline(), other_model=True) as guarded:
        print(guarded.generate("a cook", sampler=FEW).outcome)

made = guard({str(tmp_path)!r}, policy(STEER))
print(forked(work))
"""
    assert printed(TWO_THREADS + FORKED + program).split() == ["steered", "0"]


def test_one_thread_is_not_missed(tmp_path: Path) -> None:
    """Where torch calculates on one, workers may share what was loaded before the fork."""
    program = f"""
import torch
torch.set_num_threads(1)
from safegen.guard import Guard
from safegen.reference import load_pipeline
from serving import FEW

def work():
    with guard.attach(pipeline) as guarded:
        print(guarded.generate("a photo of a cat", sampler=FEW).outcome)

guard = Guard.from_policy("default", ledger={str(tmp_path / "ledger")!r})
pipeline = load_pipeline()
print(forked(work))
"""
    assert printed(FORKED + program).split() == ["allowed", "0"]


DETACHED = """
import threading
from serving import FEW, STEER, guard, policy
from safegen.testing import tiny_pipeline

def slow(*args, **kwargs):
    begun.set()
    going.wait()
    return step(*args, **kwargs)

def ask():
    print(guarded.generate("a cook", sampler=FEW).outcome)

def work():
    guarded.detach()
    print(made.ledger.folder.name, any("_safegen" in name for name, _ in unet.named_buffers()))

begun, going, pipeline = threading.Event(), threading.Event(), tiny_pipeline()
unet, step = pipeline.unet, pipeline.scheduler.step
pipeline.scheduler.step = slow
made = guard(FOLDER, policy(STEER))
guarded = made.attach(pipeline, other_model=True, batch=BATCH)
asking = threading.Thread(target=ask)
asking.start()
begun.wait()
print(forked(work))
going.set()
asking.join()
guarded.detach()
"""


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fork_detaches_while_its_parent_serves(tmp_path: Path, batch: int) -> None:
    """It waits for nothing of the parent's, whose request goes on; its own copy is left bare."""
    program = DETACHED.replace("FOLDER", repr(str(tmp_path))).replace("BATCH", str(batch))

    told = printed(FORKED + program).split()
    assert told == [tmp_path.name, "False", "0", "steered"]
