"""Marks by C2PA: what they say, who is believed, and what is refused."""

import io
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from PIL import Image
from programs import FORKED, printed
from typer.testing import CliRunner

from safegen.audit.marking import Mark, MarkedElsewhere, Marker
from safegen.audit.marking import certificates as certificates_module
from safegen.audit.marking.c2pa import C2paMarker
from safegen.audit.marking.certificates import CERTIFICATES, KEY, ROOT, issued, make_certificates
from safegen.audit.marking.reading import Credentials, read_credentials
from safegen.cli.main import app
from safegen.errors import InputError, MarkingError, MissingExtraError, OutputError

MARK = Mark(record="7f", image=2, policy="eu", policy_digest="sha256:ab")
PICTURE = Image.linear_gradient("L").convert("RGB")
AUTHORITY = """
[tsa]
default_tsa = clock
[clock]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
[req]
distinguished_name = empty
[empty]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[own]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
GENERATED = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def read(file: bytes, roots: Path | None = None) -> Credentials:
    """What the mark of a file says."""
    found = read_credentials(file, roots)
    assert found is not None
    return found


def private(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes = b"") -> bytes:
    """A private key as PEM."""
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)


def certified(folder: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> C2paMarker:
    """A marker by a key of another kind."""
    authority = Ed25519PrivateKey.generate()
    root = issued(
        certificates_module._ROOT_NAME, authority.public_key(), authority, is_authority=True
    )
    first = issued("signer", key.public_key(), authority, is_authority=False)
    chain = first.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)
    (folder / "chain.pem").write_bytes(chain)
    (folder / "private.pem").write_bytes(private(key))
    return C2paMarker(folder / "chain.pem", folder / "private.pem")


class TestMarks:
    """What a marked file holds."""

    @pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
    def test_say_that_the_image_is_generated_and_by_which_record(
        self, certificates: Path, kind: str
    ) -> None:
        """Signed by C2PA, and in XMP for programs that know no C2PA."""
        marker = C2paMarker(certificates / CERTIFICATES, certificates / KEY, format=kind)  # type: ignore[arg-type]
        file = marker.mark(PICTURE, MARK)

        with Image.open(io.BytesIO(file)) as opened:
            assert opened.format == kind.upper()
            assert opened.size == PICTURE.size
        assert file.count(GENERATED) >= 2
        assert read(file) == Credentials(
            intact=True,
            trusted=False,
            signed_by="SafeGen development",
            signed_at="",
            generated=True,
            mark=MARK,
            problems=(),
        )

    def test_leave_the_pixels_of_a_png(self, certificates: Path) -> None:
        """What detectors saw is what is sent."""
        file = C2paMarker(certificates / CERTIFICATES, certificates / KEY).mark(PICTURE, MARK)

        assert Image.open(io.BytesIO(file)).tobytes() == PICTURE.tobytes()

    def test_are_trusted_by_who_has_the_root(self, certificates: Path, tmp_path: Path) -> None:
        """And by nobody who has another."""
        make_certificates(tmp_path / "others")
        file = C2paMarker(certificates / CERTIFICATES, certificates / KEY).mark(PICTURE, MARK)
        distrusted = read(file, tmp_path / "others" / ROOT)

        assert read(file, certificates / ROOT).trusted
        assert (distrusted.trusted, distrusted.intact) == (False, True)
        assert distrusted.problems == ("signingCredential.untrusted",)

    def test_are_broken_by_a_change_of_the_image(self, certificates: Path) -> None:
        """One bit is enough."""
        marker = C2paMarker(certificates / CERTIFICATES, certificates / KEY, format="jpeg")
        file = bytearray(marker.mark(PICTURE, MARK))
        file[-20] ^= 1
        broken = read(bytes(file), certificates / ROOT)

        assert (broken.intact, broken.trusted) == (False, False)
        assert "assertion.dataHash.mismatch" in broken.problems

    def test_are_lost_when_the_file_is_saved_anew(self, certificates: Path) -> None:
        """As the docs say."""
        again = io.BytesIO()
        file = C2paMarker(certificates / CERTIFICATES, certificates / KEY).mark(PICTURE, MARK)
        Image.open(io.BytesIO(file)).save(again, "PNG")

        assert read_credentials(again.getvalue()) is None

    @pytest.mark.parametrize(
        "key",
        [
            lambda: ec.generate_private_key(ec.SECP256R1()),
            lambda: ec.generate_private_key(ec.SECP384R1()),
            lambda: ec.generate_private_key(ec.SECP521R1()),
            lambda: rsa.generate_private_key(65537, 2048),
        ],
        ids=["es256", "es384", "es512", "ps256"],
    )
    def test_are_signed_by_the_kinds_of_key_that_c2pa_allows(
        self, tmp_path: Path, key: Callable[[], ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]
    ) -> None:
        """The certificate says which."""
        assert read(certified(tmp_path, key()).mark(PICTURE, MARK)).intact

    def test_are_signed_where_the_key_is(self, certificates: Path) -> None:
        """By a function, as a KMS needs it."""
        key = load_pem_private_key((certificates / KEY).read_bytes(), None)
        assert isinstance(key, Ed25519PrivateKey)

        assert read(C2paMarker(certificates / CERTIFICATES, key.sign).mark(PICTURE, MARK)).intact

    def test_are_made_by_many_threads_at_once(self, certificates: Path) -> None:
        """Each says its own."""
        marker = C2paMarker(certificates / CERTIFICATES, certificates / KEY, format="jpeg")
        marks = [MARK.model_copy(update={"image": number}) for number in range(40)]
        with ThreadPoolExecutor(8) as threads:
            files = list(threads.map(lambda mark: marker.mark(PICTURE, mark), marks))

        assert [read(file).mark for file in files] == marks
        assert all(read(file).intact for file in files)

    def test_are_made_in_a_fork(self, certificates: Path) -> None:
        """Of a process that made the marker, and marked."""
        printed(
            f"""{FORKED}
from pathlib import Path
from PIL import Image
from safegen import C2paMarker, Mark
from safegen.audit.marking.reading import read_credentials

made = Path({str(certificates)!r})
marker = C2paMarker(made / {CERTIFICATES!r}, made / {KEY!r})

def work():
    mark = Mark(record="7f", image=0, policy="", policy_digest="")
    assert read_credentials(marker.mark(Image.new("RGB", (8, 8)), mark)).intact

work()
assert forked(work) == 0
"""
        )


@pytest.fixture
def time_stamps(tmp_path: Path) -> Iterator[str]:
    """The URL of an authority for time stamps, of OpenSSL's."""
    folder = tmp_path / "authority"
    folder.mkdir()
    (folder / "settings").write_text(AUTHORITY, encoding="utf-8")
    (folder / "serial").write_text("01", encoding="utf-8")
    issue = "req -config settings -x509 -newkey rsa:2048 -nodes"
    root = f"{issue} -keyout by -out root -subj /O=root/CN=root -extensions root"
    own = f"{issue} -keyout key -out certificate -subj /O=clock/CN=clock -extensions own"
    reply = "ts -reply -config settings -queryfile asked -signer certificate -inkey key"

    def openssl(told: str) -> bytes:
        given = ["openssl", *told.split()]
        return subprocess.run(given, cwd=folder, check=True, capture_output=True).stdout

    class Authority(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["content-length"]))
            (folder / "asked").write_bytes(asked)
            stamp = openssl(reply)
            self.send_response(200)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(stamp)))
            self.end_headers()
            self.wfile.write(stamp)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    openssl(root)
    openssl(f"{own} -CA root -CAkey by")
    with HTTPServer(("127.0.0.1", 0), Authority) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl, which stamps the time")
def test_an_authority_says_when(certificates: Path, time_stamps: str) -> None:
    """And where it does not answer, there is no mark."""
    marker = C2paMarker(certificates / CERTIFICATES, certificates / KEY, time_stamps=time_stamps)
    signed = datetime.fromisoformat(read(marker.mark(PICTURE, MARK)).signed_at)

    assert abs(datetime.now(UTC) - signed) < timedelta(minutes=5)
    with pytest.raises(InputError, match="stamps, it must answer"):
        C2paMarker(
            certificates / CERTIFICATES, certificates / KEY, time_stamps="http://127.0.0.1:9/"
        )


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl, which stamps the time")
def test_a_time_is_vouched_for_as_a_signer_is(
    certificates: Path, tmp_path: Path, time_stamps: str
) -> None:
    """By a root that was given; any clock can stamp any time."""
    file = C2paMarker(
        certificates / CERTIFICATES, certificates / KEY, time_stamps=time_stamps
    ).mark(PICTURE, MARK)
    (tmp_path / "file").write_bytes(file)
    both = tmp_path / "both.pem"
    both.write_bytes(
        (certificates / ROOT).read_bytes() + (tmp_path / "authority" / "root").read_bytes()
    )

    for roots, by in ((certificates / ROOT, "nobody vouches"), (both, "the roots vouch")):
        asked = ["marks", "read", str(tmp_path / "file"), "--roots", str(roots)]
        done = CliRunner().invoke(app, asked, catch_exceptions=False)
        assert done.stdout.splitlines()[3].endswith(f", by a clock that {by} for")
    assert not read(file).time_trusted
    assert read(file, both).time_trusted


class TestRefused:
    """What cannot give a valid mark says so before an image is made."""

    @pytest.mark.parametrize(
        ("broken", "said"),
        [
            ("certificates", "cannot read the certificates"),
            ("no certificates", "cannot read the certificates"),
            ("key", "cannot read the private key"),
            ("password", "cannot read the private key"),
            ("another key", "is not that of the first certificate"),
            ("format", "there is no format 'gif'"),
            ("kind of key", "marks cannot be signed by"),
        ],
    )
    def test_what_does_not_fit(
        self, certificates: Path, tmp_path: Path, broken: str, said: str
    ) -> None:
        """With what was expected."""
        make_certificates(tmp_path)
        chain, key, kind = tmp_path / CERTIFICATES, tmp_path / KEY, "png"
        curve = ec.generate_private_key(ec.SECP256K1())
        match broken:
            case "certificates":
                chain.write_text("none", encoding="utf-8")
            case "no certificates":
                chain.unlink()
            case "key":
                key.unlink()
            case "password":
                key.write_bytes(private(curve, b"secret"))
            case "another key":
                key = certificates / KEY
            case "format":
                kind = "gif"
            case "kind of key":
                by = Ed25519PrivateKey.generate()
                leaf = issued("signer", curve.public_key(), by, is_authority=False)
                chain.write_bytes(leaf.public_bytes(Encoding.PEM))
        with pytest.raises(InputError, match=said):
            C2paMarker(chain, key, format=kind)  # type: ignore[arg-type]

    def test_an_expired_certificate(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its marks would say nothing."""
        monkeypatch.setattr("safegen.audit.marking.certificates._DAYS", -0.5)
        make_certificates(tmp_path)

        with pytest.raises(InputError, match="not valid at time of signing"):
            C2paMarker(tmp_path / CERTIFICATES, tmp_path / KEY)

    def test_what_fails_to_sign_is_named(self, certificates: Path) -> None:
        """The library itself tells of an internal error only."""
        key = load_pem_private_key((certificates / KEY).read_bytes(), None)
        assert isinstance(key, Ed25519PrivateKey)
        reachable = True

        def sign(data: bytes) -> bytes:
            if not reachable:
                raise ConnectionError("the KMS does not answer")
            return key.sign(data)

        marker = C2paMarker(certificates / CERTIFICATES, sign)
        reachable = False
        with pytest.raises(MarkingError, match="the KMS does not answer"):
            marker.mark(PICTURE, MARK)

    def test_a_function_that_signs_wrongly(self, certificates: Path) -> None:
        """By another key, say."""
        with pytest.raises(InputError, match="signature"):
            C2paMarker(certificates / CERTIFICATES, Ed25519PrivateKey.generate().sign)

    def test_without_the_extra(self, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is named."""
        monkeypatch.setitem(sys.modules, "c2pa", None)
        with pytest.raises(MissingExtraError, match=r"safegen\[c2pa\]"):
            C2paMarker(certificates / CERTIFICATES, certificates / KEY)

    def test_certificates_are_not_written_over(self, certificates: Path, tmp_path: Path) -> None:
        """Nor is anything half made where they cannot be written."""
        with pytest.raises(InputError, match="is there already"):
            make_certificates(certificates)
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match="cannot write certificates"):
            make_certificates(tmp_path / "file")

    def test_the_key_is_its_owners(self, certificates: Path) -> None:
        """Nobody else reads it."""
        assert (certificates / KEY).stat().st_mode & 0o077 == 0

    def test_what_is_no_image(self) -> None:
        """It has no mark to read."""
        with pytest.raises(InputError, match="cannot read the image"):
            read_credentials(b"none")


def test_markers_are_what_guards_take(certificates: Path) -> None:
    """Both kinds that SafeGen has."""
    assert isinstance(C2paMarker(certificates / CERTIFICATES, certificates / KEY), Marker)
    assert isinstance(MarkedElsewhere(), Marker)
