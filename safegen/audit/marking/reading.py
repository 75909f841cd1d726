"""What the C2PA manifest in an image's file says."""

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image
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


class Credentials(Frozen):
    """What the C2PA manifest of a file says, and whether it is to be believed."""

    intact: bool
    """Whether file and manifest are as they were signed, by a certificate valid at the time."""
    trusted: bool
    """Whether a root that was given vouches for who signed."""
    signed_by: str
    signed_at: str
    """ISO 8601, as an authority for time stamps says it; empty: none does."""
    generated: bool
    """Whether it says that the image was made by a trained algorithm."""
    mark: Mark | None
    """Which record tells how, if SafeGen made it."""
    problems: tuple[str, ...]
    """C2PA's codes of what is wrong."""


def read_credentials(file: bytes, roots: str | Path | None = None) -> Credentials | None:
    """What the C2PA manifest of an image's file says; None: there is none in it.

    Nothing is fetched: a manifest that only a network has is none.

    Args:
        file: of a kind that Pillow knows.
        roots: PEM file of certificates whose word counts; by default nobody's does.

    Raises:
        InputError: it is no image, or the roots cannot be read.
        MissingExtraError: c2pa-python is not installed.
    """
    c2pa = library()
    try:
        kind = Image.open(io.BytesIO(file)).get_format_mimetype()
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot read the image: {error}", "give an image's file") from error
    trust = {"trust_config": PURPOSES}
    if roots is not None:
        trust["user_anchors"] = read_certificates(as_path("roots", roots))[1]
    settings = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}, "trust": trust}
    try:
        with c2pa.Reader(kind, io.BytesIO(file), context=c2pa.Context.from_dict(settings)) as read:
            told, state = json.loads(read.json()), read.get_validation_state()
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        raise InputError(
            f"cannot read the C2PA manifest of the image: {error}", "take the file as it was sent"
        ) from error
    active = told["manifests"].get(told.get("active_manifest"), {})
    assertions = {each["label"]: each["data"] for each in active.get("assertions", ())}
    actions = assertions.get("c2pa.actions.v2", assertions.get("c2pa.actions", {}))
    signature = active.get("signature_info", {})
    return Credentials(
        intact=state in ("Valid", "Trusted"),
        trusted=state == "Trusted",
        signed_by=signature.get("issuer") or "",
        signed_at=signature.get("time") or "",
        generated=any(
            each.get("digitalSourceType") in (GENERATED, EDITED)
            for each in actions.get("actions", ())
        ),
        mark=_mark_of(assertions.get(ASSERTION)),
        problems=tuple(
            each["code"]
            for each in told.get("validation_status", ())
            if each["code"] != "signingCredential.untrusted" or roots is not None
        ),
    )


def _mark_of(told: object) -> Mark | None:
    try:
        return Mark.model_validate(told)
    except ValidationError:  # none, or one that another program wrote under this name
        return None


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
