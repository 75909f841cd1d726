"""Archives of images for tests: flat colours, one of which the detector `nsfw` scores at 0.2."""

from pathlib import Path

from PIL import Image

POLICY = """\
apiVersion: safegen/v1
metadata: {name: scan, version: "1"}
rules:
  - id: look
    when: "true"
    then: {check: [{detector: nsfw, label: nsfw, threshold: 0.15}]}
"""
CHECK = "nsfw/nsfw from 0.15"
FLAGGED, CLEAN = (224, 172, 140), (30, 60, 200)


def policy(folder: Path, text: str = POLICY) -> Path:
    """A policy file that flags `FLAGGED` and not `CLEAN`."""
    path = folder / "policy.yaml"
    path.write_text(text)
    return path


def flat(
    path: Path, colour: tuple[int, int, int] = CLEAN, size: tuple[int, int] = (48, 32)
) -> Path:
    """A picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path
