"""ONNX networks for detectors: which machine runs them, how precisely, on how many cores.

A network runs on one core a call, and several calls run at once: on images that come in batches
this uses all cores, pre- and postprocessing included, where one call on all cores would leave
them waiting for each other.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from safegen.errors import DetectorError, InputError, MissingExtraError

CPU = ("CPUExecutionProvider",)
Precision = Literal["float32", "bfloat16"]
Array = NDArray[np.float32]
Network = Callable[[Array], Array]
"""From a batch to the network's first output; may be called from several threads at once."""

_Item = TypeVar("_Item")
_Row = TypeVar("_Row")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spread(
    work: Callable[[Sequence[_Item]], Sequence[_Row]],
    items: Sequence[_Item],
    batch_size: int,
    threads: int,
) -> list[_Row]:
    """One row per item, in their order; `work` gets batches, on several threads at once."""
    size = max(1, min(batch_size, -(-len(items) // threads)))
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    if len(batches) < 2 or threads < 2:
        return [row for batch in batches for row in work(batch)]
    with ThreadPoolExecutor(threads, thread_name_prefix="safegen-detector") as pool:
        return [row for rows in pool.map(work, batches) for row in rows]


def open_network(
    path: Path, providers: Sequence[str] = CPU, precision: Precision = "float32", threads: int = 1
) -> Network:
    """The network in an ONNX file, as it was asked for or not at all.

    Args:
        path: the file.
        providers: onnxruntime's execution providers; the first one must work.
        precision: float32, by onnxruntime; or bfloat16, by OpenVINO on CPUs that calculate in it.
        threads: how many calls run at once.

    Raises:
        InputError: this machine or installation has no such provider or precision.
        MissingExtraError: OpenVINO is not installed.
        DetectorError: the network does not load, or runs elsewhere.
    """
    if precision == "bfloat16":
        if tuple(providers) != CPU:
            raise InputError(
                f"bfloat16 runs on the CPU, asked for are the providers {list(providers)}",
                "leave out one of the two",
            )
        return _open_bfloat16(path, threads)
    session = _open_session(path, providers)
    given = session.get_inputs()[0].name

    def run(batch: Array) -> Array:
        answer: Array = session.run(None, {given: batch})[0]
        return answer

    return run


def _open_session(path: Path, providers: Sequence[str]) -> Any:
    """An onnxruntime session that runs on the first of `providers`, or not at all.

    onnxruntime itself falls back to the CPU with no more than a warning.
    """
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if not providers or (unknown := sorted(set(providers) - set(available))):
        raise InputError(
            f"expected providers out of {available}, got {unknown if providers else 'none'}",
            "correct the names, or install an onnxruntime that has them: "
            "pip install 'safegen[gpu]'",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:
        raise _cannot_load("onnxruntime", path, error) from error
    running = session.get_providers()
    if running[0] != providers[0]:
        raise DetectorError(
            f"expected {path.name} to run on {providers[0]}, it runs on {running[0]}",
            "mend the driver, or ask for that provider",
        )
    return session


def _open_bfloat16(path: Path, threads: int) -> Network:
    # Importing OpenVINO reports its use to the maker, unless that package is not there.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("openvino", "openvino", "precision bfloat16") from error
    core = openvino.Core()
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if "BF16" not in able:
        raise InputError(
            f"expected a CPU that calculates in bfloat16, this one does {', '.join(able)}",
            "leave the precision at float32",
        )
    options = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,
    }
    try:
        compiled = core.compile_model(str(path), "CPU", options)
    except Exception as error:
        raise _cannot_load("OpenVINO", path, error) from error
    own = threading.local()  # a request runs one batch at a time

    def run(batch: Array) -> Array:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        own.request.infer([batch])
        answer: Array = own.request.get_output_tensor(0).data.copy()
        return answer

    return run


def _cannot_load(runtime: str, path: Path, error: Exception) -> DetectorError:
    return DetectorError(
        f"{runtime} cannot load {path}: {error}", "reinstall the package it comes from"
    )
