"""What is measured: anything that answers a request for images, and the answers kept on disk."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol, overload

import rfc8785
from PIL import Image

from safegen.errors import InputError
from safegen.files import write_file, write_png
from safegen.nouns import LARGEST_SEED, Outcome

Progress = Callable[[int, int, str], None]
"""Called with (requests answered, requests in all, a line on what is going on)."""


SEEDS_APART = 10**8
"""How far the images of one `--seed` are from those of the next: no protocol makes so many."""
LARGEST_FIRST_SEED = LARGEST_SEED // SEEDS_APART - 1
"""So that no request's seed is above `LARGEST_SEED`."""


def first_seed(seed: int) -> int:
    """The seed from which requests count, for what the user says: two seeds share no image.

    Raises:
        InputError: it is too large.
    """
    if not 0 <= seed <= LARGEST_FIRST_SEED:
        raise InputError(
            f"expected a seed from 0 to {LARGEST_FIRST_SEED}, got {seed}", "give a smaller --seed"
        )
    return seed * SEEDS_APART


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

    def __call__(self, asks: Sequence[Ask]) -> Sequence[Answer]:
        """The answers, in the order of the requests."""


Chunk = Sequence[Ask]
Answered = Callable[[Subject, Iterable[Chunk]], Iterator[tuple[Chunk, Sequence[Answer]]]]
"""Has a subject answer pieces of work; each comes back with its answers, in any order."""


def one_by_one(
    subject: Subject, chunks: Iterable[Chunk]
) -> Iterator[tuple[Chunk, Sequence[Answer]]]:
    """The subject answers here, piece after piece."""
    for chunk in chunks:
        yield chunk, subject(chunk)


class Kept:
    """A subject whose answers are kept in a folder, by content: a run that stopped goes on.

    An answer counts once its `answer.json` is there, which is written last.
    """

    def __init__(
        self, subject: Subject, folder: Path, batch: int = 16, answered: "Answered | None" = None
    ) -> None:
        """Keep the answers of `subject` under `folder`, asking for about `batch` images at once.

        `answered` says by whom the subject is asked; by default here, one batch after the other.
        """
        import torch  # not by those who use nothing but words

        self.name, self.digest = subject.name, subject.digest
        self.subject, self._folder, self._batch = subject, folder, batch
        self._answered = answered or one_by_one
        # Beside the subject, what decides an image's last bits, by which images are compared.
        self._bits = [batch, torch.__version__, torch.get_num_threads()]

    def __call__(self, asks: Sequence[Ask], progress: Progress | None = None) -> "Answers":
        """The answers; those that the folder does not have are asked for."""
        unique = list(dict.fromkeys(asks))
        # A batch that was left half done is made anew: its size decides an image's last bits.
        chunks = list(_chunks(unique, self._batch))
        missing = [chunk for chunk in chunks if not all(map(self._has, chunk))]
        done = len(unique) - sum(len(chunk) for chunk in missing)
        for chunk, answers in self._answered(self.subject, missing):
            for ask, answer in zip(chunk, answers, strict=True):
                self._write(ask, answer)
            done += len(chunk)
            if progress:
                progress(done, len(unique), f"{self.name}: {chunk[-1].prompt[:40]}")
        return Answers(asks, self._read)

    def _told(self, ask: Ask) -> Path:
        return self._place(ask) / "answer.json"

    def _has(self, ask: Ask) -> bool:
        return self._told(ask).exists()

    def _place(self, ask: Ask) -> Path:
        told = {"subject": self.digest, "bits": self._bits, "ask": asdict(ask)}
        key = rfc8785.dumps(json.loads(json.dumps(told)))
        return self._folder / hashlib.sha256(key).hexdigest()[:32]

    def _read(self, ask: Ask) -> Answer:
        place = self._place(ask)
        told = json.loads(self._told(ask).read_text())
        images: list[Image.Image | None] = []
        for name in told["images"]:
            if name is None:
                images.append(None)
                continue
            with Image.open(place / name) as image:
                images.append(image.copy())
        return Answer(Outcome(told["outcome"]), tuple(images), told["seconds"], told["found"])

    def _write(self, ask: Ask, answer: Answer) -> None:
        place = self._place(ask)
        place.mkdir(parents=True, exist_ok=True)
        names: list[str | None] = []
        for number, image in enumerate(answer.images):
            names.append(None if image is None else f"{number}.png")
            if image is not None:
                write_png(place / f"{number}.png", image)
        told = {"outcome": answer.outcome, "images": names, "seconds": answer.seconds}
        told |= {"found": answer.found}
        whole = json.dumps(told | {"ask": asdict(ask), "subject": self.name})
        write_file(self._told(ask), whole.encode())


class Answers(Sequence[Answer]):
    """Answers that are read from disk one by one, so that any number of images fits in memory."""

    def __init__(self, asks: Sequence[Ask], read: Callable[[Ask], Answer]) -> None:
        """The answer to each of `asks` in their order, by `read`."""
        self._asks, self._read = asks, read

    def __len__(self) -> int:
        return len(self._asks)

    @overload
    def __getitem__(self, place: int) -> Answer: ...
    @overload
    def __getitem__(self, place: slice) -> "Answers": ...
    def __getitem__(self, place: int | slice) -> "Answer | Answers":
        asked = self._asks[place]
        return self._read(asked) if isinstance(asked, Ask) else Answers(asked, self._read)


def _chunks(asks: Sequence[Ask], images: int) -> Iterator[Chunk]:
    """The requests in pieces of about `images` images together, alike in guidance scale."""
    chunk: list[Ask] = []
    for ask in asks:
        total = sum(each.images for each in chunk)
        if chunk and (total + ask.images > images or ask.guidance_scale != chunk[0].guidance_scale):
            yield chunk
            chunk = []
        chunk.append(ask)
    if chunk:
        yield chunk
