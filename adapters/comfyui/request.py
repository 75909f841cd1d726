"""What goes along a graph beside text, models and images: a guard, and what it decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safegen.adapters.comfyui.steer import ModelSteering
from safegen.audit.detectors import Detector, load_detector
from safegen.audit.ledger import Ledger
from safegen.audit.marking import Marker
from safegen.concepts.vector import ConceptVector
from safegen.errors import InputError, PolicyError, SafeGenError
from safegen.guard import Guard
from safegen.nouns import Context, Decision, Scores
from safegen.policy import Policy
from safegen.policy.live import LivePolicy, Reload
from safegen.policy.schema import use_of

_AGAIN = "queue the graph again once its file is as it should be"
# One of each for the life of the server: detectors take seconds to load, and an open ledger holds
# files.
_LIVE: dict[str, LivePolicy] = {}
_DETECTORS: dict[tuple[str, str], Detector] = {}
_LEDGERS: dict[Path, Ledger] = {}


@dataclass(frozen=True)
class Assessed:
    """A prompt and what its policy decided; after Steer Model also how it is carried out."""

    guard: Guard
    prompt: str
    context: Context
    scores: Scores
    decision: Decision
    model_digest: str = ""
    vectors: Mapping[str, ConceptVector] = field(default_factory=dict)
    other_model: bool = False
    steering: ModelSteering | None = None

    @property
    def stopped(self) -> bool:
        """Whether no image may be made at all."""
        return self.decision.outcome.stops


def load_policy(name: str, ledger: str, marker: Marker | None = None) -> Guard:
    """The policy as its files are now, with what it checks images with and where it records.

    Args:
        name: a file, or the name of a shipped pack.
        ledger: folder of the ledger; empty: `home()/ledger`.
        marker: marks images as generated where the policy wants that.

    Raises:
        PolicyError: the policy is wrong, with file:line:column. An older one that was good is not
            used in its place: a graph shows the message where a server would only log it.
        InputError: it asks for a detector that there is not, or for marks without a marker.
        MissingExtraError: a detector's package is not installed.
        OutputError: the ledger cannot be written.
    """
    live = _live(name)
    now = _looked(live)
    if now.status in ("refused", "waiting"):
        Policy.load(name)  # for its error, with its place
        raise PolicyError(now.error or "the file is being written", source=name, mend=_AGAIN)
    policy = live.current
    if marker is None and (rules := policy.marking_rules):
        raise InputError(
            f"the rule {rules[0]!r} of the policy {policy.name!r} wants images marked as "
            "generated, and Load Policy has nothing that does",
            "wire Load Marker to its `marker`; Marked Elsewhere where something behind ComfyUI "
            "marks them; or leave the rule out (`without`)",
        )
    detectors = [_detector(policy, each) for each in sorted(policy.detectors)]
    folder = Path(ledger).expanduser().resolve() if ledger else home() / "ledger"
    if folder not in _LEDGERS:
        _LEDGERS[folder] = Ledger.open(folder)
    # Vectors come in later, through Steer Model.
    return Guard(policy, {}, detectors, _LEDGERS[folder], marker=marker)


def _detector(policy: Policy, name: str) -> Detector:
    settings = use_of(policy.file.detectors, name).settings
    key = (name, repr(sorted(settings.items())))
    if key not in _DETECTORS:
        _DETECTORS[key] = load_detector(name, **settings)
    return _DETECTORS[key]


def fingerprint(name: str) -> str:
    """Changes when the policy's files do, whether to the better or not."""
    try:
        now = _looked(_live(name))
    except SafeGenError as error:
        return str(error)
    return f"{now.digest} {now.error}"


def _live(name: str) -> LivePolicy:
    if name not in _LIVE:
        # Here its author is at work: no other policy can be meant by the path in the graph.
        _LIVE[name] = LivePolicy(name, allow_renamed=True)
    return _LIVE[name]


def _looked(live: LivePolicy) -> Reload:
    """What its files hold now: a graph is queued by hand, once they have been saved."""
    now = live.refresh()
    return live.refresh() if now.status == "waiting" else now


def home() -> Path:
    """The folder for what SafeGen keeps: below ComfyUI's user folder, but not served over HTTP."""
    import folder_paths

    if hasattr(folder_paths, "get_system_user_directory"):
        return Path(folder_paths.get_system_user_directory("safegen"))
    return Path(folder_paths.base_path) / "safegen"
