"""A review site with records, held images and accounts, for tests that visit it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ledgers import FULL, event, image, ledger, record
from PIL import Image, ImageDraw

from safegen.audit.held import ImageStore
from safegen.audit.review.accounts import Accounts, Role
from safegen.nouns import Context, Event, FiredRule, Outcome, Record

ACCOUNTS = {
    "ann": Role.REVIEWER, "bob": Role.REVIEWER, "ben": Role.AUDITOR, "ada": Role.ADMIN
}  # fmt: skip
WORDS = "four quiet paper boats"
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


def picture() -> Image.Image:
    """A drawn shape that a blur takes away."""
    drawn = Image.new("RGB", (96, 96), "#3a6ea5")
    ImageDraw.Draw(drawn).regular_polygon((48, 48, 34), 5, fill="#e8b23a")
    return drawn


def make(folder: Path) -> Made:
    """Six records, three of which wait for a person, and an account of each role."""
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
    where = ledger(folder / "ledger", *records)
    with Accounts.open(where) as accounts:
        for name, role in ACCOUNTS.items():
            accounts.add(name, role, WORDS)
    return Made(where, folder / "held", records)
