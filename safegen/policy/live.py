"""A policy that may change while requests run: a new one is swapped in whole, or not at all.

Plain files are taken once they have come to rest, for the first half of a policy is mostly a policy
too, with fewer rules. Of a bundle there is no half, so it is taken at once.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

from safegen.arguments import demand
from safegen.diagnostics import Diagnostics
from safegen.errors import InputError, PolicyError, SafeGenError
from safegen.forks import in_each_child
from safegen.nouns import Frozen
from safegen.policy.bundle import is_bundle
from safegen.policy.policy import Policy
from safegen.risk import Classifier

_log = Diagnostics("safegen")
_Stamp = tuple[int, int, int] | None
_Stamps = dict[str, _Stamp]
Status = Literal["unchanged", "waiting", "swapped", "refused"]


class Reload(Frozen):
    """How the last look at the files ended; `digest` is that of the policy in force.

    waiting: a file has changed since the look before, and may still be being written.
    refused: the files hold no policy that may be used, `error` says why, `failed` which of its own
    tests failed, and the last good one stays in force.
    """

    status: Status
    digest: str
    error: str = ""
    failed: tuple[str, ...] = ()


class LivePolicy:
    """Keeps a policy up to date with its file, the files that it imports, or its bundle.

    `current` is always a whole, valid policy: take it once per request. `refresh` looks at the
    files now; as a context manager it also looks by itself, in a thread, of each process that is
    forked meanwhile too.

    with LivePolicy("house.yaml", on_new=guard.use) as live:
        ...
    """

    def __init__(
        self,
        name: str | Path,
        *,
        classifiers: Sequence[Classifier] = (),
        public_key: str | Path | None = None,
        on_new: Callable[[Policy], None] | None = None,
        interval: float = 2.0,
        read_by: Callable[[Policy], Policy] = lambda policy: policy,
        allow_older: bool = False,
        allow_renamed: bool = False,
    ) -> None:
        """Load the policy that is there now; its tests are not run.

        Args:
            name: a YAML file, a bundle, or a shipped pack.
            classifiers: as for `Policy`.
            public_key: only bundles signed by its owner are taken.
            on_new: is given each new policy before it is in force, and refuses one by raising an
                error of SafeGen, e.g. `guard.use`.
            interval: seconds between looks at the files; a plain file that changes must be the same
                at two of them.
            read_by: fits a new policy to a model, such as `lambda p: p.attached(pipeline)`, so that
                its tests can be run where classifiers of kind `encoder` read prompts.
            allow_older: take also a bundle that was signed before the one in force, or that does
                not say when.
            allow_renamed: take also a policy of another `metadata.name` than that in force.

        Raises:
            PolicyError: it is wrong, with file:line:column.
            ClassifierError: a classifier failed on the empty prompt.
            MissingExtraError: a package that one of its classifiers needs is not installed.
            InputError: the public key cannot be read, or `interval` is no number above 0.
        """
        demand("interval", interval, (int, float), "give seconds, such as 2.0")
        if not 0 < interval <= threading.TIMEOUT_MAX:
            raise InputError(
                f"expected an interval above 0 seconds, got {interval}", "give one such as 2.0"
            )
        self._name, self._classifiers, self._public_key = name, classifiers, public_key
        self._on_new, self._interval = on_new, interval
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._read_by = read_by
        self._allow_older, self._allow_renamed = allow_older, allow_renamed
        stamps = _stamps([str(name)])
        self.current = self._load()
        self._stamps = self._kept(stamps)
        self._seen = _stamps(self._stamps)
        self._rejected: _Stamps = {}
        self.last = Reload(status="swapped", digest=self.current.digest)
        in_each_child(self, LivePolicy._begin_again)

    def refresh(self) -> Reload:
        """Look at the files, and take over a new policy if it is a good one.

        It is loaded and tested here, in the caller's thread, while requests go on.
        """
        with self._lock:
            stamps = _stamps(self._seen)
            if self._holds(stamps):
                self._seen = _stamps(self._stamps)
                return self._told("unchanged")
            if self.last.status == "refused" and stamps == self._rejected:
                return self.last
            return self._taken(stamps)

    def _holds(self, stamps: _Stamps) -> bool:
        """Whether the files are those of the policy in force.

        A refused policy is read again each time: what mends it may be a file not yet known.
        """
        same = all(stamps[path] == stamp for path, stamp in self._stamps.items())
        return same and self.last.status != "refused"

    def _taken(self, stamps: _Stamps) -> Reload:
        """What becomes of files that are new, and have these stamps."""
        whole = is_bundle(Path(self._name))
        if not whole and stamps != self._seen:
            return self._waits(stamps)
        try:
            fresh = self._load()
            # A write meanwhile, and an import of which nobody knows yet whether it is at rest.
            now = _stamps({**stamps, **dict.fromkeys(fresh.sources)})
            if not whole and now != stamps:
                return self._waits(now)
            if refusal := self._refusal(fresh):
                self._seen = self._rejected = now
                return self._told("refused", *refusal)
            swapped = fresh.digest != self.current.digest
            if swapped and self._on_new:
                self._on_new(fresh)
        except Exception as error:  # noqa: BLE001 - `on_new` is the user's; watching goes on
            kind = "" if isinstance(error, SafeGenError) else f"{type(error).__name__}: "
            return self._told("refused", f"{kind}{error}")
        self.current = fresh
        # Taken before the files were read, so that a write meanwhile shows the next time.
        self._stamps = self._kept(stamps)
        self._seen = dict(self._stamps)
        return self._told("swapped" if swapped else "unchanged")

    def _waits(self, stamps: _Stamps) -> Reload:
        self._seen = stamps
        return self._told("waiting")

    def _refusal(self, fresh: Policy) -> tuple[str, tuple[str, ...]] | None:
        """Why a policy that loads is not taken, and which of its own tests fail.

        Nothing but other files can mend that, so it is not asked again while they stay.
        """
        before = self.current
        if fresh.name != before.name and not self._allow_renamed:
            renamed = fresh.document.error(
                ("metadata", "name"),
                f"the policy is called {fresh.name!r}, the one in force {before.name!r}",
                "put the right one there; if it was renamed, start LivePolicy anew, or with "
                "allow_renamed=True",
            )
            return str(renamed), ()
        if fresh.created < before.created and not self._allow_older:
            when = f"was signed at {fresh.created}" if fresh.created else "has no time of signing"
            older = PolicyError(
                f"the policy {when}, the one in force was signed at {before.created}",
                source=str(self._name),
                mend="to go back to an older policy, sign its files anew with `safegen policy "
                "bundle`; or give LivePolicy allow_older=True",
            )
            return str(older), ()
        if fresh.digest == before.digest:
            return None
        results = self._read_by(fresh).test()
        failed = tuple(result.case.told for result in results if result.wrong)
        if not failed:
            return None
        return (
            f"{len(failed)} of {len(results)} tests of the policy {fresh.name!r} fail, the first "
            f"is {failed[0]!r}; run `safegen policy test`, and mend the policy or the tests"
        ), failed

    def _load(self) -> Policy:
        return Policy.load(self._name, classifiers=self._classifiers, public_key=self._public_key)

    def _kept(self, stamps: _Stamps) -> _Stamps:
        """The stamps of the files of the policy in force; a file seen anew is read once more."""
        return {path: stamps.get(path) for path in (str(self._name), *self.current.sources)}

    def _told(self, status: Status, error: str = "", failed: tuple[str, ...] = ()) -> Reload:
        now = Reload(status=status, digest=self.current.digest, error=error, failed=failed)
        if status == "refused" and now != self.last:
            _log.warning("a new policy was refused", in_force=now.digest, error=error)
        self.last = now
        return now

    def __enter__(self) -> Self:
        """Start to look by itself."""
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, args=[self._stop], name="safegen-policy", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking; the policy stays."""
        self._stop.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(self._interval):
            self.refresh()

    def _begin_again(self) -> None:
        """In a forked child: the thread that looked, and may have held the lock, is the parent's.

        What it was at is looked at anew, for the stamps are set last.
        """
        self._lock = threading.Lock()
        if self._thread:
            self.__enter__()


def _stamps(paths: Iterable[str]) -> _Stamps:
    """What the file system says of each file, the same as long as none is written."""
    return {path: _stamp(path) for path in paths}


def _stamp(path: str) -> _Stamp:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
