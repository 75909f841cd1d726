"""Files of nothing but test cases: any text in them stays text."""

from pathlib import Path

from safegen.policy import Policy
from safegen.policy.casefile import case_file

HOSTILE = "a \u200bkn\u0456fe 🔪: {x}, # [y]\n- &a !!z 'q' \"r\""


def test_any_prompt_is_read_as_it_was() -> None:
    """Invisible characters are escaped, and nothing becomes a key or a comment's end."""
    text = case_file(
        "holes", "default", [("one\nrules: []", {"prompt": HOSTILE, "expect": "allowed"})]
    )
    [case] = Policy(text).file.tests

    assert text.isascii()
    assert case.prompt == HOSTILE
    assert len(Policy(text).rules) == len(Policy.load("default").rules)


def test_where_the_policy_is(tmp_path: Path) -> None:
    """A pack goes by its name, a file by its path, about which a comment says so."""
    house = tmp_path / "house.yaml"
    house.write_text(
        'apiVersion: safegen/v1\nmetadata: {name: house, version: "1"}\n'
        "rules: [{id: all, when: 'true', then: {negative_prompt: x}}]\n"
    )
    file = tmp_path / "holes.yaml"
    file.write_text(case_file("holes", "house.yaml", [], head=["above"], foot=["below"]))

    assert Policy.load(file).file.tests == ()
    assert file.read_text().startswith("# above\n")
    assert file.read_text().endswith("# below\n")
    assert "# The path of the policy" in file.read_text()
    assert "# The path of the policy" not in case_file("holes", "default", [])
