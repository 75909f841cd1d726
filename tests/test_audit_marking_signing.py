"""Who signs marks, and what they say: certificates, keys in a KMS, edits, formats."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa
import diffusers
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from diffusers import StableDiffusionImg2ImgPipeline
from PIL import Image
from serving import HEAD
from tiny import controlnet, sdxl_modular

from safegen.adapters.arguments import edits
from safegen.adapters.sampler import Sampler
from safegen.audit.ledger import Ledger
from safegen.audit.marking import Mark, certificates
from safegen.audit.marking.c2pa import C2paMarker
from safegen.audit.marking.certificates import make_certificates
from safegen.audit.marking.reading import read_credentials
from safegen.errors import InputError, MarkingError, OutputError
from safegen.guard import Guard
from safegen.policy import Policy
from safegen.testing import tiny_pipeline

MARK = Mark(record="7f", image=2, policy="eu", policy_digest="sha256:ab")
PICTURE = Image.linear_gradient("L").convert("RGB")
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = f"{SOURCE}trainedAlgorithmicMedia"
EDITED = f"{SOURCE}compositeWithTrainedAlgorithmicMedia"
MAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION
KEYS = {name: generate_private_key(SECP256R1()) for name in ("root", "middle", "leaf", "other")}


def certificate(
    name: str,
    by: str,
    *,
    authority: bool = True,
    days: float = 9,
    purpose: ObjectIdentifier = MAIL,
) -> bytes:
    """A certificate by one of the keys, as PEM; it began a day ago, or before it ended."""
    now, key = datetime.now(UTC), KEYS[name]
    uses = dict.fromkeys(certificates._USES, False)
    uses |= {"key_cert_sign": authority, "crl_sign": authority, "digital_signature": not authority}
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, by)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.KeyUsage(**uses), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(KEYS[by].public_key()), False
        )
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return builder.sign(KEYS[by], SHA256()).public_bytes(Encoding.PEM)


LEAF = certificate("leaf", "middle", authority=False)
MIDDLE, ROOT = certificate("middle", "root"), certificate("root", "root")


def private(kind: PrivateFormat) -> bytes:
    """The key of the leaf, as PEM."""
    return KEYS["leaf"].private_bytes(Encoding.PEM, kind, NoEncryption())


def sign(data: bytes) -> bytes:
    """As a KMS does with the key of the leaf."""
    return KEYS["leaf"].sign(data, ECDSA(SHA256()))


def marker(
    folder: Path, *chain: bytes, by: Callable[[bytes], Any] = sign, **more: Any
) -> C2paMarker:
    """A marker by certificates in a file."""
    (folder / "chain.pem").write_bytes(b"".join(chain))
    return C2paMarker(folder / "chain.pem", by, **more)


def told(file: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the library reads: the claim, and the data of all assertions."""
    with c2pa.Reader("image/png", io.BytesIO(file)) as read:
        detailed = json.loads(read.detailed_json())
    active = detailed["manifests"][detailed["active_manifest"]]
    return active["claim"], active["assertion_store"]


class TestCertificates:
    """All that goes into files is for all to see, and holds together."""

    @pytest.mark.parametrize("kind", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
    @pytest.mark.parametrize("at", [0, 1, 3])
    def test_beside_a_private_key_are_refused(
        self, tmp_path: Path, kind: PrivateFormat, at: int
    ) -> None:
        """Every image would publish it."""
        chain = [LEAF, MIDDLE, ROOT]
        chain.insert(at, private(kind))
        with pytest.raises(InputError, match="got a private key as well"):
            marker(tmp_path, *chain)

    def test_alone_are_in_a_file(self, tmp_path: Path) -> None:
        """Nothing else that a PEM file may hold is."""
        hidden = b"c2VjcmV0IG9mIG91cnMsIG9mIG5vYm9keSBlbHNl"
        secret = b"-----BEGIN SECRET-----\n" + hidden + b"\n-----END SECRET-----\n"
        file = marker(tmp_path, b"caf\xe9\n", LEAF, secret, MIDDLE, ROOT).mark(PICTURE, MARK)

        assert b"secret of ours" not in file
        assert hidden not in file
        (tmp_path / "root.pem").write_bytes(ROOT)
        read = read_credentials(file, tmp_path / "root.pem")
        assert read is not None
        assert read.trusted

    @pytest.mark.parametrize(
        "purpose", ["1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36", "1.3.6.1.4.1.62558.2.1"]
    )
    def test_of_every_purpose_that_c2pa_allows(self, tmp_path: Path, purpose: str) -> None:
        """For mail, documents, and what C2PA claims."""
        leaf = certificate("leaf", "root", authority=False, purpose=ObjectIdentifier(purpose))

        assert marker(tmp_path, leaf, ROOT).mark(PICTURE, MARK)

    def test_of_another_purpose_are_refused(self, tmp_path: Path) -> None:
        """Such as for servers."""
        web = ExtendedKeyUsageOID.SERVER_AUTH
        leaf = certificate("leaf", "root", authority=False, purpose=web)
        with pytest.raises(InputError, match="of the kind that C2PA allows"):
            marker(tmp_path, leaf, ROOT)

    @pytest.mark.parametrize(
        ("chain", "said"),
        [
            ([LEAF, ROOT, MIDDLE], "of O=leaf is not issued by the next, of O=root"),
            ([LEAF, ROOT], "of O=leaf is not issued by the next, of O=root"),
            ([LEAF, LEAF, MIDDLE], "of O=leaf is not issued by the next, of O=leaf"),
            ([LEAF, certificate("other", "other")], "is not issued by the next, of O=other"),
            ([LEAF, MIDDLE, certificate("root", "root", days=-1)], "of O=root is not valid at"),
            ([LEAF, certificate("middle", "root", days=-1), ROOT], "of O=middle is not valid at"),
            (
                [LEAF, certificate("middle", "root", authority=False), ROOT],
                "of O=leaf is not issued by the next, of O=middle",
            ),
        ],
        ids=["order", "gap", "twice", "stranger", "old root", "old middle", "no authority"],
    )
    def test_that_prove_nothing_are_refused(
        self, tmp_path: Path, chain: list[bytes], said: str
    ) -> None:
        """At the start, for no reader would trust such a mark."""
        with pytest.raises(InputError, match=said):
            marker(tmp_path, *chain)

    def test_of_which_one_ends_while_it_runs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The library looks at the first alone."""
        made = marker(tmp_path, LEAF, certificate("middle", "root", days=1), ROOT)

        class Later(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.now(tz) + timedelta(days=2)

        monkeypatch.setattr(certificates, "datetime", Later)
        with pytest.raises(MarkingError, match="of O=middle is not valid at time of signing"):
            made.mark(PICTURE, MARK)

    def test_are_not_made_where_no_file_can_be(self, tmp_path: Path) -> None:
        """An error that says so."""
        with pytest.raises(OutputError, match="cannot write certificates"):
            make_certificates(tmp_path / ("x" * 300))


class TestSigning:
    """By a function, wherever the key is."""

    def test_of_ecdsa_in_both_forms(self, tmp_path: Path) -> None:
        """DER, and r and s as a token of the web has them."""

        def plain(data: bytes) -> bytes:
            return b"".join(part.to_bytes(32, "big") for part in decode_dss_signature(sign(data)))

        for form in (sign, plain):
            assert marker(tmp_path, LEAF, MIDDLE, by=form).mark(PICTURE, MARK)

    @pytest.mark.parametrize(
        ("gives", "got"),
        [
            ({"Signature": b"x"}, "got dict"),
            (bytearray(b"x"), "got bytearray"),
            ("x", "got str"),
            (None, "got NoneType"),
            (5, "got int"),
            (b"", "got none"),
        ],
    )
    def test_by_what_gives_no_signature(self, tmp_path: Path, gives: object, got: str) -> None:
        """The form that is expected is named."""
        with pytest.raises(InputError, match=rf"in DER, or r and s.*{got}") as raised:
            marker(tmp_path, LEAF, MIDDLE, by=lambda _: gives)
        assert raised.value.mend == "mend what signs"

    @pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
    def test_that_is_stopped(self, tmp_path: Path, stop: type[BaseException]) -> None:
        """Ctrl-C is no image that cannot be marked."""
        stops = False

        def slow(data: bytes) -> bytes:
            if stops:
                raise stop
            return sign(data)

        made = marker(tmp_path, LEAF, MIDDLE, by=slow)
        stops = True
        with pytest.raises(stop):
            made.mark(PICTURE, MARK)

    @pytest.mark.parametrize("url", ["", "ftp://x/", "a clock", 5, b"http://x/"])
    def test_with_stamps_by_what_is_no_url(self, tmp_path: Path, url: object) -> None:
        """An empty one would leave them out, and say nothing."""
        with pytest.raises(InputError, match="as time_stamps, got"):
            marker(tmp_path, LEAF, MIDDLE, time_stamps=url)


class TestSaid:
    """What a mark says, and who says it."""

    @pytest.mark.parametrize("edited", [False, True])
    def test_by_who_signs(self, tmp_path: Path, edited: bool) -> None:
        """Nothing of it is gathered from others."""
        mark = MARK.model_copy(update={"edited": edited})
        claim, said = told(marker(tmp_path, LEAF, MIDDLE).mark(PICTURE, mark))

        assert "gathered_assertions" not in claim
        assert len(claim["created_assertions"]) == (4 if edited else 3)
        assert said["org.safegen.record"] == mark.model_dump()

    @pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
    def test_of_an_edit(self, tmp_path: Path, kind: str) -> None:
        """A picture was opened and changed, of which it tells nothing; XMP says so too."""
        mark = MARK.model_copy(update={"edited": True})
        made = marker(tmp_path, LEAF, MIDDLE, format=kind)
        file = made.mark(PICTURE, mark)
        read = read_credentials(file)

        assert read is not None
        assert (read.intact, read.generated, read.mark) == (True, True, mark)
        assert file.count(EDITED.encode()) == 2
        assert GENERATED.encode() not in file
        assert EDITED.encode() not in made.mark(PICTURE, MARK)

    def test_of_an_edit_by_its_actions(self, tmp_path: Path) -> None:
        """As the specification wants them: what is edited was opened."""
        mark = MARK.model_copy(update={"edited": True})
        _, said = told(marker(tmp_path, LEAF, MIDDLE).mark(PICTURE, mark))
        opened, edited = said["c2pa.actions.v2"]["actions"]
        given = said["c2pa.ingredient.v3"]

        assert (opened["action"], edited["action"]) == ("c2pa.opened", "c2pa.edited")
        assert edited["digitalSourceType"] == EDITED
        assert opened["parameters"]["ingredients"][0]["url"].endswith("c2pa.ingredient.v3")
        assert given == {"relationship": "parentOf", "dc:title": "a picture that was given"}

    @pytest.mark.parametrize("edited", [False, True])
    def test_by_a_guard(self, tmp_path: Path, edited: bool) -> None:
        """Which knows whether the pipeline began with a picture."""
        if edited:
            pipeline = StableDiffusionImg2ImgPipeline.from_pipe(tiny_pipeline())
            sampler = Sampler(4, 5.0, {"image": PICTURE.resize((16, 16))})
        else:
            pipeline, _, _ = controlnet()
            sampler = Sampler(2, 5.0, {"image": PICTURE.resize((16, 16))})
        wants = Policy(f"{HEAD}rules: [{{id: all, when: 'true', then: {{mark: true}}}}]\n")
        by = marker(tmp_path, LEAF, MIDDLE)
        with Guard(wants, {}, [], Ledger.open(tmp_path / "ledger"), marker=by) as guard:
            with guard.attach(pipeline) as guarded:
                result = guarded.generate("a cook", seed=1, sampler=sampler)
        read = read_credentials(result.images[0].marked or b"")

        assert read is not None
        assert read.mark is not None
        assert read.mark.edited is edited


class TestFiles:
    """What beside the mark is in a file."""

    def test_is_nothing_that_the_image_came_with(self, tmp_path: Path) -> None:
        """A comment may hold the prompt."""
        commented = io.BytesIO()
        PICTURE.save(commented, "JPEG", comment=b"a photo of Ada")
        opened = Image.open(commented)
        for kind in ("png", "jpeg", "webp"):
            file = marker(tmp_path, LEAF, MIDDLE, format=kind).mark(opened, MARK)
            assert b"Ada" not in file
        assert opened.info["comment"] == b"a photo of Ada"

    @pytest.mark.parametrize("kind", ["png", "webp"])
    def test_is_its_transparency(self, tmp_path: Path, kind: str) -> None:
        """As alpha, or as a colour of a palette."""
        made = marker(tmp_path, LEAF, MIDDLE, format=kind)
        palette = PICTURE.quantize(8)
        palette.info["transparency"] = 0
        for image in (Image.new("RGBA", (8, 8), (255, 0, 0, 0)), palette):
            with Image.open(io.BytesIO(made.mark(image, MARK))) as opened:
                assert opened.convert("RGBA").getchannel("A").getextrema()[0] == 0

    @pytest.mark.parametrize(
        ("kind", "mode", "size"),
        [
            ("jpeg", "RGBA", (8, 8)),
            ("jpeg", "P", (8, 8)),
            ("png", "CMYK", (8, 8)),
            ("webp", "RGB", (16384, 1)),
        ],
    )
    def test_that_a_format_does_not_take(
        self, tmp_path: Path, kind: str, mode: str, size: tuple[int, int]
    ) -> None:
        """The error names mode, size and format, and no certificate."""
        made = marker(tmp_path, LEAF, MIDDLE, format=kind)
        said = f"image of {size[0]}x{size[1]} px in the mode {mode} cannot be written as {kind}"
        with pytest.raises(MarkingError, match=said) as raised:
            made.mark(Image.new(mode, size), MARK)
        assert "another format" in (raised.value.mend or "")


@pytest.mark.parametrize(
    ("kind", "pictures", "edit"),
    [
        ("StableDiffusionPipeline", ["ip_adapter_image"], False),
        ("StableDiffusionImg2ImgPipeline", ["image"], True),
        ("StableDiffusionImg2ImgPipeline", [], False),
        ("StableDiffusionInpaintPipeline", ["image", "mask_image"], True),
        ("StableDiffusionInstructPix2PixPipeline", ["image"], True),
        ("StableDiffusionUpscalePipeline", ["image"], True),
        ("FluxKontextPipeline", ["image"], True),
        ("FluxFillPipeline", ["image", "mask_image"], True),
        ("StableDiffusionControlNetPipeline", ["image"], False),
        ("StableDiffusionXLAdapterPipeline", ["image"], False),
        ("StableDiffusion3ControlNetPipeline", ["control_image"], False),
        ("StableDiffusionControlNetImg2ImgPipeline", ["image", "control_image"], True),
        ("StableDiffusionXLControlNetInpaintPipeline", ["image", "mask_image"], True),
        ("StableDiffusion3ControlNetInpaintingPipeline", ["control_image", "control_mask"], True),
    ],
)
def test_what_edits_a_picture(kind: str, pictures: list[str], edit: bool) -> None:
    """And what makes a new one that a picture conditions."""
    pipeline = object.__new__(getattr(diffusers, kind))  # asked for what it is called with alone

    assert edits(pipeline, pictures) is edit


@pytest.mark.parametrize(("picture", "edit"), [("image", True), ("control_image", False)])
def test_what_edits_a_picture_in_blocks(picture: str, edit: bool) -> None:
    """Modular pipelines have a name for each."""
    pipeline, _, _ = sdxl_modular()

    assert edits(pipeline, [picture]) is edit
