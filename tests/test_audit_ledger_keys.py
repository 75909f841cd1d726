"""The ledger's keys: whose they are, what is committed to under them, where they are missing."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from writers import outcome, script

from safegen.audit.ledger import Ledger, verify
from safegen.audit.ledger.keys import Commitments
from safegen.errors import LedgerError, LedgerTamperedError


def test_key_is_for_its_owner_only(tmp_path: Path) -> None:
    """The private key is made at first use with mode 0600, wherever it is kept."""
    Ledger.open(tmp_path / "ledger").close()
    Ledger.open(tmp_path / "apart", key=tmp_path / "keys" / "mine.pem").close()

    assert (tmp_path / "ledger" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys" / "mine.pem").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "apart" / "key.pem").exists()


def test_a_text_is_another_as_a_prompt_and_as_a_user() -> None:
    """Who asked for their own name cannot be found by it."""
    commitments = Commitments(Ed25519PrivateKey.generate())

    assert commitments.prompt("alice") == commitments.prompt("alice")
    assert commitments.prompt("alice") != commitments.user("alice")


def test_the_same_id_in_two_tenants_is_two_users() -> None:
    """Wherever the tenant's name ends and the id begins; without a tenant it is a third one."""
    user = Commitments(Ed25519PrivateKey.generate()).user
    pairs = [("alice", ""), ("alice", "A"), ("alice", "B"), ("e", "Aalic"), ("1:Aalice", "")]
    pairs += [("", "1"), ("1:", "1"), ("x", "1:"), (":x", "1")]

    assert len({user(*pair) for pair in pairs}) == len(pairs)
    assert user("alice", "A") == user("alice", "A")


def test_an_id_is_the_same_in_each_of_its_spellings() -> None:
    """Keyboards write `ü` as one letter or as two; capitals are others."""
    user = Commitments(Ed25519PrivateKey.generate()).user

    for tenant in ("", "acme"):
        assert user("m\u00fcller", tenant) == user("mu\u0308ller", tenant)
        assert user("m\u00fcller", tenant) != user("M\u00fcller", tenant)


def test_other_keys_are_refused(tmp_path: Path) -> None:
    """A ledger is written on with the key that began it, no other and no new one."""
    key = tmp_path / "mine.pem"
    Ledger.open(tmp_path / "ledger", key=key).close()
    Ledger.open(tmp_path / "other").close()

    with pytest.raises(LedgerError, match="does not belong to"):
        Ledger.open(tmp_path / "ledger", key=tmp_path / "other" / "key.pem")
    with pytest.raises(LedgerError, match="the key that signed them is not at"):
        Ledger.open(tmp_path / "ledger")
    with pytest.raises(LedgerError, match="cannot read the ledger's private key"):
        Ledger.open(tmp_path / "ledger", key=tmp_path / "ledger" / "public.pem")
    Ledger.open(tmp_path / "ledger", key=key).close()


def test_commitments_are_keyed(tmp_path: Path) -> None:
    """The same prompt gives the same commitment in one ledger, another in every other."""
    with Ledger.open(tmp_path / "a") as ledger:
        first, different = (
            ledger.commitments.prompt("a nurse"),
            ledger.commitments.prompt("a nurse "),
        )
    with Ledger.open(tmp_path / "a") as ledger:
        again = ledger.commitments.prompt("a nurse")
    with Ledger.open(tmp_path / "b") as ledger:
        elsewhere = ledger.commitments.prompt("a nurse")

    assert first.startswith("hmac-sha256:")
    assert len(first) == len("hmac-sha256:") + 64
    assert first == again
    assert len({first, different, elsewhere}) == 3


def test_any_text_can_be_committed_to(tmp_path: Path) -> None:
    """A prompt that is not valid Unicode gets a commitment too, since it may reach a model."""
    with Ledger.open(tmp_path) as ledger:
        assert ledger.commitments.prompt("\ud800") != ledger.commitments.prompt("\udfff")


def test_no_ledger_is_no_tampering(tmp_path: Path) -> None:
    """A folder without a ledger is told as such."""
    with pytest.raises(LedgerError, match="is not a ledger") as caught:
        verify(tmp_path)

    assert not isinstance(caught.value, LedgerTamperedError)


def test_unreadable_aids_are_no_tampering(tmp_path: Path) -> None:
    """A mistyped path of key or checkpoint is not blamed on the ledger."""
    Ledger.open(tmp_path / "ledger").close()
    for aid in ({"public_key": tmp_path / "no"}, {"checkpoint": tmp_path / "no"}):
        with pytest.raises(LedgerError, match="no") as caught:
            verify(tmp_path / "ledger", **aid)
        assert not isinstance(caught.value, LedgerTamperedError)


def test_a_public_key_that_may_not_be_read_is_not_lost() -> None:
    """Another account is told how it may, and not to restore what is there."""
    body = """
from safegen.audit.ledger import verify
Ledger.open(folder).close()
os.chmod(f"{folder}/public.pem", 0)
if os.getuid() == 0:
    os.chmod(folder, 0o755)
    os.seteuid(65534)
try:
    verify(folder)
except LedgerError as error:
    print(error)
"""
    with TemporaryDirectory() as folder:
        code, out, err = outcome(script(body, Path(folder)))

    assert code == 0, err
    assert "Permission denied" in out
    assert "mend: let this account read the ledger" in out
