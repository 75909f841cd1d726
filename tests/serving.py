"""A guard for the tiny model, by a policy that does one thing about every prompt."""

from pathlib import Path

from safegen.adapters.sampler import Sampler
from safegen.audit.ledger import Ledger
from safegen.guard import Guard
from safegen.guarded import Result
from safegen.policy import Policy
from safegen.testing import random_vector

HEAD = 'apiVersion: safegen/v1\nmetadata: {name: small, version: "1"}\n'
STEER = "steer: [{concept: calm, strength: 2.0}]"
FEW = Sampler(3, 5.0)


def policy(*then: str, steering: str = "required") -> Policy:
    """A policy that does this about every prompt."""
    rule = f"rules: [{{id: all, when: 'true', then: {{{', '.join(then)}}}}}]\n"
    return Policy(f"{HEAD}steering: {steering}\n{rule}")


def guard(ledger: Path, policy: Policy) -> Guard:
    """A guard for the tiny model."""
    calm = random_vector("calm", {"mid_block": (32,)}, activation_norm=1.0)
    return Guard(policy, {"calm": calm}, [], Ledger.open(ledger))


def pixels(result: Result) -> list[bytes]:
    """The images of a result."""
    return [image.image.tobytes() for image in result.images if image.image]
