"""A PostgreSQL server of the tests' own, in a folder that goes with it; and certificates."""

import ipaddress
import os
import shutil
import socket
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pg8000.dbapi
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from services import needs

_PASSWORD = "p%w@rd"  # noqa: S105 - of a server that nobody else reaches


class Server:
    """A cluster with the superuser `postgres`, on a free port of 127.0.0.1 and on a socket."""

    def __init__(self) -> None:
        found = [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), None]
        needs(found[0] is not None, "a PostgreSQL server", "apt-get install postgresql")
        assert found[0] is not None
        self._bin = found[0]
        self.folder = Path(tempfile.mkdtemp(prefix="safegen-postgres-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # PostgreSQL refuses to run as root.
        self._as = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        password = self.folder / "password"
        password.write_text(_PASSWORD)
        if self._as:
            shutil.chown(self.folder, "postgres")
            shutil.chown(password, "postgres")
        auth = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}"]
        self._run("initdb", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", *auth)

    def start(self, *settings: str) -> None:
        """Start, and wait until it answers."""
        options = [
            f"port={self.port}",
            f"unix_socket_directories={self.folder}",
            "listen_addresses=127.0.0.1",
            "fsync=off",
            *settings,
        ]
        flags = " ".join(f"-c {option}" for option in options)
        log = str(self.folder / "log")
        self._run("pg_ctl", "-w", "-l", log, "-o", flags, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop at once, as a crash would."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def remove(self) -> None:
        """Take its folder away."""
        shutil.rmtree(self.folder)

    def database(self, name: str, encoding: str = "UTF8") -> str:
        """Make a database; its URL over TCP, with the password."""
        connection = self.connect("postgres")
        connection.autocommit = True
        connection.cursor().execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' "
            "LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        connection.close()
        return f"postgresql://postgres:p%25w%40rd@127.0.0.1:{self.port}/{name}"

    def connect(self, database: str) -> pg8000.dbapi.Connection:
        """A connection of the test's own."""
        path = f"{self.folder}/.s.PGSQL.{self.port}"
        return pg8000.dbapi.connect("postgres", unix_sock=path, database=database)

    def rows(self, url: str, query: str) -> list[tuple[object, ...]]:
        """What a query gives, in the database of this URL."""
        connection = self.connect(url.rpartition("/")[2])
        try:
            cursor = connection.cursor()
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]
        finally:
            connection.close()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, self._bin / program, "-D", self.folder / "data", *arguments],
            check=False,
            stdout=subprocess.DEVNULL,  # the server would keep a pipe open
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        assert done.returncode == 0, (program, (self.folder / "log").read_text())


def certificate(folder: Path) -> None:
    """Make tls.key and tls.pem, self-signed for 127.0.0.1, of the folder's owner."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, SHA256())
    )
    (folder / "tls.pem").write_bytes(made.public_bytes(Encoding.PEM))
    private = folder / "tls.key"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o600)
    for file in (folder / "tls.pem", private):
        shutil.chown(file, folder.owner())
