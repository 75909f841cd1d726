"""Requests that give no seed get one of their own, which is told, so that they can be asked again.

With one seed for all of them, a request for one image would show the same person for ever.
"""

from pathlib import Path
from typing import Any

import pytest
from serving import FEW, HEAD, pixels

from safegen.assessment import Assessment
from safegen.audit.ledger import Ledger, read
from safegen.errors import InputError
from safegen.guard import Guard
from safegen.nouns import Context, Outcome
from safegen.policy import Policy
from safegen.testing import random_vector, tiny_pipeline

TARGET = "{woman: 0.5, man: 0.5}"
FAIR = f"rules: [{{id: all, when: 'true', then: {{fair: {{attribute: g, target: {TARGET}}}}}}}]\n"
MANY = 64  # of which all are the same in one run of 2^63


@pytest.fixture
def fair(tmp_path: Path) -> Guard:
    """A guard of a policy that draws a person for every request."""
    vectors = {name: random_vector(name, {"mid_block": (32,)}) for name in ("woman", "man")}
    return Guard(Policy(HEAD + FAIR), vectors, [], Ledger.open(tmp_path / "ledger"))


def drawn(decided: Assessment) -> str:
    """Who is shown in the one image of a request."""
    ((one,),) = decided[1].interventions
    return one.concept


@pytest.mark.parametrize("context", [None, Context(user="alice")])
def test_over_many_requests_everybody_is_drawn(fair: Guard, context: Context | None) -> None:
    """Each is decided by a seed of its own, and by that one the same again."""
    decided = [fair.assess("a cook", context) for _ in range(MANY)]
    again = [fair.assess("a cook", each.context) for each in decided]

    assert {drawn(each) for each in decided} == {"woman", "man"}
    assert again == decided


def test_who_gives_a_seed_gets_its_draw(fair: Guard) -> None:
    """The default of a context as well, if it is given and not left out."""
    for seed in (0, 7):
        decided = fair.assess("a cook", Context(seed=seed))
        assert decided.context.seed == seed
        assert {drawn(fair.assess("a cook", Context(seed=seed))) for _ in range(4)} == {
            drawn(decided)
        }


def test_a_request_without_a_seed_can_be_asked_again(fair: Guard, tmp_path: Path) -> None:
    """The result, its images and the record say which was drawn; with it, every bit is the same."""
    with fair, fair.attach(tiny_pipeline(), other_model=True) as guarded:
        one, other = (guarded.generate("a cook", sampler=FEW) for _ in range(2))
        again = guarded.generate("a cook", seed=one.seed, sampler=FEW)
        expected = fair.assess("a cook", Context(seed=one.seed))
    seeds = [record.context.seed for _, record in read(tmp_path / "ledger")]

    assert one.outcome == Outcome.STEERED
    assert one.seed == again.seed != other.seed
    assert seeds == [one.seed, other.seed, one.seed]
    assert one.images[0].seed == one.seed
    assert one.decision == again.decision == expected[1]
    assert pixels(one) == pixels(again) != pixels(other)


@pytest.mark.parametrize("context", [None, Context(user="alice")])
def test_what_was_decided_without_a_seed_is_served(fair: Guard, context: Context | None) -> None:
    """By the seed that the decision was drawn with."""
    with fair, fair.attach(tiny_pipeline(), other_model=True) as guarded:
        decided = fair.assess("a cook", context)
        result = guarded.generate("a cook", context=context, sampler=FEW, decided=decided)

    assert result.seed == decided.context.seed
    assert result.images[0].interventions == decided[1].interventions[0]


def test_the_seed_of_a_context_is_that_of_the_request(fair: Guard) -> None:
    """One beside it goes before, and another than was decided is refused."""
    asked: dict[str, Any] = {"context": Context(seed=7), "sampler": FEW}
    with fair, fair.attach(tiny_pipeline(), other_model=True) as guarded:
        decided = fair.assess("a cook", Context(seed=8))
        assert guarded.generate("a cook", **asked).seed == 7
        assert guarded.generate("a cook", seed=9, **asked).seed == 9
        with pytest.raises(InputError, match="seed: decided for 8, asked for 7"):
            guarded.generate("a cook", decided=decided, **asked)
