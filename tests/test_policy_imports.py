"""Policies that build on others; what is locked stays as it was written."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from safegen.errors import PolicyError
from safegen.nouns import Context, Decision, Outcome
from safegen.policy import Policy

HEAD = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1"}\n'
BASE = (
    HEAD
    + """\
lists:
  minor: {kind: fact, terms: [child, "young {role}"]}
  role: {kind: fact, terms: [dancer]}
  harm: {kind: score, terms: [knife]}
  hat: {kind: fact, terms: [hat]}
rules:
  - {id: minors, when: fact.minor && score.harm >= 0.5, then: {block: {reason: m}}, locked: true}
  - {id: harm, when: score.harm >= 0.5, then: {steer: [{concept: no-weapon}]}}
  - {id: hat, when: fact.hat, then: {review: {reason: hat}}}
checks: [{detector: clip, label: weapon, threshold: 0.4}]
ladder: [{action: blur}]
tests: [{prompt: a child with a knife, expect: blocked}]
"""
)
ADDS = f"""{HEAD}imports: [base.yaml]
rules:
  - {{id: mine, when: fact.hat, then: {{block: {{reason: b}}}}}}
"""


def load(text: str, others: Mapping[str, str] | None = None) -> Policy:
    """A policy that finds BASE, and others, by their names."""
    texts = {"base.yaml": BASE} | dict(others or {})
    return Policy(text, "own.yaml", fetch=lambda name, _: (texts[name], name))


def decide(policy: Policy, prompt: str) -> Decision:
    """What the policy decides about a prompt."""
    return policy.assess(prompt, Context())[1]


def test_what_is_imported_is_in_force() -> None:
    """Lists, rules, checks and the ladder come from the import; its tests stay there."""
    policy = load(HEAD + "imports: [base.yaml]\n")

    assert [rule.id for rule in policy.file.rules] == ["minors", "harm", "hat"]
    assert decide(policy, "a child with a knife").outcome == Outcome.BLOCKED
    assert decide(policy, "a cat").checks == Policy(BASE).file.checks
    assert decide(policy, "a cat").ladder == Policy(BASE).file.ladder
    assert policy.test() == []


def test_an_import_may_hold_lists_alone() -> None:
    """As a place for many words; by itself it decides nothing and is refused."""
    words = HEAD + "lists: {brand: {kind: score, terms: [acme]}}\n"
    rule = "rules: [{id: brand, when: score.brand >= 0.5, then: {review: {reason: brand}}}]\n"
    policy = load(f"{HEAD}imports: [words.yaml]\n{rule}", {"words.yaml": words})

    assert decide(policy, "an acme anvil").outcome == Outcome.REVIEW
    for text in (words, f"{HEAD}imports: [words.yaml]\n"):
        with pytest.raises(PolicyError, match="has no rule"):
            load(text, {"words.yaml": words})


def test_own_rules_come_after_and_replace() -> None:
    """A rule of the same id takes the place of the imported one; another is added at the end."""
    own = "  - {id: hat, when: fact.hat, enforce: shadow, then: {review: {reason: hat}}}\n"
    policy = load(ADDS + own)

    assert [rule.id for rule in policy.file.rules] == ["minors", "harm", "hat", "mine"]
    assert decide(policy, "a hat").reason == "b"
    assert [rule.action for rule in decide(policy, "a hat").rules] == ["would_review", "block"]


def test_rules_are_left_out_by_name() -> None:
    """`without` drops an imported rule."""
    policy = load(ADDS + "without: [hat, harm]\n")

    assert [rule.id for rule in policy.file.rules] == ["minors", "mine"]


def test_checks_add_up() -> None:
    """An imported check cannot be made laxer: of one label the lowest threshold holds."""
    lax = "checks: [{detector: clip, label: weapon, threshold: 0.9}]\n"
    (check,) = decide(load(ADDS + lax), "a cat").checks

    assert check.threshold == 0.4


@pytest.mark.parametrize(
    ("more", "where", "reason"),
    [
        ("without: [minors]\n", "6:11", "the rule 'minors' is locked by base.yaml"),
        ("  - {id: minors, when: 'false', then: {review: {reason: r}}}\n", "6:10", "is locked by"),
        (
            "  - {id: minors, when: fact.minor, enforce: shadow, then: {block: {reason: m}}}\n",
            "6:10",
            "cannot be written anew",
        ),
        (
            "lists: {minor: {kind: fact, terms: [zzz]}}\n",
            "6:16",
            "read by the locked rule 'minors'",
        ),
        ("lists: {harm: {kind: score, terms: [zzz]}}\n", "6:15", "read by the locked rule"),
        ("lists: {role: {kind: fact, terms: [zzz]}}\n", "6:15", "read by the locked rule"),
        ("without: [hut]\n", "6:11", "no import has the rule 'hut'"),
    ],
)
def test_locked_stays_locked(more: str, where: str, reason: str) -> None:
    """To drop, replace or shadow a locked rule, or to change its words, is an error."""
    with pytest.raises(PolicyError) as caught:
        load(ADDS + more)

    assert str(caught.value).startswith(f"own.yaml:{where}: ")
    assert reason in caught.value.reason
    assert caught.value.mend


def test_locked_through_another_import() -> None:
    """A lock holds at any distance."""
    middle = HEAD + "imports: [base.yaml]\nwithout: [hat]\n"
    with pytest.raises(PolicyError, match=r"own\.yaml:4:11.*locked by base\.yaml"):
        load(HEAD + "imports: [middle.yaml]\nwithout: [minors]\n", {"middle.yaml": middle})


def test_a_second_import_cannot_replace_a_locked_rule() -> None:
    """Neither can another import bring an unlocked rule of the same name, in either order."""
    other = HEAD + "rules: [{id: minors, when: 'false', then: {review: {reason: r}}}]\n"
    for imports in ("[base.yaml, other.yaml]", "[other.yaml, base.yaml]"):
        with pytest.raises(PolicyError, match="'minors' is written in this import and"):
            load(HEAD + f"imports: {imports}\n", {"other.yaml": other})
        with pytest.raises(PolicyError, match=r"locked|is written in"):
            load(HEAD + f"imports: {imports}\nwithout: [minors]\n", {"other.yaml": other})


def test_a_second_import_cannot_lend_words_to_a_locked_rule() -> None:
    """Not even a list of the same words: beside other lists it may find something else."""
    other = HEAD + "lists: {harm: {kind: score, terms: [knife]}}\nimports: [third.yaml]\n"
    third = HEAD + "rules: [{id: harm, when: 'false', then: {review: {reason: r}}}]\n"
    given = {"other.yaml": other, "third.yaml": third}
    for more in ("", "without: [harm]\n"):
        with pytest.raises(PolicyError, match=r"own\.yaml:3:22.* 'harm' is written in this import"):
            load(HEAD + f"imports: [base.yaml, other.yaml]\n{more}", given)


def test_locked_rules_come_first() -> None:
    """So no import before it can draw an attribute that a locked rule draws, or give its reason."""
    fair = "when: 'true', then: {fair: {attribute: g, target: {TARGET}}}}]\n"
    locked = HEAD + "rules: [{id: ours, locked: true, " + fair.replace("TARGET", "w: 0.5, m: 0.5")
    early = HEAD + "rules: [{id: theirs, " + fair.replace("TARGET", "w: 0.9, x: 0.1")
    policy = load(
        HEAD + "imports: [early.yaml, locked.yaml]\n",
        {"early.yaml": early, "locked.yaml": locked},
    )
    images = policy.assess("a", Context(images=4))[1].interventions

    assert [rule.id for rule in policy.file.rules] == ["ours", "theirs"]
    assert sorted(each.concept for image in images for each in image) == ["m", "m", "w", "w"]


def test_words_beside_an_imported_list_do_not_change_it() -> None:
    """A list that swallows "but" would move the reach of "without", and so unlock the rule."""
    evil = "lists: {evil: {kind: fact, terms: [but, with, and]}}\n"
    prompt = "without a hat but a child with a knife"

    assert decide(Policy(BASE), prompt).outcome == Outcome.BLOCKED
    assert decide(load(ADDS + evil), prompt).outcome == Outcome.BLOCKED


def test_a_replaced_list_still_stands_beside_the_others() -> None:
    """A list that no locked rule reads may be replaced; its new words count, its old do not."""
    policy = load(ADDS + "lists: {hat: {kind: fact, terms: [cap]}}\n")

    assert decide(policy, "a cap").outcome == Outcome.BLOCKED
    assert decide(policy, "a hat").outcome == Outcome.ALLOWED
    assert decide(policy, "a young dancer with a knife").outcome == Outcome.BLOCKED


def test_own_lists_may_name_imported_ones() -> None:
    """`{role}` stands for the words of an imported list."""
    text = HEAD + "imports: [base.yaml]\nlists: {old: {kind: fact, terms: ['old {role}']}}\n"
    policy = load(text + "rules: [{id: o, when: fact.old, then: {review: {reason: o}}}]\n")

    assert decide(policy, "an old dancer").reason == "o"
    assert decide(policy, "a dancer").outcome == Outcome.ALLOWED


def test_the_digest_is_that_of_all_texts() -> None:
    """A changed import is another policy; without imports it is the SHA-256 of the text."""
    changed = load(ADDS, {"base.yaml": BASE.replace("child", "kid")})

    assert load(ADDS).digest == load(ADDS).digest
    assert load(ADDS).digest != changed.digest
    assert load(BASE).digest == f"sha256:{hashlib.sha256(BASE.encode()).hexdigest()}"


def test_circles_are_refused() -> None:
    """A policy that imports itself, by whatever way, is an error."""
    loop = {"a.yaml": HEAD + "imports: [b.yaml]\n", "b.yaml": HEAD + "imports: [a.yaml]\n"}
    with pytest.raises(PolicyError, match=r"b\.yaml:3:11: 'a.yaml' imports this policy"):
        load(HEAD + "imports: [a.yaml]\n", loop)


def test_the_same_import_twice_is_one() -> None:
    """Two imports that share a third one agree about it."""
    middle = HEAD + "imports: [base.yaml]\n"
    policy = load(HEAD + "imports: [m.yaml, n.yaml]\n", {"m.yaml": middle, "n.yaml": middle + "\n"})

    assert [rule.id for rule in policy.file.rules] == ["minors", "harm", "hat"]


HATS = """\
lists: {hat: {kind: fact, terms: [cap]}}
rules: [{id: hat, when: fact.hat, then: {block: {reason: cap}}}]
ladder: [{action: block}]
"""
PLAIN = f"{HEAD}imports: [base.yaml]\nwithout: [harm]\n"


@pytest.mark.parametrize("order", ["caps.yaml, plain.yaml", "plain.yaml, caps.yaml"])
def test_what_one_import_has_replaced_is_replaced(order: str) -> None:
    """Of a rule, a list and a ladder that both have from a third one, whichever comes first."""
    files = {"caps.yaml": f"{HEAD}imports: [base.yaml]\n{HATS}", "plain.yaml": PLAIN}
    policy = load(f"{HEAD}imports: [{order}]\n", files)

    assert decide(policy, "a cap").reason == "cap"
    assert decide(policy, "a hat").outcome == Outcome.ALLOWED
    assert [each.action for each in decide(policy, "a cat").ladder] == ["block"]
    assert decide(policy, "a child with a knife").outcome == Outcome.BLOCKED


@pytest.mark.parametrize("order", ["caps.yaml, more.yaml", "more.yaml, caps.yaml"])
def test_what_two_imports_have_replaced_must_be_settled(order: str) -> None:
    """Neither is newer than the other."""
    caps = f"{HEAD}imports: [base.yaml]\n{HATS}"
    files = {"caps.yaml": caps, "more.yaml": caps.replace("reason: cap", "reason: more")}
    text = f"{HEAD}imports: [{order}]\n"

    with pytest.raises(PolicyError, match="the rule 'hat' is written in this import and in one"):
        load(text, files)
    assert decide(load(text + HATS, files), "a cap").reason == "cap"


def test_a_replacement_changes_nothing_that_is_locked_elsewhere() -> None:
    """A list that one import has replaced, and another reads in a locked rule."""
    lock = "rules: [{id: mine, when: fact.hat, then: {block: {reason: l}}, locked: true}]\n"
    files = {
        "caps.yaml": f"{HEAD}imports: [base.yaml]\n{HATS}",
        "locks.yaml": f"{HEAD}imports: [base.yaml]\n{lock}",
    }

    for order in ("caps.yaml, locks.yaml", "locks.yaml, caps.yaml"):
        with pytest.raises(PolicyError, match=r"'hat'.*read by the locked rule 'mine'"):
            load(f"{HEAD}imports: [{order}]\n", files)


def test_shipped_packs_stand_side_by_side() -> None:
    """Each of these changes other parts of `default`."""
    policy = Policy(f"{HEAD}imports: [eu, fair-occupations, languages]\n")
    own = Policy.load("fair-occupations")

    assert policy.file.record == Policy.load("eu").file.record
    for name in ("fair.gender", "fair.tone", "fair.demeaning"):
        (one,), (other,) = ([r for r in p.file.rules if r.id == name] for p in (policy, own))
        assert one == other


def test_endless_imports_are_refused() -> None:
    """A chain of imports has an end."""
    with pytest.raises(PolicyError, match="more than 32 policies"):
        Policy(HEAD + "imports: ['1']\n", fetch=lambda n, _: (HEAD + f"imports: ['{n}1']\n", n))


def test_imports_are_looked_for_beside_the_importer(tmp_path: Path) -> None:
    """A relative path starts from the importing file; shipped packs go by their names."""
    folder = tmp_path / "sub"
    folder.mkdir()
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    path = folder / "own.yaml"
    path.write_text(HEAD + "imports: [../base.yaml]\n", encoding="utf-8")

    assert Policy.load(path).concepts == {"no-weapon"}
    path.write_text(HEAD + "imports: [nowhere.yaml]\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"own\.yaml:3:11: cannot import 'nowhere\.yaml'"):
        Policy.load(path)


@pytest.mark.parametrize("way", ["../base.yaml", "../more/../base.yaml", "{folder}/base.yaml"])
def test_a_file_is_one_by_whatever_path(tmp_path: Path, way: str) -> None:
    """Two ways to a third file are no conflict, and a way back to the importer is a circle."""
    more = tmp_path / "more"
    more.mkdir()
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    way = way.format(folder=tmp_path)
    (more / "more.yaml").write_text(f"{HEAD}imports: [{way}]\n", encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(HEAD + "imports: [base.yaml, more/more.yaml]\n", encoding="utf-8")

    assert [rule.id for rule in Policy.load(own).file.rules] == ["minors", "harm", "hat"]
    own.write_text(HEAD + "imports: [more/../own.yaml]\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"own\.yaml:3:11: .* imports this policy"):
        Policy.load(own)


def test_linked_files_import_from_their_own_folders(tmp_path: Path) -> None:
    """The same file is another policy where what it imports is another."""
    shared = tmp_path / "shared.yaml"
    shared.write_text(HEAD + "imports: [rules.yaml]\n", encoding="utf-8")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shared.yaml").symlink_to(shared)
        rule = f"rules: [{{id: {name}, when: 'true', then: {{review: {{reason: seen}}}}}}]\n"
        (tmp_path / name / "rules.yaml").write_text(HEAD + rule, encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(HEAD + "imports: [a/shared.yaml, b/shared.yaml]\n", encoding="utf-8")

    assert [rule.id for rule in Policy.load(own).file.rules] == ["a", "b"]


def test_the_default_locks_its_rules_about_minors() -> None:
    """Who imports the default cannot take them out, nor the words that they read."""
    for more in ("without: [minors.sexual]", "without: [minors.harm]"):
        with pytest.raises(PolicyError, match=r"locked by default\.yaml"):
            Policy(HEAD + "imports: [default]\n" + more)
    with pytest.raises(PolicyError, match="locked rule"):
        Policy(HEAD + "imports: [default]\nlists: {minor: {kind: fact, terms: [x]}}")


def test_a_locked_rule_that_steers_demands_steering() -> None:
    """An importing policy cannot let it run where nothing can be steered; another rule it may."""
    lenient = f"{HEAD}imports: [base.yaml]\nsteering: optional\n"
    locked = BASE.replace(
        "{id: harm, when: score.harm >= 0.5,", "{id: harm, locked: true, when: score.harm >= 0.5,"
    )

    assert load(lenient).file.steering == "optional"
    with pytest.raises(PolicyError, match=r"own\.yaml:4:1.*'harm' is locked .* steers"):
        load(lenient, {"base.yaml": locked})


def test_a_locked_negative_prompt_demands_that_it_is_read() -> None:
    """It is all the steering of the rule, which would do nothing where no model reads it."""
    rule = "{id: away, when: 'true', locked: LOCK, then: {negative_prompt: a knife}}"
    base = f"{HEAD}rules: [{rule}]\n"
    lenient = f"{HEAD}imports: [base.yaml]\nsteering: optional\n"

    assert load(lenient, {"base.yaml": base.replace("LOCK", "false")}).negative_rules
    with pytest.raises(PolicyError, match=r"own\.yaml:4:1.*'away' is locked .* steers"):
        load(lenient, {"base.yaml": base.replace("LOCK", "true")})


@pytest.mark.parametrize(
    "settings",
    [
        "{kind: similarity, concepts: {harm: {examples: [a, b, c]}}}",
        "{kind: http, url: 'http://localhost', scores: {harm: x}}",
    ],
)
def test_a_classifier_cannot_join_in_what_a_locked_rule_reads(settings: str) -> None:
    """Its scores need names of their own."""
    own = f"{HEAD}imports: [base.yaml]\nclassifiers:\n  mine: {settings}\n"
    with pytest.raises(PolicyError, match=r"own\.yaml:5:9.*'harm' is read by the locked rule"):
        load(own)


def test_a_check_of_an_import_goes_on_seeing() -> None:
    """An importer cannot keep a detector that an import checks from looking; others it can."""
    band = "{when: {detector: nsfw, label: nsfw, between: [0.2, 0.8]}}"
    own = HEAD + "imports: [base.yaml]\ndetectors: {NAME: BAND}\n"
    own = own.replace("BAND", band)
    with pytest.raises(PolicyError, match=r"own.yaml:4:26: .*'clip' sees, so it cannot be kept"):
        load(own.replace("NAME", "clip"))

    policy = load(own.replace("NAME", "nudenet"))
    assert policy.file.detectors.keys() == {"nudenet"}
    assert policy.detectors == {"clip", "nsfw", "nudenet"}

    banded = {"base.yaml": BASE + f"detectors: {{clip: {band}}}\n"}
    assert load(own.replace("NAME", "clip"), banded).file.detectors["clip"].when
    assert load(HEAD + "imports: [base.yaml]\n", banded).file.detectors["clip"].when


def test_two_imports_that_use_a_detector_differently() -> None:
    """The importing policy has to say which it is."""
    rule = "rules: [{id: NAME, when: 'true', then: {review: {reason: x}}}]\n"
    others = {
        f"{name}.yaml": f"{HEAD}{rule.replace('NAME', name)}"
        f"detectors: {{nsfw: {{timeout: {seconds}}}}}\n"
        for name, seconds in (("a", 1), ("b", 2))
    }
    both = HEAD + "imports: [a.yaml, b.yaml]\n"
    with pytest.raises(PolicyError, match="the detector 'nsfw' is written in this import"):
        load(both, others)

    policy = load(both + "detectors: {nsfw: {timeout: 3}}\n", others)
    assert policy.file.detectors["nsfw"].timeout == 3


RECORD = "record: {prompt: encrypted, user: none, keep_days: 30}\n"


def test_what_is_kept_of_people_is_said_in_one_place() -> None:
    """The section of the import holds as a whole, or that of the importer does."""
    base = {"base.yaml": BASE + RECORD}
    imported = load(HEAD + "imports: [base.yaml]\n", base).file.record
    own = load(HEAD + "imports: [base.yaml]\nrecord: {keep_days: 7}\n", base).file.record

    assert (imported.prompt, imported.user, imported.keep_days) == ("encrypted", "none", 30)
    assert (own.prompt, own.user, own.keep_days) == ("hmac", "hmac", 7)
    assert load(HEAD + "imports: [base.yaml]\n").file.record.prompt == "hmac"


def test_a_locked_record_section_stays() -> None:
    """Whoever imports it, directly or through others, cannot write what is kept anew."""
    base = {"base.yaml": BASE + RECORD.replace("}", ", locked: true}")}
    base["between.yaml"] = HEAD + "imports: [base.yaml]\n"
    for name in ("base.yaml", "between.yaml"):
        with pytest.raises(PolicyError, match=r"own\.yaml:4:9: an imported policy has locked"):
            load(f"{HEAD}imports: [{name}]\nrecord: {{prompt: plain}}\n", base)
        assert load(f"{HEAD}imports: [{name}]\n", base).file.record.prompt == "encrypted"


def test_two_imports_that_keep_differently() -> None:
    """The importing policy must say which holds."""
    others = {"base.yaml": BASE + RECORD, "other.yaml": ADDS.replace("imports: [base.yaml]", "")}
    others["other.yaml"] += "lists: {hat: {kind: fact, terms: [cap]}}\nrecord: {user: none}\n"
    text = HEAD + "imports: [base.yaml, other.yaml]\nlists: {hat: {kind: fact, terms: [hat]}}\n"

    with pytest.raises(PolicyError, match="the section 'record' is written in this import and in"):
        load(text, others)
    assert load(text + "record: {user: plain}\n", others).file.record.user == "plain"


@pytest.mark.parametrize(
    ("name", "section", "other"),
    [
        ("ladder", "[{action: block}]", "[{action: blur}]"),
        ("early_look", "{at: 0.5}", "{at: 0.9}"),
    ],
)
def test_two_imports_that_react_differently(name: str, section: str, other: str) -> None:
    """The importing policy must say which holds; what both say alike is no conflict."""
    rule = "rules: [{id: NAME, when: 'true', then: {review: {reason: seen}}}]\n"
    both = HEAD + "imports: [a.yaml, b.yaml]\n"
    one, two = (HEAD + rule.replace("NAME", id_) for id_ in ("one", "two"))
    files = {"a.yaml": f"{one}{name}: {section}\n", "b.yaml": f"{two}{name}: {other}\n"}
    with pytest.raises(PolicyError, match=rf"own\.yaml:3:19: the section '{name}' is written in"):
        load(both, files)

    assert load(f"{both}{name}: {other}\n", files).file == load(both, files | {"a.yaml": one}).file
    assert load(both, files | {"b.yaml": f"{two}{name}: {section}\n"}).rules


@pytest.mark.parametrize(
    ("lock", "expected"), [("", "mine"), ("locked: true, ", "theirs")], ids=["open", "locked"]
)
@pytest.mark.parametrize("mine_locked", ["", "locked: true, "])
def test_no_priority_goes_before_a_lock(lock: str, expected: str, mine_locked: str) -> None:
    """An importing rule of any priority is heard after what an import has locked, and only then."""
    theirs = (
        f"{HEAD}rules: [{{id: theirs, {lock}when: 'true', then: {{block: {{reason: theirs}}}}}}]\n"
    )
    mine = f"{HEAD}imports: [theirs.yaml]\nrules: [{{id: mine, {mine_locked}priority: 1000, "
    mine += "when: 'true', then: {block: {reason: mine}}}]\n"
    policy = load(mine, {"theirs.yaml": theirs})

    assert policy.assess("a cat", Context())[1].reason == expected


def test_locked_rules_of_one_file_have_priorities() -> None:
    """Among themselves they stand by their priorities, in the file and where it is imported."""
    rules = [
        f"{{id: {name}, locked: true, priority: {number}, when: 'true', "
        f"then: {{block: {{reason: {name}}}}}}}"
        for name, number in (("low", -1), ("none", 0), ("high", 1))
    ]
    locked = f"{HEAD}rules: [{', '.join(rules)}]\n"
    own = f"{HEAD}imports: [locked.yaml]\n"

    for policy in (Policy(locked), load(own, {"locked.yaml": locked})):
        assert [each.rule.id for each in policy.rules] == ["high", "none", "low"]
