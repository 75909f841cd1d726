"""The canonical form of a record is that of RFC 8785, by whichever way it is written."""

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from safegen.audit.ledger.format import canonical

NUMBERS = st.integers(-(2**54), 2**54) | st.floats()
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(st.characters())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters()), VALUES, max_size=4))
@example({"a": -0.0, "b": 5.0, "c": 1e21, "d": 1e-7, "e": 0.0001, "f": 123456789012345.67})
@example({"a": 9007199254740991.0, "b": 1e15, "c": 999999999999999.9, "d": 9.999e-5})
@example({"é": 1, "z": 2, "\ufb33": 3, "\U0001f600": 4})
@example({"a": '\x00\x1f\x7f\u2028"\\/\b\f\n\r\t'})
def test_bytes_are_those_of_the_standard(record: dict[str, object]) -> None:
    """The same bytes as the reference library's, or the same refusal."""
    try:
        expected = rfc8785.dumps(record)  # type: ignore[arg-type]
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            canonical(record)
    else:
        assert canonical(record) == expected
