"""A policy that changes while requests run."""

import threading
from pathlib import Path

import pytest

from safegen.errors import InputError, PolicyError
from safegen.nouns import Context
from safegen.policy import Policy
from safegen.policy.bundle import make_bundle
from safegen.policy.live import LivePolicy

HEAD = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1"}\n'
RULES = """\
lists: {hat: {kind: fact, terms: [hat]}}
rules: [{id: hat, when: fact.hat, then: {block: {reason: REASON}}}]
"""


def text(reason: str) -> str:
    """A policy that stops hats, for a reason."""
    return HEAD + RULES.replace("REASON", reason)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A policy file."""
    path = tmp_path / "p.yaml"
    path.write_text(text("one"), encoding="utf-8")
    return path


def reason(live: LivePolicy) -> str:
    """The reason that the policy in force gives."""
    return live.current.assess("a hat", Context())[1].reason


def test_a_new_policy_is_swapped_in(path: Path) -> None:
    """Only when the text has changed; who holds the old one keeps it."""
    live = LivePolicy(path)
    old = live.current
    path.write_text(text("two!").replace("two!", "two"), encoding="utf-8")

    assert live.refresh().status == "swapped"
    assert reason(live) == "two"
    assert old.assess("a hat", Context())[1].reason == "one"
    path.touch()
    assert live.refresh().status == "unchanged"
    assert live.refresh().status == "unchanged"


def test_a_bad_policy_leaves_the_last_good_one(path: Path) -> None:
    """It is reported with its place, again at each look, until it is mended."""
    live = LivePolicy(path)
    good = live.current
    path.write_text(text("two").replace("fact.hat", "fact.hut"), encoding="utf-8")
    for _ in range(2):
        refused = live.refresh()

        assert (refused.status, refused.digest) == ("refused", good.digest)
        assert "p.yaml:4:25: rule 'hat': unknown variable fact.hut" in refused.error
        assert live.last == refused
        assert live.current is good
    path.unlink()
    assert live.refresh().status == "refused"
    path.write_text(text("three"), encoding="utf-8")
    assert live.refresh().status == "swapped"
    assert reason(live) == "three"


def test_a_changed_import_counts(tmp_path: Path, path: Path) -> None:
    """The files that a policy imports are watched like its own."""
    own = tmp_path / "own.yaml"
    own.write_text(HEAD + "imports: [p.yaml]\n", encoding="utf-8")
    live = LivePolicy(own)
    live.refresh()
    path.write_text(text("changed"), encoding="utf-8")

    assert live.refresh().status == "swapped"
    assert reason(live) == "changed"


def test_who_uses_it_may_refuse(path: Path) -> None:
    """A policy that the guard cannot serve is not taken over."""

    def picky(policy: Policy) -> None:
        raise InputError(f"no detector for {policy.name}")

    live = LivePolicy(path, on_new=picky)
    path.write_text(text("two"), encoding="utf-8")

    assert live.refresh().error == "no detector for x"
    assert reason(live) == "one"


def test_whatever_its_user_raises_it_goes_on_watching(path: Path) -> None:
    """An error in their code is told as a refusal, with its kind."""

    def broken(policy: Policy) -> None:
        raise ValueError("out of order")

    live = LivePolicy(path, on_new=broken)
    path.write_text(text("two"), encoding="utf-8")

    assert (live.refresh().status, live.last.error) == ("refused", "ValueError: out of order")


def test_a_bundle_without_its_signature_is_refused(tmp_path: Path, path: Path) -> None:
    """Where a key is configured, an unsigned bundle is not swapped in either."""
    from safegen.audit.ledger.keys import load_private_key, make_private_key, public_pem

    key, public, bundle = tmp_path / "key.pem", tmp_path / "public.pem", tmp_path / "b"
    make_private_key(key)
    public.write_bytes(public_pem(load_private_key(key)))
    bundle.write_bytes(make_bundle(path, key))
    live = LivePolicy(bundle, public_key=public)
    path.write_text(text("two"), encoding="utf-8")
    bundle.write_bytes(make_bundle(path))

    assert "its signature is missing" in live.refresh().error
    bundle.write_bytes(make_bundle(path, key))
    assert live.refresh().status == "swapped"


def test_the_first_policy_must_be_good(path: Path) -> None:
    """There is no last good one yet."""
    path.write_text("no policy", encoding="utf-8")
    with pytest.raises(PolicyError):
        LivePolicy(path)


def test_requests_never_see_half_a_policy(path: Path) -> None:
    """While the file changes all the time, every decision is one of the two policies' whole."""
    texts = [text("one"), text("two")]
    digests = {Policy(each).digest: each for each in texts}
    live = LivePolicy(path, interval=0.001)
    seen, stop = set(), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            decision = live.current.assess("a hat", Context())[1]
            seen.add((decision.policy_digest, decision.reason))

    asking = threading.Thread(target=ask)
    with live:
        asking.start()
        for number in range(40):
            part = path.with_suffix(".part")
            part.write_text(texts[number % 2], encoding="utf-8")
            part.replace(path)
            threading.Event().wait(0.01)
        stop.set()
        asking.join()

    assert {digest for digest, _ in seen} <= digests.keys()
    assert all(f"reason: {why}" in digests[digest] for digest, why in seen)
    assert seen
