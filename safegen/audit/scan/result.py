"""What a scan finds out about one image."""

from pydantic import Field

from safegen.nouns import Frozen, Unit


class Sighting(Frozen):
    """What a detector saw in one view of an image."""

    detector: str
    label: str
    score: Unit
    box: tuple[float, float, float, float] | None = Field(
        default=None, description="left, top, right, bottom in pixels; None: the whole view"
    )
    view: int = Field(
        default=0, ge=0, description="which view: a frame, or a frame on one of two backdrops"
    )


class Scanned(Frozen):
    """One image of an archive: what it is, what was seen in it, and what follows from that."""

    path: str = Field(
        description="from what was scanned; a row of a table is TABLE.parquet/ROW; a backslash in "
        "a name is doubled, and a byte that is no UTF-8 is written as \\xNN"
    )
    sha256: str = Field(default="", description="of the file; empty where it could not be read")
    format: str = ""
    mode: str = Field(default="", description="Pillow's name of how the file holds its colours")
    width: int = Field(default=0, ge=0, description="as stored, before it is turned upright")
    height: int = Field(default=0, ge=0)
    frames: int = Field(default=0, ge=0)
    findings: tuple[Sighting, ...] = ()
    detectors: tuple[str, ...] = Field(
        default=(), description="those that looked at every view; digests are in the summary"
    )
    flagged: tuple[str, ...] = Field(default=(), description="the checks that flag it, in words")
    error: str = Field(default="", description="why it, or part of it, could not be looked at")
    judge: str = Field(
        description="sha256:… of the policy and the detectors that judged it, by their digests"
    )
