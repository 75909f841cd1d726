"""The ledger's keys: one private key signs records, and all other secrets come from it."""

import hashlib
import hmac
import unicodedata
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from safegen.audit.ledger.files import write_durably
from safegen.audit.ledger.standalone import PUBLIC_KEY
from safegen.errors import LedgerError
from safegen.signing import read_private_key, read_public_key

PRIVATE_KEY = "key.pem"
PERMIT = "let this account read the ledger: through its folder's group, with setgid (chmod 2750)"


def make_private_key(path: Path) -> None:
    """Write a new private key that only its owner can read.

    Raises:
        OSError: it cannot be written.
    """
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, pem, mode=0o600)


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key.

    Raises:
        LedgerError: it is missing, or not an unencrypted Ed25519 key.
    """
    try:
        return read_private_key(path)
    except ValueError as error:
        raise LedgerError(
            f"cannot read the ledger's private key {path}: {error}",
            "give the file with the key that wrote this ledger (Ed25519, PEM, no password)",
        ) from error


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key.

    Raises:
        LedgerError: it is missing or not an Ed25519 key.
    """
    try:
        return read_public_key(path)
    except ValueError as error:
        raise LedgerError(
            f"cannot read the ledger's public key {path}: {error}",
            PERMIT
            if isinstance(error.__cause__, PermissionError)
            else f"restore the ledger's {PUBLIC_KEY}, or give a copy of it with --public-key",
        ) from error


def own_private_key(folder: Path, path: Path) -> Ed25519PrivateKey:
    """Read the private key of the ledger in a folder, which may have no public one yet.

    Raises:
        LedgerError: it is missing, cannot be read, or belongs to another ledger.
    """
    key, public = load_private_key(path), folder / PUBLIC_KEY
    if public.exists() and public.read_bytes() != public_pem(key):
        raise LedgerError(
            f"the key {path} does not belong to {public}",
            "give the private key that wrote this ledger",
        )
    return key


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public half, as a PEM file."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def derived_key(key: Ed25519PrivateKey, purpose: str) -> bytes:
    """32 bytes for one purpose, derived so that there is one secret to keep, not several."""
    info = f"safegen ledger: {purpose}".encode()
    return HKDF(SHA256(), length=32, salt=None, info=info).derive(key.private_bytes_raw())


class Commitments:
    """Keyed HMACs of texts: whoever has the private key can check a guess, nobody else can.

    The same text gives different ones as a prompt and as a user's id, and the same id in two
    tenants.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Those of the ledger with this private key."""
        self._prompts = derived_key(key, "prompt commitments")
        self._users = derived_key(key, "user ids")
        self._tenants = derived_key(key, "user ids of tenants")
        self._pictures = derived_key(key, "picture digests")

    def prompt(self, text: str) -> str:
        """`hmac-sha256:` and 64 hex digits."""
        return _hmac(self._prompts, text)

    def picture(self, digest: str) -> str:
        """Of a picture that a user gave, by its digest: `hmac-sha256:` and 64 hex digits."""
        return _hmac(self._pictures, digest)

    def user(self, text: str, tenant: str = "") -> str:
        """The subject that a user's id stands for: `hmac-sha256:` and 64 hex digits.

        Args:
            text: the id, in any of Unicode's forms: `ü` is one letter or two to a keyboard.
            tenant: whose user it is, likewise; empty: the platform has no tenants, or the request
                named none.
        """
        text, tenant = (unicodedata.normalize("NFC", each) for each in (text, tenant))
        # The length says where the tenant ends and the id begins.
        if tenant:
            return _hmac(self._tenants, f"{len(tenant)}:{tenant}{text}")
        return _hmac(self._users, text)


def _hmac(key: bytes, text: str) -> str:
    data = text.encode("utf-8", "surrogatepass")  # any str a user can send
    return f"hmac-sha256:{hmac.new(key, data, hashlib.sha256).hexdigest()}"
