"""The guard on the reference model: every path ends in an outcome that the caller can see."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from ledgers import holding
from PIL import Image

from safegen.adapters.diffusers import DiffusersAdapter
from safegen.adapters.sampler import Sampler
from safegen.audit.held import ImageStore
from safegen.audit.ledger import Ledger, read, verify
from safegen.concepts.store import VectorStore
from safegen.concepts.vector import ConceptVector
from safegen.errors import ClassifierError, ConceptError, InputError, PolicyError, SteeringError
from safegen.guard import Guard
from safegen.guarded import GuardedPipeline
from safegen.nouns import Context, Finding, Outcome, Scores
from safegen.policy import Policy
from safegen.reference import load_pipeline
from safegen.testing import random_vector, tiny_pipeline, tiny_unet

FEW = Sampler(steps=3, guidance_scale=5.0)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    """The reference model."""
    return load_pipeline()


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    """The default policy with the detectors it names."""
    with Guard.from_policy("default", ledger=tmp_path / "ledger") as guard:
        yield guard


class Always:
    """A detector that sees one label in every image, or fails."""

    digest = "sha256:test"

    labels: tuple[str, ...] = ("nsfw", "weapon", "smoking", "alcohol")

    def __init__(self, name: str, label: str, score: float | None) -> None:
        self.name, self.label, self.score = name, label, score

    def __call__(self, images: Sequence[Image.Image]) -> list[list[Finding]]:
        """The label in every image."""
        if self.score is None:
            raise RuntimeError("out of order")
        found = Finding(
            detector=self.name, detector_digest=self.digest, label=self.label, score=self.score
        )
        return [[found] for _ in images]


def with_detectors(folder: Path, clip: float | None) -> Guard:
    """The default policy with a detector that always sees a weapon."""
    policy = Policy.load("default")
    store = VectorStore("reference")
    detectors = [Always("nsfw", "nsfw", 0.0), Always("clip", "weapon", clip)]
    vectors = {concept: store[concept] for concept in policy.concepts}
    return Guard(policy, vectors, detectors, Ledger.open(folder))


def test_a_request_is_served_by_what_was_decided_before(tmp_path: Path) -> None:
    """The decision given is carried out and recorded; one of another policy is refused."""
    context = Context(images=1, seed=3)
    blocks = "apiVersion: safegen/v1\nmetadata: {name: none, version: '1'}\nrules:\n"
    blocks += "- {id: all, when: 'true', then: {block: {reason: closed}}}\n"
    with Guard(Policy(blocks), {}, [], Ledger.open(tmp_path / "ledger")) as guard:
        decided = guard.assess("a photo of a cat", context)
        own = decided.amended(decided[1].model_copy(update={"reason": "closed before"}))
        with guard.attach(load_pipeline()) as guarded:
            result = guarded.generate("a photo of a cat", seed=3, context=context, decided=own)
            guard.use(Policy(blocks.replace("closed", "shut")))
            with pytest.raises(InputError, match=r"Guard\.assess"):
                guarded.generate("a photo of a cat", seed=3, context=context, decided=own)
        (_, record), *rest = read(tmp_path / "ledger")

    assert [image.reason for image in result.images] == ["closed before"]
    assert record.decision == own[1]
    assert not rest


def test_a_harmless_prompt_is_left_exactly_as_it_was(guard: Guard, pipeline: Any) -> None:
    """Same seeds, same batch: the guard's images are the bare pipeline's, byte for byte."""
    generators = [torch.Generator().manual_seed(7 + i) for i in range(2)]
    bare = pipeline(
        ["a photo of a cat"] * 2, num_inference_steps=3, guidance_scale=5.0, generator=generators
    ).images
    with guard.attach(pipeline) as guarded:
        result = guarded.generate("a photo of a cat", images=2, seed=7, sampler=FEW)

    assert result.outcome == Outcome.ALLOWED
    assert [i.image.tobytes() for i in result.images if i.image] == [b.tobytes() for b in bare]


def test_attributes_are_drawn_by_quota(guard: Guard, pipeline: Any) -> None:
    """Of four images of an occupation, two are steered to each gender."""
    with guard.attach(pipeline) as guarded:
        result = guarded.generate("a photo of a mechanic", images=4, seed=0, sampler=FEW)
    drawn = Counter(i.concept for image in result.images for i in image.interventions)

    assert result.outcome == Outcome.STEERED
    assert (drawn["woman"], drawn["man"]) == (2, 2)


def test_a_blocked_prompt_makes_no_image_and_a_record(guard: Guard, pipeline: Any) -> None:
    """The result says why; the ledger says the same and does not hold the prompt."""
    with guard.attach(pipeline) as guarded:
        result = guarded.generate("a judge with a pipe bomb", sampler=FEW)
    (_, record), *rest = read(guard.ledger.folder)

    assert result.outcome == Outcome.BLOCKED
    assert [image.image for image in result.images] == [None]
    assert result.images[0].reason == "weapon.explosive"
    assert not rest
    assert record.id == result.record_id
    assert "pipe" not in record.model_dump_json()


def test_a_failing_detector_lets_nothing_through(tmp_path: Path, pipeline: Any) -> None:
    """A detector that raises ends as the outcome `error`, without images, and is recorded."""
    with with_detectors(tmp_path / "ledger", None) as guard:
        with guard.attach(pipeline) as guarded:
            result = guarded.generate("a photo of a cat", sampler=FEW)

    assert result.outcome == Outcome.ERROR
    [image] = result.images
    assert (image.outcome, image.image) == (Outcome.ERROR, None)
    assert "out of order" in result.error
    (_, record), *_ = read(tmp_path / "ledger")
    [_, failure] = record.images[0].findings
    assert "out of order" in failure.error
    assert record.images[0].detectors == {"nsfw": "sha256:test"}
    assert verify(tmp_path / "ledger").records == 1


def test_a_failing_ledger_lets_nothing_through(guard: Guard, pipeline: Any) -> None:
    """Without its record, no image leaves the guard."""
    with guard.attach(pipeline) as guarded:
        guard.ledger.close()
        result = guarded.generate("a photo of a cat", sampler=FEW)

    assert result.outcome == Outcome.ERROR
    assert result.images == ()
    assert result.record_id == ""


def test_the_ladder_regenerates_harder_and_then_blocks(tmp_path: Path, pipeline: Any) -> None:
    """An image that stays flagged is made anew twice, with more strength, and then withheld."""
    with with_detectors(tmp_path / "ledger", 0.9) as guard:
        with guard.attach(pipeline) as guarded:
            result = guarded.generate("a portrait of a detective", seed=0, sampler=FEW)
    (image,) = result.images
    first = guard.policy.assess("a portrait of a detective", Context())[1].interventions[0]
    strengths = {i.concept: i.strength for i in image.interventions}

    assert image.outcome == Outcome.BLOCKED
    assert image.image is None
    assert image.attempts == 3
    assert image.actions[-1] == "block"
    assert all(strengths[i.concept] > i.strength for i in first)


def test_withheld_images_are_kept_for_reviewers(tmp_path: Path, pipeline: Any) -> None:
    """The record names the original of a flagged image; a harmless one is not kept."""
    store = ImageStore(tmp_path / "held")
    for clip, held in ((0.99, 1), (0.0, 0)):
        with with_detectors(tmp_path / str(held), clip=clip) as guard:
            guard.held_images = store
            with guard.attach(pipeline) as guarded:
                guarded.generate("a portrait of a detective", sampler=FEW)
            [(_, record)] = read(guard.ledger.folder)
        [image] = record.images
        assert bool(image.held) is bool(held)
        assert len(list(store.folder.iterdir())) == 1


def test_an_image_that_cannot_be_kept_does_not_pass(tmp_path: Path, pipeline: Any) -> None:
    """A failing image store ends as an error and no image."""
    with with_detectors(tmp_path, clip=0.99) as guard:
        guard.held_images = ImageStore(tmp_path / "held")
        (tmp_path / "held").rmdir()
        with guard.attach(pipeline) as guarded:
            result = guarded.generate("a portrait of a detective", sampler=FEW)

    assert (result.outcome, result.images) == (Outcome.ERROR, ())
    assert "cannot keep an image" in result.error


def test_a_bypass_is_visible(guard: Guard, pipeline: Any) -> None:
    """Generating without the guard is an outcome of its own, with its reason, in the ledger too."""
    with guard.attach(pipeline) as guarded:
        result = guarded.generate("a mechanic", sampler=FEW, bypass="benchmark")
    (_, record), *_ = read(guard.ledger.folder)

    assert result.outcome == record.outcome == Outcome.BYPASSED
    assert record.images[0].reason == "benchmark"


def test_vectors_of_another_model_are_refused(guard: Guard) -> None:
    """A vector learned on other weights is an error unless asked for."""
    other = load_pipeline()
    with torch.no_grad():
        other.unet.conv_out.bias.add_(1.0)
    with pytest.raises(ConceptError, match="was learned on the model"):
        guard.attach(other)
    DiffusersAdapter(other, guard.vectors, other_model=True).detach()


def test_a_misspelt_label_is_an_error(tmp_path: Path) -> None:
    """A check for a label that its detector does not know would never fire."""
    blind = Always("clip", "wepon", 0.0)
    blind.labels = ("wepon",)
    with Ledger.open(tmp_path) as ledger, pytest.raises(InputError, match="knows wepon"):
        Guard(Policy.load("default"), {}, [Always("nsfw", "nsfw", 0.0), blind], ledger)


def test_another_policy_is_used_from_the_next_request_on(tmp_path: Path) -> None:
    """One that the guard can serve is taken over; one that it cannot changes nothing."""
    rule = "{id: a, when: 'true', then: {steer: [{concept: CONCEPT}]}}"
    head = f'apiVersion: safegen/v1\nmetadata: {{name: b, version: "1"}}\nrules: [{rule}]\n'
    text = head.replace("CONCEPT", "no-weapon")
    good = Policy(text)
    with with_detectors(tmp_path, 0.0) as guard:
        guard.use(good)
        with pytest.raises(PolicyError, match="no vector for the concept 'calm'"):
            guard.use(Policy(head.replace("CONCEPT", "calm")))
        with pytest.raises(InputError, match="asks for the detector 'other'"):
            guard.use(Policy(text + "checks: [{detector: other, label: x, threshold: 0.5}]"))

        assert guard.policy is good
        assert guard.assess("a cat")[1].policy == "b"


def test_a_policy_key_refuses_what_is_not_signed(tmp_path: Path) -> None:
    """With a key configured, even a shipped pack is refused, and no ledger is begun."""
    with pytest.raises(PolicyError, match="not a signed bundle"):
        Guard.from_policy("default", ledger=tmp_path / "ledger", policy_key=tmp_path / "key")

    assert not (tmp_path / "ledger").exists()


def test_a_missing_detector_is_an_error(tmp_path: Path) -> None:
    """A policy that asks for a detector nobody gave cannot be put in force."""
    with Ledger.open(tmp_path) as ledger, pytest.raises(InputError, match="nsfw"):
        Guard(Policy.load("default"), {}, [Always("clip", "weapon", 0.0)], ledger)


def without_mid_block() -> Any:
    """A pipeline whose UNet lacks the site that the vectors need."""
    pipeline = tiny_pipeline()
    pipeline.unet = tiny_unet(mid_block_type=None)
    return pipeline


def test_a_model_that_cannot_be_steered_is_refused(guard: Guard) -> None:
    """By default a policy demands that its steering can take effect."""
    with pytest.raises(SteeringError, match="mid_block"):
        guard.attach(without_mid_block(), other_model=True)


def test_a_policy_may_do_without_steering(tmp_path: Path) -> None:
    """Then the images come unsteered, and result and record say so instead of implying it."""
    policy = """
apiVersion: safegen/v1
metadata: {name: lenient, version: "1"}
steering: optional
lists: {job: {kind: fact, terms: [cook]}}
rules: [{id: fair, when: fact.job, then: {fair: {attribute: g, target: {woman: 0.5, man: 0.5}}}}]
"""
    (tmp_path / "policy.yaml").write_text(policy, encoding="utf-8")
    with Guard.from_policy(tmp_path / "policy.yaml", ledger=tmp_path / "ledger") as guard:
        with guard.attach(without_mid_block(), other_model=True) as guarded:
            result = guarded.generate("a cook", sampler=FEW)
            guard.use(Policy(policy.replace("steering: optional", "steering: required")))
            demanding = guarded.generate("a cook", sampler=FEW)
    (_, record), *_ = read(tmp_path / "ledger")

    assert demanding.outcome == Outcome.ERROR
    assert demanding.images == ()
    assert "requires steering" in demanding.error

    assert result.outcome == Outcome.ALLOWED
    assert result.images[0].image is not None
    assert result.images[0].interventions == ()
    assert result.decision is not None
    assert result.decision.interventions != ()
    assert result.steering.status == record.steering.status == "unavailable"
    assert "mid_block" in record.steering.reason


@pytest.mark.parametrize("other_model", [False, True])
def test_a_policy_may_do_without_vectors_that_fit(tmp_path: Path, other_model: bool) -> None:
    """Neither vectors of other weights nor of another width stop it; the result says why."""
    policy = """
apiVersion: safegen/v1
metadata: {name: lenient, version: "1"}
steering: optional
rules: [{id: calm, when: "true", then: {steer: [{concept: calm}]}}]
"""
    vectors = {"calm": random_vector("calm", {"mid_block": (16,)})}
    with Guard(Policy(policy), vectors, [], Ledger.open(tmp_path / "ledger")) as guard:
        with guard.attach(tiny_pipeline(), other_model=other_model) as guarded:
            result = guarded.generate("a cook", sampler=FEW)

    assert result.outcome == Outcome.ALLOWED
    assert result.steering.status == "unavailable"
    assert ("16 channels" if other_model else "was learned on") in result.steering.reason


@pytest.mark.parametrize("steering", ["required", "optional"])
def test_another_model_put_in_after_attaching(tmp_path: Path, steering: str) -> None:
    """The record would name the model that was there before: requests end until attached anew."""
    policy = f"""
apiVersion: safegen/v1
metadata: {{name: swap, version: "1"}}
steering: {steering}
rules: [{{id: calm, when: "false", then: {{steer: [{{concept: calm}}]}}}}]
"""
    width = 32 if steering == "required" else 16
    vectors = {"calm": random_vector("calm", {"mid_block": (width,)})}
    pipeline = tiny_pipeline()
    with Guard(Policy(policy), vectors, [], Ledger.open(tmp_path / "ledger")) as guard:
        with guard.attach(pipeline, other_model=True) as guarded:
            before = guarded.generate("a cook", sampler=FEW)
            pipeline.unet = tiny_unet()
            result = guarded.generate("a cook", sampler=FEW)

    assert before.outcome == Outcome.ALLOWED
    assert before.steering.status == ("idle" if steering == "required" else "unavailable")
    assert (result.outcome, result.images) == (Outcome.ERROR, ())
    assert "another denoiser" in result.error


def test_a_policy_gives_detectors_their_settings(tmp_path: Path) -> None:
    """The guard makes them so, and refuses a new policy for which it would have to make others."""
    text = Policy.load("default").document.text
    extra = "detectors: {clip: {settings: {concepts: {blue: [a blue thing]}}}}\n"
    path = tmp_path / "own.yaml"
    path.write_text(text + extra)
    with Guard.from_policy(path, ledger=tmp_path / "ledger") as guard:
        assert "blue" in guard.detectors["clip"].labels
        guard.use(Policy(text + extra + "\n# the same"))
        with pytest.raises(InputError, match="gives the detector 'clip' other settings"):
            guard.use(Policy(text))


def test_a_setting_that_there_is_not_is_an_error(tmp_path: Path) -> None:
    """The message names the settings that there are."""
    path = tmp_path / "own.yaml"
    text = Policy.load("default").document.text
    path.write_text(text + "detectors: {nsfw: {settings: {colour: red}}}\n")
    with pytest.raises(InputError, match=r"'nsfw' cannot be made with the settings \['colour'\]"):
        Guard.from_policy(path, ledger=tmp_path / "ledger")


PRIVATE = """\
apiVersion: safegen/v1
metadata: {name: private, version: "1"}
lists: {bang: {kind: score, terms: [bang]}}
rules: [{id: bang, when: score.bang >= 0.5, then: {block: {reason: bang}}}]
record: {prompt: PROMPT, user: USER}
"""
ALICE, SECRET = Context(user="alice-4711"), "a cat goes bang in the quiet harbour"


def policy_text(prompt: str, user: str) -> str:
    """A policy that keeps prompt and user so."""
    return PRIVATE.replace("PROMPT", prompt).replace("USER", user)


def private(folder: Path, prompt: str = "hmac", user: str = "hmac") -> Guard:
    """A guard that keeps prompt and user so."""
    return Guard(Policy(policy_text(prompt, user)), {}, [], Ledger.open(folder))


def test_no_file_and_no_log_names_the_user(
    tmp_path: Path, pipeline: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whether a request is stopped, or fails in the middle or at its record: they stand nowhere."""

    def quoting(prompts: Sequence[str]) -> list[Scores]:
        if prompts[0]:
            raise ValueError(f"cannot score {prompts[0]!r}")
        return [Scores()]

    def naming(prompts: Sequence[str]) -> list[Scores]:
        if prompts[0]:
            raise ClassifierError(f"no quota is left for {ALICE.user}", f"ask {ALICE.user}")
        return [Scores()]

    for number, modes in enumerate([("hmac", "hmac"), ("none", "none"), ("encrypted",) * 2]):
        with private(tmp_path / str(number), *modes) as guard, guard.attach(pipeline) as guarded:
            results = [guarded.generate(SECRET, context=ALICE)]
            for classifier in (quoting, naming):
                guard.use(Policy(policy_text(*modes), classifiers=[classifier]))
                results.append(guarded.generate(SECRET, context=ALICE, sampler=FEW))
            guard.ledger.close()
            results.append(guarded.generate(SECRET, context=ALICE, sampler=FEW))
        assert [result.outcome for result in results] == ["blocked", "error", "error", "error"]
        assert "cannot score" in results[1].error
        assert "no quota is left for alice-4711" in results[2].error

    assert holding(tmp_path, SECRET, "alice-4711") == []
    printed = "".join(capfd.readouterr())
    for text in ("request failed", "ledger failed", "Traceback"):
        assert text in printed
    for text in (SECRET, "alice"):
        assert text not in printed


class Refusing:
    """An adapter of a model that cannot do with a prompt, and quotes it in a way of its own."""

    digest, unavailable = "sha256:test", ""
    vectors: Mapping[str, ConceptVector] = {}

    def generate(self, prompts: Sequence[str], *_: object) -> list[Image.Image | None]:
        """Fail."""
        raise ValueError(f"too long: {prompts[0][:20].upper()}...")

    def detach(self) -> None:
        """Nothing was attached."""


def test_what_other_code_says_reaches_the_caller_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A model or classifier may quote the prompt in any form, so records and logs say where."""

    def echoing(prompts: Sequence[str]) -> list[Scores]:
        if prompts[0]:
            raise KeyError(prompts[0][:20].upper())
        return [Scores()]

    with private(tmp_path, "plain") as guard:
        guarded = GuardedPipeline(guard, Refusing())
        results = [guarded.generate("a cat in the quiet harbour", context=ALICE)]
        guard.use(Policy(policy_text("hmac", "hmac"), classifiers=[echoing]))
        results.append(guarded.generate("a cat in the quiet harbour", context=ALICE))
    printed = "".join(capfd.readouterr())

    for result, (_, record) in zip(results, read(tmp_path), strict=True):
        assert "A CAT IN THE QUIET H" in result.error
        assert re.search(r"Error in (generate|echoing) \(test_guard\.py:\d+\)$", record.error)
        assert record.error in printed
    assert "classifier 'echoing' failed" in printed
    assert "Traceback" in printed
    assert "CAT IN" not in printed


def test_plain_text_is_kept_if_the_policy_says_so(tmp_path: Path, pipeline: Any) -> None:
    """Then the record holds both as they were given."""
    with private(tmp_path, "plain", "plain") as guard, guard.attach(pipeline) as guarded:
        guarded.generate(SECRET, context=ALICE)
    ((_, kept),) = read(tmp_path)

    assert (kept.prompt, kept.context.user, kept.masked) == (SECRET, "alice-4711", {})


def test_without_its_key_a_request_is_an_error(tmp_path: Path, pipeline: Any) -> None:
    """Where the user's key cannot be made nothing is recorded, and no image leaves the guard."""
    (tmp_path / "subjects.sqlite").mkdir()
    with private(tmp_path, "encrypted") as guard, guard.attach(pipeline) as guarded:
        result = guarded.generate("a cat", context=ALICE, sampler=FEW)

    assert (result.outcome, result.images, result.record_id) == (Outcome.ERROR, (), "")
    assert "subjects.sqlite" in result.error
    assert not list(read(tmp_path))
