"""Results and records claim of a request what was done to its images, and no more."""

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from PIL import Image
from serving import FEW, HEAD, STEER, guard, pixels, policy
from tiny import lcm

from safegen.adapters.sampler import Sampler
from safegen.assessment import Assessment
from safegen.audit.ledger import Ledger, read
from safegen.errors import InputError, SteeringError, UnknownModelError
from safegen.guard import Guard
from safegen.guarded import Result
from safegen.nouns import Context, Finding, Intervention, Outcome, Record
from safegen.pixels import pixels_digest
from safegen.policy import Policy
from safegen.testing import random_vector, tiny_pipeline, tiny_unet

NEGATIVE = "negative_prompt: a knife"
UNSTEERED = "steer: [{concept: calm, strength: 0.0}]"
UNGUIDED = Sampler(3, 1.0)
CHECK = "check: [{detector: d, label: x, threshold: 0.5}]"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The folder of a ledger."""
    return tmp_path / "ledger"


def served(ledger: Path, policy: Policy, pipeline: Any, **options: Any) -> Result:
    """One request by a policy; `options` go to `generate`."""
    with guard(ledger, policy) as made, made.attach(pipeline, other_model=True) as guarded:
        return guarded.generate("a cook", **{"seed": 1, "sampler": FEW} | options)


def bare(sampler: Sampler) -> list[bytes]:
    """What the model makes of the request by itself."""
    seed = [torch.Generator().manual_seed(1)]
    made = tiny_pipeline()(
        ["a cook"],
        num_inference_steps=sampler.steps,
        guidance_scale=sampler.guidance_scale,
        generator=seed,
    )
    return [image.tobytes() for image in made.images]


class TestNegativePrompts:
    """They act, or the result says that they did not."""

    def test_one_that_acts_is_steering(self, ledger: Path) -> None:
        """The image is another one."""
        result = served(ledger, policy(NEGATIVE), tiny_pipeline())

        assert result.outcome == Outcome.STEERED
        assert pixels(result) != bare(FEW)

    def test_one_that_would_not_is_an_error(self, ledger: Path) -> None:
        """By default no image comes out, and the record says why."""
        result = served(ledger, policy(NEGATIVE), tiny_pipeline(), sampler=UNGUIDED)
        ((_, record),) = read(ledger)

        assert (result.outcome, result.images) == (Outcome.ERROR, ())
        assert "requires steering, which is unavailable" in result.error
        assert "at guidance scales above 1, got 1" in record.error
        assert record.steering.status == "unavailable"

    def test_a_policy_may_do_without(self, ledger: Path) -> None:
        """With `steering: optional` the image is as it would have been, and so is its outcome."""
        lenient = policy(NEGATIVE, steering="optional")
        result = served(ledger, lenient, tiny_pipeline(), sampler=UNGUIDED)
        ((_, record),) = read(ledger)

        assert [image.outcome for image in result.images] == [Outcome.ALLOWED]
        assert pixels(result) == bare(UNGUIDED)
        assert result.steering == record.steering
        assert result.steering.status == "unavailable"
        assert "above 1, got 1" in result.steering.reason

    def test_vectors_act_without_it(self, ledger: Path) -> None:
        """What is left of the steering is done, and the reason says what is missing."""
        lenient = policy(NEGATIVE, STEER, steering="optional")
        result = served(ledger, lenient, tiny_pipeline(), sampler=UNGUIDED)

        assert result.outcome == Outcome.STEERED
        assert result.steering.status == "applied"
        assert [*result.steering.vectors] == ["calm"]
        assert "above 1, got 1" in result.steering.reason
        assert pixels(result) != bare(UNGUIDED)

    def test_a_pipeline_that_reads_none_is_refused(self, ledger: Path) -> None:
        """It is known beforehand; rules that only leave a mark need none."""
        pipeline, _, _ = lcm()
        with guard(ledger, policy(NEGATIVE, STEER)) as made:
            with pytest.raises(SteeringError, match=r"'all' has a negative prompt, .* takes no"):
                made.attach(pipeline, other_model=True)
            assert not pipeline.unet._forward_pre_hooks
            made.use(
                Policy(
                    f"{HEAD}rules: [{{id: a, enforce: shadow, when: 'true', "
                    f"then: {{{NEGATIVE}}}}}]\n"
                )
            )
            with made.attach(pipeline, other_model=True) as guarded:
                assert guarded.generate("a cook", sampler=FEW).outcome == Outcome.ALLOWED

    def test_so_is_a_request_under_a_policy_that_came_later(self, ledger: Path) -> None:
        """A guard may be given another policy after it was attached."""
        pipeline, _, _ = lcm()
        with guard(ledger, policy(STEER)) as made, made.attach(pipeline, other_model=True) as lo:
            made.use(policy(NEGATIVE))
            strict = lo.generate("a cook", sampler=FEW)
            made.use(policy(NEGATIVE, steering="optional"))
            lenient = lo.generate("a cook", sampler=FEW)

        assert strict.outcome == Outcome.ERROR
        assert (lenient.outcome, lenient.steering.status) == (Outcome.ALLOWED, "unavailable")

    def test_a_bypass_asks_for_none(self, ledger: Path) -> None:
        """Nothing is missing where nothing is wanted."""
        result = served(ledger, policy(NEGATIVE), tiny_pipeline(), sampler=UNGUIDED, bypass="why")

        assert (result.outcome, result.steering.status) == (Outcome.BYPASSED, "idle")

    def test_text_is_what_an_unsteered_model_has(self, ledger: Path) -> None:
        """Without hooks a negative prompt still acts, if the pipeline reads it."""
        lenient = policy(NEGATIVE, STEER, steering="optional")
        pipeline = tiny_pipeline()
        pipeline.unet = tiny_unet(mid_block_type=None)
        read_, unread = (
            served(ledger, lenient, pipeline, sampler=sampler) for sampler in (FEW, UNGUIDED)
        )

        assert (read_.outcome, unread.outcome) == (Outcome.STEERED, Outcome.ALLOWED)
        assert "mid_block" in read_.steering.reason
        assert "mid_block" in unread.steering.reason
        assert "above 1, got 1" in unread.steering.reason


class TestUnknownModels:
    """What the self-test cannot call may run unsteered."""

    def test_a_policy_may_do_without(self, ledger: Path) -> None:
        """Attaching says why it cannot be steered; requests then end as the pipeline lets them."""
        pipeline = tiny_pipeline()
        pipeline.unet = tiny_unet(num_class_embeds=10)
        strict, lenient = policy(STEER), policy(STEER, steering="optional")
        with guard(ledger, strict) as made:
            with pytest.raises(UnknownModelError, match="class_labels should be provided"):
                made.attach(pipeline, other_model=True)
            made.use(lenient)
            with made.attach(pipeline, other_model=True) as guarded:
                assert "class_labels should be provided" in guarded.adapter.unavailable

    def test_so_does_a_new_attempt(self, ledger: Path) -> None:
        """What its rung would add is left out; another seed may do by itself."""

        class Once(Sees):
            def __call__(self, images: Sequence[Image.Image]) -> list[list[Finding]]:
                found = super().__call__(images)
                self.score = 0.0
                return found

        ladder = "ladder: [{action: regenerate, add: [{concept: calm}]}]\n"
        lenient = policy(CHECK, steering="optional").document.text + ladder
        pipeline, detector = tiny_pipeline(), Once(1.0)
        pipeline.unet = tiny_unet(mid_block_type=None)
        calm = random_vector("calm", {"mid_block": (32,)}, activation_norm=1.0)
        with Guard(Policy(lenient), {"calm": calm}, [detector], Ledger.open(ledger)) as made:
            with made.attach(pipeline, other_model=True) as guarded:
                result = guarded.generate("a cook", sampler=FEW)

        assert (result.outcome, result.error) == (Outcome.ALLOWED, "")
        assert result.images[0].actions == ("regenerate x1.5",)
        assert result.steering.status == "unavailable"


class TestStrengths:
    """Steering that adds nothing is none."""

    @pytest.mark.parametrize("how", ["start: 0.3, stop: 0.45", "schedule: bell"])
    def test_a_window_that_no_step_falls_into_is_an_error(self, ledger: Path, how: str) -> None:
        """No image is called steered that comes out as it would have anyway."""
        windowed = policy(f"steer: [{{concept: calm, strength: 2.0, {how}}}]")
        one, many = (
            served(ledger, windowed, tiny_pipeline(), sampler=Sampler(steps, 5.0))
            for steps in (1, 25)
        )

        assert (one.outcome, one.images) == (Outcome.ERROR, ())
        assert "'calm' added nothing" in one.error
        assert (many.outcome, many.steering.status) == (Outcome.STEERED, "applied")
        assert pixels(many) != bare(Sampler(25, 5.0))

    def test_a_score_of_zero_adds_nothing(self, ledger: Path) -> None:
        """The record says so, and the image is the bare model's."""
        lists = "lists: {knife: {kind: score, terms: [knife]}}\n"
        steer = "then: {steer: [{concept: calm, follow: knife}]}"
        followed = Policy(f"{HEAD}{lists}rules: [{{id: a, when: 'true', {steer}}}]\n")
        result = served(ledger, followed, tiny_pipeline())
        ((_, record),) = read(ledger)

        assert result.outcome == record.outcome == Outcome.ALLOWED
        assert result.steering.status == record.steering.status == "idle"
        assert record.images[0].interventions == ()
        assert pixels(result) == bare(FEW)

    def test_so_does_a_decision_of_no_strength(self, ledger: Path) -> None:
        """Whoever decided it."""
        with guard(ledger, policy(STEER)) as made:
            decided = made.assess("a cook", Context(seed=1))
            none = ((Intervention(concept="calm", strength=0.0),),)
            own = decided.amended(decided[1].model_copy(update={"interventions": none}))
            with made.attach(tiny_pipeline(), other_model=True) as guarded:
                result = guarded.generate("a cook", seed=1, sampler=FEW, decided=own)

        assert (result.outcome, result.steering.status) == (Outcome.ALLOWED, "idle")


KNOWN = "context: {region: {values: [eu]}}\n"


@pytest.mark.parametrize(("given", "kept"), [(" EU", "eu"), ("Mars", "Mars")])
def test_a_region_is_recorded_as_the_policy_spells_it(ledger: Path, given: str, kept: str) -> None:
    """One that it does not know ends in an error, with no image, and is recorded as it was."""
    with (
        guard(ledger, Policy(policy(STEER).document.text + KNOWN)) as made,
        made.attach(tiny_pipeline(), other_model=True) as guarded,
    ):
        result = guarded.generate("a cook", sampler=FEW, context=Context(region=given))
    ((_, record),) = read(ledger)

    assert isinstance(record, Record)
    assert (record.context.region, record.outcome) == (kept, result.outcome)
    assert (result.outcome == Outcome.ERROR) == (given == "Mars") == (not result.images)
    assert ("it knows eu" in result.error) == (given == "Mars")


class TestDecidedBefore:
    """A decision serves the request that it was made for, and no other."""

    @pytest.mark.parametrize(
        ("asked", "differing"),
        [
            ({}, ""),
            ({"prompt": "a judge"}, "prompt"),
            ({"images": 1}, "images: decided for 2, asked for 1"),
            ({"seed": 8}, "seed: decided for 7, asked for 8"),
            ({"context": Context(user="alice", region="eu")}, "region"),
            ({"context": Context(user="bob")}, "user"),
            ({"prompt": "a judge", "seed": 8}, "prompt; seed: decided for 7, asked for 8"),
        ],
    )
    def test_another_request_is_refused(
        self, ledger: Path, asked: dict[str, Any], differing: str
    ) -> None:
        """The error says what differs, and names neither prompt nor user; nothing is recorded."""
        request = {"prompt": "a cook", "images": 2, "seed": 7, "context": Context(user="alice")}
        with guard(ledger, policy(STEER)) as made:
            decided = made.assess("a cook", Context(images=2, seed=7, user="alice"))
            with made.attach(tiny_pipeline(), other_model=True) as guarded:
                call = {"sampler": FEW, "decided": decided} | request | asked
                if not differing:
                    assert len(guarded.generate(**call).images) == 2
                    return
                with pytest.raises(InputError, match="made for another request") as refused:
                    guarded.generate(**call)

        assert refused.value.message.endswith(f"it differs in {differing}")
        assert not {"cook", "judge", "alice", "bob"} & {*re.findall(r"\w+", str(refused.value))}
        assert not list(read(ledger))

    def test_of_what_it_was_made_is_needed(self, ledger: Path) -> None:
        """A bare pair does not say; one that came from elsewhere can be told."""
        context = Context(seed=1)
        with guard(ledger, policy(STEER)) as made:
            pair = made.policy.assess("a cook", context)
            with made.attach(tiny_pipeline(), other_model=True) as guarded:
                with pytest.raises(InputError, match="got a tuple"):
                    guarded.generate("a cook", seed=1, decided=pair)  # type: ignore[arg-type]
                own = Assessment("a cook", context, *pair)
                result = guarded.generate("a cook", seed=1, sampler=FEW, decided=own)

        assert result.outcome == Outcome.STEERED

    @pytest.mark.parametrize("images", [1, 3])
    def test_interventions_of_another_number_of_images(self, ledger: Path, images: int) -> None:
        """One's own decision has to fit the request as well: for no more of them, and no fewer."""
        with guard(ledger, policy(STEER)) as made:
            decided = made.assess("a cook", Context(images=images, seed=1))
            for_two = {"interventions": decided[1].interventions[:1] * 2}
            own = decided.amended(decided[1].model_copy(update=for_two))
            with made.attach(tiny_pipeline(), other_model=True) as guarded:
                with pytest.raises(InputError, match=f"for 2 images, asked for {images}"):
                    guarded.generate("a cook", images=images, seed=1, decided=own)

    def test_it_is_two_things_that_say_nothing_of_the_prompt(self, ledger: Path) -> None:
        """It unpacks, compares and prints as scores and decision, and can be copied."""
        with guard(ledger, policy(STEER)) as made:
            decided = made.assess("a cook", Context(user="alice", seed=3))
        scores, decision = decided
        copied = copy.deepcopy(decided)

        assert decided == (scores, decision) == copied
        assert (copied.prompt, copied.context) == ("a cook", Context(user="alice", seed=3))
        assert "cook" not in repr(decided)
        assert "alice" not in repr(decided)


class BlackensSecond(torch.nn.Module):
    """A safety checker of diffusers' kind, that finds fault with every second image."""

    dtype, device = torch.float32, torch.device("cpu")

    def forward(self, images: Any, clip_input: Any) -> tuple[Any, list[bool]]:
        """Images, of which those with a fault are black, and which those are."""
        images[1::2] = 0
        return images, [bool(i % 2) for i in range(len(images))]


class Extracts:
    """What diffusers prepares a safety checker's input with."""

    def __call__(self, images: Any, return_tensors: str) -> "Extracts":
        """An input that nobody looks at."""
        self.pixel_values = torch.zeros(len(images), 1)
        return self

    def to(self, device: Any) -> "Extracts":
        """Itself."""
        return self


class Sees:
    """A detector that sees nothing, or something; it remembers how many images it was given."""

    name, labels, digest = "d", ("x",), "sha256:d"

    def __init__(self, score: float) -> None:
        self.score = score
        self.given: list[int] = []

    def __call__(self, images: Sequence[Image.Image]) -> list[list[Finding]]:
        """The same in every image."""
        self.given.append(len(images))
        found = Finding(detector="d", detector_digest=self.digest, label="x", score=self.score)
        return [[found] for _ in images]


class TestSafetyChecker:
    """What a pipeline's own checker has blacked out is no image."""

    @pytest.fixture
    def pipeline(self) -> Any:
        """The tiny pipeline with a safety checker."""
        pipeline = tiny_pipeline()
        pipeline.register_modules(safety_checker=BlackensSecond())
        pipeline.feature_extractor = Extracts()
        return pipeline

    def looked(
        self, ledger: Path, pipeline: Any, score: float = 0.0, rest: str = "", **options: Any
    ) -> tuple[Result, list[int]]:
        """Three images under a policy that checks them, and how many a detector was given."""
        text = "checks: [{detector: d, label: x, threshold: 0.5}]\n" + rest
        rule = f"rules: [{{id: all, when: 'true', then: {{{NEGATIVE}}}}}]\n"
        detector = Sees(score)
        with Guard(Policy(HEAD + rule + text), {}, [detector], Ledger.open(ledger)) as made:
            with made.attach(pipeline, other_model=True) as guarded:
                return guarded.generate("a cook", images=3, sampler=FEW, **options), detector.given

    def test_its_fault_is_a_block(self, ledger: Path, pipeline: Any) -> None:
        """No black picture comes out; the record says whose finding it was."""
        result, given = self.looked(ledger, pipeline)
        ((_, record),) = read(ledger)

        outcomes = [Outcome.STEERED, Outcome.BLOCKED, Outcome.STEERED]
        assert result.outcome == record.outcome == Outcome.BLOCKED
        assert [image.outcome for image in result.images] == outcomes
        assert [image.image is None for image in result.images] == [False, True, False]
        assert [image.outcome for image in record.images] == outcomes
        assert "safety checker" in record.images[1].reason
        assert record.images[1].sha256 == ""
        assert given == [2]

    def test_beside_an_early_look(self, ledger: Path, pipeline: Any) -> None:
        """What neither stopped comes out; the look was at all of them."""
        result, given = self.looked(ledger, pipeline, rest="early_look: {at: 0.5}\n")

        assert [image.image is None for image in result.images] == [False, True, False]
        assert "safety checker" in result.images[1].reason
        assert result.images[1].actions == ()
        assert given == [3, 2]

    def test_what_it_leaves_is_still_reacted_to(self, ledger: Path, pipeline: Any) -> None:
        """A new attempt may be blacked out as well; that ends it."""
        ladder = "ladder: [{action: regenerate, times: 2}, {action: replace}]\n"
        result, given = self.looked(ledger, pipeline, 1.0, ladder)

        assert [image.outcome for image in result.images] == ["altered", "blocked", "blocked"]
        assert [image.attempts for image in result.images] == [3, 1, 2]
        assert given == [2, 1, 1]

    def test_a_bypass_does_not_let_it_through(self, ledger: Path, pipeline: Any) -> None:
        """The picture is black with or without the guard."""
        result, _ = self.looked(ledger, pipeline, bypass="benchmark")

        assert [image.outcome for image in result.images] == ["bypassed", "blocked", "bypassed"]
        assert result.images[1].image is None
        assert "safety checker" in result.images[1].reason


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (StableDiffusionImg2ImgPipeline, {}),
        (StableDiffusionInpaintPipeline, {"mask_image": Image.new("L", (16, 16), 255)}),
    ],
)
def test_a_guard_serves_pipelines_that_start_from_an_image(
    ledger: Path, kind: Any, more: dict[str, Any]
) -> None:
    """What they are given beside the prompt is on record, pictures by an HMAC of their digest."""
    picture = Image.linear_gradient("L").convert("RGB").resize((16, 16))
    pipeline = kind(**tiny_pipeline().components, requires_safety_checker=False)
    sampler = Sampler(6, 5.0, {"image": picture, "strength": 0.5, **more})
    asked = {"images": 2, "sampler": sampler}
    made = served(ledger, policy(STEER), pipeline, **asked)
    bare = served(ledger, policy(UNSTEERED), pipeline, **asked)
    (_, record), *_ = read(ledger)

    assert (made.outcome, bare.outcome) == ("steered", "allowed")
    assert all(a != b for a, b in zip(pixels(made), pixels(bare), strict=True))
    assert record.sampler["strength"] == 0.5
    digest = f"sha256:{pixels_digest(picture)}"
    with Ledger.open(ledger) as opened:
        assert record.sampler["image"] == opened.commitments.picture(digest) != digest
    assert not any(pixels_digest(picture) in path.read_text() for path in ledger.glob("*.jsonl"))


@pytest.mark.parametrize("more", [{"prompt": "a gun"}, {"image": torch.zeros(1)}])
def test_a_sampler_holds_nothing_past_the_guard(more: dict[str, Any]) -> None:
    """Neither another prompt than was assessed, nor what no record could tell."""
    with pytest.raises(InputError, match=r"past SafeGen|expected a picture or a number"):
        Sampler(4, 5.0, more)
