"""What a caller without types may give is refused where it would pass silently."""

from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import HEAD

from safegen import (
    Context,
    Guard,
    GuardedPipeline,
    InputError,
    Ledger,
    LivePolicy,
    Policy,
    PolicyError,
    Sampler,
    VectorStore,
)
from safegen.audit.detectors import inspect
from safegen.concepts.vector import save_vector
from safegen.testing import random_vector

RULE = "when: 'request.tenant == \"many\"', then: {review: {reason: many}}"
ASKS_LITTLE = f"{HEAD}rules: [{{id: a, {RULE}}}]\n"
POLICY = Policy(ASKS_LITTLE)
STEERS = "rules: [{id: a, when: 'true', then: {steer: [{concept: calm}]}}]\n"


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    """Of a policy that asks for nothing."""
    return Guard(POLICY, {}, [], Ledger.open(tmp_path / "ledger"))


@pytest.mark.parametrize("prompts", ["a knife", b"a knife", None, 3, ["a", None], [b"a"]])
def test_one_prompt_is_no_list_of_them(prompts: Any) -> None:
    """A text would be read letter by letter, and be found harmless."""
    with pytest.raises(InputError, match="expected a list of str as prompts, got a"):
        POLICY.classify(prompts)


@pytest.mark.parametrize("prompt", [None, ["x"], b"x"])
def test_only_a_text_is_assessed(guard: Guard, prompt: Any) -> None:
    """Also where the policy has nothing that reads it."""
    with guard:
        for assess in (guard.assess, guard.policy.assess):
            with pytest.raises(InputError, match="list of str as prompts"):
                assess(prompt, Context())


@pytest.mark.parametrize("context", [{}, {"seed": 1}, 3, "x"])
def test_only_a_context_is_one(guard: Guard, context: Any) -> None:
    """For a guard and for a policy, which takes no None either."""
    with guard:
        with pytest.raises(InputError, match="expected a Context or NoneType as context"):
            guard.assess("x", context)
        for given in (context, None):
            with pytest.raises(InputError, match="expected a Context as context"):
                POLICY.assess("x", given)


def test_decisions_are_made_of_scores() -> None:
    """A mapping with the same keys is none."""
    with pytest.raises(InputError, match="expected a Scores as scores, got a dict"):
        POLICY.decide({}, Context())  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [None, 3, b"default"])
def test_names_and_folders_are_text_or_paths(given: Any, tmp_path: Path) -> None:
    """As settings that were not set give None."""
    for load in (
        Policy.load,
        Policy,
        LivePolicy,
        VectorStore,
        Ledger.open,
        lambda path: Guard.from_policy(tmp_path / "no", ledger=path),
        lambda path: save_vector(random_vector("calm", {"mid_block": (4,)}), path),
    ):
        with pytest.raises((InputError, PolicyError), match=r"expected|no\b"):
            load(given)


@pytest.mark.parametrize(
    "given", [{"ledger": ""}, {"ledger": "l", "key": ""}, {"ledger": "l", "held_images": ""}]
)
def test_an_empty_path_is_not_the_current_folder(
    given: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In which a ledger and its private key would come to lie."""
    (tmp_path / "house.yaml").write_text(ASKS_LITTLE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="got an empty text"):
        Guard.from_policy("house.yaml", **given)  # type: ignore[arg-type]

    assert [path.name for path in tmp_path.iterdir()] == ["house.yaml"]


def test_a_guard_takes_what_is_loaded(guard: Guard) -> None:
    """Names and folders are for `from_policy`."""
    with guard:
        for made in (
            lambda: guard.use("default"),  # type: ignore[arg-type]
            lambda: Guard("default", {}, [], guard.ledger),  # type: ignore[arg-type]
            lambda: Guard(POLICY, {}, [], "ledger"),  # type: ignore[arg-type]
            lambda: Guard.from_policy("default", ledger="ledger", detectors="clip"),
        ):
            with pytest.raises(InputError, match="expected a"):
                made()


def test_a_model_is_not_attached_without_the_vectors_of_the_policy(tmp_path: Path) -> None:
    """Every request would end as an error; a guard that only inspects needs none."""
    with Guard(Policy(HEAD + STEERS), {}, [], Ledger.open(tmp_path)) as guard:
        with pytest.raises(PolicyError, match="no vector for the concept 'calm'"):
            guard.attach(None)


@pytest.mark.parametrize("batch", [0, 2.5, "4"])
def test_a_batch_is_a_whole_number(guard: Guard, batch: Any) -> None:
    """Of at least one image."""
    with guard, pytest.raises(InputError, match="batch"):
        guard.attach(None, batch=batch)


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), "2"])
def test_looks_at_a_policy_have_time_between_them(interval: Any, tmp_path: Path) -> None:
    """None would keep a processor busy, and what is no number would end the thread that looks."""
    (tmp_path / "house.yaml").write_text(ASKS_LITTLE)
    with pytest.raises(InputError, match="interval"):
        LivePolicy(tmp_path / "house.yaml", interval=interval)


@pytest.mark.parametrize("images", [["a.png"], Image.new("RGB", (4, 4)), None, [np.zeros((4, 4))]])
def test_images_are_a_list_of_opened_ones(images: Any) -> None:
    """Neither paths nor a single one."""
    with pytest.raises(InputError, match="expected a list of Image as images"):
        inspect([], images)


def test_further_arguments_of_a_sampler_have_names() -> None:
    """As the mapping `more`."""
    with pytest.raises(InputError, match="expected a Mapping as more"):
        Sampler(4, 5.0, None)  # type: ignore[arg-type]


def test_both_ways_to_generate_take_the_same() -> None:
    """So that an editor and mypy know the arguments of either."""
    plain, served = (
        signature(f) for f in (GuardedPipeline.generate, GuardedPipeline.generate_async)
    )

    assert plain.parameters == served.parameters


def test_a_print_tells_what_a_thing_is_and_not_who_asks(guard: Guard) -> None:
    """Policies, stores, ledgers and guards by their names; a context without the user."""
    with guard:
        told = repr(guard)
    assert f"<Policy {POLICY.name!r} sha256:" in told
    assert "ledger'" in told
    assert "reference" in repr(VectorStore("reference"))
    assert "alice" not in repr(Context(user="alice@example.com"))
