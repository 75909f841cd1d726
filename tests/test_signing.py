"""Keys in PEM files."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from safegen.signing import read_private_key, read_public_key


def test_both_halves_are_read(tmp_path: Path) -> None:
    """What the private half signs, the public half verifies."""
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "key.pem", tmp_path / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )

    read_public_key(public).verify(read_private_key(private).sign(b"x"), b"x")

    assert read_public_key(public) == key.public_key()


def test_other_files_are_refused(tmp_path: Path) -> None:
    """Nothing, no key, a key of another kind, and one with a password are value errors."""
    path = tmp_path / "key.pem"
    for read in (read_private_key, read_public_key):
        with pytest.raises(ValueError, match="No such file"):
            read(path)
    path.write_bytes(b"no key")
    for read in (read_private_key, read_public_key):
        with pytest.raises(ValueError, match="PEM"):
            read(path)
    other = X25519PrivateKey.generate()
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ValueError, match="another kind"):
        read_private_key(path)
    path.write_bytes(
        other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(ValueError, match="another kind"):
        read_public_key(path)
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
    )
    with pytest.raises(ValueError, match=r"[Pp]assword"):
        read_private_key(path)
