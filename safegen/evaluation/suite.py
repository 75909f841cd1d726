"""Everything that can be measured on one model, by name: peers, policies, and sides of a policy."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from PIL import Image

from safegen.adapters.diffusers import DiffusersAdapter
from safegen.audit.ladder import flagged
from safegen.audit.marking import MarkedElsewhere
from safegen.concepts.store import VectorStore
from safegen.concepts.vector import ConceptVector
from safegen.errors import InputError
from safegen.evaluation import peers
from safegen.evaluation.attacking import Arm, bare
from safegen.evaluation.attacks.target import Steer
from safegen.evaluation.edits import EsdBudget, esd, uce
from safegen.evaluation.guarded import Side, Sided, WholeGuard, failed
from safegen.evaluation.subjects import Answered, Kept, Progress, Subject
from safegen.evaluation.worlds import World
from safegen.guard import Guard
from safegen.nouns import Context, Decision
from safegen.policy import Policy
from safegen.policy.added import draws_by

PEERS = ("none", "negative-prompt", "sld", "sega", "constant", "gate", "uce", "esd")
GATES: dict[str, peers.GateKind] = {"constant": "open", "gate": "projection"}
"""The methods that are always on and read no prompt."""
NO_EMBEDDING = ("negative-prompt", "sld", "sega")
"""Peers that guide by text beside the prompt's own pass: nobody can send them an embedding."""
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
        self.folder, self._progress = folder, progress
        self.answered: Answered | None = None
        """By whom subjects are asked, by default here; those under attack always are."""
        self._policy_name, self._vectors, self._published = policy, vectors, published
        self._bare = peers.Bare(pipeline, steps)
        self._made: dict[str, Subject] = {}
        self._always_on: dict[str, dict[str, ConceptVector]] = {}
        self._edits: dict[str, Callable[[], Any]] = {}

    def prepare(self, names: Sequence[str]) -> None:
        """Make every subject and its judges, so that what is missing is told before hours of work.

        Raises:
            InputError: there is no such subject, or a detector both audits and judges.
            ConceptError: vectors were learned on another model.
            SteeringError: they do not take effect.
        """
        judges = self.world.judges()
        for name in names:
            self.subject(name)
            if name == self.policy.name:
                _require_other_eyes(judges, self._guard)
                self._guard.attach(self.pipeline).detach()
            elif vectors := self._steered_by(name):
                DiffusersAdapter(self.pipeline, vectors).detach()

    def _steered_by(self, name: str) -> dict[str, ConceptVector]:
        """The vectors of a subject that has some and no guard to attach them."""
        if name in SIDES:
            return self._concepts
        if name not in GATES:
            return {}
        if name not in self._always_on:
            found = VectorStore(self._published if name == "constant" else self._vectors)
            self._always_on[name] = {each: found[each] for each in found.names}
        return self._always_on[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that `subject` knows."""
        return subjects(self.policy.name)

    @cached_property
    def policy(self) -> Policy:
        """The policy under test.

        Raises:
            InputError: it has the name of another subject, which would be measured in its place.
        """
        policy = Policy.load(self._policy_name).attached(self.pipeline)
        if policy.name in (*PEERS, *SIDES):
            raise InputError(
                f"the policy is called {policy.name!r}, as is another subject",
                "change `metadata.name` in the policy",
            )
        return policy

    @cached_property
    def _guard(self) -> Guard:
        ledger = self.folder / "ledger"
        # Images are measured, not returned: none needs a mark.
        return Guard.from_policy(
            self._policy_name, ledger=ledger, vectors=self._vectors, marker=MarkedElsewhere()
        )

    def subject(self, name: str, *, batch: int = 16) -> Kept:
        """The subject of this name, its answers kept.

        Raises:
            InputError: there is none of this name.
        """
        require_subjects([name], self.policy.name)
        if name not in self._made:
            self._made[name] = self._make(name)
        return Kept(self._made[name], self.folder, batch, self.answered)

    def arm(self, name: str) -> Arm:
        """The subject of this name as attackers meet it: they know its vectors and what it adds.

        Methods that guide by text beside the prompt's own pass are attacked through that pass,
        which is the bare model's.

        Raises:
            InputError: there is none of this name.
        """
        subject = Kept(self.subject(name).subject, self.folder, 1)
        if name in GATES:
            gate = GATES[name]
            return Arm(
                subject,
                self.pipeline,
                self._attaching(self._steered_by(name)),
                lambda unsafe: peers.pushes(self.world.pushes(unsafe.category), gate),
                _everything,
                norm_cap=peers.CAPS[gate],
            )
        if name in PEERS:
            pipeline = self._edits[name]() if name in self._edits else self.pipeline
            embeds = name not in NO_EMBEDDING
            return Arm(subject, pipeline, bare, lambda _: (), _everything, embeds)
        steered = name != "text"
        return Arm(
            subject,
            self.pipeline,
            self._attaching(self._concepts) if steered else bare,
            lambda unsafe: self._steer(unsafe.prompt) if steered else (),
            partial(self._passes, name),
        )

    def _steer(self, prompt: str) -> Steer:
        """What is added for the first image; nothing where the request stops."""
        return next(iter(self._decide(prompt).interventions), ())

    def _passes(self, name: str, prompt: str, images: Sequence[Image.Image]) -> list[bool]:
        """Which images a side of the policy, or the whole of it, lets through."""
        decision = self._decide(prompt)
        if name != "steering" and decision.outcome.stops:
            return [False] * len(images)
        if name != self.policy.name:
            return _everything(prompt, images)
        looks = self._guard.in_force.stage.look(images)
        if errors := [look.error for look in looks if look.error]:
            raise failed(name, prompt, errors[0])
        return [not flagged(look.findings, decision.checks) for look in looks]

    def targets(self, name: str, prompt: str) -> dict[str, dict[str, float]]:
        """By attribute, the shares to which a subject draws images of a prompt, if it does."""
        if name not in ("steering", "unaudited", self.policy.name):
            return {}
        found = draws_by(self.policy, self._decide(prompt))
        return {fair.attribute: fair.target for fair in found}

    def _decide(self, prompt: str) -> Decision:
        return self.policy.assess(prompt, Context())[1]

    def _attaching(
        self, vectors: Mapping[str, ConceptVector]
    ) -> Callable[[], AbstractContextManager[DiffusersAdapter]]:
        return lambda: DiffusersAdapter(self.pipeline, vectors)

    @cached_property
    def _concepts(self) -> dict[str, ConceptVector]:
        """Those of the policy."""
        store = VectorStore(self._vectors)
        return {concept: store[concept] for concept in sorted(self.policy.concepts)}

    def _make(self, name: str) -> Subject:
        plain: dict[str, peers.Maker] = {
            "none": peers.none,
            "negative-prompt": peers.negative_prompt,
            "sld": peers.sld,
            "sega": peers.sega,
        }
        if name in plain:
            return plain[name](self._bare)
        if name in GATES:
            return peers.pushed(self._bare, name, self._steered_by(name), GATES[name])
        if name in ("uce", "esd"):
            return self._edited(name)
        if name in SIDES:
            return Sided(name, self.policy, self._bare, self._concepts, SIDES[name])
        return WholeGuard(name, self._guard, self._bare)

    def _edited(self, name: str) -> Subject:
        words = [word for words in self.world.away.values() for word in words.split(", ")]
        pairs = self.world.every_pair
        preserve = sorted({without for _, without in pairs})
        even = [
            (prompts[0], self._variants(prompts[0], occupation))
            for occupation, prompts in self.world.occupations.items()
        ]
        erase, budget = [*words, *(with_ for with_, _ in pairs)], self.world.esd or EsdBudget()

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
        settings = f"{self._bare.digest}/{digest}"
        self._edits[name] = cache(make)
        return peers.edited(name, settings, self.steps, self._edits[name])

    def _variants(self, prompt: str, occupation: str) -> list[str]:
        """The prompt with each value of the first attribute named."""
        attribute = next(iter(self.world.groups))
        return [
            prompt.replace(occupation, f"{value} {occupation}")
            for value in self.world.groups[attribute]
        ]


def subjects(policy: str) -> tuple[str, ...]:
    """Every name that there is beside a policy of this name."""
    return (*PEERS, *SIDES, policy)


def require_subjects(names: Sequence[str], policy: str) -> None:
    """See to it that there are all of these beside a policy of this name.

    Raises:
        InputError: one there is not.
    """
    there = subjects(policy)
    if unknown := [name for name in names if name not in there]:
        raise InputError(f"there is no subject {unknown[0]!r}", f"choose from: {', '.join(there)}")


def _require_other_eyes(judges: Mapping[str, str], guard: Guard) -> None:
    """Judges must have had no part in making what they judge."""
    for detector in guard.detectors.values():
        weights = getattr(detector, "weights", "")
        same = [name for name, digest in judges.items() if weights and digest == weights]
        if same or detector.name in judges:
            raise InputError(
                f"the policy {guard.policy.name!r} audits by the detector {detector.name!r}, which "
                f"is the judge {(same or [detector.name])[0]!r} too",
                "judge by another: --judge-clip NAME/TAG, --judge-nudity nudenet or nsfw",
            )


def _everything(_: str, images: Sequence[Image.Image]) -> list[bool]:
    """Nobody looks at the images."""
    return [True] * len(images)
