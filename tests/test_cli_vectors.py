"""`safegen vectors`: learning on a tiny model, and what is refused before any model is opened."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from safegen.cli.main import app
from safegen.concepts.vector import load_vector, save_vector
from safegen.errors import InputError, OutputError, UnknownConceptError
from safegen.testing import tiny_pipeline

CONCEPTS = """\
words: {job: [doctor, cook, farmer], look: [photo, portrait]}
groups: {gender: [woman, man]}
concepts:
  woman: {pairs: [{neutral: "a photo of a {job}", target: "a {look} of a woman {job}"}]}
  man: {pairs: [{neutral: "a photo of a {job}", target: "a {look} of a man {job}"}]}
"""

LITTLE = [
    "--method=self-discovery",
    "--budget=quick",
    "--trajectories=4",
    "--steps=4",
    "--learning-rate=0.02",
]
"""Options that learn within a second, whatever there is to learn."""


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """The arguments of a small run on a tiny model."""
    tiny_pipeline().save_pretrained(tmp_path / "model")
    (tmp_path / "concepts.yaml").write_text(CONCEPTS)
    work = ["--trajectories=8", "--steps=10", "--learning-rate=0.005"]
    where = ["--model", str(tmp_path / "model"), "--out", str(tmp_path / "vectors")]
    return ["vectors", "discover", str(tmp_path / "concepts.yaml"), *work, *where, "--json"]


def run(*arguments: str) -> Any:
    """What a command prints with --json."""
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0
    return json.loads(done.stdout)


def test_discover_writes_what_was_asked_for_and_keeps_what_is_there(
    given: list[str], tmp_path: Path
) -> None:
    """One of a group first, then the rest; no state of the work is left."""
    first = run(*given, "--only", "woman")["written"]
    rest = run(*given)["written"]

    assert [Path(path).name for path in first + rest] == ["woman.safetensors", "man.safetensors"]
    assert run(*given)["written"] == []
    assert sorted(path.suffix for path in (tmp_path / "vectors").iterdir()) == [".safetensors"] * 2


def test_a_vector_that_nobody_measured_is_told_of(given: list[str], tmp_path: Path) -> None:
    """The model does not know the word: the vector is written all the same, and says nothing."""
    text = "concepts: {zorgle: {pairs: [{neutral: a cook, target: a zorgle cook}]}}"
    (tmp_path / "concepts.yaml").write_text(text)
    told = run(*given, "--method=contrast", "--no-card")
    assert len(told["written"]) == 1
    assert "--no-card" in told["not_measured"]["zorgle"]
    assert "give --clip" in run(*given, "--method=contrast")["not_measured"]["zorgle"]
    said = CliRunner().invoke(app, [*given[:-1], "--method=contrast", "--no-card"]).stdout
    assert "kept; not measured: --no-card" in said


@pytest.mark.slow
def test_a_run_that_is_killed_loses_nothing(given: list[str], tmp_path: Path) -> None:
    """Killed at two places by the system, it ends with the bits of one that was not."""
    run(*given)
    program = [sys.executable, "-c", "from safegen.cli.main import main; main()"]
    again = [*program, *given, "--out", str(tmp_path / "again")]
    state = tmp_path / "again" / ".discovery"
    for files in (1, 4):
        process = subprocess.Popen(again, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(state.glob("*.pt"))) < files:
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    done = subprocess.run(again, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert not state.exists()
    for name in ("woman", "man"):
        vectors = [tmp_path / out / f"{name}.safetensors" for out in ("vectors", "again")]
        assert len({load_vector(path).digest for path in vectors}) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_ray_learns_the_same_vectors(given: list[str], tmp_path: Path) -> None:
    """On a cluster started for it, in another process, bit for bit on as many threads."""
    run(*given)
    here = load_vector(tmp_path / "vectors" / "woman.safetensors").digest
    program = [sys.executable, "-c", "from safegen.cli.main import main; main()"]
    elsewhere = [*given, "--engine", "ray", "--out", str(tmp_path / "ray")]
    done = subprocess.run(
        [*program, *elsewhere],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["written"]) == 2
    assert load_vector(tmp_path / "ray" / "woman.safetensors").digest == here


def test_names_that_mean_nothing_are_refused(given: list[str]) -> None:
    """An unknown concept gets a hint; the published budget is that of one method."""
    with pytest.raises(UnknownConceptError, match="did you mean woman"):
        CliRunner().invoke(app, [*given, "--only", "women"], catch_exceptions=False)
    with pytest.raises(InputError, match="self-discovery"):
        CliRunner().invoke(
            app, [*given, "--method=contrast", "--budget=published"], catch_exceptions=False
        )
    done = CliRunner().invoke(app, [*given, "--method", "guess"])
    assert done.exit_code == 2
    assert "score-matching" in done.output


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (["--method", "contrast"], "method score-matching there, contrast asked for"),
        (["--seed", "3"], "seed 0 there, 3 asked for"),
        (["--steps", "9"], "steps 10 there, 9 asked for"),
        (["--site", "up_blocks.0"], r"sites \['mid_block'\] there"),
    ],
)
def test_what_was_learned_otherwise_is_not_kept(
    given: list[str], tmp_path: Path, other: list[str], told: str
) -> None:
    """Whoever asks for another method, seed or site does not get the old vector as the new one."""
    run(*given, "--only", "woman")
    path = tmp_path / "vectors" / "woman.safetensors"
    before = path.read_bytes()
    with pytest.raises(OutputError, match=told):
        run(*given, "--only", "woman", *other)
    assert path.read_bytes() == before


def test_other_prompts_and_models_are_not_what_was_learned(
    given: list[str], tmp_path: Path
) -> None:
    """The file was mended, or the model changed; as it was, the vectors are kept and said to be."""
    learned = run(*given)
    again = run(*given)
    assert again["written"] == []
    assert sorted(again["kept"]) == sorted(learned["written"])
    (tmp_path / "concepts.yaml").write_text(CONCEPTS.replace("woman {job}", "lady {job}"))
    with pytest.raises(OutputError, match=r"woman.*learned otherwise: other prompts"):
        run(*given)
    (tmp_path / "concepts.yaml").write_text(CONCEPTS.replace("groups: {gender: [woman, man]}", ""))
    with pytest.raises(OutputError, match="centred with man there, None asked for"):
        run(*given)
    (tmp_path / "concepts.yaml").write_text(CONCEPTS)
    pipeline = tiny_pipeline()
    pipeline.unet.conv_out.bias.data += 1
    pipeline.save_pretrained(tmp_path / "model")
    with pytest.raises(OutputError, match="learned otherwise: model sha256"):
        run(*given)


def test_another_one_of_the_group_is_not_what_was_learned(given: list[str], tmp_path: Path) -> None:
    """A vector centred with another man is not what is asked for now, whatever else is there."""
    given += LITTLE
    run(*given)
    vectors = tmp_path / "vectors"
    learned = (vectors / "woman.safetensors").read_bytes()
    (tmp_path / "concepts.yaml").write_text(CONCEPTS.replace("of a man {job}", "of a male {job}"))
    for _ in range(2):
        with pytest.raises(
            OutputError, match=r"(?s)woman.*other declarations of man.*the files of its group"
        ):
            run(*given)
        assert (vectors / "woman.safetensors").read_bytes() == learned
        (vectors / "man.safetensors").unlink(missing_ok=True)
    (vectors / "woman.safetensors").unlink()
    assert len(run(*given)["written"]) == 2


def test_a_vector_that_does_not_tell_of_its_group_is_not_kept(
    given: list[str], tmp_path: Path
) -> None:
    """Of one from before passports told it, nobody knows what it was centred with."""
    given += LITTLE
    run(*given)
    path = tmp_path / "vectors" / "woman.safetensors"
    vector = load_vector(path)
    told = dict(vector.passport.settings)
    assert told.pop("declared as")
    passport = vector.passport.model_copy(update={"settings": told})
    save_vector(replace(vector, passport=passport), path)
    with pytest.raises(OutputError, match="does not say how man"):
        run(*given)


def test_the_concepts_that_ship_have_a_name(given: list[str], tmp_path: Path) -> None:
    """A wheel has no such path as the repository; a file of one's own is named by its folder."""
    given[2] = "reference"
    given += [*LITTLE, "--only=no-smoking"]
    written = run(*given)["written"]
    assert [Path(path).name for path in written] == ["no-smoking.safetensors"]
    given[2] = "./reference"
    with pytest.raises(InputError, match="cannot read the concept file reference"):
        run(*given)


def test_the_state_of_another_run_stays(given: list[str], tmp_path: Path) -> None:
    """A run removes the pieces that it noted itself, and none that a killed one needs."""
    state = tmp_path / "vectors" / ".discovery"
    state.mkdir(parents=True)
    (state / "learned-of-another.pt").write_bytes(b"state")
    (state / "another.run").write_text("learned-of-another\n")
    done = CliRunner().invoke(app, given, catch_exceptions=False)

    assert sorted(path.name for path in state.iterdir()) == ["another.run", "learned-of-another.pt"]
    assert f"{state} keeps what other runs had learned" in done.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [("steps", "0"), ("trajectories", "2"), ("learning-rate", "-1"), ("learning-rate", "inf")],
)
def test_options_out_of_range_are_told(given: list[str], option: str, value: str) -> None:
    """As an error that can be mended, which names the option."""
    with pytest.raises(InputError, match=f"--{option}: Input should be"):
        run(*given, f"--{option}={value}")
    with pytest.raises(InputError, match="--seed: Input should be"):
        run(*given, "--seed=-1")
    with pytest.raises(InputError, match="--seed: Input should be less than or equal to 42949672"):
        run(*given, "--seed=1000000000000000")
