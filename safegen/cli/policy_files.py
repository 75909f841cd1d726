"""`safegen policy init`, `watch`, `bundle` and `verify`: a policy's file from start to seal."""

import json
import shlex
import time
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from safegen.cli.models import Json, ModelOption, for_model
from safegen.errors import InputError, OutputError, PolicyError
from safegen.files import write_file
from safegen.policy import Policy
from safegen.policy.bundle import entry_of, is_bundle, make_bundle
from safegen.policy.casefile import is_shipped
from safegen.policy.lint import lint
from safegen.policy.live import LivePolicy, Reload

_PublicKey = typer.Option(help="Ed25519 key (PEM) that signed the bundle.", show_default=False)


def init_command(
    path: Annotated[Path, typer.Argument(help="The file to start, e.g. house.yaml.")],
    as_json: Json = False,
) -> None:
    """Start a policy: a commented file that passes its own check and tests."""
    if path.exists():
        raise OutputError(f"{path} is there already", "give another path, or move it away")
    if is_shipped(str(path)):
        raise OutputError(
            f"{str(path)!r} is the name of a pack that ships: commands would read that one",
            f"give the file another name, such as {path}.yaml",
        )
    text = files("safegen.policy").joinpath("starter.yaml").read_text(encoding="utf-8")
    # YAML does not join the two halves in which JSON escapes an emoji; what has no UTF-8 is a "?".
    name = json.dumps(path.stem, ensure_ascii=False)
    write_file(path, text.replace("name: NAME", f"name: {name}").encode(errors="replace"))
    if as_json:
        typer.echo(json.dumps({"policy": str(path)}))
        return
    typer.echo(f"{path} is a policy that works; try: safegen policy test {shlex.quote(str(path))}")


def watch_command(
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="A YAML file or a bundle.")],
    public_key: Annotated[Path | None, _PublicKey] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 1.0,
    model: ModelOption = None,
    as_json: Json = False,
) -> None:
    """Check and test a policy at each save, until interrupted."""
    read_by = partial(for_model, model=model)
    live = LivePolicy(policy, public_key=public_key, read_by=read_by, allow_renamed=True)
    _tell(live.last, for_model(live.current, model), as_json)
    told = live.last
    while True:
        time.sleep(interval)
        now = live.refresh()
        # What was refused may have become again what is in force.
        again = now.status == "unchanged" and told.status != "refused"
        if now != told and now.status != "waiting" and not again:
            _tell(now, for_model(live.current, model), as_json)
            told = now


def bundle_command(
    policy: Annotated[
        str,
        typer.Argument(
            metavar="POLICY", help="A YAML file, a folder with policy.yaml, or a shipped pack."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The bundle to write.", show_default=False)],
    key: Annotated[
        Path | None,
        typer.Option(help="Ed25519 private key (PEM) to sign with.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put a policy and all that it imports into one file, signed with a key."""
    entry = entry_of(policy)
    loaded = Policy.load(entry)
    if is_bundle(Path(entry)):
        raise InputError(f"{entry} is a bundle already", "bundle the policy's own files")
    if out.is_file() and not is_bundle(out):
        raise OutputError(f"{out} is there already, and is no bundle", "give another --out")
    write_file(out, make_bundle(entry, key))
    told = {
        "bundle": str(out), "digest": loaded.digest, "files": len(loaded.sources),
        "signed": key is not None, "not_covered": loaded.not_covered,
    }  # fmt: skip
    typer.echo(json.dumps(told) if as_json else _lines(told))


def verify_command(
    bundle: Annotated[Path, typer.Argument(help="A bundle.", show_default=False)],
    public_key: Annotated[Path, _PublicKey],
    as_json: Json = False,
) -> None:
    """Say whether a bundle is whole and signed by the owner of a key; exit 1 if it is not."""
    for path in (bundle, public_key):
        if not path.is_file():  # no answer, least of all that somebody changed it
            raise InputError(f"there is no file {path}", "give the path of a bundle, and of a key")
    try:
        loaded = Policy.load(bundle, public_key=public_key)
    except PolicyError as error:
        if as_json:
            typer.echo(json.dumps({"verified": False, "error": error.message}))
        else:
            typer.echo(f"not verified: {error}", err=True)
        raise typer.Exit(1) from error
    told = {
        "verified": True, "name": loaded.name, "version": loaded.file.metadata.version,
        "digest": loaded.digest, "created": loaded.created,
        "not_covered": loaded.not_covered,
    }  # fmt: skip
    typer.echo(json.dumps(told) if as_json else _lines(told))


def _lines(told: dict[str, object]) -> str:
    words = {k: ", ".join(v) or "nothing" if isinstance(v, tuple) else v for k, v in told.items()}
    return "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in words.items())


def _tell(reload: Reload, policy: Policy, as_json: bool) -> None:
    report: dict[str, object] = reload.model_dump()
    failed = list(reload.failed)
    if reload.status != "refused":
        results = policy.test()
        failed = [result.case.told for result in results if result.wrong]
        found = [f"{each.line}:{each.column} {each.lint}" for each in lint(policy)]
        report |= {"tests": len(results), "failed": failed, "findings": found}
    if as_json:
        typer.echo(json.dumps(report))
        return
    at = time.strftime("%H:%M:%S")
    if reload.status == "refused":
        typer.echo(f"{at} refused, {reload.digest} stays in force: {reload.error}")
    else:
        passed = f"{len(results) - len(failed)} of {len(results)} tests passed"
        typer.echo(f"{at} {reload.digest}: {passed}; findings: {', '.join(found) or 'none'}")
    for prompt in failed:
        typer.echo(f"  failed: {prompt!r}")
