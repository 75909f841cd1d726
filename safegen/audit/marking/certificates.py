"""Certificates by which marks are signed: reading them, and making some to try marks with."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from safegen.audit.ledger.files import write_durably
from safegen.errors import InputError, MarkingError, OutputError

CERTIFICATES, KEY, ROOT = "certificates.pem", "key.pem", "root.pem"
Sign = Callable[[bytes], bytes]
_HASHES: dict[str, HashAlgorithm] = {"es256": SHA256(), "es384": SHA384(), "es512": SHA512()}
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_PRIVATE = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_PSS = padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size)
_DAYS = 365
_ROOT_NAME = "SafeGen development root"
_OF_AUTHORITY, _OF_SIGNER = ("key_cert_sign", "crl_sign"), ("digital_signature",)
_USES = (
    *_OF_AUTHORITY,
    *_OF_SIGNER,
    *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("encipher_only", "decipher_only"),
)


def read_certificates(path: Path) -> tuple[tuple[x509.Certificate, ...], str]:
    """The certificates in a PEM file, the signing one first, and they alone as PEM.

    They go into every marked image, so a file that holds a key as well is refused.

    Raises:
        InputError: it cannot be read, or holds no certificate, or a private key as well.
    """
    try:
        text = path.read_bytes()
        if _PRIVATE.search(text):
            raise InputError(
                f"expected certificates alone in {path}, for all to see, got a private key as well",
                "give the certificates in one file, and the key in another",
            )
        certificates = tuple(x509.load_pem_x509_certificates(text))
        pem = b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
        return certificates, pem.decode()
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot read the certificates {path}: {error}",
            "give a PEM file: the signing certificate first, then those that vouch for it",
        ) from error


def demand_chain(certificates: Sequence[x509.Certificate]) -> None:
    """Check that each certificate was issued by the next; the last one's issuer readers have.

    Raises:
        InputError: one was not, or the next is no authority.
    """
    for each, issuer in pairwise(certificates):
        try:
            each.verify_directly_issued_by(issuer)
            basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
            if basic.ca:
                continue
        except (InvalidSignature, TypeError, ValueError, x509.ExtensionNotFound):
            pass
        raise InputError(
            f"the certificate of {_who(each)} is not issued by the next, of {_who(issuer)}",
            "give the signing certificate first, and after each the one that vouches for it",
        )


def demand_valid(certificates: Sequence[x509.Certificate]) -> None:
    """Check that all are valid now, the first of which the library looks at alone.

    Raises:
        MarkingError: one is not.
    """
    now = datetime.now(UTC)
    for each in certificates:
        start, end = each.not_valid_before_utc, each.not_valid_after_utc
        if not start <= now <= end:
            raise MarkingError(
                f"the certificate of {_who(each)} is not valid at time of signing, but from "
                f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
                "have it issued anew, and look at the clock",
            )


def _who(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "nobody"


def algorithm_of(certificate: x509.Certificate) -> str:
    """What a certificate's key signs by, as C2PA calls it: ed25519, es256, es384, es512 or ps256.

    Raises:
        InputError: by nothing that C2PA allows.
    """
    key = certificate.public_key()
    if isinstance(key, Ed25519PublicKey):
        return "ed25519"
    if isinstance(key, RSAPublicKey):
        return "ps256"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    raise InputError(
        f"marks cannot be signed by a {type(key).__name__}",
        "use a certificate for Ed25519, ECDSA on P-256, P-384 or P-521, or RSA",
    )


def signing_by(path: Path, certificate: x509.Certificate) -> Sign:
    """How to sign with the private key in a PEM file, which must be the certificate's.

    Raises:
        InputError: it cannot be read, or is another one.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, TypeError, ValueError) as error:
        raise InputError(
            f"cannot read the private key {path}: {error}",
            "give a PEM file without a password, or a function that signs",
        ) from error
    if key.public_key() != certificate.public_key():
        raise InputError(
            f"the private key {path} is not that of the first certificate, of {_who(certificate)}",
            "give the key that this certificate was issued for",
        )

    def sign(data: bytes) -> bytes:
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(data, ec.ECDSA(_HASHES[algorithm_of(certificate)]))
        if isinstance(key, RSAPrivateKey):
            return key.sign(data, _PSS, SHA256())
        assert isinstance(key, Ed25519PrivateKey)  # noqa: S101 - as the certificate's
        return key.sign(data)

    return sign


def make_certificates(folder: Path) -> None:
    """Write certificates to try marks with, their private key, and the root that vouches for them.

    Nobody else trusts them: a certificate for the public comes from an authority on C2PA's list.

    Raises:
        InputError: one of the files is there already.
        OutputError: they cannot be written.
    """
    authority, key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    root = issued(_ROOT_NAME, authority.public_key(), authority, is_authority=True)
    certificate = issued("SafeGen development", key.public_key(), authority, is_authority=False)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain = certificate.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)
    try:
        for name in (CERTIFICATES, KEY, ROOT):
            if (folder / name).exists():
                raise InputError(f"{folder / name} is there already", "give another folder")
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / KEY, private, mode=0o600)
        write_durably(folder / CERTIFICATES, chain)
        write_durably(folder / ROOT, root.public_bytes(Encoding.PEM))
    except OSError as error:
        raise OutputError(
            f"cannot write certificates to {folder}: {error}", "choose a folder you can write to"
        ) from error


def issued(
    name: str,
    key: Ed25519PublicKey | RSAPublicKey | ec.EllipticCurvePublicKey,
    by: Ed25519PrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    """A certificate as C2PA wants them (specification, section 14.5), by the development root."""
    now = datetime.now(UTC)
    usage = dict.fromkeys(_USES, False)
    usage |= dict.fromkeys(_OF_AUTHORITY if is_authority else _OF_SIGNER, True)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(_ROOT_NAME))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks differ
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False
        )
    )
    if not is_authority:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=True)
    return builder.sign(by, None)


def _named(name: str) -> x509.Name:
    # Both are asked for: what reads a mark shows the organisation as who signed it.
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
