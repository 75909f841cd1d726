"""`safegen policy`: check, test and explain a policy; the modules beside it do the rest."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from safegen.audit.detectors.known import known_labels
from safegen.cli.models import ContextOption, Json, ModelOption, context_of, for_model
from safegen.cli.policy_compare import diff_command, replay_command
from safegen.cli.policy_files import bundle_command, init_command, verify_command, watch_command
from safegen.concepts.store import VectorStore
from safegen.errors import MissingExtraError
from safegen.files import write_file
from safegen.policy import Policy
from safegen.policy.explain import explain, told
from safegen.policy.junit import explained, junit
from safegen.policy.lint import lint
from safegen.policy.policy import CaseResult
from safegen.policy.replaced import replaced
from safegen.policy.schema import json_schema

app = typer.Typer(help="Write, check, test, compare and sign policies.", no_args_is_help=True)
app.command("diff")(diff_command)
app.command("replay")(replay_command)
app.command("init")(init_command)
app.command("watch")(watch_command)
app.command("bundle")(bundle_command)
app.command("verify")(verify_command)
_Name = Annotated[
    str,
    typer.Argument(metavar="POLICY", help='A YAML file, or a shipped pack such as "default".'),
]


@app.command("schema")
def schema(
    _as_json: Annotated[bool, typer.Option("--json", help="It is JSON anyway.")] = False,
) -> None:
    """Print the JSON Schema of policy files, with which editors complete and check them."""
    typer.echo(json.dumps(json_schema(), indent=2))


@app.command("check")
def check(
    policy: _Name,
    vectors: Annotated[
        str | None,
        typer.Option(
            help="A folder of concept vectors, or a shipped set: every concept must be in it.",
            show_default=False,
        ),
    ] = None,
    detectors: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            metavar="NAME",
            help="A detector of your own that guards are given and no package registers.",
            show_default=False,
        ),
    ] = None,
    model: ModelOption = None,
    as_json: Json = False,
) -> None:
    """Say what a policy may ask for, and what in it is hardly meant; exit 1 if there is any.

    A policy that is wrong ends with exit code 2 and file:line:column. What each finding means is
    told by safegen docs policy-lint.
    """
    loaded = for_model(Policy.load(policy), model)
    cards = None
    if vectors is not None:
        store = VectorStore(vectors)
        loaded.require_concepts(store.names)
        cards = _cards(store, loaded.concepts)
    found = {
        "name": loaded.name,
        "version": loaded.file.metadata.version,
        "digest": loaded.digest,
        "rules": [rule.id for rule in loaded.file.rules],
        "shadow": [rule.id for rule in loaded.file.rules if rule.enforce == "shadow"],
        "concepts": sorted(loaded.concepts),
        "checks": sorted({f"{each.detector}/{each.label}" for each in loaded.checks}),
        "detectors": sorted(loaded.detectors),
        "tests": len(loaded.file.tests),
        "replaces": replaced(loaded),
    }
    if cards is not None:
        found["cards"] = cards
    eyes = known_labels(loaded.file.detectors)
    findings = lint(loaded, {**dict.fromkeys(detectors or ()), **eyes}, cards)
    if as_json:
        dumped = [finding.model_dump() | {"docs": finding.docs} for finding in findings]
        typer.echo(json.dumps(found | {"findings": dumped}))
    else:
        for key, value in found.items():
            typer.echo(f"{key}: {_listed(value)}")
        for each in findings:
            where = f"{each.source}:{each.line}:{each.column}"
            typer.echo(f"{where}: {each.lint}: {each.message} ({each.docs})")
    if findings:
        raise typer.Exit(1)


def _listed(value: object) -> object:
    if isinstance(value, dict):
        value = [f"{name} ({verdict})" for name, verdict in value.items()]
    return ", ".join(value) or "none" if isinstance(value, list) else value


def _cards(store: VectorStore, concepts: Iterable[str]) -> dict[str, str]:
    """What the vectors' cards say, by concept."""
    try:
        cards = {name: store[name].passport.card for name in sorted(concepts)}
    except MissingExtraError as error:  # a policy is checked where no model runs, too
        typer.echo(f"the vectors' cards are not read: {error}", err=True)
        return dict.fromkeys(sorted(concepts), "not read")
    return {name: card.verdict if card else "not measured" for name, card in cards.items()}


@app.command("test")
def run_tests(
    policy: _Name,
    junit_file: Annotated[
        Path | None,
        typer.Option("--junit", help="Also write JUnit XML, for CI servers.", show_default=False),
    ] = None,
    model: ModelOption = None,
    as_json: Json = False,
) -> None:
    """Run the policy's own tests; exit 1 if one fails, or if there is none."""
    loaded = for_model(Policy.load(policy), model)
    results = loaded.test()
    failed = [result for result in results if result.wrong]
    fired = {rule.id for result in results for rule in result.decision.rules}
    own = [each.rule.id for each in loaded.own_rules]
    never = [rule for rule in own if rule not in fired]
    if junit_file is not None:
        write_file(junit_file, junit(loaded.name, results))
    if as_json:
        coverage = {"rules": len(own), "fired": len(own) - len(never), "never_fired": never}
        report = {"cases": len(results), "failed": [_as_json(result) for result in failed]}
        typer.echo(json.dumps(report | {"coverage": coverage}))
    else:
        for result in failed:
            _print(result)
        typer.echo(f"{len(results) - len(failed)} of {len(results)} tests passed")
        missed = f"; in no test: {', '.join(never)}" if never else ""
        typer.echo(f"{len(own) - len(never)} of {len(own)} rules of this file fired{missed}")
        if not results:
            typer.echo("a policy without tests is not tested: add `tests:` to it", err=True)
    if failed or not results:
        raise typer.Exit(1)


@app.command("explain")
def explain_command(
    policy: _Name,
    prompt: Annotated[str, typer.Argument(help="What an image would be asked for with.")],
    context: ContextOption = None,
    model: ModelOption = None,
    as_json: Json = False,
) -> None:
    """Say which rules fire on a prompt, with which values, and which nearly do."""
    explanation = explain(for_model(Policy.load(policy), model), prompt, context_of(context))
    if as_json:
        typer.echo(explanation.model_dump_json())
        return
    for line in told(explanation):
        typer.echo(line)


def _as_json(result: CaseResult) -> Mapping[str, Any]:
    return {
        "prompt": result.case.prompt,
        "scores": result.case.scores,
        "context": result.case.context.model_dump(exclude_defaults=True),
        "expected": result.case.expect,
        "got": result.decision.outcome,
        "wrong": result.wrong,
        "fired": [rule.id for rule in result.decision.rules],
        "saw": result.saw,
    }


def _print(result: CaseResult) -> None:
    context = result.case.context.model_dump(exclude_defaults=True)
    typer.echo(f"failed: {result.case.told!r} {context or ''}".rstrip())
    for line in explained(result):
        typer.echo(f"  {line}")
