"""A review site with records, held images and accounts, for tests that visit it."""

import atexit
import re
import shutil
import socket
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import uvicorn
from fastapi.testclient import TestClient
from httpx import Response
from ledgers import FULL, event, image, ledger, record
from PIL import Image, ImageDraw

from safegen.audit.aspects import needs_review
from safegen.audit.held import ImageStore
from safegen.audit.ledger import entries
from safegen.audit.review.accounts import Accounts, Role
from safegen.audit.review.acts import Acts
from safegen.audit.review.app import create_app
from safegen.audit.review.site import Site
from safegen.nouns import Context, Event, Finding, FiredRule, ImageRecord, Outcome, Record
from safegen.policy import Policy
from safegen.reference.render import render
from safegen.reference.world import OCCUPATIONS, Person, Scene

ACCOUNTS = {
    "ann": Role.REVIEWER, "bob": Role.REVIEWER, "ben": Role.AUDITOR, "ada": Role.ADMIN
}  # fmt: skip
WORDS = "four quiet paper boats"
PROMPTS = (
    "a photo of a guard", "a castle by a lake", "a hand grenade made of chocolate",
    "a photo of a mechanic", "a violin", "a chef with a knife", "a poster of a zombie, gore",
    "a farmer at dawn", "two dogs in the snow", "a photo of a nurse", "a woman in a dynamite dress",
)  # fmt: skip
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}\u202e"


@dataclass(frozen=True)
class Made:
    """Where it is, and the records in it by number."""

    folder: Path
    images: Path
    records: tuple[Record | Event, ...]

    def copied(self, folder: Path) -> "Made":
        """The same in another folder."""
        shutil.copytree(self.folder.parent, folder, dirs_exist_ok=True)
        return Made(folder / self.folder.name, folder / self.images.name, self.records)


class Browser:
    """Keeps cookies, and sends forms with the token of the page before."""

    def __init__(self, site: Site, address: str = "127.0.0.1") -> None:
        app = create_app(site, ["testserver"])
        self.client = TestClient(app, follow_redirects=False, client=(address, 5000))
        self.csrf = ""

    def get(self, path: str) -> Response:
        """Load a page."""
        page = self.client.get(path)
        if token := re.search(r'name="csrf" value="([^"]+)"', page.text):
            self.csrf = token[1]
        return page

    def post(self, path: str, **fields: str) -> Response:
        """Send a form."""
        return self.client.post(path, data={"csrf": self.csrf} | fields)

    def sign_in(self, name: str, password: str = WORDS, then: str = "/") -> Response:
        """Sign in, and load the first page for its token."""
        answer = self.post("/sign-in", name=name, password=password, then=then)
        if answer.status_code == 303:
            self.get("/")
        return answer


def events(made: Made) -> Iterator[tuple[str, str, str]]:
    """What was done, by whom, and why."""
    for _, entry in entries(made.folder, after=len(made.records) - 1):
        assert isinstance(entry, Event)
        yield entry.what, entry.actor, entry.reason


def signed_in(site: Site, name: str) -> Browser:
    """A browser of somebody who is."""
    browser = Browser(site)
    browser.sign_in(name)
    return browser


@contextmanager
def opened(made: Made) -> Iterator[Site]:
    """The site."""
    with Acts(made.folder) as acts:
        yield Site(made.folder, acts, ImageStore(made.images), secure=False)


@contextmanager
def serving(made: Made) -> Iterator[str]:
    """The site on a port of its own; gives its address."""
    with opened(made) as site, socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(create_app(site, ["*"]), log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def picture() -> Image.Image:
    """A drawn shape that a blur takes away."""
    drawn = Image.new("RGB", (96, 96), "#3a6ea5")
    ImageDraw.Draw(drawn).regular_polygon((48, 48, 34), 5, fill="#e8b23a")
    return drawn


def busy(folder: Path) -> Made:
    """Two weeks under the default policy, with pictures, verdicts and an account of each role."""
    policy, rng = Policy.load("default"), np.random.default_rng(0)
    store, made = ImageStore(folder / "held"), list[Record | Event]()
    start = datetime.now(UTC) - timedelta(days=14)
    for number in range(140):
        scores, decision = policy.assess(PROMPTS[number * 5 % len(PROMPTS)], Context())
        time = (start + timedelta(hours=number * 2.4)).isoformat(timespec="milliseconds")
        images = []
        if decision.checks:
            kind, score = number % len(OCCUPATIONS), rng.uniform(0, 0.45)
            shown = enlarged(
                render(Scene(Person(kind, number % 2, number % 5, None), "white", ""), rng)
            )
            flagged = number % 3 == 0 and len(decision.checks) > 1
            score = 0.55 + score if flagged else score
            outcome = Outcome.REVIEW if flagged else Outcome.ALLOWED
            image = ImageRecord(
                seed=number,
                outcome=outcome,
                held=store.put(shown) if flagged and number > 100 else "",
                findings=(
                    Finding(
                        detector="clip", detector_digest="sha256:c", label="weapon", score=score
                    ),
                    Finding(detector="nsfw", detector_digest="sha256:d", label="nsfw", score=0.02),
                ),
                reason="flagged: clip/weapon" if flagged else "",
            )
            images = [image]
        outcomes = [decision.outcome, *(image.outcome for image in images)]
        made.append(
            Record(
                id=str(uuid.UUID(int=rng.integers(2**63).item() << 64)),
                time=time,
                outcome=max(outcomes, key=lambda outcome: outcome.gravity),
                prompt_commitment="hmac-sha256:00",
                context=Context(tenant=("atelier", "postcards", "")[number % 3]),
                scores=scores,
                decision=decision,
                images=tuple(images),
                safegen="0.1.0",
            )
        )
    stopped = [each for each in made if isinstance(each, Record) and needs_review(each)]
    for number, each in enumerate(stopped[:-9]):
        what = ("upheld", "upheld", "overturned", "upheld", "overturned")[number % 5]
        done = event(number, what, each, actor=("ann", "bob")[number % 2], reason="see the guide")
        made.append(done.model_copy(update={"time": each.time}))
    return with_accounts(folder, made)


def enlarged(image: Image.Image) -> Image.Image:
    """As large as what a generator gives."""
    return image.resize((512, 512), Image.Resampling.BICUBIC)


def make(folder: Path) -> Made:
    """Six records, three of which wait for a person, and an account of each role."""
    return _made_once().copied(folder)


@cache
def _made_once() -> Made:
    """Hashing passwords takes its time."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    return _make(folder)


def _make(folder: Path) -> Made:
    held = ImageStore(folder / "held").put(picture())
    shown = image(Outcome.BLOCKED, unsafe=0.9).model_copy(update={"held": held})
    hostile = record(3, Outcome.BLOCKED).model_copy(
        update={
            "id": "evil-" + EVIL,
            "context": Context(tenant="=1+1" + EVIL),
            "error": EVIL,
            "images": (image().model_copy(update={"held": "../../etc/passwd", "reason": EVIL}),),
        }
    )
    decision = hostile.decision
    assert decision is not None
    rule = FiredRule(id=EVIL, action="block", reason=EVIL, values={EVIL: EVIL})
    hostile = hostile.model_copy(
        update={"decision": decision.model_copy(update={"rules": (rule,), "reason": EVIL})}
    )
    overturned = record(4, Outcome.BLOCKED)
    records: tuple[Record | Event, ...] = (
        record(0),
        record(1, Outcome.BLOCKED, images=[shown, image()]),
        record(2, Outcome.REVIEW),
        hostile,
        overturned,
        FULL,
        event(0, "overturned", overturned, actor="ann", reason="a toy\n# sword"),
        event(1, "upheld", FULL, actor="ann", reason="right"),
    )
    return with_accounts(folder, records)


def with_accounts(folder: Path, records: Sequence[Record | Event]) -> Made:
    """A ledger with these, and an account of each role."""
    where = ledger(folder / "ledger", *records)
    with Accounts.open(where) as accounts:
        for name, role in ACCOUNTS.items():
            accounts.add(name, role, WORDS)
    return Made(where, folder / "held", tuple(records))
