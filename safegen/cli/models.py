"""What several commands share: model and context of a request, names, folders, progress."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from safegen.errors import InputError, OutputError, did_you_mean
from safegen.nouns import Context
from safegen.policy import Policy

Name = TypeVar("Name", bound=str)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="reference, or the folder or hub name of a pipeline: classifiers of the kind "
        "`encoder` read by its text encoder.",
        show_default=False,
    ),
]
ContextOption = Annotated[
    list[str] | None,
    typer.Option(
        "--context",
        metavar="KEY=VALUE",
        help="What is known of the request: tenant, region, age_band, surface, images, seed.",
        show_default=False,
    ),
]


def for_model(policy: Policy, model: str | None) -> Policy:
    """The policy as it is for the model of that option, of which the text encoder is loaded.

    Raises:
        MissingExtraError: transformers is not installed.
        ClassifierError: the model has no text encoder as a classifier needs it.
    """
    from safegen.reference import WEIGHTS

    if model is None:
        return policy
    return policy.attached(WEIGHTS / "pipeline" if model == "reference" else model)


def context_of(pairs: Sequence[str] | None) -> Context:
    """What those options say of the request.

    Raises:
        InputError: one is no pair, names nothing that a context has, or has a value that cannot be.
    """
    pairs = pairs or []
    for pair in pairs:
        if "=" not in pair:  # a value that was forgotten is not one that is not known
            raise InputError(
                f"--context {pair}: expected KEY=VALUE", f"write --context {pair}=VALUE"
            )
    given = dict(pair.partition("=")[::2] for pair in pairs)
    try:
        return Context.model_validate(given)
    except ValidationError as error:
        wrong = error.errors()[0]
        key = str(wrong["loc"][0])
        # So few and such short names are alike by chance: "agee" and "images" are by 0.6.
        mend = None if key in Context.model_fields else did_you_mean(key, Context.model_fields, 0.7)
        raise InputError(f"--context {key}={given[key]}: {wrong['msg']}", mend) from error


def known(kind: str, given: Collection[str], names: Iterable[Name]) -> tuple[Name, ...]:
    """Those of `names` that are given, in their own order.

    Raises:
        InputError: something else is given too.
    """
    there = tuple(names)
    if unknown := sorted({*given} - {*there}):
        raise InputError(f"there is no {kind} {unknown[0]!r}", f"one of: {', '.join(there)}")
    return tuple(each for each in there if each in given)


def choice(given: str, names: Iterable[Name]) -> Name:
    """The one of two or more `names` that an option was given.

    Raises:
        typer.BadParameter: it was given something else.
    """
    there = tuple(names)
    for name in there:
        if name == given:
            return name
    raise typer.BadParameter(f"expected {', '.join(there[:-1])} or {there[-1]}, got {given!r}")


def writable(folder: Path) -> Path:
    """`folder`, made if missing.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".safegen-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"cannot write to the folder {folder}: {error.strerror}",
            "choose a folder you can write to with --out",
        ) from error
    return folder


class Bar:
    """One progress bar on stderr."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        """Use `bar`."""
        self._progress, self._task = progress, task

    def __call__(self, done: int, total: int | None, line: str) -> None:
        """Show `done` of `total`, if that is known, and a line."""
        self._progress.update(self._task, completed=done, total=total, description=line)

    def advance(self, line: str) -> None:
        """One step further."""
        self._progress.update(self._task, advance=1, description=line)


@contextmanager
def bar(total: int | None, line: str) -> Iterator[Bar]:
    """Show a progress bar on stderr while the block runs."""
    # Names and prompts of users may hold what rich takes for markup.
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, progress.add_task(line, total=total))
