"""Errors get through pickles, copies and process pools as they are."""

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from safegen.audit.ledger import Ledger, verify
from safegen.audit.ledger.event import happened
from safegen.errors import (
    InputError,
    LedgerTamperedError,
    MissingExtraError,
    PolicyError,
    SafeGenError,
    Tampering,
    UnknownConceptError,
)
from safegen.policy import Policy

ERRORS = [
    InputError("a", "b"),
    UnknownConceptError("no concept 'x'", "the store has: y"),
    MissingExtraError("torch", "diffusers", "steering"),
    PolicyError("bad", source="p.yaml", line=3, column=2, mend="mend it"),
    LedgerTamperedError("m", 3, "x", kind=Tampering.ALTERED),
]


def unpickled(error: SafeGenError) -> SafeGenError:
    """What comes of its pickle."""
    made: SafeGenError = pickle.loads(pickle.dumps(error))  # noqa: S301 - its own
    return made


@pytest.mark.parametrize("again", [unpickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_copy_says_the_same(error: SafeGenError, again: Callable[[Any], Any]) -> None:
    """Whatever the constructor takes: message, mend and what else an error knows stay."""
    made = again(error)

    assert type(made) is type(error)
    assert str(made) == str(error)
    assert vars(made) == vars(error)


def test_a_process_pool_tells_of_them(tmp_path: Path) -> None:
    """It raises what its worker raised; one that cannot be unpickled would break the pool."""
    with Ledger.open(tmp_path) as ledger:
        ledger.append(happened("upheld"))
    segment = tmp_path / "00000000.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b"upheld", b"upholX"))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        with pytest.raises(LedgerTamperedError) as told:
            pool.submit(verify, tmp_path).result()
        with pytest.raises(PolicyError, match=r"^nope: cannot read the policy"):
            pool.submit(Policy.load, "nope").result()

    assert (told.value.seq, told.value.kind) == (0, Tampering.ALTERED)


def test_a_message_is_not_quoted() -> None:
    """Also that of the one which is a KeyError, for `Mapping.get`."""
    assert str(UnknownConceptError("no concept 'x'")) == "no concept 'x'"
