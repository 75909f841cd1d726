"""The five nouns as values."""

from pydantic import create_model

from safegen.nouns import Frozen


def test_no_name_of_a_field_is_kept_from_values() -> None:
    """Which names Pydantic keeps for itself differs by version; a record has `model_digest`."""
    made = create_model("Made", __base__=Frozen, model_dump_digest=(str, "sha256:0"))
    assert made().model_dump() == {"model_dump_digest": "sha256:0"}
