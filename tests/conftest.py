"""What tests of several files share."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from reviewing import Browser, Made

    from safegen.audit.review.site import Site

# The imports stand in the fixtures, so that tests that visit no site do not wait for them.


@pytest.fixture
def made(tmp_path: Path) -> "Made":
    """A ledger, held images and accounts."""
    from reviewing import make

    return make(tmp_path)


@pytest.fixture
def site(made: "Made") -> Iterator["Site"]:
    """The review site on them."""
    from reviewing import opened

    with opened(made) as site:
        yield site


@pytest.fixture
def ann(site: "Site") -> "Browser":
    """A reviewer, signed in."""
    from reviewing import signed_in

    return signed_in(site, "ann")


@pytest.fixture
def ben(site: "Site") -> "Browser":
    """An auditor, signed in."""
    from reviewing import signed_in

    return signed_in(site, "ben")


@pytest.fixture
def ada(site: "Site") -> "Browser":
    """An admin, signed in."""
    from reviewing import signed_in

    return signed_in(site, "ada")
