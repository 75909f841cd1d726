"""ONNX sessions for detectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safegen.errors import DetectorError, InputError

CPU = ("CPUExecutionProvider",)


def open_session(path: Path, providers: Sequence[str]) -> Any:
    """An onnxruntime session that runs on the first of `providers`, or not at all.

    onnxruntime itself falls back to the CPU with no more than a warning.

    Raises:
        InputError: this installation has no such provider.
        DetectorError: the session does not load, or runs elsewhere.
    """
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if not providers or (unknown := sorted(set(providers) - set(available))):
        raise InputError(
            f"expected providers out of {available}, got {unknown if providers else 'none'}",
            "correct the names, or install an onnxruntime that has them: "
            "pip install 'safegen[gpu]'",
        )
    try:
        session = onnxruntime.InferenceSession(str(path), providers=list(providers))
    except Exception as error:  # onnxruntime's own exceptions have no common base
        raise DetectorError(
            f"onnxruntime cannot load {path}: {error}", "reinstall the package it comes from"
        ) from error
    running = session.get_providers()
    if running[0] != providers[0]:
        raise DetectorError(
            f"expected {path.name} to run on {providers[0]}, it runs on {running[0]}",
            "mend the driver, or ask for that provider",
        )
    return session
