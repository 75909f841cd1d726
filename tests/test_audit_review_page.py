"""The review site in a browser, by clicks and keys."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import chromium, until
from reviewing import EVIL, WORDS, Made, busy, serving
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from safegen.audit.ledger import entries, verify
from safegen.audit.review.accounts import NAME
from safegen.nouns import Event
from safegen.policy import Policy

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("/", "/timeline", "/records/1", "/records/3", "/records/5", "/trends?since=2000-01-01",
         "/activity", "/accounts", "/nowhere")  # fmt: skip


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser for all tests; each begins without cookies."""
    with chromium(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


class Page:
    """A site in the browser."""

    def __init__(self, driver: webdriver.Chrome, address: str, made: Made) -> None:
        self.driver, self.address, self.made = driver, address, made
        driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        driver.get("about:blank")
        self.width(1280)

    def width(self, pixels: int, height: int = 900) -> None:
        """Make the page so wide."""
        size = {"width": pixels, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def open(self, path: str) -> None:
        """Load a page."""
        self.driver.get(self.address + path)

    def sign_in(self, name: str) -> None:
        """Sign in by the form that is shown, or is the first page."""
        if not self.found("[name=password]"):
            self.open("/")
        self.one("[name=name]").send_keys(name)
        self.one("[name=password]").send_keys(WORDS, Keys.ENTER)
        until(lambda: self.found(".who"))

    def found(self, selector: str) -> list[WebElement]:
        """All elements that fit a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The first of them."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str = "main") -> str:
        """What is to be read there."""
        return self.one(selector).text

    def keys(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def on(self, path: str) -> bool:
        """Whether this page is shown, and ready for keys."""
        ready = self.driver.execute_script("return document.readyState") == "complete"
        return ready and self.driver.current_url == self.address + path

    def judge(self, key: str, reason: str) -> None:
        """Give a verdict without the mouse."""
        self.keys(key)
        self.keys(reason)
        webdriver.ActionChains(self.driver).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(
            Keys.CONTROL
        ).perform()

    def complaints(self) -> list[str]:
        """What the browser's console says, other than that a page was refused or not found."""
        told = [each["message"] for each in self.driver.get_log("browser")]
        refused = ("Failed to load resource", "Response Status Error Code")
        return [each for each in told if not any(part in each for part in refused)]

    def events(self) -> list[Event]:
        """What was done since the site was made."""
        found = entries(self.made.folder, after=len(self.made.records) - 1)
        return [entry for _, entry in found if isinstance(entry, Event)]


@pytest.fixture
def page(driver: webdriver.Chrome, made: Made) -> Iterator[Page]:
    """The site, and a browser that nobody has signed in with; its console stays silent."""
    with serving(made) as address:
        page = Page(driver, address, made)
        yield page
        assert page.complaints() == []


def test_a_reviewer_works_the_queue_by_keyboard(page: Page) -> None:
    """Sign in, look, uphold, overturn, escalate: all of it is in the ledger, which verifies."""
    page.sign_in("ann")
    page.keys("n")
    until(lambda: page.on("/records/1"))
    assert page.one("figure img").get_attribute("src").endswith("blurred.png")
    page.keys("r")
    sharp = until(lambda: page.found("img.sharp"))[0]
    until(lambda: page.driver.execute_script("return arguments[0].naturalWidth", sharp) == 96)
    assert "grayscale" in sharp.value_of_css_property("filter")
    assert page.driver.switch_to.active_element.get_attribute("id") == "image-0"
    page.keys("g")
    assert sharp.value_of_css_property("filter") == "none"
    page.one("[data-key=h]").click()
    assert sharp.value_of_css_property("visibility") == "hidden"
    page.judge("u", "a real one")
    until(lambda: page.on("/records/2?done=1"))
    assert "record 1 is upheld" in page.text()
    page.judge("o", "a toy")
    until(lambda: page.on("/records/3?done=2"))
    page.judge("e", "not mine to say")
    until(lambda: page.on("/?done=3"))

    assert "Nothing waits here" in page.text()
    assert verify(page.made.folder).records == len(page.made.records) + 5
    told = [(each.what, each.actor, each.about, each.reason) for each in page.events()]
    first, second, third = (page.made.records[number].id for number in (1, 2, 3))
    assert told == [
        ("signed_in", "ann", "", ""),
        ("image_viewed", "ann", first, ""),
        ("upheld", "ann", first, "a real one"),
        ("overturned", "ann", second, "a toy"),
        ("escalated", "ann", third, "not mine to say"),
    ]


def test_a_verdict_without_a_reason_is_not_sent(page: Page) -> None:
    """The browser points at the empty field; nothing is recorded."""
    page.sign_in("ann")
    page.open("/records/1")
    page.judge("u", "")

    assert page.on("/records/1")
    assert page.driver.switch_to.active_element.get_attribute("name") == "reason"
    assert [each.what for each in page.events()] == ["signed_in"]


def test_lists_are_walked_by_keys(page: Page) -> None:
    """Down, up and open; the keys are told by a question mark."""
    page.sign_in("ann")
    page.keys("j", "j", "k", "j", Keys.ENTER)
    until(lambda: page.on("/records/2"))
    page.keys("?")

    assert page.one("#help").is_displayed()
    assert "overturn" in page.text("#help")


def test_keys_do_nothing_behind_the_help(page: Page) -> None:
    """What is behind the open dialog is not seen, so nothing is chosen or left there."""
    page.sign_in("ann")
    page.open("/records/1")
    page.keys("?")
    page.keys("o", "r", "n")

    assert page.on("/records/1")
    assert not page.found("[name=verdict]:checked, img.sharp")
    page.keys(Keys.ESCAPE, "o")
    assert page.one("[name=verdict]:checked").get_attribute("value") == "overturned"
    assert [each.what for each in page.events()] == ["signed_in"]


def test_colour_is_for_one_reviewer(page: Page) -> None:
    """Who signs in next in the same browser sees grey until they ask for colour."""
    coloured = "return document.body.classList.contains('colour')"
    page.sign_in("ann")
    page.keys("g")
    page.open("/nowhere")
    page.open("/timeline")
    kept = page.driver.execute_script(coloured)
    page.one(".who button").click()
    until(lambda: page.found("[name=password]"))
    page.sign_in("bob")

    assert kept
    assert not page.driver.execute_script(coloured)


def test_an_expired_session_ends_at_the_sign_in(page: Page) -> None:
    """Neither a page nor a held image comes; after signing in, one is where one was."""
    page.sign_in("ann")
    page.open("/records/1")
    with sqlite3.connect(page.made.folder / NAME) as database:
        database.execute("UPDATE sessions SET seen = 0")
    database.close()
    page.keys("r")
    until(lambda: page.found("[name=password]"))
    assert [each.what for each in page.events()] == ["signed_in"]
    page.sign_in("ann")

    until(lambda: page.on("/records/1"))


def test_other_roles_have_no_buttons_to_judge_by(page: Page) -> None:
    """An auditor sees the record, and neither images nor a verdict; admins' pages are refused."""
    page.sign_in("ben")
    page.open("/records/1")
    page.keys("u", "n", "r")
    assert not page.found("#verdict, #next, figure img")
    assert [each.text for each in page.found("header nav a")] == [
        "Queue", "Timeline", "Trends", "Activity"
    ]  # fmt: skip
    page.open("/accounts")

    assert "Not for the role auditor" in page.text()


def test_no_text_of_a_request_runs(page: Page) -> None:
    """Tags stand there as text, no picture of theirs is asked for, and no page is too wide."""
    page.sign_in("ada")
    for path in PAGES:
        for width in (1280, 390):
            page.width(width)
            page.open(path)
            wide = page.driver.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width, path
            assert not page.found("main script, img[src='x']")
    page.open("/records/3")
    page.one("summary").click()
    assert EVIL.replace("\u202e", r"\u202e") in page.text()
    page.judge("o", EVIL)
    until(lambda: "/records/3" not in page.driver.current_url)
    page.open("/records/3")

    assert page.events()[-1].reason == EVIL
    assert f"overturned it: {EVIL.replace(chr(0x202E), chr(92) + 'u202e')}" in page.text()


def test_filters_narrow_the_timeline_in_place(page: Page) -> None:
    """The list alone is loaded anew, and the address leads to the same list."""
    page.sign_in("ann")
    page.open("/timeline")
    page.driver.execute_script("window.same = true")
    Select(page.one("[name=outcome]")).select_by_visible_text("blocked")
    page.one(".filters button").click()
    until(lambda: len(page.found(".records td a")) == 3)
    assert page.driver.execute_script("return window.same")
    address = page.driver.current_url
    page.driver.get(address)

    assert "outcome=blocked" in address
    assert [each.text for each in page.found(".records td a")] == ["4", "3", "1"]


def test_what_is_refused_is_told_in_place(page: Page) -> None:
    """A misspelt filter gives a message above the list, which stays."""
    page.sign_in("ann")
    page.open("/timeline")
    page.one("[name=rule]").send_keys("block.gor", Keys.ENTER)
    until(lambda: page.one("#notice").is_displayed())

    assert "did you mean block.gore?" in page.text("#notice")
    assert len(page.found(".records td a")) == 6


def test_false_alarms_are_saved_as_tests(page: Page, driver: webdriver.Chrome) -> None:
    """The file that the browser keeps is one that the policy's tests run with."""
    page.sign_in("ann")
    page.open("/trends?since=2000-01-01")
    assert "block.gore 0 1 100 %" in page.text("table")
    page.one("button[aria-label='Save tests of block.gore']").click()
    folder = Path(driver.capabilities["chrome"]["userDataDir"]).parent
    [saved] = until(lambda: list(folder.glob("false-alarms*.yaml")))
    tests = Policy.load(saved).test()
    saved.unlink()

    assert len(tests) == 1
    assert page.events()[-1].details == {"as": "tests", "policy": "default", "rule": "block.gore"}


def test_an_admin_makes_and_disables_accounts(page: Page) -> None:
    """By clicks; whoever is disabled cannot sign in."""
    page.sign_in("ada")
    page.one("a[href='/accounts']").click()
    form = until(lambda: page.found("#add"))[0]
    form.find_element(By.NAME, "name").send_keys("eve")
    Select(form.find_element(By.NAME, "role")).select_by_visible_text("auditor")
    form.find_element(By.NAME, "password").send_keys(WORDS, Keys.ENTER)
    until(lambda: page.found("button[aria-label='Disable eve']"))[0].click()
    until(lambda: page.found("button[aria-label='Enable eve']"))
    page.one(".who button").click()
    # The page of accounts asks for a name and a password too, until it is gone.
    until(lambda: not page.found("#add") and page.found("[name=password]"))
    page.one("[name=name]").send_keys("eve")
    page.one("[name=password]").send_keys(WORDS, Keys.ENTER)
    until(lambda: page.found(".alert:not([hidden])"))

    assert "Name or password is wrong" in page.text()
    assert [each.what for each in page.events()] == [
        "signed_in", "account_added", "account_disabled", "signed_out", "sign_in_refused"
    ]  # fmt: skip


def test_two_weeks_of_requests(driver: webdriver.Chrome, tmp_path: Path) -> None:
    """What stopped a request, and what reviewers made of each rule, is there to be read.

    With SAFEGEN_UPDATE_DOCS, the pictures of the guide are taken.
    """
    made = busy(tmp_path)
    with serving(made) as address:
        page = Page(driver, address, made)
        page.sign_in("ada")
        waiting = [each for each in page.found(".records tbody tr") if "review" in each.text]
        waiting[0].find_element(By.TAG_NAME, "a").click()
        until(lambda: page.found("#verdict"))
        assert "safe.weapon" in page.text(".trace")
        assert "clip/weapon" in page.text(".image .scores")
        _picture(driver, "review-record.png")
        page.open("/trends")
        rules = [each.text for each in page.found("main td:first-child code")]
        _picture(driver, "review-trends.png")

        assert set(rules) == {"violence.gore", "weapon.explosive", "check:clip/weapon"}
        assert page.complaints() == []


def _picture(driver: webdriver.Chrome, name: str) -> None:
    if os.environ.get("SAFEGEN_UPDATE_DOCS"):
        driver.save_screenshot(str(DOCS / name))
