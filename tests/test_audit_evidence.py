"""Evidence packs: whole, provable, harmless to open."""

import csv
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ledgers import FULL, event, index_changed, ledger, planted, record
from purging import day, days, purged

from safegen.audit.evidence import Packed, pack
from safegen.audit.filters import Filters
from safegen.audit.index import Index
from safegen.audit.ledger import verify
from safegen.errors import InputError, LedgerError, LedgerTamperedError, OutputError, PolicyError
from safegen.nouns import Context, Outcome
from safegen.policy import Policy
from safegen.policy.bundle import make_bundle

EVIL = FULL.model_copy(
    update={"id": "evil", "context": Context(tenant="=cmd()<script>alert(1)</script>")}
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger over several segments, with a verdict."""
    blocked = record(1, Outcome.BLOCKED)
    said = event(0, "upheld", blocked, actor="ann", reason="<b>right</b>")
    return ledger(tmp_path / "ledger", record(0), blocked, EVIL, said, segment_bytes=1)


def packed(folder: Path, out: Path, **options: object) -> Packed:
    """A pack of the records for which a person was or is needed."""
    filters = options.pop("filters", Filters())
    return pack(folder, filters, out, **options)  # type: ignore[arg-type]


def test_a_pack_proves_itself(folder: Path, tmp_path: Path) -> None:
    """What is in it verifies without the ledger that it comes from."""
    out = tmp_path / "evidence"
    made = packed(folder, out, filters=Filters(outcome=Outcome.BLOCKED))
    found = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]

    assert verify(out / "ledger") == made.verification
    assert (made.records, made.verification.records) == (1, 4)
    assert [each["record"]["outcome"] for each in found] == ["blocked"]
    assert [each["reason"] for each in found[0]["events"]] == ["<b>right</b>"]
    assert not (out / "ledger" / "key.pem").exists()
    assert "1 records were chosen: outcome blocked" in (out / "README.txt").read_text()


@pytest.mark.parametrize("name", ["pack", "pack.zip"])
def test_a_pack_is_for_who_made_it(folder: Path, tmp_path: Path, name: str) -> None:
    """Prompts may stand in it: no other account of the machine reads it."""
    out = tmp_path / name
    packed(folder, out)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (out, *out.rglob("*"))}

    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert {mode for path, mode in modes.items() if path.is_dir()} <= {0o700}


def test_the_verifier_needs_nothing_but_python(folder: Path, tmp_path: Path) -> None:
    """`verify.py` of the pack proves it in a Python without packages."""
    packed(folder, tmp_path / "evidence")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", "ledger"],
        cwd=tmp_path / "evidence",
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert "python verify.py ledger" in (tmp_path / "evidence" / "README.txt").read_text()


def test_a_zip_holds_the_same(folder: Path, tmp_path: Path) -> None:
    """A name that ends in .zip makes one file; nothing else is left beside it."""
    packed(folder, tmp_path / "evidence.zip")
    with zipfile.ZipFile(tmp_path / "evidence.zip") as archive:
        names = set(archive.namelist())

    assert {"evidence/README.txt", "evidence/summary.html", "evidence/records.csv"} <= names
    assert {"evidence/ledger/00000003.jsonl", "evidence/ledger/checkpoint.json"} <= names
    assert sorted(each.name for each in tmp_path.iterdir()) == ["evidence.zip", "ledger"]


def test_text_of_requests_is_only_text(folder: Path, tmp_path: Path) -> None:
    """Neither the page nor the table runs what a tenant or a reviewer wrote."""
    packed(folder, tmp_path / "evidence")
    page = (tmp_path / "evidence" / "summary.html").read_text()
    with (tmp_path / "evidence" / "records.csv").open(newline="") as file:
        tenants = [row["tenant"] for row in csv.DictReader(file)]

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;b&gt;right" in page
    assert "default-src 'none'" in page
    assert "'=cmd()<script>alert(1)</script>" in tenants


def test_a_tampered_ledger_is_no_evidence(folder: Path, tmp_path: Path) -> None:
    """Nothing is written from a ledger that does not verify."""
    with Index.open(folder) as index:
        index.update()
    path = folder / "00000000.jsonl"
    path.write_bytes(path.read_bytes().replace(b"acme", b"evil"))
    with pytest.raises(LedgerTamperedError):
        packed(folder, tmp_path / "evidence")

    assert not (tmp_path / "evidence").exists()


def test_policies_are_those_that_decided(tmp_path: Path) -> None:
    """A policy goes in under its digest; one that decided nothing is refused."""
    policy = Policy.load("default")
    decided = record(0, policy="default")
    assert decided.decision is not None
    decision = decided.decision.model_copy(update={"policy_digest": policy.digest})
    ledger(tmp_path / "ledger", decided.model_copy(update={"decision": decision}))
    made = packed(tmp_path / "ledger", tmp_path / "evidence", policies=["default"])
    (name,) = made.policies

    assert name == f"{policy.digest.removeprefix('sha256:')}.json"
    assert Policy.load(tmp_path / "evidence" / "policies" / name).digest == policy.digest
    (tmp_path / "default.bundle").write_bytes(make_bundle("default"))
    given = [str(tmp_path / "default.bundle")]
    bundled = packed(tmp_path / "ledger", tmp_path / "b", policies=given)
    assert bundled.policies == made.policies
    with pytest.raises(InputError, match="none of the chosen records"):
        packed(tmp_path / "ledger", tmp_path / "other", policies=["strict"])
    assert not (tmp_path / "other").exists()


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    """A pack that is there stays as it is, and nothing was begun; nor with a wrong policy."""
    begun: list[bool] = []
    (tmp_path / "evidence").mkdir()
    with pytest.raises(OutputError, match="there already"):
        packed(folder, tmp_path / "evidence", begin=lambda: begun.append(True))
    with pytest.raises(PolicyError):
        packed(folder, tmp_path / "e", policies=["nosuch"], begin=lambda: begun.append(True))

    assert begun == []


def test_what_a_killed_pack_left_goes_with_the_next(folder: Path, tmp_path: Path) -> None:
    """A copy of the ledger outlives nobody's retention; what is new, or no pack, stays."""
    names = (".e.zip.aaaaaaaa", ".e.zip.bbbbbbbb", ".e.zip.cccccccc", ".f.zip.dddddddd")
    old, new, other, elsewhere = (tmp_path / name for name in names)
    for left in (old, new, elsewhere):
        (left / "evidence/ledger").mkdir(parents=True)
    (other / "mine").mkdir(parents=True)
    for left in (old, other, elsewhere):
        os.utime(left, (0, 0))
    packed(folder, tmp_path / "e.zip")

    assert not old.exists()
    assert new.is_dir()
    assert other.is_dir()
    assert elsewhere.is_dir()


def test_a_ledger_that_is_purged_as_it_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is begun again, and holds what the purge left."""
    copy = shutil.copyfile
    folder = days(tmp_path / "ledger")

    def purging(source: Path, target: Path) -> object:
        if source.name == "00000000.jsonl":
            purged(folder, day(2))
        return copy(source, target)

    monkeypatch.setattr("safegen.audit.evidence.shutil.copyfile", purging)
    made = packed(folder, tmp_path / "evidence")

    assert not (tmp_path / "evidence/ledger/00000000.jsonl").exists()
    assert verify(tmp_path / "evidence/ledger") == made.verification
    assert made.records == 6


def test_what_the_index_hides_or_makes_up_changes_no_pack(folder: Path, tmp_path: Path) -> None:
    """Which records fit, and what is said of them, comes from the copy that was verified."""
    blocked = Filters(outcome=Outcome.BLOCKED)
    packed(folder, tmp_path / "before", filters=blocked)
    (start,) = planted(folder, (9, event(1, "overturned", record(1), actor="ada")))
    made_up = "INSERT INTO events VALUES (9, 0, 'overturned', 'ada', ?, -1, ?)"
    index_changed(folder, made_up, record(1).id, start)
    index_changed(folder, "DELETE FROM records WHERE seq = 1")
    made = packed(folder, tmp_path / "after", filters=blocked)

    assert made.records == 1
    before, after = (
        (tmp_path / name / "records.jsonl").read_bytes() for name in ("before", "after")
    )
    assert before == after
    assert not list((tmp_path / "after").rglob("index*"))


def test_a_folder_without_a_ledger_gives_no_pack(tmp_path: Path) -> None:
    """It is told before anything is begun."""
    with pytest.raises(LedgerError, match="is not a ledger"):
        packed(tmp_path, tmp_path / "evidence", begin=lambda: pytest.fail("begun"))


def test_a_ledger_that_cannot_be_read_is_no_disk_that_is_full(folder: Path, tmp_path: Path) -> None:
    """The error names the ledger's file and not the pack."""
    (folder / "public.pem").unlink()
    (folder / "public.pem").mkdir()
    with pytest.raises(LedgerError, match=r"cannot read the ledger .*public\.pem"):
        pack(folder, Filters(), tmp_path / "pack")

    assert not (tmp_path / "pack").exists()
