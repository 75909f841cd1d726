"""Ed25519 keys in PEM files, for whatever SafeGen signs."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key.

    Raises:
        ValueError: it is missing, or not an Ed25519 key without a password.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, TypeError) as error:
        raise ValueError(error) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("it is another kind of key")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key.

    Raises:
        ValueError: it is missing or not an Ed25519 key.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ValueError(error) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("it is another kind of key")
    return key
