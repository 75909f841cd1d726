"""Text from requests, made fit to be shown."""

import pytest

from safegen.audit.text import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("héllo 日本 🙂\n", "héllo 日本 🙂\n"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u200bb\r", r"a\u200bb\r"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_cannot_be_seen_is_spelt_out(text: str, shown: str) -> None:
    """Marks that move the cursor, turn the direction or hide are written as escapes."""
    assert plain(text) == shown
