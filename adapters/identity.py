"""Which model a guard is attached to, and whether its pipeline still calls that one."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from torch import nn

from safegen.adapters.denoisers import uncompiled
from safegen.concepts.digest import model_digest, own_name
from safegen.errors import SteeringError

_MARK = "_safegen_mark"
_marks = count()


class Attached:
    """A pipeline's denoiser as it was when it was attached to.

    A request must not pay for a digest of all weights. So every parameter gets a mark, and its mark
    and torch's count of writes to it are compared instead: `to`, casts and offload leave both as
    they are. Only where one differs the digest is asked, which then decides.
    """

    def __init__(self, pipeline: Any) -> None:
        """Note what `pipeline` calls by now, and its digest; empty: it calls no torch module."""
        self._pipeline = pipeline
        self._denoiser = uncompiled(pipeline)
        known = isinstance(self._denoiser, nn.Module)
        self.digest = model_digest(self._denoiser) if known else ""
        self._fused = _fused_loras(pipeline, self._denoiser)
        self._written = dict(_written(self._denoiser))

    def demand_same(self) -> None:
        """Refuse a pipeline that calls another denoiser by now, which nothing is known of.

        Raises:
            SteeringError: it does, or its denoiser has other weights, such as LoRAs fused into
                them or taken out.
        """
        if uncompiled(self._pipeline) is not self._denoiser:
            raise SteeringError(
                "the pipeline calls another denoiser than the one that was attached to",
                "detach, and attach again",
            )
        if _fused_loras(self._pipeline, self._denoiser) != self._fused:
            raise SteeringError(
                "LoRAs were fused into the weights, or taken out, since they were attached to",
                "detach, and attach again: with other weights it is another model",
            )
        now = dict(_written(self._denoiser))
        if all(now.get(name, ()) in (written, None) for name, written in self._written.items()):
            return
        if (digest := model_digest(self._denoiser)) != self.digest:
            raise SteeringError(
                f"the denoiser has other weights than when it was attached to: {digest[:19]}…, "
                f"which was {self.digest[:19]}…",
                "detach, and attach again: with other weights it is another model",
            )
        self._written = now


def _fused_loras(pipeline: Any, denoiser: Any) -> frozenset[str]:
    """The LoRAs that are fused into the weights, by the pipeline's method or the model's own."""
    modules = denoiser.modules() if isinstance(denoiser, nn.Module) else ()
    merged = {name for module in modules for name in getattr(module, "merged_adapters", ())}
    return frozenset(merged | set(getattr(pipeline, "fused_loras", ())))


def _written(denoiser: Any) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """The mark of every parameter of its own and the count of writes; None: it is offloaded.

    A mark and no reference: that would keep alive what offload gives up.
    """
    if not isinstance(denoiser, nn.Module):
        return
    for name, parameter in denoiser.named_parameters():
        if own := own_name(name):
            if not hasattr(parameter, _MARK):
                setattr(parameter, _MARK, next(_marks))
            version = 0 if parameter.is_inference() else parameter._version  # noqa: SLF001 - torch's own count
            yield own, None if parameter.is_meta else (getattr(parameter, _MARK), version)
