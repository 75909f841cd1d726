"""What a record keeps of prompt and user, and how to read back what it keeps encrypted.

An encrypted field is `aes-256-gcm:KEY_ID:BASE64` of nonce and ciphertext; the field's name and the
record's id are authenticated with it, so that it cannot be moved to another place.
"""

import base64
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from safegen.audit.ledger.event import happened
from safegen.audit.ledger.format import VERIFY
from safegen.audit.ledger.subjects import NONCE, SubjectKey
from safegen.audit.ledger.writer import Ledger
from safegen.errors import InputError, LedgerError
from safegen.nouns import Kept, Record
from safegen.policy.schema import Recording

PROMPT, USER = "prompt", "context.user"
_SEALED = "aes-256-gcm"


def masked(record: Record, prompt: str, recording: Recording, ledger: Ledger) -> Record:
    """The record of a request, as it is to be kept; its context names the user as given.

    Raises:
        OutputError: a key cannot be made or read, so it cannot be kept as it must.
        LedgerError: likewise.
    """
    user = record.context.user
    known = user and recording.user != "none"
    subject = ledger.commitments.user(user, record.context.tenant) if known else ""
    given: dict[str, tuple[str, Kept]] = {PROMPT: (prompt, recording.prompt)}
    if user:
        given[USER] = (user, recording.user)
    key = None
    if any(kept == "encrypted" for _, kept in given.values()):
        key = ledger.subjects.use(subject or subject_of(record), record.time[:10])

    def kept(field: str) -> str:
        text, how = given.get(field, ("", "none"))
        if key is not None and how == "encrypted":
            return _sealed(key, record.id, field, text)
        # No record holds half of a surrogate pair, which a prompt may: it is written as \\udXXX.
        return text.encode("utf-8", "backslashreplace").decode() if how == "plain" else ""

    return record.model_copy(
        update={
            "prompt_commitment": ledger.commitments.prompt(prompt)
            if recording.prompt == "hmac"
            else "",
            "prompt": kept(PROMPT),
            "subject": subject,
            "context": record.context.model_copy(update={"user": kept(USER)}),
            "masked": {field: how for field, (_, how) in given.items() if how != "plain"},
        }
    )


def subject_of(record: Record) -> str:
    """Whose key encrypts its fields: the user's, or one of the record alone."""
    return record.subject or f"record:{record.id}"


def key_of(record: Record) -> str:
    """The id of the key that encrypts its fields; empty if none is encrypted."""
    found = (text.split(":") for text in _encrypted(record).values())
    return next((parts[1] for parts in found if len(parts) == 3), "")


def keeps_plain_text(record: Record) -> bool:
    """Whether prompt or user stand in it as they were given, so that no erasing hides them."""
    kept = {PROMPT: record.prompt, USER: record.context.user}
    return any(text and field not in record.masked for field, text in kept.items())


def revealed(record: Record, ledger: Ledger, *, actor: str, erased: str = "") -> dict[str, str]:
    """The encrypted fields as they were given; that they are read is written down first.

    Args:
        record: of the ledger.
        ledger: open for writing.
        actor: who reads it.
        erased: when the ledger says that its key was, if it does.

    Raises:
        InputError: nothing in it is encrypted.
        LedgerError: its key was deleted, or does not fit.
        OutputError: the keys cannot be read.
    """
    fields = _encrypted(record)
    if not fields:
        raise InputError(
            f"the record {record.id} keeps nothing encrypted",
            "the policy in force when it was written says what was kept, in its section `record`",
        )
    keys = ledger.existing_subjects
    key = keys.find(key_of(record)) if keys else None
    if key is None and erased:
        raise LedgerError(
            f"the key {key_of(record)} that encrypts the record {record.id} was erased on "
            f"{erased[:10]}, as the ledger tells",
            "nothing brings it back: that is what erasing is for",
        )
    if key is None:
        raise LedgerError(
            f"the key {key_of(record)} that encrypts the record {record.id} is not in the ledger's "
            f"keys of subjects {ledger.subjects_at}",
            "if it was not erased on purpose, give the file that holds it: --subjects FILE",
        )
    told = happened("revealed", actor=actor, about=record.id, details={"fields": ", ".join(fields)})
    ledger.append(told)
    return {field: _opened(key, record.id, field, text) for field, text in fields.items()}


def _encrypted(record: Record) -> Mapping[str, str]:
    fields = {PROMPT: record.prompt, USER: record.context.user}
    return {f: text for f, text in fields.items() if record.masked.get(f) == "encrypted"}


def _sealed(key: SubjectKey, record_id: str, field: str, text: str) -> str:
    nonce, data = os.urandom(NONCE), text.encode("utf-8", "surrogatepass")
    sealed = nonce + AESGCM(key.key).encrypt(nonce, data, _about(record_id, field))
    return f"{_SEALED}:{key.id}:{base64.b64encode(sealed).decode()}"


def _opened(key: bytes, record_id: str, field: str, text: str) -> str:
    try:
        sealed = base64.b64decode(text.split(":")[2], validate=True)
        data = AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], _about(record_id, field))
    except (InvalidTag, ValueError, IndexError) as error:
        raise LedgerError(
            f"the field {field} of the record {record_id} is not what was encrypted",
            VERIFY,
        ) from error
    return data.decode("utf-8", "surrogatepass")


def _about(record_id: str, field: str) -> bytes:
    return f"{field}\n{record_id}".encode()
