"""What a few tests need beside Python: a browser, a database server, another program's tree."""

import os

import pytest

REQUIRED = "SAFEGEN_TEST_SERVICES"


def needs(found: bool, what: str, mend: str) -> None:
    """Skip the test where `what` is missing; where SAFEGEN_TEST_SERVICES is set, fail it.

    `.ci/run` installs all of them and sets it, so that nothing is skipped there.
    """
    if not found:
        message = f"needs {what}: {mend}"
        if os.environ.get(REQUIRED):
            pytest.fail(message)
        pytest.skip(message)
