"""Classifiers of a policy: where their files are looked for, and what a bundle says of them."""

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from safegen.audit.ledger.keys import load_private_key, make_private_key, public_pem
from safegen.errors import ClassifierError, PolicyError
from safegen.nouns import Context, Outcome
from safegen.policy import Policy
from safegen.policy.bundle import make_bundle, open_policy
from safegen.policy.imports import read_whole
from safegen.risk.head import Head

HEAD = 'apiVersion: safegen/v1\nmetadata: {name: x, version: "1"}\n'
OWN = HEAD + "classifiers:\n  text: {kind: head, path: weights/mine.safetensors}\n"
RISKY = "rules: [{id: risky, when: score.risk >= 0.6, then: {review: {reason: risky}}}]\n"
MODEL = "  toxic: {kind: huggingface, model: models/toxic, scores: {toxic: toxic}}\n"
PROMPT = "soldiers killing each other with blood and corpses everywhere"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a policy that decides by a head of its own, and a pair of keys above it."""
    folder = tmp_path / "house"
    (folder / "weights").mkdir(parents=True)
    shipped = Path(str(files("safegen.risk") / "assets" / "head.safetensors"))
    shutil.copy(shipped, folder / "weights" / "mine.safetensors")
    (folder / "policy.yaml").write_text(OWN + RISKY, encoding="utf-8")
    make_private_key(tmp_path / "key.pem")
    (tmp_path / "public.pem").write_bytes(public_pem(load_private_key(tmp_path / "key.pem")))
    return folder


def bundled(folder: Path) -> Path:
    """The folder's policy as a signed bundle, beside its weights."""
    path = folder / "house.bundle"
    path.write_bytes(make_bundle(folder, folder.parent / "key.pem"))
    return path


def test_a_head_is_looked_for_beside_the_file_that_names_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not where the process runs, whatever stands there, and from an import as well."""
    importer = folder.parent / "own.yaml"
    importer.write_text(HEAD + "imports: [house/policy.yaml]\n", encoding="utf-8")
    planted = folder.parent / "weights"
    planted.mkdir()
    (planted / "mine.safetensors").write_bytes(b"another")
    monkeypatch.chdir(folder.parent)

    for path in ("house/policy.yaml", "own.yaml"):
        assert Policy.load(path).assess(PROMPT, Context())[1].outcome == Outcome.REVIEW


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("{kind: head, path: none.safetensors}", "cannot read the head .*house.none.safetensors"),
        ("{kind: http, url: nowhere, scores: {a: b}}", "classifiers.text.url: expected http"),
    ],
)
def test_a_classifier_that_cannot_be_made_is_told_with_its_place(
    folder: Path, settings: str, told: str
) -> None:
    """In the file that names it, which need not be the one that is loaded."""
    text = f"{HEAD}classifiers:\n  text: {settings}\n{RISKY}"
    (folder / "policy.yaml").write_text(text, encoding="utf-8")
    own = folder.parent / "own.yaml"
    own.write_text(HEAD + "imports: [house/policy.yaml]\n", encoding="utf-8")

    with pytest.raises(ClassifierError, match=rf"house.policy\.yaml:4:9: {told}") as caught:
        Policy.load(own)
    assert caught.value.mend


def test_a_bundle_holds_to_the_head_that_it_was_made_with(folder: Path) -> None:
    """Its signature covers the weights: of others, or of a bundle without them, nothing comes."""
    path, key = bundled(folder), folder.parent / "public.pem"
    policy = Policy.load(path, public_key=key)
    assert policy.assess(PROMPT, Context())[1].outcome == Outcome.REVIEW
    assert policy.not_covered == ()

    weights = folder / "weights" / "mine.safetensors"
    head = Head.load(weights)
    head.arrays["bias"] *= 0
    head.save(weights)
    with pytest.raises(PolicyError, match=r"house\.bundle.*classifiers\.text\.path .* expected"):
        Policy.load(path, public_key=key)

    old = {name: value for name, value in json.loads(path.read_text()).items() if name != "reads"}
    path.write_text(json.dumps(old, separators=(",", ":"), sort_keys=True), encoding="utf-8")
    with pytest.raises(PolicyError, match="its signature is not of this key"):
        Policy.load(path, public_key=key)
    with pytest.raises(PolicyError, match=r"classifiers\.text\.path .* expected no file"):
        Policy.load(path)
    weights.unlink()
    with pytest.raises(PolicyError, match=r"policy\.yaml:4:28: cannot read it"):
        make_bundle(folder)


def test_a_folder_of_a_model_is_covered_and_the_hub_is_not(folder: Path) -> None:
    """Every file of it counts; without the folder its name would be one on the hub."""
    (folder / "policy.yaml").write_text(OWN + MODEL + RISKY, encoding="utf-8")
    model = folder / "models" / "toxic"
    model.mkdir(parents=True)
    (model / "tokenizer.json").write_text("{}", encoding="utf-8")
    opened = open_policy(bundled(folder))
    whole = read_whole(opened.text, opened.source, opened.fetch)

    opened.require_files(whole)
    (model / "tokenizer.json").write_text('{"other": 1}', encoding="utf-8")
    with pytest.raises(PolicyError, match=r"classifiers\.toxic\.model .* found sha256:"):
        opened.require_files(whole)
    shutil.rmtree(model)
    with pytest.raises(PolicyError, match=r"classifiers\.toxic\.model .* found no file"):
        opened.require_files(whole)


def test_what_no_signature_covers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services, and what detectors are made with."""
    monkeypatch.setenv("TOKEN", "x")
    policy = Policy(
        HEAD + "classifiers: {api: {kind: http, url: 'https://moderation.example/v1', token_env: "
        "TOKEN, scores: {hate: hate}}}\n"
        "detectors: {clip: {settings: {probes: mine.npz, labels: {}}}}\n"
        "rules: [{id: r, when: 'true', then: {review: {reason: seen}}}]\n"
    )

    assert policy.not_covered == ("classifiers.api.url", "detectors.clip.settings.probes")
