"""Bundles: one file, one digest, one signature that cannot be taken off."""

import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from safegen.audit.ledger.keys import load_private_key, make_private_key, public_pem
from safegen.errors import InputError, PolicyError
from safegen.nouns import Context
from safegen.policy import Policy
from safegen.policy.bundle import as_one_file, entry_of, make_bundle

HEAD = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1"}\n'
BASE = (
    HEAD
    + """\
lists: {hat: {kind: fact, terms: [hat]}}
rules: [{id: hat, when: fact.hat, then: {block: {reason: hat}}, locked: true}]
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy folder, with imports of the same name, and two pairs of keys beside it."""
    folder = tmp_path / "house"
    (folder / "sub").mkdir(parents=True)
    (folder / "policy.yaml").write_text(
        HEAD + "imports: [sub/policy.yaml, default]\n", encoding="utf-8"
    )
    (folder / "sub" / "policy.yaml").write_text(BASE, encoding="utf-8")
    for name in ("ours", "theirs"):
        make_private_key(tmp_path / f"{name}.pem")
        public = public_pem(load_private_key(tmp_path / f"{name}.pem"))
        (tmp_path / f"{name}.public.pem").write_bytes(public)
    return folder


def bundled(folder: Path, **changes: Any) -> Path:
    """The folder's signed bundle, with some of its keys changed or, where None, taken out."""
    data = json.loads(make_bundle(folder, folder.parent / "ours.pem")) | changes
    path = folder.parent / "house.bundle"
    path.write_bytes(
        rfc8785.dumps({key: value for key, value in data.items() if value is not None})
    )
    return path


def test_a_bundle_is_the_policy(folder: Path) -> None:
    """The same digest and decisions as from the folder, which is no longer needed."""
    direct = Policy.load(entry_of(folder))
    path = bundled(folder)
    for file in (folder / "policy.yaml", folder / "sub" / "policy.yaml"):
        file.unlink()
    policy = Policy.load(path, public_key=folder.parent / "ours.public.pem")

    assert policy.digest == direct.digest
    for prompt in ("a hat", "a guard", "a cat"):
        assert policy.assess(prompt, Context()) == direct.assess(prompt, Context())


def test_the_same_policy_is_the_same_bundle(folder: Path) -> None:
    """A bundle depends on the texts alone, if signed on the time, and names no folder."""
    data = make_bundle(folder)
    signed, again = (json.loads(make_bundle(folder, folder.parent / "ours.pem")) for _ in "ab")

    assert data == make_bundle(folder)
    assert signed["created"] < again["created"]
    for each in (signed, again):
        del each["created"], each["signature"]
    assert signed == again
    assert json.loads(data) == signed | {"signature": ""}
    assert str(folder.parent).encode() not in data


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signature": ""}, "its signature is missing"),
        ({"signature": None}, "not written as bundles are"),
        ({"signature": "00" * 64}, "not of this key"),
        ({"signature": "zz"}, "not of this key"),
        ({"digest": "sha256:0"}, "not of this key"),
        ({"created": "2099-01-01T00:00:00.000000Z"}, "not of this key"),
        ({"created": None}, "not of this key"),
        ({"created": "soon"}, "damaged"),
        ({"entry": "2-policy.yaml"}, "damaged"),
        ({"more": 1}, "damaged"),
    ],
)
def test_a_changed_bundle_is_refused(folder: Path, changes: dict[str, Any], reason: str) -> None:
    """Stripped, forged or altered: with a public key, none of it loads."""
    path = bundled(folder, **changes)

    with pytest.raises(PolicyError, match=reason):
        Policy.load(path, public_key=folder.parent / "ours.public.pem")


def test_a_changed_rule_is_refused(folder: Path) -> None:
    """A changed letter breaks the signature, and without a key at least the digest."""
    path = bundled(folder)
    path.write_bytes(path.read_bytes().replace(b"[hat]", b"[cap]"))

    with pytest.raises(PolicyError, match="the bundle changed"):
        Policy.load(path, public_key=folder.parent / "ours.public.pem")
    with pytest.raises(PolicyError, match="but says"):
        Policy.load(path)


def test_another_key_is_refused(folder: Path) -> None:
    """A signature by somebody else is none."""
    with pytest.raises(PolicyError, match="not of this key"):
        Policy.load(bundled(folder), public_key=folder.parent / "theirs.public.pem")


@pytest.mark.parametrize("name", ["default", "house/policy.yaml"])
def test_with_a_key_nothing_unsigned_loads(folder: Path, name: str) -> None:
    """The presence of the setting decides: neither plain files nor shipped packs get by."""
    path = name if name == "default" else folder.parent / name
    with pytest.raises(PolicyError, match="not a signed bundle"):
        Policy.load(path, public_key=folder.parent / "ours.public.pem")


def test_an_unsigned_bundle(folder: Path) -> None:
    """It loads where no key is configured, and nowhere else."""
    path = folder.parent / "house.bundle"
    path.write_bytes(make_bundle(folder))

    assert Policy.load(path).name == "x"
    with pytest.raises(PolicyError, match="its signature is missing"):
        Policy.load(path, public_key=folder.parent / "ours.public.pem")


def test_keys_that_cannot_be_read(folder: Path) -> None:
    """A missing key is an error of its own, and never means that nothing is verified."""
    with pytest.raises(InputError, match="cannot read the public key"):
        Policy.load(bundled(folder), public_key=folder / "nowhere.pem")
    with pytest.raises(InputError, match="cannot read the private key"):
        make_bundle(folder, folder / "nowhere.pem")


def test_errors_in_a_bundle_have_their_place(folder: Path) -> None:
    """A wrong condition is told with the bundle, the file in it, line and column."""
    (folder / "sub" / "policy.yaml").write_text(BASE.replace("fact.hat", "fact.hut"))
    with pytest.raises(PolicyError, match=r"house\.bundle/1-policy\.yaml:4:25"):
        Policy.load(bundled(folder))


def test_a_bundle_that_lacks_a_file(folder: Path) -> None:
    """An import is looked for in the bundle and nowhere else."""
    path = bundled(
        folder, files={"policy.yaml": {"text": HEAD + "imports: [default]\n", "imports": {}}}
    )
    with pytest.raises(PolicyError, match="the bundle lacks 'default'"):
        Policy.load(path)


@pytest.mark.parametrize(
    "rest",
    ["", "v1", 'v1"', 'v1"}', 'v1","files":' + "[" * 100_000, 'v1","digest":' + "9" * 5000 + "}",
     'v1","digest":"\\ud800","entry":"a","files":{"a":{"imports":{},"text":"x"}},"signature":""}',
     'v1","digest":"a","digest":"b","entry":"a","files":{},"signature":""}'],
)  # fmt: skip
def test_a_damaged_bundle_is_a_policy_error(tmp_path: Path, rest: str) -> None:
    """Cut off, nested without end, or not as bundles are written: an error, never a crash."""
    path = tmp_path / "b"
    path.write_text('{"bundle":"safegen/' + rest, encoding="utf-8")

    with pytest.raises(PolicyError, match="the bundle is damaged"):
        Policy.load(path)


def test_a_policy_as_one_file(folder: Path) -> None:
    """A folder becomes a bundle, and a bundle stays what it is, signature and all."""
    signed = folder.parent / "signed.bundle"
    signed.write_bytes(make_bundle(folder, folder.parent / "ours.pem"))

    assert as_one_file(folder) == make_bundle(folder)
    assert as_one_file(signed) == signed.read_bytes()


def test_names_that_are_made_up_are_those_of_no_other_file(tmp_path: Path) -> None:
    """Files of one name get a number each, even beside a file that has such a name of its own."""
    names = ("d/3-b.yaml", "x/b.yaml", "y/b.yaml", "d/2-b.yaml", "z/b.yaml")
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        rule = f"rules: [{{id: r{number}, when: 'true', then: {{review: {{reason: seen}}}}}}]\n"
        (tmp_path / name).write_text(HEAD + rule, encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(HEAD + f"imports: [{', '.join(names)}]\n", encoding="utf-8")
    bundle = tmp_path / "own.bundle"
    bundle.write_bytes(make_bundle(own))

    assert Policy.load(bundle).digest == Policy.load(own).digest
    assert len(Policy.load(bundle).rules) == len(names)


def test_a_file_that_is_imported_by_two_paths_is_bundled_once(folder: Path) -> None:
    """Or the bundle's two files would contradict each other."""
    (folder / "base.yaml").write_text(BASE, encoding="utf-8")
    (folder / "sub" / "policy.yaml").write_text(
        HEAD + "imports: [../base.yaml]\n", encoding="utf-8"
    )
    (folder / "policy.yaml").write_text(
        HEAD + "imports: [sub/policy.yaml, base.yaml]\n", encoding="utf-8"
    )
    bundle = bundled(folder)

    assert Policy.load(bundle).digest == Policy.load(entry_of(folder)).digest
    files = json.loads(bundle.read_text(encoding="utf-8"))["files"]
    assert sorted(files) == ["1-policy.yaml", "base.yaml", "policy.yaml"]


def test_a_bundle_that_could_not_be_loaded_is_not_made(tmp_path: Path) -> None:
    """One file of a policy may be as large as a whole bundle may."""
    for name in ("one", "two"):
        rule = f"rules: [{{id: {name}, when: 'true', then: {{review: {{reason: seen}}}}}}]\n"
        long = f"{HEAD}{rule}#{'x' * 1_200_000}\n"
        (tmp_path / f"{name}.yaml").write_text(long, encoding="utf-8")
    (tmp_path / "own.yaml").write_text(HEAD + "imports: [one.yaml, two.yaml]\n", encoding="utf-8")

    with pytest.raises(PolicyError, match=r"the bundle of .*own\.yaml.* too large"):
        make_bundle(tmp_path / "own.yaml")
