"""A policy that changes while requests run."""

import threading
from pathlib import Path

import pytest
from programs import FORKED, printed

from safegen.audit.ledger.keys import load_private_key, make_private_key, public_pem
from safegen.errors import InputError, PolicyError
from safegen.nouns import Context
from safegen.policy import Policy
from safegen.policy.bundle import make_bundle
from safegen.policy.live import LivePolicy, Reload
from safegen.reference import WEIGHTS

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


def looked(live: LivePolicy) -> Reload:
    """How it ends when files that have changed are at rest: at the second look."""
    assert live.refresh().status == "waiting"
    return live.refresh()


def reason(live: LivePolicy) -> str:
    """The reason that the policy in force gives."""
    return live.current.assess("a hat", Context())[1].reason


def test_a_new_policy_is_swapped_in(path: Path) -> None:
    """Only when the text has changed; who holds the old one keeps it."""
    live = LivePolicy(path)
    old = live.current
    path.write_text(text("two!").replace("two!", "two"), encoding="utf-8")

    assert looked(live).status == "swapped"
    assert reason(live) == "two"
    assert old.assess("a hat", Context())[1].reason == "one"
    path.touch()
    assert looked(live).status == "unchanged"
    assert live.refresh().status == "unchanged"


def test_a_bad_policy_leaves_the_last_good_one(path: Path) -> None:
    """It is reported with its place, again at each look, until it is mended."""
    live = LivePolicy(path)
    good = live.current
    path.write_text(text("two").replace("fact.hat", "fact.hut"), encoding="utf-8")
    for refused in (looked(live), live.refresh()):
        assert (refused.status, refused.digest) == ("refused", good.digest)
        assert "p.yaml:4:25: rule 'hat': unknown variable fact.hut" in refused.error
        assert live.last == refused
        assert live.current is good
    path.unlink()
    assert looked(live).status == "refused"
    path.write_text(text("three"), encoding="utf-8")
    assert looked(live).status == "swapped"
    assert reason(live) == "three"


def test_a_changed_import_counts(tmp_path: Path, path: Path) -> None:
    """The files that a policy imports are watched like its own."""
    own = tmp_path / "own.yaml"
    own.write_text(HEAD + "imports: [p.yaml]\n", encoding="utf-8")
    live = LivePolicy(own)
    live.refresh()
    path.write_text(text("changed"), encoding="utf-8")

    assert looked(live).status == "swapped"
    assert reason(live) == "changed"


def test_who_uses_it_may_refuse(path: Path) -> None:
    """A policy that the guard cannot serve is not taken over."""

    def picky(policy: Policy) -> None:
        raise InputError(f"no detector for {policy.name}")

    live = LivePolicy(path, on_new=picky)
    path.write_text(text("two"), encoding="utf-8")

    assert looked(live).error == "no detector for x"
    assert reason(live) == "one"


def test_whatever_its_user_raises_it_goes_on_watching(path: Path) -> None:
    """An error in their code is told as a refusal, with its kind."""

    def broken(policy: Policy) -> None:
        raise ValueError("out of order")

    live = LivePolicy(path, on_new=broken)
    path.write_text(text("two"), encoding="utf-8")

    assert (looked(live).status, live.last.error) == ("refused", "ValueError: out of order")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private key and its public one."""
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    make_private_key(key)
    public.write_bytes(public_pem(load_private_key(key)))
    return key, public


def test_a_bundle_without_its_signature_is_refused(
    tmp_path: Path, path: Path, keys: tuple[Path, Path]
) -> None:
    """Where a key is configured, an unsigned bundle is not swapped in either."""
    (key, public), bundle = keys, tmp_path / "b"
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


def test_a_file_that_is_being_written_is_not_taken(path: Path) -> None:
    """Its first half is a policy too, with fewer rules: not until it is the same at two looks."""
    more = "  - {id: two, when: fact.hat, then: {review: {reason: two}}}\n"
    start = HEAD + "lists: {hat: {kind: fact, terms: [hat]}}\nrules:\n"
    first = start + more
    rest = "  - {id: one, when: fact.hat, then: {block: {reason: one}}}\n"
    live = LivePolicy(path)
    path.write_text(first, encoding="utf-8")

    assert Policy(first).assess("a hat", Context())[1].reason == "two"
    assert live.refresh().status == "waiting"
    path.write_text(first + rest, encoding="utf-8")
    assert live.refresh().status == "waiting"
    assert reason(live) == "one"
    assert (live.refresh().status, reason(live)) == ("swapped", "one")
    assert len(live.current.rules) == 2


def test_a_new_import_must_be_at_rest_too(tmp_path: Path, path: Path) -> None:
    """Nobody knows of it before the policy that imports it is read."""
    own = tmp_path / "own.yaml"
    own.write_text(text("old"), encoding="utf-8")
    live = LivePolicy(own)
    own.write_text(HEAD + "imports: [p.yaml]\n", encoding="utf-8")

    assert [looked(live).status, live.refresh().status] == ["waiting", "swapped"]
    assert reason(live) == "one"


def test_what_is_written_while_it_is_read_is_not_taken(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stamps from before and after the reading must be the same."""
    live = LivePolicy(path)
    path.write_text(text("two"), encoding="utf-8")
    real = live._load

    def interrupted() -> Policy:
        read = real()
        path.write_text(text("three"), encoding="utf-8")
        return read

    with monkeypatch.context() as patch:
        patch.setattr(live, "_load", interrupted)
        assert looked(live).status == "waiting"
    assert (live.refresh().status, reason(live)) == ("swapped", "three")


def test_a_policy_whose_own_tests_fail_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once which do; it is not tested at each look while its files stay as they are."""
    live = LivePolicy(path)
    tests = "tests: [{prompt: a hat, expect: EXPECT}, {prompt: a cat, expect: allowed}]\n"
    path.write_text(text("two") + tests.replace("EXPECT", "allowed"), encoding="utf-8")
    refused = looked(live)

    assert (refused.status, refused.failed, reason(live)) == ("refused", ("a hat",), "one")
    assert "1 of 2 tests of the policy 'x' fail, the first is 'a hat'" in refused.error
    with monkeypatch.context() as patch:
        patch.setattr(live, "_load", None)
        assert live.refresh() == refused
    path.write_text(text("two") + tests.replace("EXPECT", "blocked"), encoding="utf-8")
    assert (looked(live).status, reason(live)) == ("swapped", "two")


def test_another_policy_is_not_taken_for_a_new_one(path: Path) -> None:
    """Whoever can write the file could put there what is in force elsewhere."""
    live, told = LivePolicy(path), LivePolicy(path, allow_renamed=True)
    path.write_text(text("two").replace("name: x", "name: y"), encoding="utf-8")

    assert looked(live).error.startswith(
        f"{path}:2:18: the policy is called 'y', the one in force 'x'"
    )
    assert live.refresh().status == "refused"
    assert reason(live) == "one"
    assert (looked(told).status, reason(told)) == ("swapped", "two")


def test_a_bundle_of_the_past_does_not_come_back(
    tmp_path: Path, path: Path, keys: tuple[Path, Path]
) -> None:
    """Nor one that does not say when it was signed, were it the very policy in force."""
    (key, public), bundle = keys, tmp_path / "b"
    old = make_bundle(path, key)
    path.write_text(text("two"), encoding="utf-8")
    bundle.write_bytes(make_bundle(path, key))
    live = LivePolicy(bundle, public_key=public)
    lax = LivePolicy(bundle, public_key=public, allow_older=True)
    made = live.current.created
    bundle.write_bytes(old)

    refused = live.refresh()
    assert f"the one in force was signed at {made}" in refused.error
    assert "sign its files anew" in refused.error
    assert (refused.status, reason(live)) == ("refused", "two")
    assert (lax.refresh().status, reason(lax)) == ("swapped", "one")

    open_eyed = LivePolicy(bundle)
    bundle.write_bytes(make_bundle(path))
    assert "has no time of signing, the one in force was" in open_eyed.refresh().error
    path.write_text(text("one"), encoding="utf-8")
    bundle.write_bytes(make_bundle(path, key))
    assert (live.refresh().status, reason(live)) == ("swapped", "one")
    assert live.current.created > made


def test_the_same_policy_signed_again_moves_the_time(
    tmp_path: Path, path: Path, keys: tuple[Path, Path]
) -> None:
    """What was signed in between is of the past then."""
    (key, public), bundle = keys, tmp_path / "b"
    bundle.write_bytes(make_bundle(path, key))
    live = LivePolicy(bundle, public_key=public)
    other = path.with_name("other.yaml")
    other.write_text(text("two"), encoding="utf-8")
    between = make_bundle(other, key)
    bundle.write_bytes(make_bundle(path, key))

    assert live.refresh().status == "unchanged"
    bundle.write_bytes(between)
    assert (live.refresh().status, reason(live)) == ("refused", "one")


def test_tests_that_need_a_model_are_run_with_it(path: Path) -> None:
    """Without it a policy whose prompts the model's encoder reads could never be tested."""
    tests = "tests: [{prompt: a hat, expect: blocked}]\n"
    gore = "{examples: [blood, gore, guts], unlike: [cat, dog, hill]}"
    encoder = f"{{kind: encoder, concepts: {{gore: {gore}}}}}"
    new = text("two") + tests + f"classifiers: {{model: {encoder}}}\n"
    bare = LivePolicy(path)
    fitted = LivePolicy(path, read_by=lambda policy: policy.attached(WEIGHTS / "pipeline"))
    path.write_text(new, encoding="utf-8")

    assert "no model is attached" in looked(bare).error
    assert (looked(fitted).status, reason(bare)) == ("swapped", "one")


WATCHED = """
import threading, time
from pathlib import Path
from safegen.nouns import Context
from safegen.policy.live import LivePolicy

path, at_work, parent = Path(PATH), threading.Event(), os.getpid()

def on_new(policy):
    at_work.set()
    if STUCK and os.getpid() == parent:
        time.sleep(1000)

def write():
    new = path.with_suffix(".new")
    new.write_text(path.read_text().replace("one", "two"))
    new.rename(path)

def taken():
    while live.current.assess("a hat", Context())[1].reason != "two":
        time.sleep(0.01)
    live.__exit__()

live = LivePolicy(path, on_new=on_new, interval=0.01).__enter__()
if STUCK:
    write()
    at_work.wait()
print(forked(taken, (lambda: None) if STUCK else write))
"""


@pytest.mark.parametrize("stuck", [False, True])
def test_a_fork_looks_by_itself(path: Path, stuck: bool) -> None:
    """A server's workers take each new policy too, also if the parent was at one at that moment."""
    program = WATCHED.replace("PATH", repr(str(path))).replace("STUCK", str(stuck))

    assert printed(FORKED + program) == "0"


def test_a_fork_does_not_look_where_nothing_looked(path: Path) -> None:
    """Neither before the start nor after the end."""
    program = f"""
import threading
from safegen.policy.live import LivePolicy

before, after = LivePolicy({str(path)!r}), LivePolicy({str(path)!r})
with after:
    pass
print(forked(lambda: print(threading.active_count(), before.refresh().status)))
"""
    assert printed(FORKED + program).split() == ["1", "unchanged", "0"]
