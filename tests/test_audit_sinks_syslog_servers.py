"""Syslog to the programs that people run: rsyslog, and HAProxy before it."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ledgers import ledger, record
from servers import certificate
from services import needs
from shippers import until

from safegen.audit.sinks import Shipper, sink_at
from safegen.errors import SinkError
from safegen.nouns import Context

RSYSLOG = """
global(maxMessageSize="64k" workDirectory="{folder}" defaultNetstreamDriverCAFile="{folder}/tls.pem"
  defaultNetstreamDriverCertFile="{folder}/tls.pem"
  defaultNetstreamDriverKeyFile="{folder}/tls.key")
module(load="imtcp" {tls})
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="message" type="string" string="%msg%\\n")
action(type="omfile" file="{folder}/got" template="message")
"""
GNUTLS = 'StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.Authmode="anon"'
HAPROXY = """
defaults
  mode tcp
  timeout connect 2s
  timeout client 30s
  timeout server 30s
listen syslog
  bind 127.0.0.1:{port}
  server gone 127.0.0.1:1
"""


def found(program: str, package: str) -> str:
    """Where a server's program is."""
    path = shutil.which(program, path="/usr/sbin:/usr/local/sbin:/usr/bin")
    needs(path is not None, program, f"apt-get install {package}")
    assert path is not None
    return path


@contextmanager
def running(port: int, *command: str) -> Iterator[None]:
    """A server, from when it listens."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: answers(port))
        yield
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("scheme", ["syslog", "syslog+tls"])
def test_rsyslog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Set up as the docs say, it gets long records whole; with GnuTLS too, and once."""
    program = found("rsyslogd", "rsyslog")
    driver = [*Path("/usr").glob("lib*/rsyslog/lmnsd_gtls.so")]
    driver += Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")
    needs(driver != [], "rsyslog's GnuTLS driver", "apt-get install rsyslog-gnutls")
    certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.pem"))
    port = free()
    tls = GNUTLS if scheme == "syslog+tls" else ""
    config = tmp_path / "rsyslog.conf"
    config.write_text(RSYSLOG.format(folder=tmp_path, port=port, tls=tls))
    long = record(1).model_copy(update={"context": Context(tenant="x" * 20_000)})
    folder = ledger(tmp_path / "ledger", record(0), long)
    pid = str(tmp_path / "pid")
    with running(port, program, "-n", "-f", str(config), "-i", pid):
        Shipper(folder, sink_at(f"{scheme}://127.0.0.1:{port}")).once()

    lines = [json.loads(line) for line in (tmp_path / "got").read_text().splitlines()]
    assert [line["seq"] for line in lines] == [0, 1]
    assert lines[1]["record"] == json.loads(long.model_dump_json())


def test_haproxy_without_a_receiver(tmp_path: Path) -> None:
    """It takes all, and ends the connection once nobody answers behind it."""
    program = found("haproxy", "haproxy")
    port = free()
    config = tmp_path / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port))
    folder = ledger(tmp_path / "ledger", record(0))
    with running(port, program, "-db", "-f", str(config)):
        with pytest.raises(SinkError, match="ended the connection first"):
            Shipper(folder, sink_at(f"syslog://127.0.0.1:{port}")).once()
