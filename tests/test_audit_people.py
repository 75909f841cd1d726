"""Users by the platform's id: of each tenant another one, and found in all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledgers import ALICE, asked, record

from safegen.audit.filters import Filters
from safegen.audit.index import Index
from safegen.audit.ledger import Ledger
from safegen.audit.people import User, known_subject
from safegen.audit.search import every
from safegen.errors import InputError, LedgerError

TENANTS = ("", "A", "B", "A")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Alice asked without a tenant, twice in A and once in B; Bob in C; somebody, unnamed."""
    with Ledger.open(tmp_path) as opened:
        for number, tenant in enumerate(TENANTS):
            asked(opened, record(number, tenant=tenant))
        asked(opened, record(4, tenant="C"), user="bob-1234")
        asked(opened, record(5, tenant="C"), user="")
        yield opened


@pytest.fixture
def index(ledger: Ledger) -> Iterator[Index]:
    """Of that ledger."""
    with Index.open(ledger.folder) as opened:
        opened.update()
        yield opened


def test_a_user_is_another_in_each_tenant(ledger: Ledger, index: Index) -> None:
    """Each has a subject and a key of its own, and all of them are found by the id."""
    alice = User(ALICE, ledger.commitments)
    found = alice.subjects(index)

    assert list(found) == ["", "A", "B"]
    assert len({ledger.subjects.of(subject) for subject in found.values()} - {""}) == 3
    assert alice.subjects(index, "B") == {"B": found["B"]}
    assert [row.seq for row in every(index, alice.narrow(index, Filters()))] == [3, 2, 1, 0]
    assert [row.seq for row in every(index, alice.narrow(index, Filters(tenant="A")))] == [3, 1]


def test_one_of_several_must_be_named(ledger: Ledger, index: Index) -> None:
    """Who is in three tenants is not taken for one; the error tells each, and how to say which."""
    alice = User(ALICE, ledger.commitments)
    with pytest.raises(InputError, match=f"3 users have the id {ALICE!r}") as caught:
        alice.only_subject(index)

    for tenant, subject in alice.subjects(index).items():
        assert subject in str(caught.value)
        assert not tenant or f"of the tenant {tenant!r}" in str(caught.value)
    assert "--tenant" in str(caught.value)
    assert alice.only_subject(index, "A") == alice.subjects(index)["A"]
    assert User("bob-1234", ledger.commitments).only_subject(index)


def test_of_many_the_first_are_listed(tmp_path: Path) -> None:
    """A platform of many tenants gets an error that can be read."""
    with Ledger.open(tmp_path) as ledger, Index.open(tmp_path) as index:
        for number in range(12):
            asked(ledger, record(number, tenant=f"t{number}"))
        index.update()
        with pytest.raises(InputError, match="12 users have the id") as caught:
            User(ALICE, ledger.commitments).only_subject(index)

    assert str(caught.value).count("hmac-sha256:") == 10
    assert "; and 2 more" in str(caught.value)


@pytest.mark.parametrize(("user", "tenant"), [("Alice", ""), (f"{ALICE} ", ""), (ALICE, "C")])
def test_nobody_is_an_error(ledger: Ledger, index: Index, user: str, tenant: str) -> None:
    """A slip of the pen, or another tenant's user, is not somebody of whom nothing is kept."""
    with pytest.raises(InputError, match="no record is of the user"):
        User(user, ledger.commitments).only_subject(index, tenant)


def test_subjects_are_completed(ledger: Ledger, index: Index) -> None:
    """The beginning of a record's id is enough, as for `show`; no other record's key is meant."""
    mine, nobodys = record(0), record(5)
    (subject,) = User("bob-1234", ledger.commitments).subjects(index).values()

    assert known_subject(index, f"record:{nobodys.id[:8]}") == f"record:{nobodys.id}"
    assert known_subject(index, subject) == subject
    with pytest.raises(InputError, match="is of a user, under whose key"):
        known_subject(index, f"record:{mine.id}")
    with pytest.raises(LedgerError, match=r"no record in .* with an id starting with 'ffff'"):
        known_subject(index, "record:ffff")
    with pytest.raises(LedgerError, match="several records"):
        known_subject(index, "record:0")
    for text in ("garbage", "record:", subject[:20]):
        with pytest.raises(InputError, match="no record is of the subject"):
            known_subject(index, text)


@pytest.mark.parametrize("number", ["0", "00", "0000000"])
def test_a_number_is_no_id(tmp_path: Path, number: str) -> None:
    """What stands beside an id in a list could begin another one's: nobody is erased by it."""
    with Ledger.open(tmp_path) as ledger, Index.open(tmp_path) as index:
        nobodys = asked(ledger, record(5), user="")
        index.update()

        with pytest.raises(LedgerError, match="at least 8 characters of a record's id"):
            known_subject(index, f"record:{number}")
        assert known_subject(index, f"record:{nobodys.id[:8]}") == f"record:{nobodys.id}"


def test_a_tenant_is_one_in_any_form(tmp_path: Path) -> None:
    """As their users are: composed letters, or letters with marks."""
    composed, parted = "M\u00fcller GmbH", "Mu\u0308ller GmbH"
    with Ledger.open(tmp_path) as ledger, Index.open(tmp_path) as index:
        for number, tenant in enumerate((composed, parted)):
            asked(ledger, record(number, tenant=tenant))
        index.update()
        alice = User(ALICE, ledger.commitments)

        assert alice.only_subject(index, composed) == alice.only_subject(index, parted)
        assert index.count_of(alice.only_subject(index)) == 2
