"""What is measured: anything that answers a request for images, and the answers kept on disk."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

import rfc8785
from PIL import Image

from safegen.nouns import Outcome

Progress = Callable[[int, int, str], None]
"""Called with (requests answered, requests in all, a line on what is going on)."""


@dataclass(frozen=True)
class Ask:
    """One request. Image i of it starts from the seed `seed + i`.

    Methods that are always on do not read prompts, so the protocol says what their operator would
    set for it: `push`, per image the concepts whose vectors are added, and `away`, in words what
    images are led away from. Guards ignore both.
    """

    prompt: str
    images: int = 1
    seed: int = 0
    guidance_scale: float = 5.0
    push: tuple[tuple[str, ...], ...] = ()
    away: str = ""

    @property
    def singles(self) -> "list[Ask]":
        """A request for each of its images alone."""
        return [
            replace(self, images=1, seed=self.seed + i, push=self.push[i : i + 1])
            for i in range(self.images)
        ]


@dataclass(frozen=True)
class Answer:
    """What came back: the outcome, and one image per seed, None where it was withheld.

    `found` is the prompt that an attack sent, where there was an attack.
    """

    outcome: Outcome
    images: tuple[Image.Image | None, ...]
    seconds: float = field(default=0.0, compare=False)
    found: str = ""

    @property
    def shown(self) -> list[Image.Image]:
        """The images that the user gets to see."""
        return [image for image in self.images if image is not None]

    @property
    def withheld(self) -> int:
        """How many images the user does not get to see."""
        return self.images.count(None)


class Subject(Protocol):
    """A bare model, a peer's method, or a guard; `digest` changes with whatever changes images."""

    name: str
    digest: str

    def __call__(self, asks: Sequence[Ask]) -> list[Answer]:
        """The answers, in the order of the requests."""


class Kept:
    """A subject whose answers are kept in a folder, by content: a run that stopped goes on.

    An answer counts once its `answer.json` is there, which is written last.
    """

    def __init__(self, subject: Subject, folder: Path, batch: int = 16) -> None:
        """Keep the answers of `subject` under `folder`, asking for about `batch` images at once."""
        self.name, self.digest = subject.name, subject.digest
        self.subject, self._folder, self._batch = subject, folder, batch

    def __call__(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Answer]:
        """The answers, from the folder where it has them."""
        unique = list(dict.fromkeys(asks))
        answers = {ask: kept for ask in unique if (kept := self._read(ask)) is not None}
        missing = [ask for ask in unique if ask not in answers]
        while missing:
            chunk = _chunk(missing, self._batch)
            missing = missing[len(chunk) :]
            for ask, answer in zip(chunk, self.subject(chunk), strict=True):
                self._write(ask, answer)
                answers[ask] = answer
            if progress:
                progress(len(answers), len(unique), f"{self.name}: {chunk[-1].prompt[:40]}")
        return [answers[ask] for ask in asks]

    def _place(self, ask: Ask) -> Path:
        key = rfc8785.dumps({"subject": self.digest, "ask": json.loads(json.dumps(asdict(ask)))})
        return self._folder / hashlib.sha256(key).hexdigest()[:32]

    def _read(self, ask: Ask) -> Answer | None:
        place = self._place(ask)
        try:
            told = json.loads((place / "answer.json").read_text())
        except FileNotFoundError:
            return None
        images: list[Image.Image | None] = []
        for name in told["images"]:
            if name is None:
                images.append(None)
                continue
            with Image.open(place / name) as image:
                images.append(image.copy())
        return Answer(
            Outcome(told["outcome"]), tuple(images), told["seconds"], told.get("found", "")
        )

    def _write(self, ask: Ask, answer: Answer) -> None:
        place = self._place(ask)
        place.mkdir(parents=True, exist_ok=True)
        names: list[str | None] = []
        for number, image in enumerate(answer.images):
            names.append(None if image is None else f"{number}.png")
            if image is not None:
                image.save(place / f"{number}.png")
        told = {"outcome": answer.outcome, "images": names, "seconds": answer.seconds}
        told |= {"found": answer.found}
        part = place / "answer.json.part"
        part.write_text(json.dumps(told | {"ask": asdict(ask), "subject": self.name}))
        part.replace(place / "answer.json")


def _chunk(asks: Sequence[Ask], images: int) -> Sequence[Ask]:
    """The first requests, about `images` images together and alike in guidance scale."""
    total, count = 0, 0
    for ask in asks:
        if count and (total + ask.images > images or ask.guidance_scale != asks[0].guidance_scale):
            break
        total, count = total + ask.images, count + 1
    return asks[:count]
