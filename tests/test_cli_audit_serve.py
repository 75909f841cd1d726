"""`safegen audit serve`: a server that strangers cannot reach in the clear."""

import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ledgers import ledger
from typer.testing import CliRunner

from safegen.audit.ledger import entries
from safegen.audit.review.accounts import Accounts, Role
from safegen.cli.audit import app
from safegen.errors import InputError, LedgerError, MissingExtraError
from safegen.nouns import Event

WORDS = "four quiet paper boats"


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Servers can be interrupted, also where the tests run in the background and cannot."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty ledger with an account."""
    where = ledger(tmp_path / "ledger")
    with Accounts.open(where) as accounts:
        accounts.add("ann", Role.REVIEWER, WORDS)
    return where


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of this machine that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "cert.pem", tmp_path / "cert-key.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    paths[0].write_bytes(made.public_bytes(pem))
    paths[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return paths


@contextmanager
def serving(folder: Path, *options: str | Path) -> Iterator[int]:
    """The command in a process of its own; gives its port, and ends it as Ctrl+C does."""
    command = [sys.executable, "-m", "safegen", "audit", "serve", str(folder), "--port", "0"]
    command += ["--json", *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            assert httpx.URL(told["serving"]).port
            yield int(told["serving"].rstrip("/").rpartition(":")[2])
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 130


def sign_in(client: httpx.Client) -> httpx.Response:
    """By the form."""
    return client.post("/sign-in", data={"name": "ann", "password": WORDS})


def test_it_serves_until_interrupted(folder: Path) -> None:
    """One signs in, and the ledger tells; another host's name is refused."""
    with serving(folder) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        answer = sign_in(client)
        strange = client.get("/", headers={"host": "evil.example"})

    assert answer.status_code == 303
    assert "server" not in answer.headers
    assert strange.status_code == 400
    [told] = [entry for _, entry in entries(folder) if isinstance(entry, Event)]
    assert (told.what, told.actor, told.details) == ("signed_in", "ann", {"from": "127.0.0.1"})


def test_it_serves_on_an_address_in_brackets(folder: Path) -> None:
    """An IPv6 address stands in brackets in the address to open, and in what browsers ask for."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serving(folder, "--host", "0:0:0:0:0:0:0:1") as port:
        with httpx.Client(base_url=f"http://[::1]:{port}") as client:
            answer = sign_in(client)
            heads = {"origin": f"http://[::1]:{port}"}
            out = client.post("/sign-out", data={"csrf": "none"}, headers=heads)
            strange = client.get("/", headers={"host": "[::2]"})

    assert answer.status_code == 303
    assert "Sent by another site" not in out.text
    assert strange.status_code == 400


def test_it_speaks_tls(folder: Path, certificate: tuple[Path, Path]) -> None:
    """With a certificate, cookies are for https alone."""
    trusted = ssl.create_default_context(cafile=certificate[0])
    options = ("--certificate", certificate[0], "--certificate-key", certificate[1])
    with serving(folder, *options) as port:
        with httpx.Client(base_url=f"https://localhost:{port}", verify=trusted) as client:
            answer = sign_in(client)

    assert answer.headers["set-cookie"].startswith("__Host-safegen=")
    assert "Secure" in answer.headers["set-cookie"]


def test_behind_a_proxy_the_browser_is_known(folder: Path) -> None:
    """The address that the proxy names is the one that is recorded."""
    with serving(folder, "--behind-https", "--name", "review.example") as port:
        heads = {"host": "review.example", "x-forwarded-for": "192.0.2.7"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=heads) as client:
            sign_in(client)

    [told] = [entry for _, entry in entries(folder) if isinstance(entry, Event)]
    assert told.details == {"from": "192.0.2.7"}


def failure(*arguments: str | Path) -> BaseException | None:
    """What the command fails with."""
    return CliRunner().invoke(app, ["serve", *map(str, arguments)]).exception


def test_what_cannot_be_served_is_told(folder: Path, tmp_path: Path) -> None:
    """Nobody to sign in, passwords in the clear, a port that is taken, no images, another's key."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        errors = [
            failure(ledger(tmp_path / "other")),
            failure(folder, "--host", "0.0.0.0"),  # noqa: S104
            failure(folder, "--port", port),
            failure(folder, "--port", port, "--images", tmp_path / "typo"),
        ]
    other_key = failure(folder, "--key", tmp_path / "other" / "key.pem")

    parts = ("no accounts", "in the clear", "cannot listen", "no folder of held images")
    for error, part in zip(errors, parts, strict=True):
        assert isinstance(error, InputError)
        assert part in error.message
    assert not (tmp_path / "typo").exists()
    assert isinstance(other_key, LedgerError)
    assert isinstance(failure(tmp_path), LedgerError)


def test_a_certificate_is_read_before_anything_is_said(
    folder: Path, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    """A missing one, none at all, another's key: an error, and no word of serving."""
    other = tmp_path / "other.pem"
    other.write_text("no certificate")
    for files in ((tmp_path / "typo", certificate[1]), (other, certificate[1]), (certificate[0],)):
        given = zip(("--certificate", "--certificate-key"), map(str, files), strict=False)
        command = ["serve", str(folder), "--port", "0", *(each for pair in given for each in pair)]
        done = CliRunner().invoke(app, [*command, "--json"])

        assert isinstance(done.exception, InputError)
        assert str(files[0]) in done.exception.message
        assert done.stdout == ""


def test_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its packages the command says what to install."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    error = failure(folder)

    assert isinstance(error, MissingExtraError)
    assert error.mend == "pip install 'safegen[review]'"
