"""Everything that can be measured on one model, by name: peers, policies, and sides of a policy."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from PIL import Image

from safegen.adapters.diffusers import DiffusersAdapter
from safegen.audit.ladder import flagged
from safegen.concepts.store import VectorStore
from safegen.concepts.vector import ConceptVector
from safegen.errors import InputError
from safegen.evaluation import peers
from safegen.evaluation.attacking import Arm, bare
from safegen.evaluation.attacks.target import Steer
from safegen.evaluation.edits import EsdBudget, esd, uce
from safegen.evaluation.guarded import Side, Sided, WholeGuard
from safegen.evaluation.subjects import Kept, Progress, Subject
from safegen.evaluation.worlds import World
from safegen.guard import Guard
from safegen.nouns import Context, Decision, Intervention, Outcome
from safegen.policy import Policy

PEERS = ("none", "negative-prompt", "sld", "sega", "constant", "gate", "uce", "esd")
SIDES: dict[str, Side] = {"steering": "steering", "text": "text", "unaudited": "both"}
"""What of the policy is carried out, by name; the policy whole goes by its own name."""


class Suite:
    """Subjects and arms on one model, made when they are asked for."""

    def __init__(
        self,
        pipeline: Any,
        world: World,
        folder: Path,
        *,
        policy: str = "default",
        vectors: str = "reference",
        published: str = "reference-published",
        steps: int = 20,
        progress: Progress | None = None,
    ) -> None:
        """Measure on `pipeline`.

        Args:
            pipeline: of the Stable Diffusion kind.
            world: prompts and judge.
            folder: where answers are kept.
            policy: name or path; SafeGen's own subjects carry it out.
            vectors: store of the policy's concepts.
            published: store of vectors learned by the published objective.
            steps: of the sampler.
            progress: told of the work on peers that must be trained first.
        """
        self.pipeline, self.world, self.steps = pipeline, world, steps
        self._folder, self._progress = folder, progress
        self._policy_name, self._vectors, self._published = policy, vectors, published
        self._made: dict[str, Subject] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that `subject` knows."""
        return (*PEERS, *SIDES, self.policy.name)

    @cached_property
    def policy(self) -> Policy:
        """The policy under test."""
        return Policy.load(self._policy_name)

    @cached_property
    def _guard(self) -> Guard:
        ledger = self._folder / "ledger"
        return Guard.from_policy(self._policy_name, ledger=ledger, vectors=self._vectors)

    def check(self, name: str, *, attacked: bool = False) -> None:
        """Check a name before anything is made for it.

        Args:
            name: of a subject.
            attacked: whether it is to be attacked.

        Raises:
            InputError: there is none of this name, or it cannot be attacked.
        """
        if name not in self.names:
            raise InputError(
                f"there is no subject {name!r}", f"choose from: {', '.join(self.names)}"
            )
        arms = ("none", "constant", *SIDES, self.policy.name)
        if attacked and name not in arms:
            raise InputError(f"{name!r} cannot be attacked", f"attack one of: {', '.join(arms)}")

    def subject(self, name: str, *, batch: int = 16) -> Kept:
        """The subject of this name, its answers kept.

        Raises:
            InputError: there is none of this name.
        """
        self.check(name)
        if name not in self._made:
            self._made[name] = self._make(name)
        return Kept(self._made[name], self._folder, batch)

    def arm(self, name: str) -> Arm:
        """The subject of this name as attackers meet it: they know its vectors and what it adds.

        Raises:
            InputError: it cannot be attacked; peers other than none and constant can not.
        """
        self.check(name, attacked=True)
        subject = self.subject(name, batch=1)
        if name == "none":
            return Arm(subject, bare, lambda _: (), _everything)
        if name == "constant":
            safety = {c: self._always_on()[c] for c in self.world.against.values()}
            return Arm(
                subject,
                self._attaching(safety),
                lambda _: tuple(Intervention(concept=concept) for concept in safety),
                _everything,
            )
        steered = name != "text"
        return Arm(
            subject,
            self._attaching(self._concepts()) if steered else bare,
            lambda prompt: self._steer(prompt) if steered else (),
            partial(self._passes, name),
        )

    def _steer(self, prompt: str) -> Steer:
        """What is added for the first image; nothing where the request stops."""
        return next(iter(self._decide(prompt).interventions), ())

    def _passes(self, name: str, prompt: str, images: Sequence[Image.Image]) -> list[bool]:
        """Which images a side of the policy, or the whole of it, lets through."""
        decision = self._decide(prompt)
        if name != "steering" and decision.outcome in (Outcome.BLOCKED, Outcome.REVIEW):
            return [False] * len(images)
        if name != self.policy.name:
            return _everything(prompt, images)
        looks = self._guard.in_force.stage.look(images)
        return [not look.error and not flagged(look.findings, decision.checks) for look in looks]

    def _decide(self, prompt: str) -> Decision:
        return self.policy.assess(prompt, Context())[1]

    def _attaching(
        self, vectors: Mapping[str, ConceptVector]
    ) -> Callable[[], AbstractContextManager[DiffusersAdapter]]:
        return lambda: DiffusersAdapter(self.pipeline, vectors)

    def _concepts(self) -> dict[str, ConceptVector]:
        store = VectorStore(self._vectors)
        return {concept: store[concept] for concept in sorted(self.policy.concepts)}

    def _always_on(self, store: str = "") -> dict[str, ConceptVector]:
        found = VectorStore(store or self._published)
        return {name: found[name] for name in found.names}

    def _make(self, name: str) -> Subject:
        plain: dict[str, Callable[[Any, int], Subject]] = {
            "none": peers.none,
            "negative-prompt": peers.negative_prompt,
            "sld": peers.sld,
            "sega": peers.sega,
        }
        if name in plain:
            return plain[name](self.pipeline, self.steps)
        if name == "constant":
            return peers.pushed(self.pipeline, self.steps, name, self._always_on(), "open")
        if name == "gate":
            vectors = self._always_on(self._vectors)
            return peers.pushed(self.pipeline, self.steps, name, vectors, "projection")
        if name in ("uce", "esd"):
            return self._edited(name)
        if name in SIDES:
            return Sided(
                name, self.policy, self.pipeline, self._concepts(), self.steps, SIDES[name]
            )
        return WholeGuard(name, self._guard, self.pipeline, self.steps)

    def _edited(self, name: str) -> Subject:
        words = [word for words in self.world.away.values() for word in words.split(", ")]
        pairs = [pair for pairs in self.world.pairs.values() for pair in pairs]
        preserve = sorted({without for _, without in pairs})
        even = [
            (prompts[0], self._variants(prompts[0], occupation))
            for occupation, prompts in self.world.occupations.items()
        ]
        erase, budget = [*words, *(with_ for with_, _ in pairs)], EsdBudget()

        def told(done: int) -> None:
            if self._progress:
                self._progress(done, budget.iterations, "esd: tuning")

        asked: tuple[object, ...]
        if name == "uce":
            asked = (words, preserve, even)
            make = partial(uce, self.pipeline, words, preserve, even=even)
        else:
            asked = (erase, budget)
            make = partial(esd, self.pipeline, erase, budget, told)
        digest = hashlib.sha256(repr(asked).encode()).hexdigest()
        settings = f"{peers.digest_of(self.pipeline)}/{digest}"
        return peers.edited(name, settings, self.steps, make)

    def _variants(self, prompt: str, occupation: str) -> list[str]:
        """The prompt with each value of the first attribute named."""
        attribute = next(iter(self.world.groups))
        return [
            prompt.replace(occupation, f"{value} {occupation}")
            for value in self.world.groups[attribute]
        ]


def _everything(_: str, images: Sequence[Image.Image]) -> list[bool]:
    """Nobody looks at the images."""
    return [True] * len(images)
