"""What the C2PA manifest in an image's file says, and those of the images that it was made from."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from pydantic import ValidationError

from safegen.arguments import as_path
from safegen.audit.marking import Mark
from safegen.audit.marking.certificates import read_certificates
from safegen.errors import InputError, MissingExtraError
from safegen.nouns import Frozen

_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = f"{_SOURCE}trainedAlgorithmicMedia"
EDITED = f"{_SOURCE}compositeWithTrainedAlgorithmicMedia"
"""IPTC's term for what a model made of media that was there, as by inpainting."""
ASSERTION = "org.safegen.record"
PURPOSES = "\n".join(
    (
        "1.3.6.1.5.5.7.3.4",  # to protect mail
        "1.3.6.1.5.5.7.3.36",  # to sign documents
        "1.3.6.1.4.1.62558.2.1",  # to sign what C2PA claims
    )
)
"""What the extended key usage of a signing certificate may be (specification, section 14.5), as the
library's `trust_config` takes it: alone it would know but the first."""
_ACTIONS = ("c2pa.actions", "c2pa.actions.v2")
_UNTRUSTED = "signingCredential.untrusted"
_RECORDS = f"{ASSERTION}.multiple"
_KINDS = {
    re.compile(rb"\x89PNG\r\n\x1a\n"): "image/png",
    re.compile(rb"\xff\xd8\xff"): "image/jpeg",
    re.compile(rb"RIFF.{4}WEBP", re.DOTALL): "image/webp",
}
"""Told by their first bytes: Pillow opens no PNG of which a byte was changed."""


class Said(Frozen):
    """What one manifest says."""

    signed_by: str
    """As the certificate has it: the organisation, or else the common name."""
    generated: bool
    """Whether it says that the image was made by a trained algorithm.

    Where who signed says itself what was done, what it took over from others does not count.
    """
    mark: Mark | None
    """Which record tells how, if SafeGen made it."""


class Ingredient(Said):
    """What the manifest of an image says that this one was made from."""

    relationship: str
    """`parentOf`: this is an edit of it; `componentOf`: it was put in; `inputTo`: it was used."""
    intact: bool
    """Whether it was, as who signed the manifest that names it found and says."""


class Credentials(Said):
    """What the C2PA manifest of a file says, and whether it is to be believed."""

    intact: bool
    """Whether file and manifest are as they were signed, by a certificate valid at the time.

    Nothing that cannot be read is, nor what names two records.
    """
    trusted: bool
    """Whether a root that was given vouches for who signed."""
    signed_at: str
    """ISO 8601, as an authority for time stamps says it; empty: none does."""
    time_trusted: bool = False
    """Whether a root that was given vouches for that authority; else it may be any clock."""
    ingredients: tuple[Ingredient, ...] = ()
    """Of all images that it was made from, and those were made from, that have a manifest."""
    problems: tuple[str, ...]
    """C2PA's codes of what is wrong, or the library's words where it cannot be read."""


def read_credentials(file: bytes, roots: str | Path | None = None) -> Credentials | None:
    """What the C2PA manifest of an image's file says; None: there is none in it.

    Nothing is fetched: a manifest that only a network has is none; see `named_elsewhere`.

    Args:
        file: of a kind that Pillow knows.
        roots: PEM file of certificates whose word counts; by default nobody's does.

    Raises:
        InputError: it is no image, or the roots cannot be read.
        MissingExtraError: c2pa-python is not installed.
    """
    c2pa, trust = library(), {"trust_config": PURPOSES}
    if roots is not None:
        trust["user_anchors"] = read_certificates(as_path("roots", roots))[1]
    kind, unreadable = _kind_of(file)
    try:
        told, state = _read(file, kind, trust)
    except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported):
        told, state = {}, ""
    except c2pa.C2paError as error:
        if _elsewhere(error):
            told, state = {}, ""
        else:
            return _not_read(str(error))
    if not told:
        if unreadable is not None:
            raise unreadable
        return None
    active = told["manifests"].get(told.get("active_manifest"), {})
    codes = [each["code"] for each in told.get("validation_status", ())]
    problems = [code for code in codes if code != _UNTRUSTED or roots is not None]
    if len(_assertions(active, ASSERTION)) > 1:
        problems.append(_RECORDS)
    if unreadable is not None:
        problems.append(unreadable.message)
    intact = state in ("Valid", "Trusted") and not {*problems} - {_UNTRUSTED}
    return Credentials(
        **_said(active),
        intact=intact,
        trusted=intact and state == "Trusted",
        signed_at=active.get("signature_info", {}).get("time") or "",
        time_trusted="timeStamp.trusted" in _successes(told),
        ingredients=tuple(_ingredients(told["manifests"], active)),
        problems=tuple(problems),
    )


def named_elsewhere(file: bytes) -> str:
    """Where on the network a file without a manifest says that it has one; empty: nowhere.

    Raises:
        InputError: it is no image.
        MissingExtraError: c2pa-python is not installed.
    """
    try:
        _read(file, _kind_of(file)[0], {})
    except library().C2paError as error:
        return _elsewhere(error)
    return ""


def library() -> Any:
    """The module c2pa.

    Raises:
        MissingExtraError: c2pa-python is not installed.
    """
    try:
        import c2pa
    except ImportError as error:
        raise MissingExtraError("c2pa-python", "c2pa", "marking images by C2PA") from error
    return c2pa


def _kind_of(file: bytes) -> tuple[str, InputError | None]:
    """Its MIME type; and why it cannot be opened, if only its first bytes tell the type."""
    try:
        return str(Image.open(io.BytesIO(file)).get_format_mimetype()), None
    except Image.DecompressionBombError as error:
        raise _no_image(error) from error
    except (OSError, ValueError) as error:
        said = "its bytes are damaged" if isinstance(error, UnidentifiedImageError) else error
        for beginning, kind in _KINDS.items():
            if beginning.match(file):
                return kind, _no_image(said)
        raise _no_image(error) from error


def _no_image(why: object) -> InputError:
    return InputError(f"cannot read the image: {why}", "give an image's file")


def _read(file: bytes, kind: str, trust: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """All that the library tells, and what it makes of it."""
    c2pa = library()
    settings = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}, "trust": trust}
    with c2pa.Reader(kind, io.BytesIO(file), context=c2pa.Context.from_dict(settings)) as read:
        return json.loads(read.json()), str(read.get_validation_state())


def _elsewhere(error: Exception) -> str:
    """The URL of which the library says that it was not to fetch it."""
    found = re.search(r"must fetch remote manifests from url (\S+)", str(error))
    return found[1] if found else ""


def _not_read(why: str) -> Credentials:
    return Credentials(
        signed_by="",
        generated=False,
        mark=None,
        intact=False,
        trusted=False,
        signed_at="",
        problems=(f"the manifest cannot be read: {' '.join(why.split())}",),
    )


def _said(manifest: Mapping[str, Any]) -> dict[str, Any]:
    signature = manifest.get("signature_info", {})
    actions = [each for each in manifest.get("assertions", ()) if each["label"] in _ACTIONS]
    own = [each for each in actions if each.get("created")] or actions
    records = _assertions(manifest, ASSERTION)
    return {
        "signed_by": signature.get("issuer") or signature.get("common_name") or "",
        "generated": any(
            action.get("digitalSourceType") in (GENERATED, EDITED)
            for each in own
            for action in each["data"].get("actions", ())
        ),
        "mark": _mark_of(records[0]) if len(records) == 1 else None,
    }


def _assertions(manifest: Mapping[str, Any], label: str) -> list[Any]:
    return [each["data"] for each in manifest.get("assertions", ()) if each["label"] == label]


def _mark_of(told: object) -> Mark | None:
    try:
        return Mark.model_validate(told)
    except ValidationError:  # one that another program wrote under this name
        return None


def _ingredients(
    manifests: Mapping[str, Any], manifest: Mapping[str, Any], seen: tuple[str, ...] = ()
) -> Iterator[Ingredient]:
    for each in manifest.get("ingredients", ()):
        label = each.get("active_manifest")
        if label not in manifests or label in seen:
            continue
        failures = [*each.get("validation_status", ()), *_results(each).get("failure", ())]
        yield Ingredient(
            **_said(manifests[label]),
            relationship=str(each.get("relationship", "")),
            intact={problem["code"] for problem in failures} <= {_UNTRUSTED},
        )
        yield from _ingredients(manifests, manifests[label], (*seen, label))


def _successes(told: Mapping[str, Any]) -> list[str]:
    return [each["code"] for each in _results(told).get("success", ())]


def _results(told: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = told.get("validation_results", {}).get("activeManifest") or {}
    return found
