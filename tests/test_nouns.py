"""The five nouns as values."""

from typing import get_args

import pytest
from pydantic import ValidationError, create_model

from safegen.nouns import Action, FiredAction, FiredRule, Frozen, Outcome


def test_no_name_of_a_field_is_kept_from_values() -> None:
    """Which names Pydantic keeps for itself differs by version; a record has `model_digest`."""
    made = create_model("Made", __base__=Frozen, model_dump_digest=(str, "sha256:0"))
    assert made().model_dump() == {"model_dump_digest": "sha256:0"}


def test_of_a_request_that_stops_no_image_is_made() -> None:
    """What was shown in another way, or went wrong, is not stopped by the policy."""
    assert [each.value for each in Outcome if each.stops] == ["review", "blocked"]


def test_a_shadow_rule_would_do_whatever_a_rule_does() -> None:
    """Every action has its other form, and a record holds no further ones."""
    shadows = {f"would_{each}" for each in get_args(Action)}
    assert {*get_args(FiredAction)} == {*get_args(Action), *shadows}
    with pytest.raises(ValidationError):
        FiredRule.model_validate({"id": "a", "action": "would"})
