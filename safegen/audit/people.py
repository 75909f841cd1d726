"""Whose records they are: a user by the platform's id, in every tenant that has one of this id."""

from dataclasses import dataclass

from safegen.audit.filters import Filters
from safegen.audit.index import Index
from safegen.audit.ledger.keys import Commitments
from safegen.audit.ledger.subjects import SubjectKeys
from safegen.errors import InputError
from safegen.nouns import Record

_LISTED = 10  # users of one id


@dataclass(frozen=True)
class User:
    """A user as the platform knows them, for who has the ledger's private key."""

    id: str
    commitments: Commitments

    def subjects(
        self, index: Index, tenant: str = "", keys: SubjectKeys | None = None
    ) -> dict[str, str]:
        """Who it is in the ledger, where there are records: tenant -> subject.

        Args:
            index: of the ledger, up to date; it knows the tenants.
            tenant: the only one that is meant; by default each, and none: the empty text.
            keys: of the subjects; who has one there counts too, also if all records are purged.

        Raises:
            InputError: no record is of this user.
        """
        tenants = [tenant] if tenant else ["", *index.names.of("tenant")]
        known = {each: self.commitments.user(self.id, each) for each in tenants}
        found = {each: whose for each, whose in known.items() if _is_known(whose, index, keys)}
        if not found:
            raise InputError(
                f"no record is of the user {self.id!r}{_of(tenant)}",
                "write the id as the platform gives it, letter by letter, and where the tenant's "
                "records are purged, the tenant; records kept with `user: none` are nobody's",
            )
        return found

    def only_subject(self, index: Index, tenant: str = "", keys: SubjectKeys | None = None) -> str:
        """The same, where one is meant.

        Raises:
            InputError: no record is of this user, or there is one of this id in several tenants.
        """
        found = self.subjects(index, tenant, keys)
        found = {whose: each for each, whose in found.items()}  # of a tenant in two forms, once
        if len(found) > 1:
            listed = list(found.items())[:_LISTED]
            told = "; ".join(f"{subject}{_of(each)}" for subject, each in listed)
            more = f"; and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
            raise InputError(
                f"{len(found)} users have the id {self.id!r}: {told}{more}",
                "say which: --tenant, or --subject where there is no tenant",
            )
        return next(iter(found))

    def narrow(self, index: Index, filters: Filters) -> Filters:
        """The filters, for this user's records alone.

        Raises:
            InputError: no record is of this user.
        """
        subjects = tuple(self.subjects(index, filters.tenant).values())
        return filters.model_copy(update={"subjects": subjects})


def known_subject(index: Index, subject: str, keys: SubjectKeys | None = None) -> str:
    """A subject as it was typed, in full: of `record:ID` the beginning of an id is enough.

    Who has a key counts too, also if all records are purged; of `record:ID` then the whole id.

    Raises:
        InputError: no record is of this subject.
        LedgerError: no record has this id, or several ids begin so.
    """
    if _is_known(subject, index, keys):
        return subject
    prefix, _, record_id = subject.partition(":")
    if prefix == "record" and record_id:
        seq = index.find(record_id, for_good=True)
        _, record = index.record(seq)
        return _alone(record)
    raise InputError(
        f"no record is of the subject {subject!r}",
        "give it whole, as `safegen audit show` tells it: hmac-sha256:… of a user, or "
        "record:ID of a record that names none",
    )


def _is_known(subject: str, index: Index, keys: SubjectKeys | None) -> bool:
    return bool(index.count_of(subject) or (keys and keys.of(subject)))


def _alone(record: Record) -> str:
    if record.subject:
        raise InputError(
            f"the record {record.id} is of a user, under whose key it is with all their others",
            f"to erase all of them: --subject {record.subject}",
        )
    return f"record:{record.id}"


def _of(tenant: str) -> str:
    return f" of the tenant {tenant!r}" if tenant else ""
