"""An evaluation on a Ray cluster: actors that hold the model answer in place of a subject here."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safegen.cluster import gpus_of, joined
from safegen.errors import InputError
from safegen.evaluation.opening import Opening
from safegen.evaluation.subjects import Answer, Answered, Chunk, Subject


class _Worker:
    """In an actor: the model, loaded once; a guard writes to a ledger of the actor's own."""

    def __init__(self, opening: Opening, here: Path, folder: Path) -> None:
        os.chdir(here)  # what the user named is named from there
        self._suite = opening.suite(folder)

    def answer(self, name: str, digest: str, chunk: Chunk) -> tuple[Chunk, list[Answer]]:
        subject = self._suite.subject(name)
        if subject.digest != digest:
            raise InputError(
                f"{name!r} is another one on {os.uname().nodename} than here: {subject.digest}, "
                f"expected {digest}",
                "give all machines the same model, policy, vectors and versions",
            )
        return chunk, list(subject.subject(chunk))


@contextmanager
def on_ray(opening: Opening, folder: Path, actors: int = 0) -> Iterator[Answered]:
    """Have subjects answer by actors on the cluster that Ray finds, or one made on this machine.

    Only images are made there; attacks are searched, and images judged, here.

    Args:
        opening: what the actors hold. The machines must see its files under the same paths.
        folder: where the ledgers of actors' guards are written, one for each.
        actors: how many there are; 0: one a GPU, or one a machine.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    with joined("an evaluation on a cluster") as ray:
        gpus = gpus_of(ray)
        kind = ray.remote(num_gpus=min(1, gpus))(_Worker)
        here = Path.cwd()
        pool = ray.util.ActorPool(
            [
                kind.remote(opening, here, folder.absolute() / f"actor-{number}")
                for number in range(actors or gpus or len(ray.nodes()))
            ]
        )

        def answered(
            subject: Subject, chunks: Iterable[Chunk]
        ) -> Iterator[tuple[Chunk, list[Answer]]]:
            try:
                yield from pool.map_unordered(
                    lambda actor, chunk: actor.answer.remote(subject.name, subject.digest, chunk),
                    list(chunks),
                )
            except ray.exceptions.RayTaskError as error:
                raise error.cause or error from None

        yield answered
