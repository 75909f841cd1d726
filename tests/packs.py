"""The shipped packs, by name, the file of words that they import, and what they decide."""

from functools import cache
from pathlib import Path

from safegen import Context, Policy
from safegen.nouns import Decision

WORDS = "default-words"  # lists alone, for others to import
PACKS = sorted(
    path.stem
    for path in (Path(__file__).parent.parent / "policies").glob("*.yaml")
    if path.stem != WORDS
)
GENDER, TONE = "fair.gender", "fair.tone"
"""The rules that draw a person's."""

loaded = cache(Policy.load)


def decided(prompt: str, pack: str = "default") -> Decision:
    """What a pack decides of a prompt."""
    return loaded(pack).assess(prompt, Context())[1]


def fired(decision: Decision) -> set[str]:
    """The rules behind a decision."""
    return {rule.id for rule in decision.rules}


def drawn(policy: Policy, prompt: str) -> set[str]:
    """Which of the rules that draw a person's fire on a prompt that is not stopped."""
    _, decision = policy.assess(prompt, Context())
    assert decision.outcome in ("allowed", "steered")
    return fired(decision) & {GENDER, TONE}
