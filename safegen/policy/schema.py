"""What a policy file may say. Every field's description is its documentation."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from safegen.nouns import Action, AnyCheck, Context, Frozen, Kept, Outcome, Reaction, Unit, Window
from safegen.risk.build import Settings
from safegen.risk.combine import ScoreName
from safegen.risk.lists import TermList

Name = ScoreName  # lists, classifiers and attributes are named as scores are
RuleId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]*$")]
DetectorName = Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$")]
Concept = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
ContextName = Literal["tenant", "region", "age_band", "surface"]
Strength = Annotated[
    float,
    Field(
        ge=-10,
        le=10,
        allow_inf_nan=False,
        description="1 is the strength the concept was learned at; negative turns away from it",
    ),
]
_OFF = 0.01  # three times 0.33 is meant as thirds


class Metadata(Frozen):
    """Which policy this is and who answers for it."""

    name: str = Field(min_length=1)
    version: str
    owner: str = ""
    description: str = ""


class Reason(Frozen):
    """Why a request stops."""

    reason: str = Field(min_length=1, description="a code that the caller is shown")


class Windowed(Window):
    """A strength over a window of the denoising."""

    strength: Strength = 1.0
    follow: Name | None = Field(
        default=None, description="a score of the prompt that the strength is multiplied by"
    )

    @model_validator(mode="after")
    def _starts_before_it_stops(self) -> Self:
        if self.start >= self.stop:
            raise ValueError(f"start {self.start:g} is not before stop {self.stop:g}")
        return self


class Steer(Windowed):
    """Add a concept while the image forms."""

    concept: Concept


class Fair(Windowed):
    """Draw an attribute for each image, to a target distribution over concepts."""

    attribute: Name = Field(
        description="what is drawn, e.g. gender; of two rules that draw the same, the first does"
    )
    target: dict[Concept, Annotated[float, Field(gt=0, le=1)]] = Field(
        min_length=2,
        description="concept -> its share of the images; the shares sum to 1, or are off by "
        f"{_OFF:g} at most, and are drawn as parts of their sum",
    )
    mode: Literal["quota", "random"] = Field(
        default="quota",
        description="quota: the images of one request meet the target as nearly as whole images "
        "can; random: each image is drawn by itself",
    )
    strengths: dict[Concept, Strength] = Field(
        default={}, description="concept -> its strength, where that is not `strength`"
    )

    def strength_of(self, concept: str) -> float:
        """The strength that a drawn concept is added at."""
        return self.strengths.get(concept, self.strength)

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = sum(self.target.values())
        if round(abs(total - 1), 9) > _OFF:
            raise ValueError(
                f"the target sums to {total:.6g}, expected 1; it may be off by {_OFF:g}, for "
                "shares that are rounded"
            )
        return self

    @model_validator(mode="after")
    def _strengths_of_the_target(self) -> Self:
        if unknown := sorted({*self.strengths} - {*self.target}):
            raise ValueError(
                f"strengths has {unknown[0]!r}, which is not in the target: "
                f"{', '.join(self.target)}"
            )
        return self


class Then(Frozen):
    """What a rule does. A rule may do several things at once."""

    block: Reason | None = Field(default=None, description="no image is made")
    review: Reason | None = Field(default=None, description="no image until a person has looked")
    steer: tuple[Steer, ...] = ()
    negative_prompt: str = Field(default="", description="what images are steered away from")
    fair: Fair | None = None
    check: tuple[AnyCheck, ...] = Field(default=(), description="made on the images of the request")
    mark: bool = Field(
        default=False,
        description="the images leave marked as generated, for machines to read; the guard's "
        "marker does it, and a guard without one is refused",
    )

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not any(getattr(self, name) for name in Then.model_fields):
            *names, last = Then.model_fields
            raise ValueError(f"the rule does nothing, expected {', '.join(names)} or {last}")
        return self

    @property
    def action(self) -> Action:
        """The gravest thing it does, in a word."""
        if self.block:
            return "block"
        if self.review:
            return "review"
        if self.steer or self.fair or self.negative_prompt:
            return "steer"
        return "check" if self.check else "mark"

    @property
    def reason(self) -> str:
        """The reason code, empty unless it stops the request."""
        stop = self.block or self.review
        return stop.reason if stop else ""


class Rule(Frozen):
    """When a condition holds, then something is done."""

    id: RuleId
    when: str = Field(description="CEL over score.NAME, fact.NAME and request.NAME")
    then: Then
    priority: int = Field(
        default=0,
        strict=True,
        ge=-1000,
        le=1000,
        description="of rules that are equally restrictive, that with the higher one holds: its "
        "reason is given, its draw is made; it goes before neither a graver outcome nor a lock",
    )
    enforce: Literal["on", "shadow"] = Field(
        default="on", description="shadow: record what it would have done, and do nothing"
    )
    locked: bool = Field(
        default=False, description="a policy that imports this one can neither change nor drop it"
    )


class Band(Frozen):
    """Where another detector is undecided."""

    detector: DetectorName
    label: str
    between: tuple[Unit, Unit] = Field(
        description="from the first score to the second, both included; what is not seen scores 0"
    )

    @model_validator(mode="after")
    def _rises(self) -> Self:
        low, high = self.between
        if low >= high:
            raise ValueError(f"between {low:g} and {high:g} there is nothing")
        return self


class DetectorUse(Frozen):
    """How a detector is used."""

    settings: dict[str, Any] = Field(
        default={}, description="what it is made with, such as the labels and prompts of `clip`"
    )
    timeout: float | None = Field(
        default=None,
        gt=0,
        le=3600,
        description="seconds that it may take over one image (over n images, n times as long); one "
        "that takes longer has failed, and no image passes",
    )
    when: Band | None = Field(
        default=None, description="it looks only at images about which another is undecided"
    )


def use_of(detectors: Mapping[str, DetectorUse], name: str) -> DetectorUse:
    """How a detector is used; one of which nothing is said looks at every image."""
    return detectors.get(name, DetectorUse())


# What a decision may come to; the other outcomes are of images, and of requests that fail.
Expected = Literal[Outcome.ALLOWED, Outcome.STEERED, Outcome.REVIEW, Outcome.BLOCKED]


class Case(Frozen):
    """A test of the policy: what must come of a prompt, or of scores."""

    prompt: str | None = None
    scores: dict[str, Unit] | None = Field(
        default=None,
        description="instead of a prompt, what its scores were, as records hold them; what is left "
        "out of them and of `facts` counts as 0 and as false",
    )
    context: Context = Context()
    expect: Expected
    rules: tuple[RuleId, ...] | None = Field(
        default=None, description="exactly the rules that must fire, in any order"
    )
    facts: dict[str, bool] = Field(
        default={}, description="facts that the prompt must give, or that go with the scores"
    )

    @model_validator(mode="after")
    def _has_one_of_both(self) -> Self:
        if (self.prompt is None) == (self.scores is None):
            raise ValueError("a test has either `prompt` or `scores`")
        return self

    @property
    def told(self) -> str:
        """The prompt, or the scores in words."""
        if self.scores is None:
            return str(self.prompt)
        return f"scores {', '.join(f'{name} = {value:g}' for name, value in self.scores.items())}"


def folded(value: str) -> str:
    """What values of a request's context are matched by."""
    return value.strip().casefold()


class KnownValues(Frozen):
    """The values that a policy knows of a text of the request."""

    values: tuple[str, ...] = Field(
        min_length=1,
        description="as its rules spell them; a request's value is matched whatever its case, and "
        "without blanks around it",
    )
    others: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="refuse: a request with another value ends as an error; allow: rules see it as "
        "it is. No value at all is always allowed",
    )

    @model_validator(mode="after")
    def _are_different(self) -> Self:
        seen: dict[str, str] = {"": ""}
        for value in self.values:
            if value != value.strip():
                raise ValueError(f"the value {value!r} has blanks around it, which none keeps")
            if (known := seen.get(folded(value))) is not None:
                raise ValueError(f"the value {value!r} is {known!r} again, expected each once")
            seen[folded(value)] = value
        return self


class EarlyLook(Frozen):
    """A look at what an image is going to be, while it is denoised."""

    at: Unit = Field(description="fraction of the denoising; the preview is rough before 0.5")


class Recording(Frozen):
    """What the ledger keeps of who asked for what, and for how long."""

    prompt: Kept = Field(
        default="hmac",
        description="none: not kept; hmac: under the ledger's key, so that its owner can check a "
        "guess; encrypted: under a key of the user, which can be erased; plain: as it is",
    )
    user: Kept = Field(default="hmac", description="the platform's id of the user, likewise")
    keep_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="`safegen audit purge --policy` deletes what is older; by default nothing is",
    )
    locked: bool = Field(
        default=False, description="a policy that imports this one cannot write the section anew"
    )


class PolicyFile(Frozen):
    """A whole policy."""

    apiVersion: Literal["safegen/v1"]  # noqa: N815 - the key's customary spelling in YAML
    metadata: Metadata
    imports: tuple[str, ...] = Field(
        default=(),
        max_length=32,
        description="policies that this one builds on: shipped packs by name, or files by their "
        "path from this one's folder; what stands here under the same name replaces what is there",
    )
    without: tuple[RuleId, ...] = Field(
        default=(), description="rules of the imported policies that are left out"
    )
    classifiers: dict[Name, Settings] = Field(
        default={}, description="classifiers beside the lists, by name, with their settings"
    )
    context: dict[ContextName, KnownValues] = Field(
        default={},
        description="what is known of a request, by name, and the values that the rules know of "
        "it; those of imports are known too, and what one of them refuses is refused",
    )
    lists: dict[Name, TermList] = {}
    rules: tuple[Rule, ...] = ()
    checks: tuple[AnyCheck, ...] = Field(default=(), description="made on every image")
    detectors: dict[DetectorName, DetectorUse] = Field(
        default={},
        description="how detectors are used; one that is named here looks at images even if no "
        "check needs it, and what it sees is recorded",
    )
    steering: Literal["required", "optional"] = Field(
        default="required",
        description="required: a model that cannot be steered, or does not read the policy's "
        "negative prompts, is refused; optional: it runs without, and every result and record says "
        "what was unavailable",
    )
    ladder: tuple[Reaction, ...] = Field(
        default=(),
        max_length=10,
        description="what happens to an image that a check flags, rung by rung; at the end: block",
    )
    early_look: EarlyLook | None = Field(
        default=None,
        description="the checks are made on a preview too; an image that they flag is ended there",
    )
    record: Recording = Recording()
    tests: tuple[Case, ...] = ()


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a policy file, for editors and other tools."""
    schema = PolicyFile.model_json_schema()
    models = [schema, *schema["$defs"].values()]
    for field in (field for model in models for field in model.get("properties", {}).values()):
        if "patternProperties" in field:
            field["additionalProperties"] = False  # pydantic leaves that out
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return about | schema | {"title": "SafeGen policy"}
