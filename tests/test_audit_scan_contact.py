"""The sheet of flagged images."""

from safegen.audit.scan.contact import contact_sheet
from safegen.audit.scan.result import Scanned


def test_names_cannot_act_on_the_page() -> None:
    """Names and checks are text, set apart from the direction of the rest; nothing is loaded."""
    name = '<script>alert(1)</script>\u202egnp."onload="x'
    page = contact_sheet([(Scanned(path=name, flagged=("a/b from 0.5",), judge="j"), b"png")], 9)

    assert "<script>" not in page
    assert '"onload="' not in page
    assert "<bdi>&lt;script&gt;" in page
    assert "1 of 9 flagged images" in page
    assert "default-src 'none'" in page
    assert 'src="data:image/png;base64,cG5n"' in page
    assert page.count("src=") == 1
