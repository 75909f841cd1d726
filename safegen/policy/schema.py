"""What a policy file may say. Every field's description is its documentation."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from safegen.nouns import Check, Context, Frozen, Outcome, Reaction, Unit
from safegen.risk.terms import TermList

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
RuleId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]*$")]


class Metadata(Frozen):
    """Who the policy is."""

    name: str
    version: str
    owner: str = ""
    description: str = ""


class Reason(Frozen):
    """Why a request stops: a code for machines, shown to the caller."""

    reason: str = Field(min_length=1)


class Steer(Frozen):
    """Add a concept while the image forms."""

    concept: str
    strength: float = 1.0
    start: Unit = 0.0
    stop: Unit = 1.0


class Fair(Frozen):
    """Draw an attribute for each image, to a target distribution over concepts."""

    target: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(min_length=2)
    strength: float = 1.0
    start: Unit = 0.0
    stop: Unit = 1.0
    mode: Literal["quota", "random"] = Field(
        default="quota",
        description="quota: the images of one request meet the target as nearly as whole images "
        "can; random: each image is drawn by itself",
    )

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        if abs(sum(self.target.values()) - 1) > 0.01:
            raise ValueError(f"the target sums to {sum(self.target.values()):.3g}, expected 1")
        return self


class Then(Frozen):
    """What a rule does. A rule may do several things at once."""

    block: Reason | None = None
    review: Reason | None = None
    steer: tuple[Steer, ...] = ()
    negative_prompt: str = ""
    fair: Fair | None = None
    check: tuple[Check, ...] = ()

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("the rule does nothing: give block, review, steer, fair or check")
        return self

    @property
    def action(self) -> str:
        """The gravest thing it does, in a word."""
        if self.block:
            return "block"
        if self.review:
            return "review"
        if self.steer or self.fair or self.negative_prompt:
            return "steer"
        return "check"


class Rule(Frozen):
    """When a condition (CEL over score.*, fact.*, request.*) holds, then something is done."""

    id: RuleId
    when: str
    then: Then
    enforce: Literal["on", "shadow"] = Field(
        default="on", description="shadow: record what it would have done, and do nothing"
    )


class Case(Frozen):
    """A test of the policy: what must come of a prompt."""

    prompt: str
    context: Context = Context()
    expect: Outcome
    rules: tuple[RuleId, ...] | None = Field(
        default=None, description="exactly the rules that must fire, in any order"
    )


class PolicyFile(Frozen):
    """A whole policy."""

    apiVersion: Literal["safegen/v1"]
    metadata: Metadata
    lists: dict[Name, TermList] = {}
    rules: tuple[Rule, ...] = Field(min_length=1)
    checks: tuple[Check, ...] = Field(default=(), description="made on every image")
    ladder: tuple[Reaction, ...] = ()
    tests: tuple[Case, ...] = ()

    @model_validator(mode="after")
    def _unique_ids(self) -> Self:
        seen: set[str] = set()
        for rule in self.rules:
            if rule.id in seen:
                raise ValueError(f"two rules are called {rule.id!r}")
            seen.add(rule.id)
        return self
