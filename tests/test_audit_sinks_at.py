"""Addresses of sinks."""

from pathlib import Path

import pytest

from safegen.audit.sinks import sink_at
from safegen.errors import InputError


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("postgresql://ann:hunter2@db.example:5433/audit", "postgresql://db.example:5433/audit"),
        ("postgres://db.example/audit?password=hunter2&user=ann", ""),
        ("postgresql://ann@/audit?host=/run/postgresql", "postgresql:///run/postgresql/audit"),
        ("syslog://siem.example", "syslog://siem.example:514"),
        ("syslog+tls://siem.example", "syslog+tls://siem.example:6514"),
        ("syslog+udp://siem.example:5140", "syslog+udp://siem.example:5140"),
        ("parquet:/srv/files", "parquet:/srv/files"),
    ],
)
def test_a_sink_is_called_by_its_address_without_the_password(to: str, told: str) -> None:
    """What people see says where the sink is, or is an error that says nothing of the password."""
    if told:
        assert sink_at(to).to == told
    else:
        with pytest.raises(InputError) as caught:
            sink_at(to)
        assert "hunter2" not in str(caught.value)


def test_a_relative_folder_is_the_same_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state is kept under where it is, not under how it was written."""
    monkeypatch.chdir(tmp_path)

    assert sink_at("parquet:files").to == f"parquet:{tmp_path}/files"


@pytest.mark.parametrize("to", ["", "parquet:", "mysql://ann:hunter2@host/db", "stdout:x", "otel:"])
def test_no_sink(to: str) -> None:
    """Anything else is refused, with the addresses that there are."""
    with pytest.raises(InputError, match="no sink has this address") as caught:
        sink_at(to)
    assert "hunter2" not in str(caught.value)
