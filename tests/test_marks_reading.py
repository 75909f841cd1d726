"""Marks that other programs made, edited or damaged, and what is told of them."""

import io
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from ledgers import image, index_changed, ledger, record
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from purging import day, days, purged
from typer.testing import CliRunner

from safegen.audit.marking import Mark
from safegen.audit.marking.c2pa import C2paMarker
from safegen.audit.marking.certificates import CERTIFICATES, KEY, ROOT, issued
from safegen.audit.marking.reading import (
    ASSERTION,
    GENERATED,
    Credentials,
    named_elsewhere,
    read_credentials,
)
from safegen.cli.main import app
from safegen.errors import InputError, LedgerError
from safegen.nouns import Outcome

MARK = Mark(record="7f", image=0, policy="eu", policy_digest="sha256:ab")
PICTURE = Image.linear_gradient("L").convert("RGB")
CAMERA = GENERATED.replace("trainedAlgorithmicMedia", "digitalCapture")
DOCUMENTS = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
CLAIMS = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")


def png(picture: Image.Image = PICTURE, xmp: str = "") -> bytes:
    """A file without a mark."""
    file, about = io.BytesIO(), PngInfo()
    if xmp:
        about.add_itxt("XML:com.adobe.xmp", xmp)
    picture.save(file, "PNG", pnginfo=about)
    return file.getvalue()


class Signer:
    """Another program that signs, by certificates of its own."""

    def __init__(
        self,
        folder: Path,
        name: str = "Editor",
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
        named_by: x509.ObjectIdentifier = NameOID.ORGANIZATION_NAME,
    ) -> None:
        """Issue them."""
        authority, self._key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        root = issued("root", authority.public_key(), authority, is_authority=True)
        like = issued(name, self._key.public_key(), authority, is_authority=False)
        builder = x509.CertificateBuilder(
            issuer_name=root.subject,
            subject_name=x509.Name([x509.NameAttribute(named_by, name)]),
            public_key=like.public_key(),
            serial_number=like.serial_number,
            not_valid_before=datetime.now(UTC) - timedelta(days=1),
            not_valid_after=datetime.now(UTC) + timedelta(days=1),
        )
        for each in like.extensions:
            if not isinstance(each.value, x509.ExtendedKeyUsage):
                builder = builder.add_extension(each.value, each.critical)
        leaf = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
        pem = [each.public_bytes(Encoding.PEM) for each in (leaf.sign(authority, None), root)]
        self._chain = b"".join(pem).decode()
        self.root = folder / "root of another.pem"
        self.root.write_bytes(pem[1])

    def sign(
        self,
        file: bytes,
        *assertions: dict[str, Any],
        edits: bool = False,
        contains: Sequence[bytes] = (),
    ) -> bytes:
        """The file with a manifest; `edits`: one that says it is an edit of the file."""
        by = c2pa.Signer.from_callback(
            self._key.sign, c2pa.C2paSigningAlg.ED25519, self._chain, None
        )
        manifest = {
            "claim_generator_info": [{"name": "Editor", "version": "1"}],
            "assertions": assertions,
        }
        settings = c2pa.Context.from_dict({"verify": {"verify_after_sign": False}})
        signed = io.BytesIO()
        with c2pa.Builder(manifest, settings) as builder:
            if edits:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT, c2pa.C2paDigitalSourceType.EMPTY)
            for each in contains:
                about = {"relationship": "componentOf", "title": "part"}
                builder.add_ingredient(about, "image/png", io.BytesIO(each))
            builder.sign(by, "image/png", io.BytesIO(file), signed)
        return signed.getvalue()


def created(source: str = GENERATED) -> dict[str, Any]:
    """The assertion of who signs that the image was created so."""
    actions = [{"action": "c2pa.created", "digitalSourceType": source}]
    return {"label": "c2pa.actions.v2", "data": {"actions": actions}, "created": True}


def gathered(action: str, **more: str) -> dict[str, Any]:
    """An assertion about an action, taken over from somebody else."""
    return {"label": "c2pa.actions.v2", "data": {"actions": [{"action": action, **more}]}}


def recorded(record: str = MARK.record) -> dict[str, Any]:
    """An assertion that names a record."""
    return {"label": ASSERTION, "data": MARK.model_dump() | {"record": record}}


@pytest.fixture(scope="module")
def own(certificates: Path) -> bytes:
    """A file that SafeGen marked."""
    return C2paMarker(certificates / CERTIFICATES, certificates / KEY).mark(PICTURE, MARK)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    """Another program."""
    return Signer(tmp_path)


def read(file: bytes, roots: Path | None = None) -> Credentials:
    """What the mark of a file says."""
    found = read_credentials(file, roots)
    assert found is not None
    return found


def told(file: bytes, folder: Path, *given: str | Path) -> tuple[int, list[str]]:
    """Exit code and lines of `safegen marks read`."""
    path = folder / "told"
    path.write_bytes(file)
    asked = ["marks", "read", str(path), *map(str, given)]
    done = CliRunner().invoke(app, asked, catch_exceptions=False)
    return done.exit_code, done.stdout.splitlines()


class TestSigners:
    """Who signed, and who says so."""

    @pytest.mark.parametrize("purpose", [DOCUMENTS, CLAIMS], ids=["documents", "claims"])
    def test_by_certificates_of_all_kinds_that_c2pa_allows(
        self, tmp_path: Path, purpose: x509.ObjectIdentifier
    ) -> None:
        """With and without a root."""
        signer = Signer(tmp_path, purpose=purpose)
        file = signer.sign(png(), created())

        assert read(file).intact
        assert read(file, signer.root).trusted

    def test_a_name_that_nobody_vouches_for_is_the_signers_word(
        self, tmp_path: Path, signer: Signer, certificates: Path
    ) -> None:
        """Whether roots were asked or not."""
        file = signer.sign(png(), created())
        said = "signed by who calls itself Editor"

        assert told(file, tmp_path)[1][2] == f"{said}; nobody was asked to vouch for it (--roots)"
        code, lines = told(file, tmp_path, "--roots", certificates / ROOT)
        assert (code, lines[2]) == (1, f"{said}, whom the roots do NOT vouch for")
        code, lines = told(file, tmp_path, "--roots", signer.root)
        assert (code, lines[2]) == (0, "signed by Editor, whom the roots vouch for")

    def test_one_without_an_organisation(self, tmp_path: Path) -> None:
        """Its common name is told."""
        signer = Signer(tmp_path, "marks.example", named_by=NameOID.COMMON_NAME)

        assert read(signer.sign(png(), created())).signed_by == "marks.example"


class TestManifests:
    """What a manifest says that SafeGen did not write."""

    def test_all_assertions_about_actions_are_read(self, signer: Signer) -> None:
        """Not the last alone."""
        assert read(signer.sign(png(), created(), gathered("c2pa.resized"))).generated
        twice = gathered("c2pa.created", digitalSourceType=GENERATED), gathered("c2pa.resized")
        assert read(signer.sign(png(), *twice)).generated

    def test_what_was_taken_over_does_not_count_beside_the_signers_word(
        self, signer: Signer
    ) -> None:
        """A camera's photograph is not generated because somebody told the camera so."""
        other = gathered("c2pa.edited", digitalSourceType=GENERATED)

        assert not read(signer.sign(png(), created(CAMERA), other)).generated

    def test_two_records_are_none(self, tmp_path: Path, signer: Signer) -> None:
        """And what names them is not to be believed."""
        file = signer.sign(png(), created(), recorded(), recorded("other"))
        found = read(file, signer.root)

        assert (found.mark, found.intact, found.trusted) == (None, False, False)
        assert told(file, tmp_path)[1][0] == "NOT intact: org.safegen.record.multiple"
        assert read(signer.sign(png(), created(), recorded())).mark == MARK

    def test_one_that_does_not_say_generated(self, tmp_path: Path, signer: Signer) -> None:
        """Exit code 1, though it is intact."""
        code, lines = told(signer.sign(png(), created(CAMERA)), tmp_path)

        assert (code, lines[:2]) == (1, ["intact", "does not say that it is generated"])


class TestIngredients:
    """What the images say that one was made from."""

    def test_of_an_edited_one(self, tmp_path: Path, signer: Signer, own: bytes) -> None:
        """Its parent's record is shown; edits of edits too."""
        edited = signer.sign(own, edits=True)
        (parent,) = read(edited).ingredients
        code, lines = told(edited, tmp_path)

        assert (parent.relationship, parent.intact, parent.generated) == ("parentOf", True, True)
        assert parent.mark == MARK
        assert code == 1
        assert lines[3:] == [
            "an edit of an image that says that it is generated, signed by who calls itself "
            "SafeGen development",
            "  image 0 of the record 7f",
            "  by the policy eu, sha256:ab",
        ]
        twice = read(signer.sign(edited, edits=True)).ingredients
        assert [each.mark for each in twice] == [None, MARK]

    def test_of_one_that_was_put_in(self, tmp_path: Path, signer: Signer, own: bytes) -> None:
        """The whole is no edit of it."""
        file = signer.sign(png(), created(CAMERA), contains=[own])

        assert [each.relationship for each in read(file).ingredients] == ["componentOf"]
        assert told(file, tmp_path)[1][3].startswith("made with an image that says that it is")

    def test_of_one_that_was_not_intact(self, tmp_path: Path, signer: Signer, own: bytes) -> None:
        """As the editor found."""
        edited = signer.sign(without(own, b"iTXt"), edits=True)

        assert [each.intact for each in read(edited).ingredients] == [False]
        assert told(edited, tmp_path)[1][3].endswith(", whose manifest was NOT intact")

    def test_of_one_without_a_manifest(self, signer: Signer) -> None:
        """It says nothing."""
        assert read(signer.sign(png(), edits=True)).ingredients == ()

    def test_of_one_that_was_changed_in_the_edited_file(self, signer: Signer, own: bytes) -> None:
        """The file is not intact then."""
        edited = bytearray(signer.sign(own, edits=True))
        edited[edited.index(b"sha256:ab")] ^= 1
        at = edited.index(b"caBX")
        end = at + 4 + int.from_bytes(edited[at - 4 : at])
        edited[end : end + 4] = zlib.crc32(edited[at:end]).to_bytes(4)

        assert not read(bytes(edited)).intact


def without(file: bytes, kind: bytes) -> bytes:
    """A PNG file without its first chunk of this kind."""
    at = file.index(kind) - 4
    return file[:at] + file[at + 12 + int.from_bytes(file[at : at + 4]) :]


class TestFiles:
    """Files that have no mark, or a damaged one."""

    @pytest.mark.parametrize("kind", ["PNG", "JPEG"])
    def test_a_manifest_on_the_network_is_none(self, tmp_path: Path, kind: str) -> None:
        """Where it would be is told, and nobody asked."""
        where = "https://example.com/m.c2pa"
        xmp = (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/'
            '22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/'
            f'terms/" dcterms:provenance="{where}"/></rdf:RDF></x:xmpmeta>'
        )
        file = io.BytesIO(png(xmp=xmp))
        if kind == "JPEG":
            PICTURE.save(file := io.BytesIO(), "JPEG", xmp=xmp.encode())

        assert read_credentials(file.getvalue()) is None
        assert named_elsewhere(file.getvalue()) == where
        assert told(file.getvalue(), tmp_path) == (
            1,
            [f"no mark in the file; it names one on the network, which is not fetched, at {where}"],
        )

    @pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "JPEG2000"])
    def test_ones_without(self, kind: str) -> None:
        """Also of kinds that can have none."""
        PICTURE.save(file := io.BytesIO(), kind)

        assert read_credentials(file.getvalue()) is None
        assert named_elsewhere(file.getvalue()) == ""

    def test_every_change_of_a_manifest_in_a_png(self, own: bytes) -> None:
        """Whether the manifest can still be read or not, and in what fills it up."""
        start = own.index(b"caBX")
        for at in range(start + 4, start + int.from_bytes(own[start - 4 : start]), 97):
            changed = bytearray(own)
            changed[at] ^= 1
            assert not read(bytes(changed)).intact

    @pytest.mark.parametrize("kind", ["jpeg", "webp"])
    def test_a_manifest_that_cannot_be_read(
        self, certificates: Path, tmp_path: Path, kind: Any
    ) -> None:
        """It is not intact, which is no error of who asks."""
        file = bytearray(
            C2paMarker(certificates / CERTIFICATES, certificates / KEY, format=kind).mark(
                PICTURE, MARK
            )
        )
        file[file.index(b"jumd", file.index(b"jumd") + 1)] ^= 1
        code, lines = told(bytes(file), tmp_path)

        assert code == 1
        assert lines[0].startswith("NOT intact: the manifest cannot be read: ")
        assert lines[2] == "signed by nobody"

    def test_a_damaged_one_without(self) -> None:
        """There is no mark to tell of, and it is no image."""
        damaged = bytearray(png())
        damaged[20] ^= 1
        with pytest.raises(InputError, match="its bytes are damaged"):
            read_credentials(bytes(damaged))


class TestLedger:
    """Why a ledger does not say that a file was returned."""

    def doubt(self, folder: Path, file: bytes) -> str:
        """The line before the last, which says that it does not."""
        code, lines = told(file, folder.parent, "--ledger", folder)
        assert (code, lines[-1]) == (1, "the ledger does not say that this file was returned")
        return lines[-2]

    def marked(self, certificates: Path, number: int = 0, image: int = 0) -> bytes:
        """A file that names this record and image."""
        mark = MARK.model_copy(update={"record": record(number).id, "image": image})
        return C2paMarker(certificates / CERTIFICATES, certificates / KEY).mark(PICTURE, mark)

    def test_a_record_that_may_have_been_purged(self, certificates: Path, tmp_path: Path) -> None:
        """It is not told like a forgery."""
        folder = days(tmp_path / "ledger")
        purged(folder, day(3))

        said = self.doubt(folder, self.marked(certificates))
        assert said.startswith("the ledger has no record 00000000-0000; older ones were purged")

    def test_no_record(self, certificates: Path, tmp_path: Path) -> None:
        """Of none that was purged."""
        folder = ledger(tmp_path / "ledger", record(1))

        said = self.doubt(folder, self.marked(certificates))
        assert said == "the ledger has no record 00000000-0000, and none was purged"

    def test_no_mark_of_safegens(self, tmp_path: Path, signer: Signer) -> None:
        """It names no record."""
        folder = ledger(tmp_path / "ledger", record(0))

        assert self.doubt(folder, signer.sign(png(), created())) == "it names no record"

    @pytest.mark.parametrize(
        ("written", "number", "said"),
        [
            ({"outcome": Outcome.REVIEW, "held": "0a"}, 0, "says that this image was withheld; of"),
            ({"sha256": "0b", "marked": "0c"}, 0, "tells of another file"),
            ({"sha256": "0b", "marked_by": "elsewhere"}, 0, "tells of no file"),
            ({"sha256": "0b", "marked": "0c"}, 1, "has no image 1"),
        ],
        ids=["withheld", "another", "elsewhere", "beyond"],
    )
    def test_a_record_that_tells_otherwise(
        self, certificates: Path, tmp_path: Path, written: dict[str, Any], number: int, said: str
    ) -> None:
        """It is told what the record tells; of a held image, why."""
        images = [image().model_copy(update=written)]
        folder = ledger(tmp_path / "ledger", record(0, images=images))

        found = self.doubt(folder, self.marked(certificates, image=number))
        assert found.startswith(f"the record {said}")

    def test_a_ledger_that_cannot_be_read_is_an_error(
        self, certificates: Path, tmp_path: Path
    ) -> None:
        """Nothing is said of the file then."""
        folder = ledger(tmp_path / "ledger", record(0))
        index_changed(folder, "UPDATE records SET time = 0")

        with pytest.raises(LedgerError, match="index"):
            told(self.marked(certificates), tmp_path, "--ledger", folder)
