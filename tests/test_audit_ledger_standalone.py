"""The verifier that leaves with evidence; `test_audit_ledger_verify` compares every verdict."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from shutil import copy

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import ledger, record
from writers import fill

from safegen.audit.ledger import Ledger, standalone, verify
from safegen.audit.ledger.standalone import checker, verify_ed25519
from safegen.errors import LedgerError, LedgerTamperedError
from safegen.nouns import Outcome

SCRIPT = Path(standalone.__file__)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the script where nothing but the standard library is."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
    )


def test_needs_the_standard_library_only() -> None:
    """Every import is of the standard library."""
    names = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(SCRIPT.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else
                     [alias.name for alias in node.names])
    }  # fmt: skip
    assert names <= sys.stdlib_module_names


def test_says_what_verify_says(tmp_path: Path) -> None:
    """A sound ledger exits 0 with the same counts as `verify`, against a kept checkpoint too."""
    fill(tmp_path, 3)
    kept = copy(tmp_path / "checkpoint.json", tmp_path / "kept.json")
    fill(tmp_path, 2)
    text, told = run(tmp_path), run(tmp_path, "--json", "--checkpoint", kept)

    assert (text.returncode, told.returncode) == (0, 0), text.stderr + told.stderr
    assert text.stdout.startswith("intact: 5 records in 1 segments")
    assert json.loads(told.stdout) == {"intact": True} | verify(tmp_path).model_dump()


def test_the_record_is_named_by_its_own_id(tmp_path: Path) -> None:
    """Not by that of a rule that fired, which stands before it in the line."""
    folder = ledger(tmp_path / "ledger", record(7, Outcome.BLOCKED))
    segment = folder / "00000000.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"blocked"', b'"allowed"'))
    named = f"record 0 was changed: it does not match its hash (record id {record(7).id})"

    assert named in run(folder).stdout
    with pytest.raises(LedgerTamperedError, match=re.escape(named)):
        verify(folder)


def test_names_what_was_tampered_with(tmp_path: Path) -> None:
    """A tampered ledger exits 1 with the kind and the number; no ledger exits 2."""
    fill(tmp_path / "ledger", 3)
    segment = tmp_path / "ledger" / "00000000.jsonl"
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:2]))
    told, nothing = run(tmp_path / "ledger", "--json"), run(tmp_path)
    error = json.loads(told.stdout)["error"]

    assert (told.returncode, nothing.returncode) == (1, 2)
    assert (error["kind"], error["seq"]) == ("truncated", 2)


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 95), st.integers(1, 255))
def test_ed25519_agrees_with_a_library(message: bytes, place: int, mask: int) -> None:
    """Signatures hold; with any byte of key or signature changed they do not."""
    key = Ed25519PrivateKey.generate()
    good = key.public_key().public_bytes_raw() + key.sign(message)
    bad = bytearray(good)
    bad[place] ^= mask

    assert verify_ed25519(good[:32], message, good[32:])
    assert not verify_ed25519(bytes(bad[:32]), message, bytes(bad[32:]))
    assert not verify_ed25519(good[:32], message + b"x", good[32:])


@pytest.mark.parametrize("pem", [b"", b"x", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END-----\n"])
def test_other_keys_are_refused(pem: bytes) -> None:
    """What is no Ed25519 public key is told as such."""
    with pytest.raises(ValueError, match="public key"):
        checker(pem)


def test_what_may_not_be_read_was_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint without permission is no alarm about tampering."""

    def refused(*_: object) -> None:
        raise PermissionError("not yours")

    ledger = tmp_path / "ledger"
    Ledger.open(ledger).close()
    monkeypatch.setattr(standalone, "read_checkpoint", refused)
    with pytest.raises(LedgerError, match="cannot read the ledger"):
        verify(ledger)
