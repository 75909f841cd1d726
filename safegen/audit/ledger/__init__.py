"""The ledger: append-only, hash-chained, signed records of every request.

`Ledger` writes a folder; `verify`, `entries`, `read` and `find` need nothing but that folder:

    00000000.jsonl    segments: one canonical JSON line (RFC 8785) a record
    checkpoint.json   signed: how many records there are, and the hash of the last
    public.pem        verifies
    key.pem           signs, and keys the commitments to prompts; better kept elsewhere
    lock, lock.queue  let one process write at a time
"""

from safegen.audit.ledger.query import entries, find, read
from safegen.audit.ledger.verify import Verification, verify
from safegen.audit.ledger.writer import Entry, Ledger

__all__ = ["Entry", "Ledger", "Verification", "entries", "find", "read", "verify"]
