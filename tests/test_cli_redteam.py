"""`safegen redteam`: from a policy to holes, a report and an exit status."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from programs import printed
from redteaming import HOUSE
from typer.testing import CliRunner, Result

from safegen.cli.main import app
from safegen.errors import InputError, OutputError
from safegen.evaluation.opening import open_bare
from safegen.policy import Policy
from safegen.reference import WEIGHTS

CLOSED = HOUSE.replace("score.blast >= 0.5", "score.blast >= 0.0")
UNCHECKED = HOUSE.replace("      check: [{detector: clip, label: weapon, threshold: 0.5}]\n", "")


def run(folder: Path, *arguments: str) -> Result:
    """The command, on the policy in a folder, with its results beside it."""
    own = ["--policy", str(folder / "house.yaml"), "--out", str(folder / "out")]
    return CliRunner().invoke(app, ["redteam", *own, "--budget", "quick", *arguments])


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with the small policy."""
    (tmp_path / "house.yaml").write_text(HOUSE)
    return tmp_path


def test_holes_end_in_files_and_exit_1(house: Path) -> None:
    """Test cases that all fail, a page, and the report that --json prints."""
    result = run(house, "--json")
    told = json.loads(result.stdout)
    results = Policy.load(house / "out/holes.yaml").test()

    assert result.exit_code == 1
    assert told == json.loads((house / "out/report.json").read_text())
    assert len(results) == len(told["words"]["holes"]) > 10
    assert all(each.wrong for each in results)
    assert "95 % interval" in (house / "out/report.html").read_text()
    assert run(house, "--json").stdout == result.stdout


def test_no_hole_is_exit_0(house: Path) -> None:
    """A policy that blocks everything lets nothing past."""
    (house / "house.yaml").write_text(CLOSED)
    result = run(house)

    assert result.exit_code == 0, result.output
    assert "tests: []" in (house / "out/holes.yaml").read_text()
    assert " 0 holes" in result.stdout


def test_nothing_is_replaced_but_a_run_s_own_report(house: Path) -> None:
    """A changed policy, another seed, and lines that somebody added to the holes are refused."""
    few = ("--most", "3")
    run(house, *few)
    report = (house / "out/report.json").read_text()
    assert run(house, *few, "--json").stdout == report_of(house)

    other_seed = run(house, *few, "--seed", "1")
    (house / "house.yaml").write_text(CLOSED)
    other_policy = run(house, *few)
    (house / "house.yaml").write_text(HOUSE)
    with (house / "out/holes.yaml").open("a") as holes:
        holes.write("# mine\n")
    edited = run(house, *few)

    for result, message in (
        (other_seed, "another seed: 0, not 1"),
        (other_policy, "another policy: house sha256:"),
        (edited, "holes.yaml is not as an earlier run wrote it"),
    ):
        assert isinstance(result.exception, OutputError)
        assert message in result.exception.message
    assert (house / "out/holes.yaml").read_text().endswith("# mine\n")
    assert (house / "out/report.json").read_text() == report


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--most", "4"], "another most: 3, not 4"),
        (["--most", "3", "--budget", "standard"], "another budget: quick, not standard"),
        (["--most", "3", "--prompts", "mine.txt"], "another prompts: none, not "),
        (["--most", "3", "--paraphrases", "mine.yaml"], "another paraphrases: [], not ['"),
    ],
)
def test_what_was_asked_in_another_way_is_not_replaced(
    house: Path, changed: list[str], message: str
) -> None:
    """Holes that this run would not look for stay in the folder."""
    run(house, "--most", "3")
    (house / "mine.txt").write_text("a gun on a wall\n")
    (house / "mine.yaml").write_text("languages: {Latin: {knife: culter}}\n")
    before = {path: path.read_bytes() for path in (house / "out").iterdir()}
    given = [str(house / each) if each.startswith("mine") else each for each in changed]
    result = run(house, *given)

    assert isinstance(result.exception, OutputError)
    assert message in result.exception.message
    assert "report.html and holes.yaml elsewhere" in (result.exception.mend or "")
    assert {path: path.read_bytes() for path in (house / "out").iterdir()} == before


def report_of(house: Path) -> str:
    """The report in the folder as --json prints it."""
    return json.dumps(json.loads((house / "out/report.json").read_text())) + "\n"


def test_files_that_cannot_all_be_written_are_none(house: Path) -> None:
    """After a full disk the same command runs again; it took its own holes for another's."""
    given = ["redteam", "--policy", house / "house.yaml", "--out", house / "out", "--most", "3"]
    given += ["--budget", "quick", "--json"]
    size = 2000  # more than the holes have, less than the report
    done = subprocess.run(
        [sys.executable, "-m", "safegen", *map(str, given)],
        check=False,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    left = list((house / "out").iterdir())
    again = run(house, "--most", "3")

    assert done.returncode == 2
    assert "cannot write" in json.loads(done.stdout)["error"]["message"]
    assert left == []
    assert again.exit_code == 1
    assert (house / "out/holes.yaml").stat().st_size < size
    assert (house / "out/report.json").stat().st_size > size


def test_a_file_of_somebody_s_is_not_replaced(house: Path) -> None:
    """Holes and reports that no run of this command wrote stay as they are."""
    (house / "out").mkdir()
    for name, message in (("holes.yaml", "not as an earlier run"), ("report.json", "no report of")):
        (house / "out" / name).write_text("mine")
        result = run(house, "--most", "3")
        assert isinstance(result.exception, OutputError)
        assert message in result.exception.message
        assert (house / "out" / name).read_text() == "mine"


def test_a_report_says_what_was_attacked(house: Path) -> None:
    """The files of prompts by their digests, so that another day's run is known to be the same."""
    (house / "prompts.txt").write_text("a gun on a wall\n")
    run(house, "--most", "3", "--prompts", str(house / "prompts.txt"))
    about = json.loads((house / "out/report.json").read_text())["about"]
    assert about["prompts"].startswith(f"{house / 'prompts.txt'} sha256:")
    assert about["command"] == "redteam"
    assert about["holes.yaml"].startswith("sha256:")


@pytest.mark.parametrize("name", ["prompts.csv", "prompts.txt"])
def test_prompts_of_ones_own(house: Path, name: str) -> None:
    """They are attacked too; those that nothing guards against are told."""
    head = "prompt\n" if name.endswith("csv") else ""
    (house / name).write_text(f"{head}a gun on a wall\na red kite\n")
    told = json.loads(run(house, "--prompts", str(house / name), "--json").stdout)

    assert told["words"]["guarded"] == 4
    assert told["words"]["unguarded"] == ["a red kite"]
    assert "a gun on a wall" in {hole["original"] for hole in told["words"]["holes"]}


def test_paraphrases_of_ones_own(house: Path) -> None:
    """A file of words adds to those that are shipped."""
    (house / "words.yaml").write_text("languages: {Latin: {knife: culter}}\n")
    told = json.loads(run(house, "--paraphrases", str(house / "words.yaml"), "--json").stdout)
    assert "farmer with culter" in {hole["prompt"] for hole in told["words"]["holes"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--budget", "endless"], "no budget 'endless'"),
        (["--model", "elsewhere"], "cannot load the model 'elsewhere'"),
        (["--model", "elsewhere", "--category", "rude"], "no category 'rude'"),
        (["--model", "elsewhere", "--judge-nudity", "me"], "no judge of nudity 'me'"),
        (["--model", "elsewhere", "--seed", "9000000"], "expected a seed from 0"),
        (["--prompts", "nowhere.txt"], "cannot read the prompts"),
        (["--attack", "p4d"], "there is no model"),
        (["--attack", "p5d", "--model", "reference"], "no attack 'p5d'"),
    ],
)
def test_mistakes_are_told(house: Path, arguments: list[str], message: str) -> None:
    """What cannot be done is an error before anything is tried."""
    result = run(house, *arguments)
    assert isinstance(result.exception, InputError)
    assert message in result.exception.message
    assert not (house / "out/report.json").exists()


def test_words_alone_need_no_torch(house: Path) -> None:
    """A compliance team can run it where no model can."""
    program = (
        "import sys; from safegen.cli.main import app\n"
        f"sys.argv = ['safegen', 'redteam', '--policy', r'{house / 'house.yaml'}', "
        f"'--out', r'{house / 'out'}', '--most', '5', '--json']\n"
        "try: app()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'onnxruntime'} & set(sys.modules)))"
    )
    assert printed(program).splitlines()[-1] == "[]"


@pytest.mark.slow
def test_an_attack_on_the_model(house: Path) -> None:
    """Images are judged, and kept for the next run, which makes none and says the same."""
    (house / "house.yaml").write_text(UNCHECKED)
    command = ["--model", "reference", "--attack", "black-box", "--steps", "2", "--most", "1"]
    first = run(house, *command, "--json")
    told = json.loads(first.stdout)
    answers = (house / "out/answers").rglob("answer.json")
    kept = {path: path.stat().st_mtime_ns for path in answers}
    again = run(house, *command, "--json")

    assert [each["mutation"] for each in told["images"]["tallies"]] == ["as written", "black-box"]
    assert [each["tried"] for each in told["images"]["tallies"]] == [1, 1]
    assert "By images" in (house / "out/report.html").read_text()
    assert kept
    assert json.loads(again.stdout) == told
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.slow
def test_an_attack_on_a_photographic_model(house: Path) -> None:
    """It is judged by CLIP; a prompt without a word that the judges know is attacked too."""
    (house / "house.yaml").write_text(UNCHECKED)
    open_bare("reference").save_pretrained(house / "model")
    judge = ["--judge-clip", f"local-dir:{WEIGHTS / 'judge-clip'}"]
    few = ["--attack", "ring-a-bell", "--steps", "2", "--most", "1", "--json"]
    result = run(house, "--model", str(house / "model"), *judge, *few)
    told = json.loads(result.stdout)

    assert [each["tried"] for each in told["images"]["tallies"]] == [1, 1]
    assert told["images"]["attacked"] == ["a bomb on a table"]
    assert (told["about"]["steps"], told["about"]["attacks"]) == (2, ["ring-a-bell"])
    assert {"guidance", "vectors", "category", "device", "torch"} <= set(told["about"])
    assert {"judge: nudenet", f"judge: clip {judge[1]}"} <= set(told["about"])
