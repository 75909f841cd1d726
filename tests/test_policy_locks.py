"""What an import locks and guards holds, whichever file of the policy would have it otherwise."""

import pytest

from safegen.errors import PolicyError
from safegen.policy import Policy

HEAD = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1"}\n'
ANYTHING = "rules: [{id: NAME, when: 'true', then: {negative_prompt: x}}]\n"
LOCKED = "rules: [{id: firm, when: score.harm >= 0.5, locked: true, then: {block: {reason: h}}}]\n"
TEXT = "classifiers: {NAME: {kind: similarity, concepts: {SCORE: {examples: [one, two, three]}}}}\n"
WORDS = "lists: {harm: {kind: score, terms: [TERM]}}\n"
WAITS = "detectors: {nudenet: {when: {detector: nsfw, label: nsfw, between: [0.2, 1]}}}\n"
BAND = "{when: {detector: clip, label: weapon, between: [0.99, 1]}}"


def text(name: str, score: str) -> str:
    """A classifier that gives one score."""
    return TEXT.replace("NAME", name).replace("SCORE", score)


# What is held -> (the file that holds it, what would break it, what settles a conflict of two
# imports that would otherwise be an error of its own).
HELD = {
    "rule": (
        WORDS.replace("TERM", "knife") + LOCKED,
        "rules: [{id: firm, when: 'false', then: {block: {reason: h}}}]\n",
        "rules: [{id: firm, when: 'false', then: {review: {reason: h}}}]\n",
    ),
    "list of a locked rule": (
        WORDS.replace("TERM", "knife") + LOCKED,
        WORDS.replace("TERM", "zzz"),
        WORDS.replace("TERM", "yyy"),
    ),
    "list that such a list names": (
        "lists: {harm: {kind: score, terms: ['a {arm}']}, arm: {kind: words, terms: [knife]}}\n"
        + LOCKED,
        "lists: {arm: {kind: words, terms: [zzz]}}\n",
        "lists: {arm: {kind: words, terms: [yyy]}}\n",
    ),
    "classifier of a locked rule": (
        text("text", "harm") + LOCKED,
        text("text", "other"),
        text("text", "third"),
    ),
    "score of a locked rule, by a list": (text("text", "harm") + LOCKED, WORDS, ""),
    "score of a locked rule, by a classifier": (WORDS + LOCKED, text("mine", "harm"), ""),
    "record": (
        ANYTHING + "record: {prompt: none, locked: true}\n",
        "record: {prompt: plain}\n",
        "record: {prompt: hmac}\n",
    ),
    "detector of a check": (
        ANYTHING + "checks: [{detector: nsfw, label: nsfw, threshold: 0.8}]\n",
        f"detectors: {{nsfw: {BAND}}}\n",
        "",
    ),
    "detector of a rule's check": (
        "rules: [{id: r, when: 'true', then: {check: [{detector: nsfw, label: nsfw, threshold: 0.8}"
        "]}}]\n",
        f"detectors: {{nsfw: {BAND}}}\n",
        "",
    ),
    "detector that one of a check waits for": (
        ANYTHING + "checks: [{detector: nudenet, label: FACE_MALE, threshold: 0.8}]\n" + WAITS,
        f"detectors: {{nsfw: {BAND}}}\n",
        "",
    ),
    "detector of a check that waits already": (
        ANYTHING + "checks: [{detector: nudenet, label: FACE_MALE, threshold: 0.8}]\n" + WAITS,
        WAITS.replace("0.2", "0.95"),
        WAITS.replace("0.2", "0.96"),
    ),
    "labels of a check": (
        ANYTHING + "checks: [{detector: clip, label: weapon, threshold: 0.8}]\n",
        "detectors: {clip: {settings: {labels: {weapon: [a blank page]}}}}\n",
        "",
    ),
    "settings of a locked rule's check": (
        "rules: [{id: r, when: 'true', locked: true, then: {check: [{detector: nudenet, "
        "label: FACE_MALE, threshold: 0.8}]}}]\n",
        "detectors: {nudenet: {settings: {floor: 0.9}}}\n",
        "",
    ),
}


def imports(*names: str) -> str:
    """The head of a policy that imports these."""
    return f"{HEAD}imports: [{', '.join(names)}]\n"


def placed(hold: str, offence: str, settle: str) -> dict[str, dict[str, str]]:
    """Where the offence may stand -> the files, of which `own` is read."""
    hold, offender = HEAD + hold.replace("NAME", "held"), HEAD + offence
    if "rules:" not in offence:
        offender += ANYTHING.replace("NAME", "other")
    files = {"hold": hold, "offender": offender}
    return {
        "the importing file": {**files, "own": imports("hold") + offence},
        "an earlier import": {**files, "own": imports("offender", "hold") + settle},
        "a later import": {**files, "own": imports("hold", "offender") + settle},
        "an import of an import": {
            **files,
            "between": imports("offender"),
            "own": imports("hold", "between") + settle,
        },
        "the importer of an importer": {
            **files,
            "between": imports("hold"),
            "own": imports("between") + offence,
        },
        "an importer that is imported": {
            **files,
            "between": imports("hold") + offence,
            "own": imports("between"),
        },
    }


def load(files: dict[str, str]) -> Policy:
    """The policy `own` of these files."""
    return Policy(files["own"], "own", fetch=lambda name, _: (files[name], name))


WHERE = tuple(placed("", "", ""))


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("what", HELD)
def test_what_is_held_holds_against_every_file(what: str, where: str) -> None:
    """Wherever the offence stands, the policy is refused, at a place, with a way out."""
    hold, offence, settle = HELD[what]
    files = placed(hold, offence, settle)[where]

    with pytest.raises(PolicyError, match=r"^(own|between):\d+:\d+: .*") as caught:
        load(files)
    assert any(
        told in caught.value.reason
        for told in (
            "locked",
            "so it cannot be kept from looking",
            "so its setting",
            "is written in this import",
        )
    )
    assert caught.value.mend


@pytest.mark.parametrize("what", HELD)
def test_what_is_held_disturbs_nobody_else(what: str) -> None:
    """The same files load where nothing is broken: twice imported, and beside another policy."""
    hold, _, _ = HELD[what]
    files = placed(hold, "", "")["an importer that is imported"]
    files["beside"] = HEAD + ANYTHING.replace("NAME", "beside")

    one = load({**files, "own": imports("hold", "between", "beside")})
    other = load({**files, "own": imports("beside", "between", "hold")})
    held = load({**files, "own": imports("hold")})

    assert {each.id for each in one.file.rules} == {each.id for each in other.file.rules}
    assert {each.id for each in held.file.rules} < {each.id for each in one.file.rules}
    assert one.file.record == other.file.record == held.file.record


def test_the_file_that_breaks_it_is_named() -> None:
    """The error points at the import that would blind a check, not at the one that makes it."""
    hold, offence, settle = HELD["detector of a check"]
    files = placed(hold, offence, settle)
    for where, column in (("an earlier import", 11), ("a later import", 17)):
        with pytest.raises(PolicyError, match=rf"^own:3:{column}: 'hold' checks what 'nsfw' sees"):
            load(files[where])


def test_one_import_may_not_blind_what_another_checks_but_the_importer_may_open_it() -> None:
    """What holds counts: a `nsfw: {}` of one's own lets it look at every image again."""
    hold, offence, _ = HELD["detector of a check"]
    files = placed(hold, offence, "detectors: {nsfw: {}}\n")

    for where in ("an earlier import", "a later import"):
        assert load(files[where]).file.detectors["nsfw"].when is None


@pytest.mark.parametrize("spelled", ["score .harm", "(score).harm", "score.`harm`"])
def test_no_spelling_hides_what_a_locked_rule_reads(spelled: str) -> None:
    """A score that is not seen to be read would not be protected."""
    hold, offence, _ = HELD["list of a locked rule"]
    hold = hold.replace("score.harm >= 0.5", f'"{spelled} >= 0.5"')
    with pytest.raises(PolicyError, match=r"^hold:4:\d+: rule 'firm': .* not written as one"):
        load(placed(hold, offence, "")["the importing file"])


def test_a_negated_score_is_read_like_any() -> None:
    """A classifier may call a score so, and then it is that one which is read."""
    hold = text("text", "negated_harm") + LOCKED.replace("score.harm", "score.negated_harm")
    for where in ("the importing file", "a later import"):
        with pytest.raises(PolicyError, match="'negated_harm' is read by the locked rule 'firm'"):
            load(placed(hold, text("mine", "negated_harm"), "")[where])


CLIP = "{model: ViT-B-32, pretrained: x, labels: {weapon: [a gun]}, concepts: {flag: [a flag]}}"
CHECKED = ANYTHING.replace("NAME", "held") + (
    "checks: [{detector: clip, label: weapon, threshold: 0.8}]\ndetectors: {clip: {SETTINGS}}\n"
)
UNSAID, SAID = (CHECKED.replace("SETTINGS", text) for text in ("", f"settings: {CLIP}"))


def with_settings(hold: str, use: str) -> Policy:
    """A policy that uses `clip` so, and imports one that checks what it sees."""
    own = f"{imports('hold')}detectors: {{clip: {use}}}\n"
    return load({"hold": HEAD + hold, "own": own})


@pytest.mark.parametrize(
    ("hold", "settings", "key"),
    [
        (UNSAID, "{labels: {weapon: [a gun], balloon: [a balloon]}}", "labels"),
        (UNSAID, "{neutral: [a gun, a knife]}", "neutral"),
        (UNSAID, "{templates: ['a page with {}']}", "templates"),
        (SAID, CLIP.replace("a gun", "a page"), "labels"),
        (SAID, CLIP.replace("ViT-B-32", "RN50"), "model"),
        (SAID, CLIP.replace("a flag", "a page"), "concepts"),
        (SAID, "{batch_size: 8}", "concepts"),
        (SAID.replace("{flag: [a flag]}", "a flag"), "{concepts: {flag: [a flag]}}", "concepts"),
    ],
)
def test_what_a_checked_label_means_stays(hold: str, settings: str, key: str) -> None:
    """Nothing is changed or left out by which its score would be another one."""
    with pytest.raises(PolicyError, match="'hold' checks what 'clip' sees, so its s") as caught:
        with_settings(hold, f"{{settings: {settings}}}")

    assert f"its setting {key!r} must stay" in caught.value.reason
    line = f"detectors: {{clip: {{settings: {settings}}}}}"
    value = f"{key}: " if f"{key}: " in settings else "settings: "
    assert (caught.value.line, caught.value.column) == (4, line.index(value) + len(value) + 1)


@pytest.mark.parametrize(
    ("hold", "use"),
    [
        (UNSAID, "{timeout: 3}"),
        (UNSAID, "{settings: {model: ViT-B-32, pretrained: x, device: cuda, batch_size: 8}}"),
        (UNSAID, "{settings: {concepts: {flag: [a flag]}, probes: mine.safetensors}}"),
        (SAID, f"{{settings: {CLIP}, timeout: 3}}"),
        (SAID, f"{{settings: {CLIP.replace('[a flag]', '[a flag], cup: [a cup]')}}}"),
    ],
)
def test_what_changes_no_checked_label_is_free(hold: str, use: str) -> None:
    """Labels of one's own go under `concepts`, each of which is scored by itself."""
    assert with_settings(hold, use).file.detectors["clip"].timeout in (None, 3)


def test_an_open_rule_may_have_its_labels_described_anew() -> None:
    """Who may leave a rule out may also say what it looks for."""
    check = "{check: [{detector: clip, label: a, threshold: 1}]}"
    hold = f"rules: [{{id: r, when: 'true', then: {check}}}]\n"
    settings = "{settings: {labels: {a: [a knife]}, neutral: [a thing]}}"

    assert with_settings(hold, settings).file.detectors["clip"].settings
    with pytest.raises(PolicyError, match="its setting 'labels' must"):
        with_settings(hold.replace("id: r", "id: r, locked: true"), settings)


STEERS = (
    "rules: [{id: firm, when: 'true', locked: true, then: {steer: [{concept: no-weapon, "
    "strength: 1.5, stop: 0.8}], fair: {attribute: gender, target: {woman: 0.5, man: 0.5}}}}]\n"
)


def with_ladder(rung: str, hold: str = STEERS) -> Policy:
    """A policy with one rung of its own, on an import that steers by a locked rule."""
    return load({"hold": HEAD + hold, "own": imports("hold") + f"ladder: [{rung}]\n"})


@pytest.mark.parametrize(
    ("rung", "column", "told"),
    [
        ("{action: regenerate, strength: 0.99}", 41, "0.99 times as strongly"),
        ("{action: regenerate, add: [{concept: no-weapon, strength: -9}]}", 37, "turn round"),
        ("{action: regenerate, add: [{concept: no-weapon, strength: 1.4}]}", 37, "weaken"),
        ("{action: regenerate, add: [{concept: no-weapon, strength: 9, stop: 0.7}]}", 37, "weaken"),
        ("{action: regenerate, add: [{concept: no-weapon, strength: 9, schedule: bell}]}", 37, "w"),
        (
            "{action: regenerate, add: [{concept: no-weapon, strength: 9, gate: projection}]}",
            37,
            "w",
        ),
        (
            "{action: regenerate, add: [{concept: no-weapon, strength: 9, unit: activation}]}",
            37,
            "",
        ),
        ("{action: regenerate, add: [{concept: man, strength: 9}]}", 37, "draws 'man'"),
    ],
)
def test_no_rung_takes_from_what_a_locked_rule_steers_by(rung: str, column: int, told: str) -> None:
    """Neither by a factor nor by what it adds, which would stand in the place of the rule's."""
    with pytest.raises(PolicyError, match="is locked by 'hold'") as caught:
        with_ladder(rung)

    assert (caught.value.source, caught.value.line, caught.value.column) == ("own", 4, column)
    assert told in caught.value.reason
    assert caught.value.mend


@pytest.mark.parametrize(
    ("rung", "hold"),
    [
        ("{action: regenerate, add: [{concept: no-weapon, strength: 1.5, stop: 0.9}]}", STEERS),
        ("{action: regenerate, add: [{concept: sunny, strength: -3}]}", STEERS),
        ("{action: blur, strength: 0.5}", STEERS),
        ("{action: regenerate, strength: 0.5}", STEERS.replace("locked: true, ", "")),
        (
            "{action: regenerate, strength: 0.5}",
            STEERS.replace("locked", "enforce: shadow, locked"),
        ),
        ("{action: regenerate, strength: 0.5}", WORDS.replace("TERM", "knife") + LOCKED),
    ],
)
def test_a_rung_that_takes_nothing_is_free(rung: str, hold: str) -> None:
    """As strong or stronger, of another concept, or beside rules that nobody locked."""
    assert with_ladder(rung, hold).file.ladder


def test_the_ladder_of_another_import_takes_nothing_either() -> None:
    """The error points at that import; the ladder of the file that locks is its own affair."""
    rung = "ladder: [{action: regenerate, strength: 0.5}]\n"
    files = {
        "hold": HEAD + STEERS + rung,
        "other": HEAD + ANYTHING.replace("NAME", "other") + rung.replace("0.5", "0.4"),
    }
    with pytest.raises(PolicyError, match=r"^own:3:17: .* 0\.4 times") as caught:
        load({**files, "own": imports("hold", "other")})

    assert str(caught.value.mend).endswith("or write a ladder here")
    assert load({**files, "own": imports("hold")}).file.ladder[0].strength == 0.5
