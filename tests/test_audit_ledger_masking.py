"""What a record keeps of prompt and user: as the policy says, and nothing beside it."""

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import ALICE, SECRET, asked, holding, record
from writers import outcome, script

from safegen.audit.index import Index
from safegen.audit.ledger import Ledger, entries, verify
from safegen.audit.ledger.masking import key_of, revealed
from safegen.errors import InputError, LedgerError, OutputError
from safegen.nouns import Event, Record
from safegen.policy.schema import Recording

KEPT = st.sampled_from(["none", "hmac", "encrypted", "plain"])
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


def test_by_default_only_hmacs_are_kept(tmp_path: Path) -> None:
    """Prompt and user are in no file; their commitments are, each under a key of its own."""
    with Ledger.open(tmp_path) as ledger:
        kept = asked(ledger, record(0), Recording(), prompt=ALICE)
    with Index.open(tmp_path) as index:
        index.update()

    assert kept.masked == {"prompt": "hmac", "context.user": "hmac"}
    assert kept.prompt_commitment.startswith("hmac-sha256:")
    assert kept.subject.startswith("hmac-sha256:")
    assert kept.subject != kept.prompt_commitment
    assert kept.prompt == kept.context.user == ""
    assert holding(tmp_path, ALICE) == []
    assert not (tmp_path / "subjects.sqlite").exists()


@settings(max_examples=60, deadline=None)
@given(KEPT, KEPT, TEXTS, TEXTS)
def test_every_mode_keeps_what_it_says(
    prompt_kept: str, user_kept: str, prompt: str, user: str
) -> None:
    """Whatever the texts, plain ones read as given, encrypted ones when revealed, no others."""
    recording = Recording.model_validate({"prompt": prompt_kept, "user": user_kept})
    with TemporaryDirectory() as folder, Ledger.open(folder) as ledger:
        kept = asked(ledger, record(0), recording, prompt=prompt, user=user)
        sealed = {f: how for f, how in kept.masked.items() if how == "encrypted"}
        given = {"prompt": prompt, "context.user": user}
        if sealed:
            assert revealed(kept, ledger, actor="os:ann") == {f: given[f] for f in sealed}
        else:
            with pytest.raises(InputError, match="keeps nothing encrypted"):
                revealed(kept, ledger, actor="os:ann")

        assert bool(kept.prompt_commitment) == (prompt_kept == "hmac")
        assert bool(kept.subject) == bool(user and user_kept != "none")
        assert (kept.prompt == prompt) >= (prompt_kept == "plain")
        assert (kept.context.user == user) >= (user_kept == "plain")
        assert kept.masked.get("prompt") == (None if prompt_kept == "plain" else prompt_kept)
        assert verify(folder).records == 1 + bool(sealed)


def test_encrypted_is_in_no_file(tmp_path: Path) -> None:
    """Neither text stands anywhere in ledger, index or key store, nor does the user's key."""
    with Ledger.open(tmp_path) as ledger:
        kept = asked(ledger, record(0))
        key = ledger.subjects.find(key_of(kept))
        assert key is not None
        assert holding(tmp_path, ALICE, SECRET, key) == []
    with Index.open(tmp_path) as index:
        index.update()

    assert kept.prompt.startswith(f"aes-256-gcm:{key_of(kept)}:")
    assert kept.prompt_commitment == ""
    assert holding(tmp_path, ALICE, SECRET, key) == []


def test_a_field_cannot_be_moved(tmp_path: Path) -> None:
    """What is encrypted belongs to its record and field, also where the key is the same."""
    with Ledger.open(tmp_path) as ledger:
        one, two = (asked(ledger, record(number)) for number in range(2))
        for forged in (
            two.model_copy(update={"prompt": one.prompt}),
            one.model_copy(update={"prompt": one.context.user}),
            one.model_copy(update={"prompt": f"aes-256-gcm:{key_of(one)}:AAAA"}),
            one.model_copy(update={"prompt": "nothing of ours"}),
        ):
            with pytest.raises(LedgerError, match=r"field prompt .* is not what was encrypted"):
                revealed(forged, ledger, actor="os:ann")


def test_who_reads_is_written_down_first(tmp_path: Path) -> None:
    """Revealing is an event about the record; where that cannot be written nothing is shown."""
    ledger = Ledger.open(tmp_path)
    kept = asked(ledger, record(0))
    revealed(kept, ledger, actor="os:ann")
    _, event = list(entries(tmp_path))[-1]
    assert isinstance(event, Event)
    assert (event.what, event.actor, event.about) == ("revealed", "os:ann", kept.id)
    assert event.details == {"fields": "prompt, context.user"}

    ledger.close()
    with pytest.raises(LedgerError, match="was closed"):
        revealed(kept, ledger, actor="os:ann")


def test_without_a_user_the_record_has_a_key_of_its_own(tmp_path: Path) -> None:
    """Two requests of nobody share no key, also where the policy keeps no user."""
    nameless = Recording(prompt="encrypted", user="none")
    with Ledger.open(tmp_path) as ledger:
        kept = [asked(ledger, record(0), user=""), asked(ledger, record(1), nameless)]
        assert [ledger.subjects.of(f"record:{each.id}") for each in kept] == list(map(key_of, kept))

    assert [each.subject for each in kept] == ["", ""]
    assert key_of(kept[0]) != key_of(kept[1])
    assert kept[1].masked == {"prompt": "encrypted", "context.user": "none"}


def test_without_its_key_nothing_is_written(tmp_path: Path) -> None:
    """A key store that cannot be written, or read, refuses the record."""
    locked = tmp_path / "keys.sqlite"
    with Ledger.open(tmp_path / "ledger", subjects=locked) as ledger:
        asked(ledger, record(0))
        other = sqlite3.connect(locked, isolation_level=None)
        other.execute("DROP TABLE keys")
        with pytest.raises(OutputError, match=r"(?s)cannot write the keys of subjects .*mend"):
            asked(ledger, record(1))
        other.close()
    missing = tmp_path / "missing" / "keys.sqlite"
    with (
        Ledger.open(tmp_path / "ledger", subjects=missing) as ledger,
        pytest.raises(OutputError, match=r"keys\.sqlite"),
    ):
        asked(ledger, record(2))

    assert verify(tmp_path / "ledger").records == 1


FORKED = """
from safegen.audit.ledger.masking import masked, revealed
from safegen.policy.schema import Recording

def ask(number):
    made = record(number).model_copy(update={"context": Context(user=f"user-{number}")})
    kept = masked(made, "a prompt", Recording(prompt="encrypted"), ledger)
    ledger.append(kept)
    return kept

ledger = Ledger.open(folder)
first = ask(0)
child = os.fork()
for number in range(1, 30):
    kept = ask(number)
    assert revealed(kept, ledger, actor="x") == revealed(first, ledger, actor="x")
ledger.close()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_uses_the_same_keys(tmp_path: Path) -> None:
    """A child opens the store anew: both make keys at once, and each reads what it wrote."""
    code, _, err = outcome(script(FORKED, tmp_path))

    assert code == 0, err
    assert verify(tmp_path).records == 1 + 2 * 29 * 3


def test_older_records_read_as_before(tmp_path: Path) -> None:
    """A record from before these fields has none of them, and is read."""
    old = record(0).model_dump(mode="json", exclude={"prompt", "subject", "masked"})
    del old["context"]["user"]

    assert Record.model_validate(old) == record(0)
