"""The five nouns that move through SafeGen, left to right: values only, none imports torch.

    prompt, context ──► risk ──► policy ──► steering ──► audit ──► ledger
                      Scores    Decision   Intervention  Finding   Record

All are frozen and forbid unknown keys, so that a record can be replayed as it was written.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    model_validator,
)

Unit = Annotated[float, Field(ge=0, le=1)]
Value = float | bool | str  # what a variable of a condition is: a score, a fact, or a text
Values = Mapping[str, Value]
LARGEST_SEED = 2**48
"""Of a request: the ledger's canonical JSON holds integers below 2**53, and retries add to it."""
LARGEST_TRAINING_SEED = 2**32 - 1
"""Of what is learned or measured: numpy's and scikit-learn's generators take no larger one, and
times the block of seeds that each has, torch's still do."""


class Frozen(BaseModel):
    """A value: immutable, unknown keys are errors."""

    # Fields may be called model_…: of those names Pydantic keeps some for itself, and warns.
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Outcome(StrEnum):
    """What became of a request or an image; every path ends in one of these.

    In the order of gravity: of several outcomes, the gravest stands for all.
    """

    ALLOWED = "allowed"
    STEERED = "steered"
    BYPASSED = "bypassed"
    ALTERED = "altered"  # flagged, and returned blurred or as a placeholder
    REVIEW = "review"
    BLOCKED = "blocked"
    ERROR = "error"

    @property
    def gravity(self) -> int:
        """0 for `allowed`, rising to `error`."""
        return list(Outcome).index(self)

    @property
    def stops(self) -> bool:
        """Whether no image may be made: `review` and `blocked`."""
        return self in (Outcome.REVIEW, Outcome.BLOCKED)


# --- risk -------------------------------------------------------------------------------------


class Span(Frozen):
    """Where in the prompt a score or fact comes from: characters [start, end) of the original."""

    name: str
    start: int
    end: int


class Scores(Frozen):
    """What classifiers say of one prompt."""

    values: dict[str, Unit] = Field(default={}, description="risk scores by name, in [0, 1]")
    facts: dict[str, bool] = Field(default={}, description="facts by name: mentions a person …")
    spans: tuple[Span, ...] = ()
    classifiers: dict[str, str] = Field(
        default={},
        description="the classifiers that ran, by name -> sha256:… of settings and weights; empty "
        "for a plain function, which has none",
    )
    made_by: dict[str, str] = Field(
        default={}, description="score -> name of the classifier whose value it is"
    )


class Context(Frozen):
    """What the caller knows of a request; rules see all but the user as `request.*`."""

    tenant: str = ""
    user: str = Field(
        default="",
        repr=False,  # what prints a context is a log, say
        description="the platform's id of who asks, unique in the tenant; kept in the ledger as "
        "the policy's section `record` says, by default as an HMAC",
    )
    region: str = ""
    age_band: str = ""
    surface: str = ""
    images: int = Field(default=1, ge=1, description="how many images were asked for")
    seed: int = Field(
        default=0,
        ge=0,
        le=LARGEST_SEED,
        description="decides every random draw of the policy; a guard draws a fresh one for a "
        "request that says none",
    )


# --- policy and steering ----------------------------------------------------------------------


class Window(Frozen):
    """When during the denoising, and how far, a strength is in force.

    A fraction of the denoising is 1 - t/T at timestep t of T: 0 at pure noise, 1 at the image.
    """

    start: Unit = Field(default=0.0, description="fraction of the denoising at which it sets in")
    stop: Unit = Field(default=1.0, description="fraction of the denoising at which it ends")
    schedule: Literal["constant", "bell"] = Field(
        default="constant",
        description="over the window: constant, or rising from 0 to full in its middle and back",
    )
    gate: Literal["open", "projection"] = Field(
        default="open",
        description="open: always as strong; projection: only as far as the sample's own "
        "activation is from where the concept leads (at a negative strength, from where samples "
        "without it are), at each position",
    )


class Intervention(Window):
    """One concept at one strength over one window, for one sample of a batch."""

    concept: str
    strength: float = Field(default=1.0, description="in the unit below; negative turns away")
    unit: Literal["learned", "activation"] = Field(
        default="learned",
        description="learned: 1 is the vector as learned; activation: 1 is as long as a typical "
        "activation at the site, so that strengths transfer between vectors and models",
    )


Action = Literal["block", "review", "steer", "check", "mark"]
"""What a rule does, in a word: of several things the gravest."""
FiredAction = Literal[
    Action, "would_block", "would_review", "would_steer", "would_check", "would_mark"
]
"""What a rule that fired did; a shadow rule only would have."""


class FiredRule(Frozen):
    """A rule whose condition held, with the values it saw."""

    id: str
    action: FiredAction = Field(description="the gravest thing it does; of a shadow rule, would do")
    reason: str = ""
    values: dict[str, Value] = {}


class Check(Frozen):
    """An image with a finding of `label` by `detector` at or above `threshold` is flagged."""

    detector: str
    label: str
    threshold: Unit

    @property
    def parts(self) -> "tuple[Check, ...]":
        """The checks that it is made of: itself."""
        return (self,)

    @property
    def told(self) -> str:
        """The check in words."""
        return f"{self.detector}/{self.label} from {self.threshold:g}"


class Agreement(Frozen):
    """An image is flagged in which so many different detectors see something of a list."""

    at_least: int = Field(ge=2, description="how many different detectors")
    of: tuple[Check, ...] = Field(description="what each may see; several of one count once")

    @model_validator(mode="after")
    def _can_come_about(self) -> Self:
        detectors = {check.detector for check in self.of}
        if self.at_least > len(detectors):
            raise ValueError(
                f"at least {self.at_least} different detectors must agree, "
                f"`of` names {len(detectors)}"
            )
        return self

    @property
    def parts(self) -> tuple[Check, ...]:
        """The checks that it is made of."""
        return self.of

    @property
    def told(self) -> str:
        """The check in words."""
        return f"{self.at_least} of ({', '.join(sorted(check.told for check in self.of))})"


def _kind_of_check(value: object) -> str:
    # What is neither a mapping nor a model is no check at all, which `Check` then says.
    keys = value if isinstance(value, dict) else getattr(type(value), "model_fields", ())
    return Agreement.__name__ if {"at_least", "of"} & set(keys) else Check.__name__


AnyCheck = Annotated[
    Annotated[Check, Tag("Check")] | Annotated[Agreement, Tag("Agreement")],
    Discriminator(_kind_of_check),
]


class Reaction(Frozen):
    """One rung of the ladder climbed while an image stays flagged."""

    action: Literal["regenerate", "blur", "replace", "review", "block"] = Field(
        description="regenerate: from a new seed; blur, replace: return it so, as `altered`; "
        "review: no image until a person has looked; block: no image"
    )
    times: int = Field(default=1, ge=1, le=10, description="how often, for regenerate")
    strength: float = Field(default=1.5, gt=0, description="factor on strengths, for regenerate")
    add: tuple[Intervention, ...] = Field(
        default=(), description="what else to steer by, for regenerate; its strength is as given"
    )
    area: Literal["image", "boxes"] = Field(
        default="image",
        description="what to blur: the image, or the boxes of what was flagged; where one of these "
        "findings has no box, the image",
    )

    @model_validator(mode="after")
    def _fits_its_action(self) -> Self:
        if self.add and self.action != "regenerate":
            raise ValueError(f"`add` is for regenerate, not for {self.action}")
        if self.area != "image" and self.action != "blur":
            raise ValueError(f"`area` is for blur, not for {self.action}")
        return self

    @property
    def told(self) -> str:
        """The reaction in words."""
        if self.action == "regenerate":
            added = "".join(f", with {each.concept} x{each.strength:g}" for each in self.add)
            return f"regenerate {self.times} times, strengths x{self.strength:g}{added}"
        return "blur the boxes" if self.area == "boxes" else self.action


class Decision(Frozen):
    """What the policy says must happen to one request."""

    outcome: Outcome
    reason: str = Field(default="", description="reason code of the rule that decided")
    rules: tuple[FiredRule, ...] = ()
    interventions: tuple[tuple[Intervention, ...], ...] = Field(
        default=(), description="one tuple per image; empty tuples leave the image alone"
    )
    negative_prompt: str = Field(
        default="", description="guidance on the text side: what the images are steered away from"
    )
    checks: tuple[AnyCheck, ...] = ()
    ladder: tuple[Reaction, ...] = ()
    early_look: Unit | None = Field(
        default=None, description="fraction of the denoising at which a preview is looked at"
    )
    mark: bool = Field(
        default=False, description="whether images leave marked as generated, for machines to read"
    )
    policy: str = Field(description="name of the policy")
    policy_digest: str = Field(description="sha256:… of the policy's text and what it includes")


# --- audit ------------------------------------------------------------------------------------


class Finding(Frozen):
    """What a detector saw in one image."""

    detector: str
    detector_digest: str = Field(description="sha256:… of the detector's weights and settings")
    label: str
    score: Unit
    box: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None = Field(
        default=None, description="left, top, right, bottom in pixels; None: the whole image"
    )
    error: str = Field(
        default="",
        description="why the detector could not tell; the label is `error` then, the score 1, and "
        "the image does not pass",
    )


# --- ledger -----------------------------------------------------------------------------------

Kept = Literal["none", "hmac", "encrypted", "plain"]
"""How a record keeps a text: not at all, as a keyed HMAC, encrypted, or as it is."""


class SteeringReport(Frozen):
    """What steering really did: the sites hooked and the vectors added."""

    status: Literal["applied", "idle", "unavailable"]
    sites: tuple[str, ...] = ()
    vectors: dict[str, str] = Field(default={}, description="concept -> sha256:… of its vector")
    reason: str = Field(
        default="", description="why steering, or of it the negative prompt, was unavailable"
    )


class ImageRecord(Frozen):
    """The life of one image: its seed, its looks, what was done to it, what was returned."""

    seed: int = Field(le=2**53 - 1)
    outcome: Outcome
    sha256: str = Field(
        default="",
        description="of the returned image: of WIDTHxHEIGHT, a newline, and its RGB bytes; empty: "
        "none",
    )
    held: str = Field(default="", description="likewise, of the original kept for reviewers")
    marked: str = Field(
        default="", description="SHA-256 of the marked file that was returned, in hex; empty: none"
    )
    marked_by: str = Field(
        default="",
        description="what marked it as generated, and sha256:… of what vouches for that; "
        "`elsewhere`: what takes the image from the guard is to",
    )
    attempts: int = Field(default=1, ge=0, description="how often it was generated")
    actions: tuple[str, ...] = ()
    interventions: tuple[Intervention, ...] = ()
    findings: tuple[Finding, ...] = ()
    detectors: dict[str, str] = Field(
        default={},
        description="the detectors that looked at it, by name -> sha256:… of weights and settings; "
        "one that had no reason to is not among them",
    )
    reason: str = ""


class Record(Frozen):
    """One line of the ledger: everything needed to explain and replay a decision.

    Prompt and user are kept as the policy says; by default nothing in it names a person.
    """

    kind: Literal["request"] = "request"
    version: Literal[1] = 1
    id: str
    time: str = Field(description="UTC, ISO 8601")
    outcome: Outcome
    prompt_commitment: str = Field(
        description="hmac-sha256:… of the prompt under the ledger's key; empty if it is kept in "
        "another way, or not"
    )
    prompt: str = Field(
        default="", description="the prompt as it is, or encrypted: aes-256-gcm:…; mostly empty"
    )
    subject: str = Field(
        default="",
        description="hmac-sha256:… of the user's id, and the tenant if there is one, under the "
        "ledger's key: by it the records of a user are found, and erased",
    )
    masked: dict[str, Kept] = Field(
        default={},
        description="which fields (prompt, context.user) do not say what they were given, and how "
        "that is kept",
    )
    context: Context
    scores: Scores
    decision: Decision | None = None
    model_digest: str = ""
    sampler: dict[str, str | int | float] = {}
    steering: SteeringReport = SteeringReport(status="idle")
    images: tuple[ImageRecord, ...] = ()
    error: str = ""
    safegen: str = Field(description="version of SafeGen that wrote the record")


Details = dict[str, str | int | float | bool]


class Event(Frozen):
    """One line of the ledger that is not a request: what was done about one, or to the ledger."""

    kind: Literal["event"] = "event"
    version: Literal[1] = 1
    id: str
    time: str = Field(description="UTC, ISO 8601")
    what: str = Field(description="such as repaired, erased, purged, upheld, overturned, signed_in")
    actor: str = Field(default="", description="account that did it; empty: SafeGen itself")
    about: str = Field(
        default="", description="id of the record, or the subject, it is about; empty: the ledger"
    )
    reason: str = ""
    details: Details = {}
    safegen: str = Field(description="version of SafeGen that wrote the record")
