import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from programs import printed

from safegen.audit.detectors.nudenet import NudeNetDetector
from safegen.audit.detectors.onnx import CPU, cores, open_network, spread
from safegen.errors import DetectorError, InputError
from safegen.reference.render import render
from safegen.reference.world import Person, Scene

openvino = pytest.importorskip("openvino")
BFLOAT16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.mark.parametrize(
    ("items", "threads", "size"), [(0, 2, 0), (1, 4, 1), (7, 2, 4), (40, 3, 4)]
)
def test_work_is_spread_in_order(items: int, threads: int, size: int) -> None:
    """Every item has its row, in order, and no batch is larger than allowed or needed."""
    sizes = []

    def work(batch: Sequence[int]) -> list[int]:
        sizes.append(len(batch))
        return [item * item for item in batch]

    assert spread(work, range(items), 4, threads) == [item * item for item in range(items)]
    assert max(sizes, default=0) == size


def test_batches_are_worked_on_side_by_side() -> None:
    """Two batches run at the same time: each waits for the other."""
    meeting = threading.Barrier(2, timeout=30)

    def work(batch: Sequence[int]) -> Sequence[int]:
        meeting.wait()
        return batch

    assert spread(work, range(4), 2, 2) == [0, 1, 2, 3]


def test_a_batch_that_fails_fails_all() -> None:
    """An error on a thread reaches the caller."""

    def work(batch: Sequence[int]) -> Sequence[int]:
        raise RuntimeError(f"no {batch[0]}")

    with pytest.raises(RuntimeError, match="no 0"):
        spread(work, range(4), 2, 2)


def test_cores_are_at_least_one() -> None:
    """The number of threads by default can be used as it is."""
    assert cores() >= 1


def test_a_file_that_is_no_network_is_an_error(tmp_path: Path) -> None:
    """The message names the file."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(DetectorError, match=r"broken\.onnx"):
        open_network(path)
    if BFLOAT16:
        with pytest.raises(DetectorError, match=r"broken\.onnx"):
            open_network(path, precision="bfloat16")


def test_bfloat16_is_of_the_cpu(tmp_path: Path) -> None:
    """Two wishes that contradict each other are refused."""
    with pytest.raises(InputError, match="leave out one"):
        open_network(tmp_path / "any.onnx", ("CUDAExecutionProvider", *CPU), "bfloat16")


@pytest.mark.skipif(BFLOAT16, reason="needs a CPU without bfloat16")
def test_bfloat16_that_is_not_there_is_refused() -> None:
    """There is no silent way back to float32."""
    with pytest.raises(InputError, match="a CPU that calculates in bfloat16"):
        NudeNetDetector(precision="bfloat16")


@pytest.mark.skipif(not BFLOAT16, reason="needs a CPU with bfloat16")
def test_bfloat16_scores_are_close_and_told_apart() -> None:
    """Scores differ by less than 0.06, and the digest says which precision it was."""
    rng = np.random.default_rng(0)
    people = [Scene(Person(i, i % 2, i % 5, None), "white", "") for i in range(6)]
    images = [render(scene, rng).resize((320, 320)) for scene in people]
    exact, quick = NudeNetDetector(floor=0.0), NudeNetDetector(floor=0.0, precision="bfloat16")
    blob = exact._letterbox(images)

    assert np.abs(exact._network(blob) - quick._network(blob))[:, 4:].max() < 0.06
    assert exact.digest != quick.digest


@pytest.mark.skipif(not BFLOAT16, reason="needs a CPU with bfloat16")
def test_openvino_reports_to_nobody() -> None:
    """Its import would open a connection to its maker; here it opens none."""
    program = (
        "import sys\n"
        "seen = []\n"
        "sys.addaudithook(lambda e, a: seen.append(e) if e.startswith('socket.') else None)\n"
        "from safegen.audit.detectors import load_detector\n"
        "load_detector('nudenet', precision='bfloat16')\n"
        "print(seen, sys.modules['openvino_telemetry'])"
    )
    assert printed(program) == "[] None"
