"""Detectors by name: one line registers, `load_detector` finds."""

from collections.abc import Callable
from importlib.metadata import entry_points
from inspect import signature
from typing import Any, TypeVar

from safegen.audit.detectors.base import Detector
from safegen.errors import InputError

GROUP = "safegen.detectors"
"""The group of entry points in which other packages name their detectors."""

Factory = TypeVar("Factory", bound=Callable[..., Detector])
_FACTORIES: dict[str, Callable[..., Detector]] = {}


def register(name: str) -> Callable[[Factory], Factory]:
    """Register a class or function that makes a detector: `@register("mine")` above it.

    Raises:
        InputError: another one has that name.
    """

    def add(factory: Factory) -> Factory:
        if _FACTORIES.setdefault(name, factory) is not factory:
            raise InputError(
                f"expected a new name for a detector, {name!r} is registered already",
                "choose another name",
            )
        return factory

    return add


def detector_names() -> list[str]:
    """The names that `load_detector` knows, sorted."""
    return sorted({*_FACTORIES, *(point.name for point in entry_points(group=GROUP))})


def load_detector(name: str, **settings: Any) -> Detector:
    """Make the detector called `name`, with its own settings.

    A detector of SafeGen wins over an entry point of the same name.

    Raises:
        InputError: no detector has that name, or it has no such setting.
        MissingExtraError: its package is not installed; the message names the extra.
        DetectorError: its weights are missing or not those of its card.
        UnknownModelError: the model named in its settings cannot be found.
    """
    factory = _FACTORIES.get(name)
    if factory is None:
        points = entry_points(group=GROUP, name=name)
        if not points:
            raise InputError(
                f"there is no detector {name!r}; there are {', '.join(detector_names())}",
                f"correct the name, or install the package with such an entry point of {GROUP}",
            )
        factory = next(iter(points)).load()
    try:
        signature(factory).bind(**settings)
    except TypeError as error:
        raise InputError(
            f"the detector {name!r} cannot be made with the settings {sorted(settings)}: {error}",
            f"its settings are {', '.join(signature(factory).parameters)}",
        ) from error
    try:
        return factory(**settings)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"the detector {name!r} cannot be made with {settings!r}: {error}",
            "give each setting a value of the kind that the detector's documentation says",
        ) from error
