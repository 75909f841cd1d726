"""A sheet of what a scan flagged: thumbnails beyond recognition, in one page that loads nothing."""

import base64
from collections.abc import Iterable
from html import escape

from safegen import pages
from safegen.audit.scan.result import Scanned

_STYLE = (
    f"{pages.BODY}figure{{display:inline-block;width:11rem;margin:0 .7rem 1rem 0;"
    "vertical-align:top;overflow-wrap:anywhere;font-size:.8rem}img{display:block}"
)


def contact_sheet(flagged: Iterable[tuple[Scanned, bytes]], total: int) -> str:
    """A page with these flagged images, of `total` that there are."""
    figures = [_figure(result, thumbnail) for result, thumbnail in flagged]
    told = f"<p>{len(figures)} of {total} flagged images, grey and blurred.</p>"
    return pages.page("Flagged images", told + "".join(figures), _STYLE, pages.LOADS_NOTHING)


def _figure(result: Scanned, thumbnail: bytes) -> str:
    picture = base64.b64encode(thumbnail).decode()
    why = "; ".join(result.flagged)
    # The path comes from whoever filled the archive: it may turn the direction of writing.
    return (
        f'<figure><img alt="" src="data:image/png;base64,{picture}">'
        f"<figcaption><bdi>{escape(result.path)}</bdi><br>{escape(why)}</figcaption></figure>"
    )
