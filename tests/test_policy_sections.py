"""What differs beside the rules, in words."""

import pytest

from safegen.policy import Policy
from safegen.policy.load import parse_policy
from safegen.policy.sections import differing

HEAD = """\
apiVersion: safegen/v1
metadata: {name: x, version: "1", owner: us}
rules: [{id: a, when: "true", then: {negative_prompt: a hat}}]
"""


def told(old: str, new: str) -> list[tuple[str, str, str]]:
    """The differing settings of two policies that have these sections more."""
    found = differing(Policy(HEAD + old).file, Policy(HEAD + new).file)
    return [(each.name, each.before, each.after) for each in found]


BAND = "detectors: {clip: {when: {detector: nsfw, label: nsfw, between: [0.1, 0.3]}}}\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "steering: optional\n", ("steering", "required", "optional")),
        ("", "record: {prompt: plain}\n", ("record.prompt", "hmac", "plain")),
        ("", "record: {keep_days: 9}\n", ("record.keep_days", "nothing", "9")),
        ("", "record: {locked: true}\n", ("record.locked", "no", "yes")),
        ("", "early_look: {at: 0.5}\n", ("early_look", "nothing", "(at 0.5)")),
        ("early_look: {at: 0.5}\n", "early_look: {at: 0.6}\n", ("early_look.at", "0.5", "0.6")),
        ("", "detectors: {clip: {}}\n", ("detectors.clip", "nothing", "as by default")),
        (
            BAND,
            BAND.replace("0.1, ", "0.29, "),
            ("detectors.clip.when.between", "0.1, 0.3", "0.29, 0.3"),
        ),
        (
            BAND,
            "detectors: {clip: {timeout: 2}}\n",
            ("detectors.clip.timeout", "nothing", "2.0"),
        ),
        (
            "detectors: {clip: {settings: {labels: {weapon: [a gun]}}}}\n",
            "detectors: {clip: {settings: {labels: {weapon: [a toy, a gun]}}}}\n",
            ("detectors.clip.settings.labels.weapon", "nothing", "a toy"),
        ),
        (
            "checks: [{detector: nsfw, label: nsfw, threshold: 0.8}]\n",
            "checks: [{detector: nsfw, label: nsfw, threshold: 0.3}]\n",
            (
                "checks",
                "(detector nsfw, label nsfw, threshold 0.8)",
                "(detector nsfw, label nsfw, threshold 0.3)",
            ),
        ),
        (
            "ladder: [{action: blur}, {action: block}]\n",
            "ladder: [{action: block}, {action: blur}]\n",
            (
                "ladder",
                "(action blur, times 1, strength 1.5, area image), "
                "(action block, times 1, strength 1.5, area image)",
                "the same in another order",
            ),
        ),
        (
            "lists: {a: {kind: score, terms: [x, y, z]}}\n",
            "lists: {a: {kind: score, terms: [x, z, w]}}\n",
            ("lists.a.terms", "y", "w"),
        ),
        ("", "# a comment", None),
        ("", "tests: [{prompt: x, expect: steered}]\n", None),
    ],
)
def test_settings(old: str, new: str, expected: tuple[str, str, str] | None) -> None:
    """Each by its keys, with what it was and what it is; of a list what it lost and gained."""
    found = told(old, new)

    assert expected in found if expected else found == []
    assert told(old, old) == told(new, new) == []


def test_classifiers_and_their_settings() -> None:
    """A midpoint decides scores, and shows in a decision only if a prompt comes near it."""
    text = HEAD + "classifiers: {text: {kind: similarity, concepts: {a: {examples: [b, c, d]}}}}\n"
    old, new = (
        parse_policy(each, "p.yaml").file
        for each in (text, text.replace("d]", "d], midpoint: 0.3"))
    )
    (found,) = differing(old, new)

    assert found.name == "classifiers.text.concepts.a.midpoint"
    assert (found.before, found.after) == ("0.2", "0.3")


def test_what_an_import_sets_counts() -> None:
    """The whole is compared, however it is spread over files."""
    text = HEAD.split("rules:")[0] + "imports: [base]\n"
    old, new = (
        Policy(text, fetch=lambda *_, more=more: (HEAD + more, "base"))
        for more in ("", "record: {prompt: none}\n")
    )

    assert [each.after for each in differing(old.file, new.file)] == ["none"]
