"""Whose records they are: a user by the platform's id, in every tenant that has one of this id."""

from dataclasses import dataclass

from safegen.audit.filters import Filters
from safegen.audit.index import Index
from safegen.audit.ledger.keys import Commitments
from safegen.errors import InputError
from safegen.nouns import Record


@dataclass(frozen=True)
class User:
    """A user as the platform knows them, for who has the ledger's private key."""

    id: str
    commitments: Commitments

    def subjects(self, index: Index, tenant: str = "") -> dict[str, str]:
        """Who it is in the ledger, where there are records: tenant -> subject.

        Args:
            index: of the ledger, up to date; it knows the tenants.
            tenant: the only one that is meant; by default each, and none: the empty text.

        Raises:
            InputError: no record is of this user.
        """
        tenants = [tenant] if tenant else ["", *index.names.of("tenant")]
        known = {each: self.commitments.user(self.id, each) for each in tenants}
        found = {each: subject for each, subject in known.items() if index.count_of(subject)}
        if not found:
            raise InputError(
                f"no record is of the user {self.id!r}{_of(tenant)}",
                "write the id as the platform gives it, letter by letter; records kept with "
                "`user: none` are nobody's",
            )
        return found

    def only_subject(self, index: Index, tenant: str = "") -> str:
        """The same, where one is meant.

        Raises:
            InputError: no record is of this user, or there is one of this id in several tenants.
        """
        found = self.subjects(index, tenant)
        if len(found) > 1:
            told = "; ".join(f"{subject}{_of(each)}" for each, subject in found.items())
            raise InputError(
                f"{len(found)} users have the id {self.id!r}: {told}",
                "say which: --tenant, or --subject where there is no tenant",
            )
        return next(iter(found.values()))

    def narrow(self, index: Index, filters: Filters) -> Filters:
        """The filters, for this user's records alone.

        Raises:
            InputError: no record is of this user.
        """
        subjects = tuple(self.subjects(index, filters.tenant).values())
        return filters.model_copy(update={"subjects": subjects})


def known_subject(index: Index, subject: str) -> str:
    """A subject as it was typed, in full: of `record:ID` the beginning of an id is enough.

    Raises:
        InputError: no record is of this subject.
        LedgerError: no record has this id, or several ids begin so.
    """
    prefix, _, record_id = subject.partition(":")
    if prefix == "record" and record_id:
        seq = index.find(record_id)
        _, record = index.record(seq)
        return _alone(record)
    if not index.count_of(subject):
        raise InputError(
            f"no record is of the subject {subject!r}",
            "give it whole, as `safegen audit show` tells it: hmac-sha256:… of a user, or "
            "record:ID of a record that names none",
        )
    return subject


def _alone(record: Record) -> str:
    if record.subject:
        raise InputError(
            f"the record {record.id} is of a user, under whose key it is with all their others",
            f"to erase all of them: --subject {record.subject}",
        )
    return f"record:{record.id}"


def _of(tenant: str) -> str:
    return f" of the tenant {tenant!r}" if tenant else ""
