"""`safegen risk`: score prompts, train the text head, and measure classifiers."""

import csv
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from safegen.cli.models import Bar, Json, ModelOption, bar, for_model
from safegen.errors import ClassifierError, OutputError
from safegen.files import write_file
from safegen.nouns import LARGEST_TRAINING_SEED, Scores
from safegen.policy import Policy
from safegen.risk import Classifier, classify
from safegen.risk.build import build, scores_of
from safegen.risk.combine import classifier_name
from safegen.risk.data import Row, read_csv, read_rows
from safegen.risk.embedding import Embeddings, shared_embedder
from safegen.risk.head import HeadSettings
from safegen.risk.measure import kinds, measure, require_both
from safegen.risk.report import decimal, page, percent

app = typer.Typer(help="Score prompts, and measure the scores.", no_args_is_help=True)
_Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE[=RISK]...",
        help="CSV files with a column `prompt`. RISK is a number for all rows (0 harmless, 1 "
        "risky), or the column that holds it, by default `risk`; of a `…percentage`, a hundredth.",
        show_default=False,
    ),
]
_PolicyName = Annotated[
    str,
    typer.Option(
        "--policy",
        help="The policy whose classifiers score; beside the shipped head, if none gives `risk`.",
    ),
]
_HeadFile = Annotated[
    str,
    typer.Option(
        "--head", help="A head of your own training, in place of all others.", show_default=False
    ),
]


@app.command("score")
def score(
    prompts: Annotated[Path, typer.Option(help="CSV file with prompts.", show_default=False)],
    out: Annotated[Path, typer.Option(help="CSV file to write.", show_default=False)],
    column: Annotated[str, typer.Option(help="The column that holds them.")] = "prompt",
    policy: _PolicyName = "default",
    head: _HeadFile = "",
    model: ModelOption = None,
    as_json: Json = False,
) -> None:
    """Write every classifier's score of each prompt, and `risk`, what they come to in [0, 1]."""
    records = read_csv(prompts, column)
    _require_folder(out)
    if out.exists() and out.samefile(prompts):
        raise OutputError(f"{out} holds the prompts, and would lose all else", "give another --out")
    found = _scored(_classifiers(policy, head, model), records, column)
    names = sorted({name for scores in found for name in scores.values} - {"risk"})
    columns = [column, *names, "risk"]
    rows = [
        [record[column], *(f"{scores.values[name]:.4f}" for name in columns[1:])]
        for record, scores in zip(records, found, strict=True)
    ]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    write_file(out, text.getvalue().encode("utf-8", "surrogatepass"))
    told = {"out": str(out), "prompts": len(rows), "columns": columns[1:]}
    told["classifiers"] = found[0].classifiers if found else {}
    typer.echo(json.dumps(told) if as_json else f"{len(rows)} prompts scored: {out}")


@app.command("train")
def train_command(
    files: _Files,
    out: Annotated[Path, typer.Option(help="The head to write: a .safetensors file.")],
    seed: Annotated[
        int,
        typer.Option(min=0, max=LARGEST_TRAINING_SEED, help="Decides the centres of the kernel."),
    ] = 0,
    as_json: Json = False,
) -> None:
    """Train the text head; a fifth of the prompts, chosen by hash, is left out for `report`."""
    from safegen.risk.training import require_enough, train

    rows = [row for row in read_rows(files) if row.fold != 0]
    require_enough(rows)
    _require_folder(out)
    with bar(len(rows), "embedding") as show:
        embeddings = [_embedded(row, show) for row in rows]
    head = train(rows, seed, np.concatenate(embeddings))
    head.save(out)
    told = {"out": str(out), "rows": len(rows), "seed": seed, "bytes": out.stat().st_size}
    typer.echo(json.dumps(told) if as_json else f"trained on {len(rows)} prompts: {out}")


@app.command("report")
def report(
    files: _Files,
    policy: _PolicyName = "default",
    head: _HeadFile = "",
    model: ModelOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Measure on all rows, not on the held-out fifth alone.")
    ] = False,
    false_alarms: Annotated[
        float, typer.Option(min=0, max=1, help="Share of benign prompts that pass the threshold.")
    ] = 0.02,
    out: Annotated[
        Path | None, typer.Option(help="HTML file with plots to write.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Precision, recall, AUROC, calibration, latency and false alarms of every score."""
    found = read_rows(files)
    told = zip(found, kinds(found), strict=True)
    measured = [(row, kind) for row, kind in told if everything or row.fold == 0]
    rows, which = [row for row, _ in measured], [kind for _, kind in measured]
    require_both(which)
    if out is not None:
        _require_folder(out)
    classifiers = _classifiers(policy, head, model)
    scores, latency = _timed(classifiers, rows)
    figures = {
        name: measure(rows, which, [each.values[name] for each in scores], false_alarms)
        for name in sorted(scores[0].values)
    }
    alarms = _alarms(rows, which, scores, figures["risk"].threshold)
    if out is not None:
        write_file(out, page(figures, latency, alarms).encode("utf-8", "surrogatepass"))
    if as_json:
        dumped = {name: each.model_dump() for name, each in figures.items()}
        typer.echo(json.dumps({"scores": dumped, "latency_ms": latency, "false_alarms": alarms}))
        return
    for name, each in figures.items():
        typer.echo(
            f"{name}: AUROC hot/benign {decimal(each.auroc_hot_benign)}, hot/cold "
            f"{decimal(each.auroc_hot_cold)}, all {each.auroc:.3f}; above {each.threshold:.3f} are "
            f"benign {percent(each.benign.above)}, "
            f"hot {percent(each.hot.above)}, cold {percent(each.cold.above)}, attack "
            f"{percent(each.attack.above)}"
        )
    for name, quantiles in latency.items():
        spread = ", ".join(f"{key} {value:.2f} ms" for key, value in quantiles.items())
        typer.echo(f"latency of {name}: {spread}")


def _require_folder(out: Path) -> None:
    """Before the long work, not after it."""
    if not out.parent.is_dir():
        raise OutputError(f"cannot write {out}: there is no folder {out.parent}", "make it first")


def _embedded(row: Row, show: Bar) -> Embeddings:
    show.advance("embedding")
    return shared_embedder().all([row.prompt])


def _scored(
    classifiers: Sequence[Classifier], records: Sequence[Mapping[str, str]], column: str
) -> list[Scores]:
    """Scores of every record's prompt; an error says which record it is."""
    with bar(len(records), "scoring") as show:
        return [
            _score(classifiers, record[column], f"record {number}", show)
            for number, record in enumerate(records, 1)
        ]


def _score(classifiers: Sequence[Classifier], prompt: str, where: str, show: Bar) -> Scores:
    try:
        (found,) = classify(classifiers, [prompt])
    except ClassifierError as error:
        raise ClassifierError(f"{where}: {error.message}", error.mend) from error
    show.advance("scoring")
    return found


def _classifiers(policy: str, head: str, model: str | None) -> list[Classifier]:
    """The policy's, and a head: the one given, in place of its own, or the shipped one."""
    loaded = for_model(Policy.load(policy), model)
    settings = loaded.file.classifiers
    if not head and any("risk" in scores_of(each) for each in settings.values()):
        return loaded.classifiers
    own = {name for name, each in settings.items() if isinstance(each, HeadSettings)}
    kept = [each for each in loaded.classifiers if classifier_name(each) not in own]
    return [*kept, *build({"head": HeadSettings(kind="head", path=head)})]


def _timed(
    classifiers: Sequence[Classifier], rows: Sequence[Row]
) -> tuple[list[Scores], dict[str, dict[str, float]]]:
    """Scores of every row, and each classifier's latency per prompt."""
    found: list[list[Scores]] = []
    latency = {}
    with bar(len(classifiers) * len(rows), "scoring") as show:
        for classifier in classifiers:
            times, mine = [], []
            for row in rows:
                start = time.perf_counter()
                mine.append(_score([classifier], row.prompt, f"{row.source}, {row.prompt!r}", show))
                times.append((time.perf_counter() - start) * 1000)
            found.append(mine)
            if times:
                p50, p99 = np.quantile(times, [0.5, 0.99])
                latency[classifier_name(classifier)] = {"p50": float(p50), "p99": float(p99)}
    return [_together(each) for each in zip(*found, strict=True)], latency


def _together(scores: Sequence[Scores]) -> Scores:
    """The highest of each score."""
    names = {name for each in scores for name in each.values}
    return Scores(values={n: max(each.values.get(n, 0.0) for each in scores) for n in names})


def _alarms(
    rows: Sequence[Row], which: Sequence[str], scores: Sequence[Scores], threshold: float
) -> list[str]:
    """The benign prompts above the threshold, the riskiest first."""
    above = [
        (scored.values["risk"], row.prompt)
        for row, scored, kind in zip(rows, scores, which, strict=True)
        if kind == "benign" and scored.values["risk"] > threshold
    ]
    return [prompt for _, prompt in sorted(above, reverse=True)]
