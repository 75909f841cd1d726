"""A browser for the tests of web pages."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from services import needs

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --disable-dev-shm-usage"
)
_SECONDS = 90


@contextmanager
def chromium(folder: Path) -> Iterator[webdriver.Chrome]:
    """Debian's Chromium, with its profile and downloads in this folder."""
    found = shutil.which("chromium") and shutil.which("chromedriver")
    needs(bool(found), "Chromium", "apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    for flag in (*_FLAGS.split(), f"--user-data-dir={folder}/profile"):
        options.add_argument(flag)
    service = webdriver.ChromeService(str(shutil.which("chromedriver")))
    with webdriver.Chrome(options=options, service=service) as driver:
        yield driver


def until(holds: Callable[[], Any]) -> Any:
    """What `holds` gives once it is true."""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if value := holds():
            return value
        time.sleep(0.05)
    raise TimeoutError("the page did not come so far")
