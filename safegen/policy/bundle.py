"""A policy and all that it imports as one file, signed: what was approved is what is in force.

A bundle is canonical JSON (RFC 8785):

    {"bundle": "safegen/v1", "created", "digest", "entry", "files": {name: {"imports", "text"}},
     "reads": {setting: "sha256:…"}, "signature"}

`created` is when it was signed, so that a bundle of the past is told from the one in force; bundles
that nobody signed lack it. `reads` has the digest of every file or folder that a classifier's
setting names, which stay beside the bundle; where none is named it is left out. The signature
(Ed25519, hex) is over the same JSON without it. Where a public key is configured, nothing but a
bundle with a valid signature is loaded: a plain file, a bundle whose signature was taken off, and
one signed by somebody else are all refused.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path, PurePath
from typing import Any, Literal

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, ValidationError

from safegen.errors import InputError, PolicyError
from safegen.nouns import Frozen
from safegen.policy.classifiers import files_read
from safegen.policy.imports import Fetch, read_whole
from safegen.policy.load import decoded, find_policy, identity
from safegen.policy.whole import Whole
from safegen.signing import read_private_key, read_public_key

_START = '{"bundle":"safegen/'
_ENTRY = "policy.yaml"


class BundledFile(Frozen):
    """One policy file; `imports` says which file each of its imports is."""

    text: str
    imports: dict[str, str] = {}


class Bundle(Frozen):
    """What a bundle file holds."""

    bundle: Literal["safegen/v1"] = "safegen/v1"
    # Always as long, so that the order of the texts is that of the times.
    created: str = Field(default="", pattern=r"^([0-9-]{10}T[0-9:]{8}\.[0-9]{6}Z)?$")
    digest: str
    entry: str
    files: dict[str, BundledFile]
    reads: dict[str, str] = {}
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return rfc8785.dumps(self._told({"signature"}))

    def written(self) -> bytes:
        """The bundle as a file."""
        return rfc8785.dumps(self._told(()))

    def _told(self, without: Collection[str]) -> dict[str, Any]:
        empty = {name for name in ("created", "reads") if not getattr(self, name)}
        return self.model_dump(exclude={*without, *empty})


@dataclass(frozen=True)
class Opened:
    """The policy text to load, what to call it, and where its imports come from."""

    text: str
    source: str
    fetch: Fetch
    digest: str | None = None
    created: str = ""
    reads: Mapping[str, str] | None = None

    def require_files(self, whole: Whole) -> None:
        """Check that what a bundle's classifiers are made from is what it was bundled with.

        Raises:
            PolicyError: a file is another, is missing, or the bundle says nothing of it.
        """
        if self.reads is None:
            return
        found = files_read(whole)
        for setting in sorted(self.reads.keys() | found.keys()):
            expected, given = (each.get(setting, "no file") for each in (self.reads, found))
            if given != expected:
                raise PolicyError(
                    f"{setting} names what is not as it was bundled: expected {expected}, found "
                    f"{given}",
                    source=self.source,
                    mend="put beside the bundle what it was made with, or make it anew",
                )


def make_bundle(policy: Path | str, key: Path | None = None) -> bytes:
    """The bundle of a policy (a file, a folder with `policy.yaml`, or a shipped pack).

    Args:
        policy: what to bundle; whether its conditions hold water, `Policy.load` says.
        key: Ed25519 private key (PEM) that signs, with the time; None: unsigned.

    Raises:
        PolicyError: the policy is wrong, too large for one file, or a file of it changes meanwhile.
        InputError: the key cannot be read.
    """
    private = _private_key(key) if key else None
    text, source = find_policy(entry_of(policy))
    first = {identity(text, source): (text, source)}
    names = {(text, source): PurePath(source).name}
    imports: dict[str, dict[str, str]] = {}

    def fetch(name: str, importer: str) -> tuple[str, str]:
        found = find_policy(name, importer)
        found = first.setdefault(identity(*found), found)
        if found not in names:
            names[found] = _free(PurePath(found[1]).name, names.values())
        imports.setdefault(importer, {})[name] = names[found]
        return found

    whole = read_whole(text, source, fetch)
    digest = whole.digest
    files = {
        name: BundledFile(text=found[0], imports=imports.get(found[1], {}))
        for found, name in names.items()
    }
    bundle = Bundle(digest=digest, entry=names[text, source], files=files, reads=files_read(whole))
    if private:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        bundle = bundle.model_copy(update={"created": now})
        signature = private.sign(bundle.signed_bytes()).hex()
        bundle = bundle.model_copy(update={"signature": signature})
    written = bundle.written()
    opened = _unpacked(_read(decoded(written, f"the bundle of {source}"), source), source)
    if (found := read_whole(opened.text, opened.source, opened.fetch).digest) != digest:
        raise PolicyError(
            f"the bundle would hold {found}, the files hold {digest}",
            source=source,
            mend="bundle it again, when nobody writes its files",
        )
    return written


def _free(plain: str, taken: Collection[str]) -> str:
    """A name for a file in the bundle: its own, or with a number that makes it another."""
    names = chain([plain], (f"{number}-{plain}" for number in count(len(taken))))
    return next(name for name in names if name not in taken)


def is_bundle(path: Path) -> bool:
    """Whether a file is a bundle, by how it begins."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_START)) == _START.encode()


def as_one_file(policy: Path | str) -> bytes:
    """A policy as a bundle, to be loaded where its files are not; a bundle as it is.

    Raises:
        PolicyError: the policy is wrong.
    """
    text, _ = find_policy(entry_of(policy))
    return text.encode() if text.startswith(_START) else make_bundle(policy)


def entry_of(policy: Path | str) -> Path | str:
    """The file to start from: of a folder, its `policy.yaml`."""
    return Path(policy) / _ENTRY if Path(policy).is_dir() else policy


def open_policy(name: str | Path, public_key: str | Path | None = None) -> Opened:
    """Find a policy, be it a file, a shipped pack or a bundle, and verify what must be verified.

    Raises:
        PolicyError: it cannot be read, or, with a public key, is not what that key's owner signed.
        InputError: the public key cannot be read.
    """
    text, source = find_policy(name)
    if not text.startswith(_START):
        if public_key is not None:
            raise _refused(source, "it is not a signed bundle")
        return Opened(text, source, find_policy)
    bundle = _read(text, source)
    if public_key is not None:
        _verify(bundle, source, public_key)
    return _unpacked(bundle, source)


def _read(text: str, source: str) -> Bundle:
    try:
        bundle = Bundle.model_validate(json.loads(text))
        if bundle.written().decode() != text.removesuffix("\n"):
            raise ValueError("it is not written as bundles are")
        if bundle.entry not in bundle.files:
            raise ValueError(f"it lacks {bundle.entry!r}, with which it starts")
    except (ValidationError, ValueError, RecursionError) as error:
        raise PolicyError(f"the bundle is damaged: {error}", source=source) from error
    return bundle


def _unpacked(bundle: Bundle, source: str) -> Opened:
    def fetch(name: str, importer: str) -> tuple[str, str]:
        inner = importer.removeprefix(f"{source}/")
        try:
            wanted = bundle.files[inner].imports[name]
            return bundle.files[wanted].text, f"{source}/{wanted}"
        except KeyError as error:
            raise PolicyError(f"the bundle lacks {error}", source=source) from error

    entry = bundle.files[bundle.entry]
    name = f"{source}/{bundle.entry}"
    return Opened(entry.text, name, fetch, bundle.digest, bundle.created, bundle.reads)


def _verify(bundle: Bundle, source: str, public_key: str | Path) -> None:
    try:
        key = read_public_key(Path(public_key))
    except ValueError as error:
        raise InputError(
            f"cannot read the public key {public_key}: {error}", "give an Ed25519 key in PEM"
        ) from error
    if not bundle.signature:
        raise _refused(source, "its signature is missing")
    try:
        key.verify(bytes.fromhex(bundle.signature), bundle.signed_bytes())
    except (InvalidSignature, ValueError) as error:
        raise _refused(source, "its signature is not of this key, or the bundle changed") from error


def _refused(source: str, reason: str) -> PolicyError:
    return PolicyError(
        f"refused, for a public key is configured and {reason}",
        source=source,
        mend="give a bundle made with `safegen policy bundle --key`, by the owner of that key",
    )


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        return read_private_key(path)
    except ValueError as error:
        raise InputError(
            f"cannot read the private key {path}: {error}",
            "give an Ed25519 key in PEM without a password: openssl genpkey -algorithm ed25519",
        ) from error
