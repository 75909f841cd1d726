"""A policy that may change while requests run: a new one is swapped in whole, or not at all."""

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

from safegen.diagnostics import Diagnostics
from safegen.errors import SafeGenError
from safegen.nouns import Frozen
from safegen.policy.policy import Policy
from safegen.risk import Classifier

_log = Diagnostics("safegen")
_Stamp = tuple[int, int, int] | None


class Reload(Frozen):
    """How the last look at the files ended; `digest` is that of the policy in force.

    refused: the files hold no policy that may be used, `error` says why, and the last good one
    stays in force.
    """

    status: Literal["unchanged", "swapped", "refused"]
    digest: str
    error: str = ""


class LivePolicy:
    """Keeps a policy up to date with its file, the files that it imports, or its bundle.

    `current` is always a whole, valid policy: take it once per request. `refresh` looks at the
    files now; as a context manager it also looks by itself, in a thread.

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
    ) -> None:
        """Load the policy that is there now.

        Args:
            name: a YAML file, a bundle, or a shipped pack.
            classifiers: as for `Policy`.
            public_key: only bundles signed by its owner are taken.
            on_new: is given each new policy before it is in force, and refuses one by raising an
                error of SafeGen, e.g. `guard.use`.
            interval: seconds between looks at the files.

        Raises:
            PolicyError: it is wrong, with file:line:column.
            ClassifierError: a classifier failed on the empty prompt.
            InputError: the public key cannot be read.
        """
        self._name, self._classifiers, self._public_key = name, classifiers, public_key
        self._on_new, self._interval = on_new, interval
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        stamps = _stamps([str(name)])
        self.current = self._load()
        self._stamps = self._kept(stamps)
        self.last = Reload(status="swapped", digest=self.current.digest)

    def refresh(self) -> Reload:
        """Look at the files, and take over a new policy if it is a good one."""
        with self._lock:
            # Taken before the files are read, so that a write meanwhile shows the next time.
            stamps = _stamps(self._stamps)
            # A refused policy is read again each time: what mends it may be a file not yet known.
            if self.last.status != "refused" and stamps == self._stamps:
                return self._told("unchanged")
            try:
                fresh = self._load()
                if fresh.digest != self.current.digest and self._on_new:
                    self._on_new(fresh)
            except Exception as error:  # noqa: BLE001 - `on_new` is the user's; watching goes on
                kind = "" if isinstance(error, SafeGenError) else f"{type(error).__name__}: "
                return self._told("refused", f"{kind}{error}")
            swapped = fresh.digest != self.current.digest
            self.current = fresh
            self._stamps = self._kept(stamps)
            return self._told("swapped" if swapped else "unchanged")

    def _load(self) -> Policy:
        return Policy.load(self._name, self._classifiers, self._public_key)

    def _kept(self, stamps: dict[str, _Stamp]) -> dict[str, _Stamp]:
        """The stamps of the files of the policy in force; a file seen anew is read once more."""
        return {path: stamps.get(path) for path in (str(self._name), *self.current.sources)}

    def _told(self, status: Literal["unchanged", "swapped", "refused"], error: str = "") -> Reload:
        now = Reload(status=status, digest=self.current.digest, error=error)
        if status == "refused" and now != self.last:
            _log.warning("a new policy was refused", in_force=now.digest, error=error)
        self.last = now
        return now

    def __enter__(self) -> Self:
        """Start to look by itself."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, name="safegen-policy", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking; the policy stays."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self.refresh()


def _stamps(paths: Iterable[str]) -> dict[str, _Stamp]:
    """What the file system says of each file, the same as long as none is written."""
    return {path: _stamp(path) for path in paths}


def _stamp(path: str) -> _Stamp:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
