"""The commands of the guide to published tables are commands, and its sums are right."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from guides import ROOT, snippets
from typer.testing import CliRunner

from safegen.cli.main import app
from safegen.concepts.discovery.discover import METHODS
from safegen.concepts.discovery.file import load_concepts
from safegen.concepts.discovery.learn import Learned
from safegen.concepts.discovery.spec import Budget, ConceptSpec
from safegen.concepts.discovery.work import Workbench
from safegen.concepts.store import VectorStore
from safegen.policy import Policy
from safegen.testing import tiny_pipeline

GUIDE = "docs/reproduce.md"
COMMANDS = [line for block in snippets(GUIDE, "sh") for line in block.splitlines()]
LEARNING = [command for command in COMMANDS if " discover " in command]
SECONDS = 3.02


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the commands name, with two prompts each."""
    monkeypatch.chdir(tmp_path)
    for name in re.findall(r"--(?:prompts|captions) (\S+)", "\n".join(COMMANDS)):
        Path(name).write_text("prompt,evaluation_seed\na fog,1\na bog,2\n")
    for name in ("0.jpg", "1.jpg"):
        Path("coco-val2014").mkdir(exist_ok=True)
        Path("coco-val2014", name).touch()
    for text in snippets(GUIDE, "yaml"):
        Path(text.split("\n")[0].removeprefix("# ")).write_text(text)
    return tmp_path


def test_every_command_is_tested() -> None:
    """Each is an evaluation or the learning of vectors."""
    assert COMMANDS
    assert all(c.startswith(("safegen eval ", "safegen vectors discover ")) for c in COMMANDS)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("safegen eval ")])
def test_evaluations_can_be_planned(folder: Path, command: str) -> None:
    """Options and files are read; one image a prompt is two here, and WinoBias is as stated."""
    given = [*shlex.split(command)[1:], "--plan", "--json"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, (done.output, done.exception)
    plan = json.loads(done.stdout)["each"]
    per_prompt = int(given[given.index("--per-prompt") + 1]) if "--per-prompt" in given else 0
    text = (ROOT / GUIDE).read_text()
    for protocol, asked in plan.items():
        if protocol.startswith("fair"):
            kind = "plain" if protocol == "fair" else "extended"
            attribute = given[given.index("--attribute") + 1]
            assert f"| fairness, {attribute}, {kind} | {asked['images']:,} |" in text
        elif protocol != "attacks":
            assert asked["images"] == 2 * per_prompt


@pytest.mark.parametrize("command", LEARNING)
def test_learning_has_these_options(folder: Path, command: str) -> None:
    """Every option of the commands that learn vectors is one."""
    done = CliRunner().invoke(app, [*shlex.split(command)[1:], "--help"])
    assert done.exit_code == 0, done.output


def drawn(bench: Workbench, spec: ConceptSpec, budget: Budget) -> Learned:
    """In place of a method: there is too little to learn of a random model."""
    tensors = {site: torch.randn(32, 1, 1) for site in spec.sites}
    return Learned(tensors, forwards=0.0, evidence={})


@pytest.mark.usefixtures("one_thread")
def test_the_vectors_that_evaluations_ask_for_are_learned(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One command after the other, on a tiny model; none is in another one's way."""
    for method in METHODS:
        monkeypatch.setitem(METHODS, method, drawn)
    tiny_pipeline().save_pretrained("model")
    small = "--model model --device cpu --budget quick --trajectories 4"
    for command in LEARNING:
        done = CliRunner().invoke(app, shlex.split(f"{command} {small}")[1:])
        assert done.exit_code == 0, (command, done.output, done.exception)
    learned = VectorStore("vectors14").names
    policy = Policy.load("sd14.yaml")
    assert policy.concepts <= set(learned)
    asked = re.findall(r"--against \w+=(\S+)", "\n".join(COMMANDS))
    declared = load_concepts(Path("sd14-concepts.yaml")).specs
    assert {*asked, *declared} <= set(learned)
    assert {*asked, *declared} <= set(VectorStore("published14").names)


def test_files_shown_are_what_they_say(folder: Path) -> None:
    """The concepts load, and so does the policy, which audits by another CLIP than judges."""
    assert {"woman", "asian", "no-nudity"} <= set(load_concepts(Path("sd14-concepts.yaml")).specs)
    policy = Policy.load("sd14.yaml")
    assert policy.name == "sd14"
    assert policy.file.detectors["clip"].settings["model"] == "ViT-L-14"


def test_hours_are_images_times_seconds() -> None:
    """The table of run times is computed from the number of images as the guide says."""
    rows = re.findall(
        r"^\| .* \| ([\d,]+) \| ([\d.]+) \|$", (ROOT / GUIDE).read_text(), re.MULTILINE
    )
    hours = [(int(images.replace(",", "")), float(told)) for images, told in rows]
    assert len(hours) == 11
    assert [told for _, told in hours] == [round(i * SECONDS / 3600, 1) for i, _ in hours]
