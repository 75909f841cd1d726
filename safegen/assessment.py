"""`Assessment`: what was decided about a request before it is served."""

import secrets
from types import NoneType
from typing import Self

from safegen.arguments import demand
from safegen.errors import InputError
from safegen.nouns import Context, Decision, Scores
from safegen.policy import Policy

_FRESH = 2**32  # so many seeds are drawn from: every generator takes them


class Assessment(tuple[Scores, Decision]):
    """What the policy says of one request: its scores, and the decision.

    It also knows the prompt and the context, so that it serves that request and no other. These are
    part of neither, and no record takes them from here.
    """

    prompt: str
    context: Context

    def __new__(cls, prompt: str, context: Context, scores: Scores, decision: Decision) -> Self:
        """Of a prompt in a context."""
        made = super().__new__(cls, (scores, decision))
        made.prompt, made.context = prompt, context
        return made

    @classmethod
    def by(cls, policy: Policy, prompt: str, context: Context | None) -> Self:
        """What a policy says; see `Guard.assess`."""
        context = seeded(context)
        return cls(prompt, context, *policy.assess(prompt, context))

    def __getnewargs__(self) -> tuple[str, Context, Scores, Decision]:
        return self.prompt, self.context, *self

    def amended(self, decision: Decision) -> "Assessment":
        """The same with another decision about the same request."""
        return Assessment(self.prompt, self.context, self[0], decision)


def seeded(context: Context | None) -> Context:
    """The context, with a fresh seed if none was said: one for all would draw the same for all.

    Raises:
        InputError: it is no context.
    """
    demand("context", context, (Context, NoneType), "give a `Context`, or none")
    context = context or Context()
    if "seed" in context.model_fields_set:
        return context
    return context.model_copy(update={"seed": secrets.randbelow(_FRESH)})


def seed_of(context: Context | None, decided: Assessment | None) -> int:
    """The seed of a request that gives none: its context's, its decision's, or a fresh one."""
    said = context is not None and "seed" in context.model_fields_set
    if isinstance(decided, Assessment) and not said:
        context = decided.context
    return seeded(context).seed


def demand_decided(decided: Assessment, prompt: str, context: Context, policy: Policy) -> None:
    """Check that a decision is about this request, by the policy in force.

    Raises:
        InputError: it is not; the message names neither prompt nor user.
    """
    again = "ask Guard.assess again, with the context, images and seed that you generate with"
    if not isinstance(decided, Assessment):
        raise InputError(
            f"expected as `decided` what Guard.assess gave, got a {type(decided).__name__}",
            "pass on what it gave, or an `Assessment` that says of which prompt and context it is",
        )
    decision = decided[1]
    if decision.policy_digest != policy.digest:
        # Its checks may name detectors that do not look any more.
        raise InputError(
            f"the decision is that of the policy {decision.policy_digest}, in force is "
            f"{policy.digest}",
            again,
        )
    differing = ["prompt"] if decided.prompt != prompt else []
    for name in Context.model_fields:
        before, now = getattr(decided.context, name), getattr(context, name)
        if before != now:
            numbers = f": decided for {before}, asked for {now}" if isinstance(now, int) else ""
            differing.append(f"{name}{numbers}")
    if differing:
        raise InputError(
            f"the decision was made for another request, it differs in {'; '.join(differing)}",
            again,
        )
    if len(decision.interventions) not in (0, context.images):
        raise InputError(
            f"the decision has interventions for {len(decision.interventions)} images, asked for "
            f"{context.images}",
            "give one tuple of interventions per image, or none at all",
        )
