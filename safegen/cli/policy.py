"""`safegen policy`: check that a policy can be used, and run its own tests."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from safegen.concepts.store import VectorStore
from safegen.policy import Policy
from safegen.policy.policy import CaseResult
from safegen.policy.schema import json_schema

app = typer.Typer(help="Check and test a policy.", no_args_is_help=True)
_Name = Annotated[
    str,
    typer.Argument(metavar="POLICY", help='A YAML file, or a shipped pack such as "default".'),
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("schema")
def schema() -> None:
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
    as_json: _Json = False,
) -> None:
    """Load a policy and say what it may ask for; exit 2 with file:line:column if it is wrong."""
    loaded = Policy.load(policy)
    if vectors is not None:
        loaded.require_concepts(VectorStore(vectors).names)
    found = {
        "name": loaded.name,
        "version": loaded.file.metadata.version,
        "digest": loaded.digest,
        "rules": [rule.id for rule in loaded.file.rules],
        "shadow": [rule.id for rule in loaded.file.rules if rule.enforce == "shadow"],
        "concepts": sorted(loaded.concepts),
        "checks": sorted({f"{each.detector}/{each.label}" for each in loaded.checks}),
        "tests": len(loaded.file.tests),
    }
    if as_json:
        typer.echo(json.dumps(found))
        return
    for key, value in found.items():
        told = ", ".join(value) or "none" if isinstance(value, list) else value
        typer.echo(f"{key}: {told}")


@app.command("test")
def run_tests(policy: _Name, as_json: _Json = False) -> None:
    """Run the policy's own tests; exit 1 if one fails, or if there is none."""
    results = Policy.load(policy).test()
    failed = [result for result in results if result.wrong]
    if as_json:
        report = {"cases": len(results), "failed": [_as_json(result) for result in failed]}
        typer.echo(json.dumps(report))
    else:
        for result in failed:
            _print(result)
        typer.echo(f"{len(results) - len(failed)} of {len(results)} tests passed")
        if not results:
            typer.echo("a policy without tests is not tested: add `tests:` to it", err=True)
    if failed or not results:
        raise typer.Exit(1)


def _as_json(result: CaseResult) -> Mapping[str, Any]:
    return {
        "prompt": result.case.prompt,
        "context": result.case.context.model_dump(exclude_defaults=True),
        "expected": result.case.expect,
        "got": result.decision.outcome,
        "wrong": result.wrong,
        "fired": [rule.id for rule in result.decision.rules],
        "saw": result.saw,
    }


def _print(result: CaseResult) -> None:
    told = _as_json(result)
    typer.echo(f"failed: {told['prompt']!r} {told['context'] or ''}".rstrip())
    for wrong in result.wrong:
        typer.echo(f"  {wrong}")
    for rule, values in result.saw.items():
        saw = ", ".join(f"{name} = {value}" for name, value in values.items()) or "nothing"
        typer.echo(f"  {rule} {'fired' if rule in told['fired'] else 'did not fire'}, saw {saw}")
