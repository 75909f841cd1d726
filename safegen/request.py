"""`Request`: what was asked of an attached guard, checked, on its way through the stages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from safegen.arguments import demand
from safegen.assessment import Assessment, seed_of
from safegen.audit.detectors import Stage
from safegen.audit.ledger.failures import told, traced, without
from safegen.diagnostics import Diagnostics
from safegen.errors import InputError, SafeGenError
from safegen.nouns import LARGEST_SEED, Context, ImageRecord, Outcome
from safegen.policy import Policy

if TYPE_CHECKING:
    from safegen.adapters.sampler import Sampler

_HALF = re.compile(r"[\ud800-\udfff]")
_LONGEST = 2000  # characters of what the caller says beside the prompt: it stands on record
_THEN = "; then "
_log = Diagnostics("safegen")


@dataclass(frozen=True)
class InForce:
    """A policy, and the detectors as it uses them; they change together."""

    policy: Policy
    stage: Stage


@dataclass(frozen=True)
class Request:
    """One request on its way through the stages."""

    prompt: str
    context: Context
    sampler: "Sampler"
    bypass: str
    in_force: InForce
    set_up: dict[str, str] = field(default_factory=dict, compare=False)
    """How the model was set up as it made the images, by name; as long as it made none, empty."""

    @classmethod
    def of(
        cls,
        prompt: str,
        context: Context | None,
        sampler: "Sampler | None",
        bypass: str,
        in_force: InForce,
        *,
        images: int,
        seed: int | None,
        decided: Assessment | None,
    ) -> Self:
        """That of arguments which a caller without types may give as well.

        Raises:
            InputError: one is out of range or of another type, or a text of the context or `bypass`
                is longer than 2,000 characters or holds half of a surrogate pair.
        """
        from safegen.adapters.sampler import Sampler

        demand("prompt", prompt, str, "give one prompt a request, and call it once for each")
        demand("context", context, (Context, NoneType), "give a `Context`, or none")
        demand("sampler", sampler, (Sampler, NoneType), "give a `Sampler`, or none")
        demand("bypass", bypass, str, "give the reason as a text")
        if seed is None:
            seed = seed_of(context, decided)
        told = (context or Context()).model_dump() | {"images": images, "seed": seed}
        for name, text in (told | {"bypass": bypass}).items():
            if isinstance(text, str):
                _demand_recordable(name, text)
        try:
            return cls(prompt, Context(**told), sampler or Sampler(), bypass, in_force)
        except ValidationError as invalid:
            first = invalid.errors(include_url=False)[0]
            raise InputError(
                f"{first['loc'][0]}: {first['msg']}, got {first['input']!r}",
                f"ask for at least one image, with a seed from 0 to {LARGEST_SEED}",
            ) from invalid

    @property
    def policy(self) -> Policy:
        """What it is decided by."""
        return self.in_force.policy

    def demand_readable(self) -> None:
        """Check that a model can read the prompt; policies read any text.

        Raises:
            InputError: it cannot.
        """
        if half := _HALF.search(self.prompt):
            raise InputError(
                f"the prompt holds half of a surrogate pair, at character {half.start()}, which no "
                "model reads",
                "decode what the user sent as UTF-8",
            )

    def note(self, settings: Mapping[str, str]) -> None:
        """Take down how the model is set up; what was another way for images before, after that."""
        before = dict(self.set_up) or settings
        for name in {**before, **settings}:
            now, ways = settings.get(name, "none"), before.get(name, "none").split(_THEN)
            self.set_up[name] = _THEN.join(ways if ways[-1] == now else [*ways, now])

    def without_names(self, text: str) -> str:
        """The text without prompt and user, which an error may quote."""
        return without(text, "[hidden]", self.prompt, self.context.user)

    def without_names_in(self, image: ImageRecord) -> ImageRecord:
        """The image, with prompt and user hidden in what a detector said that could not tell."""
        if image.outcome != Outcome.ERROR:
            return image
        findings = (
            each.model_copy(update={"error": self.without_names(each.error)})
            for each in image.findings
        )
        told = {"reason": self.without_names(image.reason), "findings": tuple(findings)}
        return image.model_copy(update=told)

    def log(self, what: str, failure: BaseException) -> str:
        """Tell of a failure, and return what the record may say of it.

        Neither holds its variables, nor words of other code: they have the prompt in them.
        """
        error = told(failure, self.prompt, self.context.user)
        mend = failure.mend or "" if isinstance(failure, SafeGenError) else ""
        _log.error(what, error=error, mend=self.without_names(mend), traceback=traced(failure))
        return error


def _demand_recordable(name: str, text: str) -> None:
    if len(text) > _LONGEST:
        raise InputError(
            f"expected at most {_LONGEST} characters as {name}, got {len(text)}",
            "shorten it: it is for the record of the request",
        )
    if _HALF.search(text):
        raise InputError(
            f"expected text as {name}, got half of a surrogate pair in {text!r}",
            "decode it as UTF-8: no record could hold it",
        )
