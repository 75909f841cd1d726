"""Concept vectors on the Hugging Face Hub, or on a server of one's own that speaks like it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safegen.concepts.store import VectorStore, demand_free, own_folder
from safegen.concepts.vector import ConceptVector, load_vector, save_vector
from safegen.errors import ConceptError, InputError, MissingExtraError, OutputError
from safegen.files import write_file

_PATTERN = "*.safetensors"
_OURS = "library_name: safegen"


def export(vectors: Mapping[str, ConceptVector], folder: Path) -> list[Path]:
    """Write vectors and a README.md that the hub shows; the folder is what `push` uploads.

    Raises:
        OutputError: the folder cannot be written, is part of the installed package, or holds
            something else under one of the names; a README that this wrote is renewed.
    """
    own_folder(folder)
    paths = {folder / f"{name}.safetensors": vector for name, vector in vectors.items()}
    readme = folder / "README.md"
    others = [path for path, vector in paths.items() if path.exists() and not _holds(path, vector)]
    if readme.exists() and _OURS.encode() not in readme.read_bytes():
        others.append(readme)
    demand_free(others)
    for path, vector in paths.items():
        save_vector(vector, path)
    write_file(readme, _readme(vectors).encode())
    return [*paths, readme]


def push(vectors: Mapping[str, ConceptVector], repo: str, *, public: bool = False) -> str:
    """Upload vectors with their README in one commit; the repository is made if there is none.

    Who may write there is shown by the token that `hf auth login` or HF_TOKEN gave.

    Args:
        vectors: by name.
        repo: `owner/name`.
        public: whether a repository made by this can be seen by all.

    Returns:
        The address of the commit.

    Raises:
        InputError: the hub refused it or cannot be reached.
        MissingExtraError: huggingface_hub is not installed.
    """
    hub = _hub()
    with TemporaryDirectory() as folder:
        export(vectors, Path(folder))
        with _told(repo):
            api = hub.HfApi()
            api.create_repo(repo, private=not public, exist_ok=True)
            done = api.upload_folder(
                repo_id=repo, folder_path=folder, commit_message=f"Vectors: {', '.join(vectors)}"
            )
    return str(done.commit_url)


def pull(repo: str, folder: Path, *, revision: str | None = None) -> dict[str, ConceptVector]:
    """Download the vectors of a repository into `folder`; all of them, or none.

    Args:
        repo: `owner/name`.
        folder: where they go; what is there already must be the same.
        revision: branch, tag or commit. A commit is what you have reviewed; a branch may change.

    Raises:
        ConceptError: one of them is damaged or under the name of another, or there are none.
        OutputError: `folder` holds another vector of that name, cannot be written, or is part of
            the installed package.
        InputError: no such repository or revision, or the hub cannot be reached.
        MissingExtraError: huggingface_hub is not installed.
    """
    own_folder(folder)
    hub = _hub()
    with _told(repo):
        came = Path(hub.snapshot_download(repo, revision=revision, allow_patterns=[_PATTERN]))
    if not any(came.glob(_PATTERN)):
        raise ConceptError(f"{repo} holds no vectors ({_PATTERN})", "give another repository")
    store = VectorStore(came)
    vectors = {name: store[name] for name in store.names}
    there = VectorStore(folder) if folder.is_dir() else None
    for name in there.names if there else ():
        if there and name in vectors and not _same(there[name], vectors[name]):
            raise OutputError(
                f"{folder} holds another vector {name!r}: {there[name].digest} there, "
                f"{vectors[name].digest} in {repo}",
                "choose an empty folder with --out",
            )
    for name, vector in vectors.items():
        save_vector(vector, folder / f"{name}.safetensors")
    return vectors


def _holds(path: Path, vector: ConceptVector) -> bool:
    try:
        return _same(load_vector(path), vector)
    except ConceptError:
        return False


def _same(one: ConceptVector, other: ConceptVector) -> bool:
    return (one.digest, one.passport) == (other.digest, other.passport)


def _readme(vectors: Mapping[str, ConceptVector]) -> str:
    licences = sorted({vector.passport.licence for vector in vectors.values()})
    named = licences[0].lower() if len(licences) == 1 else "other"
    rows = [
        f"| {name} | {v.passport.method} | {', '.join(v.arrays)} | `{v.passport.model_digest}` "
        f"| `{v.digest}` |"
        for name, v in vectors.items()
    ]
    return "\n".join(
        [
            "---",
            f"license: {named}",
            _OURS,
            "tags: [safegen, concept-vectors, h-space]",
            "---",
            "",
            "# Concept vectors",
            "",
            "Directions in a denoiser's activations, added while an image forms.",
            "Each file holds its passport: `safegen vectors show NAME --store FOLDER`.",
            f"Licence: {', '.join(licences)}.",
            "",
            "| concept | method | sites | for the model | digest |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "diffusers", "push and pull") from error
    return huggingface_hub


@contextmanager
def _told(repo: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of the client, of what it speaks HTTP with, and of the disk
        raise InputError(
            f"the hub and {repo!r}: {type(error).__name__}: {' '.join(str(error).split())[:300]}",
            "check the name, the network, and your token (hf auth login)",
        ) from error
