"""`Guard`: the one object that holds the five stages together.

    guard = Guard.from_policy("default", ledger="ledger")
    with guard.attach(pipeline) as guarded:
        result = guarded.generate("a photo of a mechanic", images=4, seed=0)

`safegen.guarded` serves the requests.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Self

from PIL import Image

from safegen.arguments import as_path, demand, demand_each
from safegen.assessment import Assessment
from safegen.audit.detectors import Detector, Stage, detectors_of, inspect
from safegen.audit.held import ImageStore
from safegen.audit.ledger import Ledger
from safegen.audit.marking import Marker
from safegen.concepts.store import VectorStore
from safegen.concepts.vector import ConceptVector
from safegen.diagnostics import Diagnostics
from safegen.errors import ConceptError, InputError, SteeringError, UnknownModelError
from safegen.forks import demand_torch, torch_runs
from safegen.guarded import GuardedPipeline
from safegen.nouns import Context, Finding
from safegen.policy import Policy
from safegen.policy.schema import use_of
from safegen.request import InForce

if TYPE_CHECKING:
    from safegen.adapters.adapter import Adapter

_log = Diagnostics("safegen")
_LOAD = "load it with Policy.load, or use Guard.from_policy"


class Guard:
    """A policy with the vectors and detectors it names, and the ledger it answers to."""

    def __init__(
        self,
        policy: Policy,
        vectors: Mapping[str, ConceptVector],
        detectors: Sequence[Detector],
        ledger: Ledger,
        *,
        held_images: ImageStore | None = None,
        marker: Marker | None = None,
    ) -> None:
        """Put the stages together; most callers use `from_policy`.

        Args:
            policy: decides.
            vectors: by concept; `attach` needs those of all concepts that the policy names.
            detectors: look at every image; at least those that the policy names.
            ledger: takes a record of each request; `close` closes it.
            held_images: keeps the originals of flagged images for reviewers; none: nothing does.
            marker: marks images as generated where the policy wants that.

        Raises:
            InputError: the policy asks for a detector that is not among `detectors`, for a label
                that the detector does not know, or for marks without a marker; or policy or ledger
                are not loaded.
        """
        demand("ledger", ledger, Ledger, "open it with Ledger.open, or use Guard.from_policy")
        self.vectors = vectors
        self.detectors = {detector.name: detector for detector in detectors}
        self.ledger = ledger
        self.held_images = held_images
        self._marker = marker
        self.in_force = self._checked(policy, None)

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.in_force.policy

    @property
    def marker(self) -> Marker | None:
        """What marks images; set another one when certificates are renewed, also between requests.

        Raises:
            InputError: it is set to what is no marker, or to none where the policy wants marks.
        """
        return self._marker

    @marker.setter
    def marker(self, marker: Marker | None) -> None:
        _demand_marker(marker, self.policy)
        self._marker = marker

    def use(self, policy: Policy) -> None:
        """Decide by another policy from the next request on; running requests end under the old.

        Raises:
            PolicyError: it names a concept whose vector this guard does not have.
            InputError: it asks for a detector, a label of one, or settings of one, that this guard
                does not have, or for marks without a marker, or is no loaded policy.
        """
        demand("policy", policy, Policy, _LOAD)
        policy.require_concepts(self.vectors)
        before, after = (each.file.detectors for each in (self.policy, policy))
        for name in self.detectors:
            if use_of(before, name).settings != use_of(after, name).settings:
                raise InputError(
                    f"the policy {policy.name!r} gives the detector {name!r} other settings than "
                    f"{self.policy.name!r}, by which it was made",
                    "make a new guard with Guard.from_policy",
                )
        self.in_force = self._checked(policy, self.in_force.stage)

    def _checked(self, policy: Policy, before: Stage | None) -> InForce:
        demand("policy", policy, Policy, _LOAD)
        _demand_marker(self._marker, policy)
        return InForce(policy, Stage.of_policy(policy, self.detectors.values(), before))

    @classmethod
    def from_policy(
        cls,
        policy: str | Path,
        *,
        ledger: str | Path,
        vectors: str | Path = "reference",
        key: str | Path | None = None,
        subjects: str | Path | None = None,
        policy_key: str | Path | None = None,
        detectors: Sequence[str] = (),
        held_images: str | Path | None = None,
        marker: Marker | None = None,
    ) -> "Guard":
        """Load a policy (a file, or the name of a shipped pack) and everything it names.

        Args:
            policy: path of a YAML file, or a name such as "default".
            ledger: folder of the audit ledger, made if missing.
            vectors: folder of concept vectors, or the name of a shipped set.
            key: the ledger's private key (PEM, Ed25519); by default `key.pem` in its folder.
            subjects: the keys that encrypt what the ledger keeps of people, where the policy says
                `encrypted`; by default `subjects.sqlite` in its folder.
            policy_key: public key (PEM, Ed25519); the policy must be a bundle signed by its owner.
            detectors: names of further detectors, beyond those that the policy names: what they
                see is recorded.
            held_images: folder in which the originals of flagged images that are withheld or
                blurred are kept for reviewers; by default none is kept.
            marker: marks images as generated where the policy wants that; see `C2paMarker`.

        Raises:
            PolicyError: the policy is wrong, or names a concept that `vectors` does not have, with
                file:line:column.
            ConceptError: a vector's file is damaged.
            ClassifierError: a classifier cannot be made, or failed on the empty prompt.
            MissingExtraError: the package of a detector or classifier is not installed.
            InputError: there is no such detector, or no such label of one; the policy wants marks
                and there is no marker; `vectors` or a key cannot be read; or what should be a path
                is none, or empty.
            OutputError: a folder or the ledger's key cannot be written.
            LedgerError: the key is not the one that wrote the ledger, or another writer hangs.
            LedgerTamperedError: the end of the ledger is not what was written.
        """
        demand_each("detectors", detectors, str, "put a single name into a list: ['faces']")
        loaded = Policy.load(policy, public_key=policy_key)
        store = VectorStore(vectors)
        loaded.require_concepts(store.names)
        concepts = {concept: store[concept] for concept in sorted(loaded.concepts)}
        made = detectors_of(loaded, detectors)
        held = ImageStore(as_path("held_images", held_images)) if held_images is not None else None
        opened = Ledger.open(ledger, key=key, subjects=subjects)
        try:
            return cls(loaded, concepts, made, opened, held_images=held, marker=marker)
        except InputError:
            opened.close()
            raise

    def assess(self, prompt: str, context: Context | None = None) -> Assessment:
        """What the policy says of a prompt; nothing is generated or recorded.

        Unpacks as `scores, decision`. `GuardedPipeline.generate` takes it as `decided`. Where the
        context says no seed, a fresh one is drawn, which the assessment's `context` tells.

        Raises:
            ClassifierError: a classifier failed, or cannot read a prompt of that length.
            InputError: an argument is of another type, or the policy does not know a value of the
                context.
            PolicyError: a condition cannot be evaluated.
        """
        return Assessment.by(self.policy, prompt, context)

    def inspect(self, images: Sequence[Image.Image]) -> list[tuple[Finding, ...]]:
        """What every detector of the guard sees in each image.

        Raises:
            DetectorError: a detector failed.
            InputError: an image cannot be read, or this process is a fork of one in which torch
                calculated.
        """
        demand_torch()
        return inspect(list(self.detectors.values()), images)

    def attach(
        self, pipeline: Any, *, other_model: bool = False, batch: int = 1
    ) -> GuardedPipeline:
        """Attach to a diffusers pipeline, and prove by a self-test that steering takes effect.

        A pipeline that cannot be steered, at all or by these vectors, or that reads no negative
        prompts where the policy has some, is an error, unless the policy says `steering: optional`.

        Args:
            pipeline: with a UNet or a transformer that is supported; see `DiffusersAdapter`.
            other_model: accept vectors that were learned on other weights.
            batch: up to so many images, ≥ 1, of requests that wait at the same time are made in one
                call of the pipeline; by default, requests take turns.

        Raises:
            UnknownModelError: the pipeline has no denoiser that can be steered.
            ConceptError: a vector was made for another model.
            SteeringError: steering does not take effect, the denoiser is steered already, or the
                pipeline would not read a negative prompt.
            PolicyError: the policy names a concept whose vector this guard does not have.
            ClassifierError: the pipeline lacks the text encoder by which the policy reads.
            InputError: `batch` is out of range, or this process is a fork of one in which torch
                calculated.
            MissingExtraError: torch or diffusers is not installed.
        """
        from safegen.adapters.batches import BatchingAdapter
        from safegen.adapters.diffusers import DiffusersAdapter
        from safegen.adapters.unsteered import UnsteeredAdapter

        demand("batch", batch, int, "give a whole number of images, such as 8")
        if batch < 1:
            raise InputError(f"expected batch to be at least 1, got {batch}", "1: take turns")
        self.policy.require_concepts(self.vectors)
        torch_runs("a model with a guard")
        read_by = lru_cache(maxsize=1)(partial(Policy.attached, model=pipeline))
        read_by(self.policy)
        required = self.policy.file.steering == "required"
        try:
            adapter: Adapter = DiffusersAdapter(pipeline, self.vectors, other_model=other_model)
        except (UnknownModelError, ConceptError, SteeringError) as error:
            if required:
                raise
            _log.warning("steering unavailable", reason=error.message)
            adapter = UnsteeredAdapter(pipeline, error.message)
        negative = self.policy.negative_rules
        if required and negative and (why := adapter.negative_unread(None)):
            adapter.detach()
            raise SteeringError(
                f"the rule {negative[0]!r} has a negative prompt, but {why}",
                "use another model, or a policy that does without: one with `steering: optional`",
            )
        if batch > 1:
            adapter = BatchingAdapter(adapter, batch)
        return GuardedPipeline(self, adapter, read_by, threads=2 * batch)

    def __repr__(self) -> str:
        return f"<Guard by {self.policy!r}, ledger {str(self.ledger.folder)!r}>"

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def __enter__(self) -> Self:
        """Itself; leaving the block closes the ledger."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _demand_marker(marker: Marker | None, policy: Policy) -> None:
    demand("marker", marker, (Marker, NoneType), "give a `C2paMarker`, or none")
    if marker is None and (rules := policy.marking_rules):
        raise InputError(
            f"the rule {rules[0]!r} of the policy {policy.name!r} wants images marked as "
            "generated, and the guard has nothing that does",
            "give it a marker, such as C2paMarker(certificates, key); MarkedElsewhere() where "
            "a service behind it marks them; or leave the rule out (`without`)",
        )
