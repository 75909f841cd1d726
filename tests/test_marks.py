"""A policy that wants images marked: none leaves without, and records say by what."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image
from serving import FEW, HEAD, STEER, policy
from typer.testing import CliRunner

from safegen.audit.explain import explained
from safegen.audit.ledger import Ledger, read
from safegen.audit.marking import Mark, MarkedElsewhere, Marker
from safegen.audit.marking.c2pa import C2paMarker
from safegen.audit.marking.certificates import CERTIFICATES, KEY, ROOT, make_certificates
from safegen.audit.marking.reading import read_credentials
from safegen.cli.main import app
from safegen.errors import InputError, PolicyError
from safegen.guard import Guard
from safegen.guarded import Result
from safegen.nouns import Context, Finding, Outcome, Record
from safegen.policy import Policy
from safegen.policy.compare import decided, difference
from safegen.policy.diff import diff
from safegen.policy.explain import explain, told
from safegen.policy.replay import replay
from safegen.testing import random_vector, tiny_pipeline

MARKS = "mark: true"
CHECK = "check: [{detector: d, label: x, threshold: 0.5}]"


@pytest.fixture
def c2pa(certificates: Path) -> C2paMarker:
    """What marks by them."""
    return C2paMarker(certificates / CERTIFICATES, certificates / KEY)


@pytest.fixture(scope="module")
def generated(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a marked image and its ledger."""
    folder = tmp_path_factory.mktemp("generated")
    wants = folder / "policy.yaml"
    wants.write_text(
        f"{HEAD}rules: [{{id: all, when: 'true', then: {{mark: true}}}}]\n", encoding="utf-8"
    )
    given = ["--policy", str(wants), "--steps", "2", "--out", str(folder)]
    given += ["--mark", str(certificates / CERTIFICATES), str(certificates / KEY)]
    done = CliRunner().invoke(app, ["generate", "a cat", *given], catch_exceptions=False)
    assert done.exit_code == 0
    return folder


class Sees:
    """Sees something in every image, or fails."""

    name, labels, digest = "d", ("x",), "sha256:0"

    def __init__(self, fails: bool = False) -> None:
        self._fails = fails

    def __call__(self, images: Sequence[Image.Image]) -> list[list[Finding]]:
        """One finding in each."""
        found = Finding(detector="d", detector_digest=self.digest, label="x", score=1.0)
        if self._fails and images:
            raise RuntimeError("cannot tell")
        return [[found]] * len(images)


class Meanwhile(Sees):
    """Sees nothing, while something happens."""

    happens: Callable[[], None]

    def __call__(self, images: Sequence[Image.Image]) -> list[list[Finding]]:
        """Nothing in any."""
        self.happens()
        return [[] for _ in images]


class Gives:
    """A marker of one's own."""

    name, digest = "own", ""

    def __init__(self, gives: object) -> None:
        self._gives = gives
        self.marked: list[Mark] = []

    def mark(self, image: Image.Image, mark: Mark) -> bytes | None:
        """What it was made with, or raise it."""
        self.marked.append(mark)
        if isinstance(self._gives, Exception):
            raise self._gives
        return self._gives  # type: ignore[return-value]


def guard(
    folder: Path, policy: Policy, marker: Marker | None, detectors: Sequence[Sees] = ()
) -> Guard:
    """A guard for the tiny model that marks."""
    calm = random_vector("calm", {"mid_block": (32,)}, activation_norm=1.0)
    return Guard(policy, {"calm": calm}, detectors, Ledger.open(folder), marker=marker)


def served(
    folder: Path,
    policy: Policy,
    marker: Marker,
    detectors: Sequence[Sees] = (),
    images: int = 1,
    bypass: str = "",
) -> tuple[Result, Record]:
    """The result of one request, and its record."""
    with guard(folder, policy, marker, detectors) as made:
        with made.attach(tiny_pipeline(), other_model=True) as guarded:
            result = guarded.generate("a cook", images=images, seed=1, sampler=FEW, bypass=bypass)
    ((_, record),) = read(folder)
    assert isinstance(record, Record)
    return result, record


def with_ladder(action: str) -> Policy:
    """A policy that marks, and flags every image."""
    rule = f"rules: [{{id: all, when: 'true', then: {{{MARKS}, {CHECK}}}}}]\n"
    return Policy(f"{HEAD}{rule}ladder: [{{action: {action}}}]\n")


class TestMarked:
    """Images leave with a mark that names their record."""

    def test_every_image_of_the_request(self, tmp_path: Path, c2pa: C2paMarker) -> None:
        """Each says which of the record's it is, and the record has the file's digest."""
        result, record = served(tmp_path / "ledger", policy(MARKS, STEER), c2pa, images=2)

        assert result.outcome == Outcome.STEERED
        for number, (image, written) in enumerate(zip(result.images, record.images, strict=True)):
            assert image.marked is not None
            credentials = read_credentials(image.marked)
            assert credentials is not None
            assert (credentials.intact, credentials.generated) == (True, True)
            assert credentials.mark == Mark(
                record=result.record_id,
                image=number,
                policy="small",
                policy_digest=record.decision.policy_digest if record.decision else "",
            )
            assert written.marked == hashlib.sha256(image.marked).hexdigest()
            assert written.marked_by == f"c2pa {c2pa.digest}"
        lines = [line for section in explained(record, []) for line in section.lines]
        assert "mark the images as generated" in lines
        assert any(line.startswith(f"marked as generated by c2pa {c2pa.digest}") for line in lines)

    @pytest.mark.parametrize("action", ["blur", "replace"])
    def test_one_that_was_altered_too(self, tmp_path: Path, c2pa: C2paMarker, action: str) -> None:
        """It is as it was returned."""
        result, _ = served(tmp_path / "ledger", with_ladder(action), c2pa, [Sees()])
        (image,) = result.images

        assert image.outcome == Outcome.ALTERED
        assert image.image is not None
        assert image.marked is not None
        assert read_credentials(image.marked) is not None

    def test_one_without_the_guard_too(self, tmp_path: Path, c2pa: C2paMarker) -> None:
        """A bypass takes off steering and checks; the image is generated all the same."""
        result, record = served(tmp_path / "ledger", policy(MARKS), c2pa, bypass="a test")

        assert result.outcome == Outcome.BYPASSED
        assert record.images[0].marked

    def test_by_a_batching_guard(self, tmp_path: Path, c2pa: C2paMarker) -> None:
        """Each request's by its own record."""

        async def both() -> list[Result]:
            with guard(tmp_path / "ledger", policy(MARKS), c2pa) as made:
                with made.attach(tiny_pipeline(), other_model=True, batch=2) as guarded:
                    asked = (guarded.generate_async("a cook", sampler=FEW) for _ in range(2))
                    return list(await asyncio.gather(*asked))

        for result in asyncio.run(both()):
            credentials = read_credentials(result.images[0].marked or b"")
            assert credentials is not None
            assert credentials.mark is not None
            assert credentials.mark.record == result.record_id

    def test_by_renewed_certificates(self, tmp_path: Path, c2pa: C2paMarker) -> None:
        """From the next request on, in a guard that goes on."""
        make_certificates(renewed := tmp_path / "renewed")
        with guard(tmp_path / "ledger", policy(MARKS), c2pa) as made:
            with made.attach(tiny_pipeline(), other_model=True) as guarded:
                trusted = []
                for _ in range(2):
                    (image,) = guarded.generate("a cook", sampler=FEW).images
                    credentials = read_credentials(image.marked or b"", renewed / ROOT)
                    assert credentials is not None
                    trusted.append(credentials.trusted)
                    made.marker = C2paMarker(renewed / CERTIFICATES, renewed / KEY)

        assert trusted == [False, True]

    def test_elsewhere(self, tmp_path: Path) -> None:
        """The record says whose work it is, and no file comes."""
        result, record = served(tmp_path / "ledger", policy(MARKS), MarkedElsewhere())

        assert (result.outcome, result.images[0].marked) == (Outcome.ALLOWED, None)
        assert (record.images[0].marked, record.images[0].marked_by) == ("", "elsewhere")


class TestUnmarked:
    """Where there is nothing to mark, nothing is."""

    @pytest.mark.parametrize("action", ["block", "review"])
    def test_what_is_withheld(self, tmp_path: Path, action: str) -> None:
        """The marker is never asked."""
        marker = Gives(b"file")
        result, record = served(tmp_path / "ledger", with_ladder(action), marker, [Sees()])

        assert result.images[0].image is None
        assert marker.marked == []
        assert record.images[0].marked_by == ""

    def test_what_no_image_is_made_for(self, tmp_path: Path) -> None:
        """A decision that stops wants no marks."""
        marker = Gives(b"file")
        result, _ = served(tmp_path / "ledger", policy(MARKS, "block: {reason: a.b}"), marker)

        assert result.decision is not None
        assert (result.outcome, result.decision.mark) == (Outcome.BLOCKED, False)
        assert marker.marked == []

    def test_where_no_rule_wants_it(self, tmp_path: Path) -> None:
        """A marker alone does nothing, nor does a shadow."""
        shadow = "rules: [{id: all, when: 'true', then: {mark: true}, enforce: shadow}]\n"
        marker = Gives(b"file")
        result, record = served(tmp_path / "ledger", Policy(HEAD + shadow), marker)

        assert result.images[0].marked is None
        assert marker.marked == []
        assert record.decision is not None
        assert [rule.action for rule in record.decision.rules] == ["would_mark"]

    def test_what_a_detector_could_not_look_at(self, tmp_path: Path) -> None:
        """No image leaves the guard, so none is marked."""
        marker = Gives(b"file")
        result, record = served(
            tmp_path / "ledger", policy(MARKS, CHECK), marker, [Sees(fails=True)]
        )

        assert result.outcome == Outcome.ERROR
        assert marker.marked == []
        assert all(image.marked_by == "" for image in record.images)


class TestFails:
    """No image leaves without the mark that the policy wants."""

    @pytest.mark.parametrize(
        ("gives", "said"),
        [
            (RuntimeError("the KMS is away"), "RuntimeError: the KMS is away"),
            (b"", "gave b'', expected a file's bytes"),
            ("file", "gave 'file', expected a file's bytes"),
        ],
    )
    def test_a_marker_that_fails(self, tmp_path: Path, gives: object, said: str) -> None:
        """The request ends as an error that result and record name."""
        result, record = served(tmp_path / "ledger", policy(MARKS), Gives(gives), images=2)

        assert (result.outcome, result.images) == (Outcome.ERROR, ())
        assert said in result.error
        assert record.outcome == Outcome.ERROR
        assert record.images == ()

    def test_a_guard_without_a_marker(self, tmp_path: Path) -> None:
        """It is refused, and so is a policy that it is given later."""
        with pytest.raises(InputError, match="'all' of the policy 'small' wants images marked"):
            guard(tmp_path / "ledger", policy(MARKS), None)
        with guard(tmp_path / "other", policy(STEER), None) as made:
            with pytest.raises(InputError, match="MarkedElsewhere"):
                made.use(policy(MARKS))
            assert made.policy.marking_rules == ()

    def test_a_marker_that_is_taken_away(self, tmp_path: Path, c2pa: C2paMarker) -> None:
        """Not while the policy wants marks, nor for a request that began under one that did."""
        looks = Meanwhile()
        with guard(tmp_path / "ledger", policy(MARKS, CHECK), c2pa, [looks]) as made:
            with pytest.raises(InputError, match="wants images marked"):
                made.marker = None
            assert made.marker is c2pa

            def take_away() -> None:
                made.use(policy(STEER))
                made.marker = None

            looks.happens = take_away
            with made.attach(tiny_pipeline(), other_model=True) as guarded:
                result = guarded.generate("a cook", seed=1, sampler=FEW)

        assert (result.outcome, result.images) == (Outcome.ERROR, ())
        assert "the guard has no marker any more" in result.error

    def test_what_is_no_marker(self, tmp_path: Path) -> None:
        """It is told what one is."""
        with pytest.raises(InputError, match="expected a Marker or NoneType as marker, got a str"):
            guard(tmp_path / "ledger", policy(MARKS), "c2pa")  # type: ignore[arg-type]


class TestPolicies:
    """What a policy can say of marks, and what its tools say of it."""

    def test_false_alone_is_a_rule_that_does_nothing(self) -> None:
        """As every other empty one."""
        with pytest.raises(PolicyError, match="check or mark"):
            policy("mark: false")

    def test_one_rule_is_enough(self) -> None:
        """None takes it off again."""
        rules = (
            "rules: [{id: a, when: 'true', then: {mark: true}}, "
            f"{{id: b, when: 'true', then: {{mark: false, {CHECK}}}}}]\n"
        )
        assert Policy(HEAD + rules).assess("a cook", Context())[1].mark

    def test_a_locked_one_stays(self, tmp_path: Path) -> None:
        """Whoever imports it cannot leave it out."""
        locked = "rules: [{id: all, when: 'true', then: {mark: true}, locked: true}]\n"
        (tmp_path / "base.yaml").write_text(HEAD + locked, encoding="utf-8")
        mine = f"{HEAD}imports: [base.yaml]\nwithout: [all]\n"
        (tmp_path / "mine.yaml").write_text(mine, encoding="utf-8")

        with pytest.raises(PolicyError, match="locked"):
            Policy.load(tmp_path / "mine.yaml")

    def test_is_explained_and_compared(self) -> None:
        """In plain words."""
        marks, does_not = policy(MARKS, STEER), policy(STEER)
        scores, _ = marks.assess("a cook", Context())
        found = difference(decided(does_not, scores, Context()), decided(marks, scores, Context()))

        assert found is not None
        assert (found.about, found.before, found.after) == ("mark", (), ("marked as generated",))
        assert "all, to mark" in "\n".join(told(explain(policy(MARKS), "a cook", Context())))

    def test_one_that_is_lost_is_told_beside_what_is_graver(self) -> None:
        """But not of a request for which no image is made any more."""
        marks, lower = policy(MARKS, CHECK), policy(CHECK.replace("0.5", "0.4"))
        found = diff(marks, lower, ["a cook"])

        told = [(each.about, each.before, each.after, each.count) for each in found.changes]
        assert told[0][0] == "checks"
        assert told[1:] == [("mark", "marked as generated", "nothing", told[0][3])]
        assert found.changed == found.compared
        stops = diff(marks, policy("block: {reason: a.b}"), ["a cook"])
        assert [each.about for each in stops.changes] == ["outcome"]

    def test_one_that_is_lost_is_told_of_records(self, tmp_path: Path, c2pa: C2paMarker) -> None:
        """As of prompts."""
        _, record = served(tmp_path / "ledger", policy(MARKS, STEER), c2pa)
        changes = replay([record], policy(STEER.replace("2.0", "1.0"))).comparison.changes

        assert [each.about for each in changes] == ["steering", "mark"]
        assert (changes[1].before, changes[1].after) == ("marked as generated", "nothing")

    def test_the_pack_eu_marks_what_is_asked_for_from_there(self) -> None:
        """And nothing else."""
        eu = Policy.load("eu")

        assert eu.marking_rules == ("eu.mark",)
        assert eu.assess("a red apple", Context(region="FR"))[1].mark
        assert not eu.assess("a red apple", Context(region="us"))[1].mark
        assert not eu.assess("a red apple", Context())[1].mark


class TestCommands:
    """`safegen marks`, and marks of `safegen generate`."""

    def read(self, file: Path, *given: str | Path) -> tuple[int, str]:
        """Exit code and output of `safegen marks read`."""
        asked = ["marks", "read", str(file), *map(str, given)]
        done = CliRunner().invoke(app, asked, catch_exceptions=False)
        return done.exit_code, done.stdout

    def test_a_file_leads_to_its_record(self, certificates: Path, generated: Path) -> None:
        """Signed, trusted, and the one that was returned."""
        (image,) = generated.glob("*.png")
        code, said = self.read(
            image, "--roots", certificates / ROOT, "--ledger", generated / "ledger"
        )

        assert code == 0
        assert said.splitlines()[:3] == [
            "intact",
            "says that it is generated",
            "signed by SafeGen development, whom the roots vouch for",
        ]
        assert said.splitlines()[-1] == "the ledger says that this file was returned"

    def test_one_that_another_ledger_knows_nothing_of(
        self, generated: Path, tmp_path: Path
    ) -> None:
        """It is intact, and was not returned there."""
        (image,) = generated.glob("*.png")
        Ledger.open(tmp_path / "ledger").close()
        code, said = self.read(image, "--ledger", tmp_path / "ledger", "--json")

        assert code == 1
        assert json.loads(said)["credentials"]["intact"]
        assert json.loads(said)["returned"] is False

    def test_one_that_the_ledger_says_otherwise_of(
        self, certificates: Path, generated: Path, tmp_path: Path
    ) -> None:
        """A mark that somebody with the key puts on another image, say."""
        (image,) = generated.glob("*.png")
        credentials = read_credentials(image.read_bytes())
        assert credentials is not None
        assert credentials.mark is not None
        marker = C2paMarker(certificates / CERTIFICATES, certificates / KEY)
        other = tmp_path / "other.png"
        other.write_bytes(marker.mark(Image.new("RGB", (8, 8)), credentials.mark))
        code, said = self.read(other, "--ledger", generated / "ledger")

        assert code == 1
        assert said.splitlines()[-1] == "the ledger does not say that this file was returned"

    def test_one_without(self, tmp_path: Path) -> None:
        """Exit code 1."""
        Image.new("RGB", (8, 8)).save(tmp_path / "bare.png")

        assert self.read(tmp_path / "bare.png") == (1, "no mark\n")

    def test_one_that_is_not_there(self, tmp_path: Path) -> None:
        """An error that says so."""
        with pytest.raises(InputError, match="No such file"):
            self.read(tmp_path / "none.png")

    def test_certificates(self, tmp_path: Path) -> None:
        """Their paths are printed."""
        asked = ["marks", "certificates", str(tmp_path / "mine"), "--json"]
        done = CliRunner().invoke(app, asked, catch_exceptions=False)

        assert all(Path(path).exists() for path in json.loads(done.stdout).values())
