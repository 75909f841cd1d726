"""`safegen vectors compare | compose | centre | verify | import | export | push | pull`."""

import json
import math
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from safegen.cli.models import Json, choice
from safegen.concepts.names import wrong_with
from safegen.concepts.store import VectorStore, own_folder
from safegen.concepts.vector import ConceptVector, save_vector
from safegen.errors import InputError, MissingExtraError, OutputError, SafeGenError
from safegen.reference import open_pipeline

Store = Annotated[str, typer.Option("--store", help="Folder, or name of a shipped set.")]
_Names = Annotated[list[str] | None, typer.Argument(help="Concepts; all of the store if none.")]
_Out = Annotated[Path, typer.Option(help="Folder for the vectors.")]
_EXPECTED = re.compile(r"[^=]+=sha256:[0-9a-f]+")


def compare_(names: _Names = None, store: Store = "reference", as_json: Json = False) -> None:
    """Norms, and how alike vectors are (cosines), at each site."""
    from safegen.concepts.arithmetic import compare

    sites = compare(_chosen(store, names))
    if as_json:
        typer.echo(json.dumps({site: at.model_dump() for site, at in sites.items()}))
        return
    for site, at in sites.items():
        table = Table("concept", "norm", "relative", "same at all positions", *at.names, title=site)
        for row, name in enumerate(at.names):
            relative = at.relative[row]
            table.add_row(
                name,
                f"{at.norms[row]:.3g}",
                "not measured" if relative is None else f"{relative:.2f}",
                f"{at.pooled[row]:.0%}",
                *(f"{cosine:+.2f}" for cosine in at.cosines[row]),
            )
        Console(markup=False).print(table)


def compose_(
    name: Annotated[str, typer.Argument(help="Name of the new concept.")],
    parts: Annotated[list[str], typer.Argument(help="CONCEPT=WEIGHT, e.g. woman=0.5 dark=1")],
    store: Store = "reference",
    out: _Out = Path("vectors"),
    as_json: Json = False,
) -> None:
    """A weighted sum of vectors as a vector of its own; weights that add up to 1 interpolate."""
    from safegen.concepts.arithmetic import compose

    if reason := wrong_with(name):
        raise InputError(reason, "choose another name for the sum")
    weights: dict[str, float] = {}
    for part in parts:
        concept, _, weight = part.partition("=")
        if concept in weights:
            raise InputError(f"{concept} is given twice", "give it one weight")
        weights[concept] = _weight(weight, part)
    made = compose(name, _chosen(store, list(weights)), weights)
    _write({name: made}, out, as_json)


def centre_(
    names: Annotated[list[str], typer.Argument(help="Concepts of one attribute group.")],
    store: Store = "reference",
    out: _Out = Path("vectors"),
    as_json: Json = False,
) -> None:
    """Take what several vectors share out of each of them."""
    from safegen.concepts.arithmetic import centre

    _write(centre(_chosen(store, names)), out, as_json)


def verify_(
    names: _Names = None,
    store: Store = "reference",
    model: Annotated[
        str | None, typer.Option(help="Were they made for it? reference, a folder or a hub name.")
    ] = None,
    expect: Annotated[
        list[str] | None, typer.Option(help="CONCEPT=sha256:…, as a ledger's record has it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Are the files whole, of this digest, and for this model? Exit code 1 if one is not."""
    folder = VectorStore(store)
    wanted = dict(part.split("=", 1) for part in expect or () if _EXPECTED.fullmatch(part))
    if len(wanted) != len(expect or ()):
        raise InputError(
            f"expected CONCEPT=sha256:…, once for each concept, got {expect}",
            "see: safegen vectors show",
        )
    digest = _digests(model)[0] if model else None
    chosen = dict.fromkeys([*(names or folder.names), *wanted])
    if not chosen:
        raise _empty(folder)
    rows = [_verified(folder, name, wanted.get(name), digest) for name in chosen]
    if as_json:
        typer.echo(json.dumps({"intact": not any(r["error"] for r in rows), "vectors": rows}))
    else:
        table = Table("concept", "verdict", "digest")
        for row in rows:
            table.add_row(row["concept"], row["error"] or "intact", row["digest"])
        Console(markup=False).print(table)
    if any(row["error"] for row in rows):
        raise typer.Exit(1)


def import_(
    checkpoint: Annotated[Path, typer.Argument(help="unet.pth of the published code.")],
    concepts: Annotated[
        Path | None, typer.Option(help="Its concept_dict.json; by default the one beside it.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="What they were learned on; without it, no model can be matched."),
    ] = None,
    channels: Annotated[int, typer.Option(help="Of the mid block: 1280 in SD 1.x.")] = 1280,
    licence: Annotated[str, typer.Option(help="Of the vectors.")] = "unknown",
    out: _Out = Path("vectors"),
    as_json: Json = False,
) -> None:
    """Read vectors in the format of the paper's published code; nothing is unpickled."""
    from safegen.concepts.published import CONCEPTS, load_published

    digest, in_bfloat16 = _digests(model) if model else ("unknown", "")
    vectors = load_published(
        checkpoint,
        concepts or checkpoint.with_name(CONCEPTS),
        channels=channels,
        model_digest=digest,
        licence=licence,
        model_digest_bfloat16=in_bfloat16,
    )
    _write(vectors, out, as_json)


def export_(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    names: _Names = None,
    store: Store = "reference",
    format_: Annotated[
        str, typer.Option("--format", help="safegen (with a README), or published.")
    ] = "safegen",
    as_json: Json = False,
) -> None:
    """Copy vectors for others: as SafeGen and the hub read them, or as the published code does."""
    vectors = _chosen(store, names)
    if choice(format_, ("safegen", "published")) == "safegen":
        from safegen.concepts.hub import export

        written = export(vectors, out)
    else:
        from safegen.concepts.published import save_published

        written = save_published(vectors, out)
    _tell(written, as_json)


def push_(
    repo: Annotated[str, typer.Argument(help="owner/name")],
    names: _Names = None,
    store: Store = "reference",
    public: Annotated[
        bool, typer.Option("--public", help="A repository made by this can be seen by all.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Upload vectors with a README to the Hugging Face Hub (or HF_ENDPOINT)."""
    from safegen.concepts.hub import push

    address = push(_chosen(store, names), repo, public=public)
    typer.echo(json.dumps({"commit": address}) if as_json else address)


def pull_(
    repo: Annotated[str, typer.Argument(help="owner/name")],
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit; a commit cannot change.")
    ] = None,
    out: _Out = Path("vectors"),
    as_json: Json = False,
) -> None:
    """Download vectors from the Hugging Face Hub (or HF_ENDPOINT); each file is verified."""
    from safegen.concepts.hub import pull

    came = pull(repo, out, revision=revision)
    if as_json:
        typer.echo(json.dumps({name: vector.digest for name, vector in came.items()}))
        return
    for name, vector in came.items():
        typer.echo(f"{name} {vector.digest}")


def _chosen(store: str, names: list[str] | None) -> dict[str, ConceptVector]:
    folder = VectorStore(store)
    chosen = {name: folder[name] for name in names or folder.names}
    if not chosen:
        raise _empty(folder)
    return chosen


def _empty(folder: VectorStore) -> InputError:
    return InputError(f"{folder.folder} holds no vectors", "give another --store")


def _weight(text: str, part: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise InputError(
            f"expected CONCEPT=WEIGHT with a finite number, got {part!r}", "for example: woman=0.5"
        )
    return weight


def _verified(
    folder: VectorStore, name: str, expected: str | None, model: str | None
) -> dict[str, Any]:
    row: dict[str, Any] = {"concept": name, "digest": "", "error": None}
    try:
        vector = folder[name]
    except MissingExtraError:  # says nothing of the vector
        raise
    except SafeGenError as error:
        return row | {"error": error.message}
    row["digest"] = vector.digest
    if expected is not None and vector.digest != expected:
        row["error"] = f"expected {expected}"
    elif model and not vector.passport.made_for(model):
        row["error"] = f"made for the model {vector.passport.model_digest}, this one is {model}"
    return row


def _digests(model: str) -> tuple[str, str]:
    """Of the denoiser of a model by its name, as it is and in bfloat16."""
    pipeline = open_pipeline(model)
    import torch

    from safegen.adapters.denoisers import find_denoiser
    from safegen.concepts.digest import model_digest

    denoiser = find_denoiser(pipeline)

    return model_digest(denoiser), model_digest(denoiser, torch.bfloat16)


def _write(vectors: dict[str, ConceptVector], out: Path, as_json: bool) -> None:
    own_folder(out)
    paths = {out / f"{name}.safetensors": vector for name, vector in vectors.items()}
    there = [str(path) for path in paths if path.exists()]
    if there:
        raise OutputError(
            f"{', '.join(there)} is there already", "choose another folder with --out"
        )
    for path, vector in paths.items():
        save_vector(vector, path)
    _tell(list(paths), as_json)


def _tell(written: list[Path], as_json: bool) -> None:
    paths = [str(path) for path in written]
    typer.echo(json.dumps({"written": paths}) if as_json else "\n".join(paths))
