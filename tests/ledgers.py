"""Records for tests of what readers of a ledger see, and ledgers that hold them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from safegen.audit.index import Index
from safegen.audit.ledger import Ledger
from safegen.audit.ledger.format import canonical, chain, decode
from safegen.audit.ledger.masking import masked
from safegen.nouns import (
    Check,
    Context,
    Decision,
    Event,
    Finding,
    FiredRule,
    ImageRecord,
    Intervention,
    Outcome,
    Reaction,
    Record,
    Scores,
    Span,
    SteeringReport,
)
from safegen.policy.schema import Recording

ALICE, SECRET = "alice-4711", "a quiet harbour at dawn"
SEALED = Recording(prompt="encrypted", user="encrypted")
STEER = Intervention(concept="woman", strength=0.5, start=0.1, stop=0.9)
FULL = Record(
    id="11111111-aaaa",
    time="2026-01-02T03:04:05.678+00:00",
    outcome=Outcome.REVIEW,
    prompt_commitment="hmac-sha256:abc",
    context=Context(tenant="acme", images=2, seed=7),
    scores=Scores(
        values={"violence": 0.75},
        facts={"mentions_occupation": True},
        spans=(Span(name="occupation", start=2, end=7),),
    ),
    decision=Decision(
        outcome=Outcome.STEERED,
        reason="balance",
        rules=(FiredRule(id="occ-1", action="steer", reason="fair", values={"violence": 0.75}),),
        interventions=((STEER,), ()),
        negative_prompt="weapons",
        checks=(Check(detector="nsfw", label="unsafe", threshold=0.6),),
        ladder=(Reaction(action="regenerate", times=2, strength=1.5), Reaction(action="review")),
        policy="default",
        policy_digest="sha256:p0",
    ),
    model_digest="sha256:m0",
    sampler={"steps": 30},
    steering=SteeringReport(status="applied", sites=("mid_block",), vectors={"woman": "sha256:v0"}),
    images=(
        ImageRecord(seed=7, outcome=Outcome.STEERED, sha256="f00d", interventions=(STEER,)),
        ImageRecord(
            seed=8,
            outcome=Outcome.REVIEW,
            attempts=3,
            actions=("regenerate x1.5", "review"),
            findings=(
                Finding(
                    detector="nsfw",
                    detector_digest="sha256:d0",
                    label="unsafe",
                    score=0.875,
                    box=(1, 2, 30.5, 40),
                ),
            ),
            reason="flagged: unsafe",
        ),
    ),
    safegen="0.1.0",
)
BARE = Record(
    id="22222222-bbbb",
    time="2026-01-02T03:05:00.000+00:00",
    outcome=Outcome.ERROR,
    prompt_commitment="hmac-sha256:def",
    context=Context(),
    scores=Scores(),
    error="ClassifierError: \x1b[31mred\u202e",
    safegen="0.1.0",
)

START = datetime(2026, 1, 1, tzinfo=UTC)
CHECK = Check(detector="nsfw", label="unsafe", threshold=0.5)
RULES = {
    Outcome.BLOCKED: FiredRule(id="block.gore", action="block", reason="gore"),
    Outcome.REVIEW: FiredRule(id="ask.first", action="review", reason="unclear"),
    Outcome.STEERED: FiredRule(id="no.weapon", action="steer", values={"violence": 0.5}),
}


def record(
    number: int,
    outcome: Outcome = Outcome.ALLOWED,
    *,
    violence: float = 0.1,
    tenant: str = "acme",
    policy: str = "default",
    images: Sequence[ImageRecord] = (),
    hours: float | None = None,
) -> Record:
    """A request, made `hours` (by default `number`) hours after the first."""
    rule = RULES.get(outcome)
    made = START + timedelta(hours=number if hours is None else hours)
    return Record(
        id=f"{number:08x}-0000",
        time=made.isoformat(timespec="milliseconds"),
        outcome=outcome,
        prompt_commitment="hmac-sha256:00",
        context=Context(tenant=tenant),
        scores=Scores(values={"violence": violence, "nudity": 0.0}),
        decision=Decision(
            outcome=outcome,
            reason=rule.reason if rule else "",
            rules=(rule,) if rule else (),
            checks=(CHECK,),
            policy=policy,
            policy_digest=f"sha256:{policy}{'0' * 56}",
        ),
        images=tuple(images),
        safegen="test",
    )


def image(outcome: Outcome = Outcome.ALLOWED, *, unsafe: float = 0.1) -> ImageRecord:
    """An image that the detector gave this score."""
    finding = Finding(
        detector="nsfw", detector_digest="sha256:d0", label="unsafe", score=unsafe, box=None
    )
    return ImageRecord(seed=0, outcome=outcome, findings=(finding,))


def event(number: int, what: str, about: Record | None = None, **more: str) -> Event:
    """What was done about a record, or to the ledger."""
    return Event(
        id=f"event-{number}",
        time=(START + timedelta(days=30, hours=number)).isoformat(),
        what=what,
        about=about.id if about else "",
        safegen="test",
        **more,
    )


def ledger(folder: Path, *entries: Record | Event, segment_bytes: int = 2**26) -> Path:
    """The folder, with these appended to the ledger in it."""
    with Ledger.open(folder, segment_bytes=segment_bytes) as opened:
        for entry in entries:
            opened.append(entry)
    return folder


def forge(folder: Path, entry: Record | Event) -> None:
    """Append a line that follows the last one, but is signed with another key than the ledger's."""
    segment = max(folder.glob("*.jsonl"))
    last = decode(segment.read_bytes().splitlines(keepends=True)[-1])
    content = canonical(entry.model_dump(mode="json"))
    _, data = chain(last.seq + 1, last.hash, [content], Ed25519PrivateKey.generate())
    with segment.open("ab") as file:
        file.write(data)


def planted(folder: Path, *lines: tuple[int, Record | Event]) -> list[int]:
    """Lay lines that nobody signed where `verify` does not look; gives their first bytes.

    An index that somebody changed can name them: their segment is -1.
    """
    starts, data = [], b""
    for seq, entry in lines:
        content = canonical(entry.model_dump(mode="json"))
        body = b'"prev":"%s","record":%s,"seq":%d' % (b"0" * 64, content, seq)
        starts.append(len(data))
        data += b'{"hash":"%s",%s}\n' % (sha256(b"{%s}" % body).hexdigest().encode(), body)
    (folder / "-0000001.jsonl").write_bytes(data)
    return starts


def index_changed(folder: Path, statement: str, *values: object) -> None:
    """Let somebody who can write the folder change the index, which is brought up to date first."""
    with Index.open(folder) as index:
        index.update()
        index.database.execute(statement, values)


def asked(
    opened: Ledger,
    made: Record,
    recording: Recording = SEALED,
    *,
    user: str = ALICE,
    prompt: str = SECRET,
) -> Record:
    """Append the record of a request of this user, kept as a policy says; gives what was kept."""
    context = made.context.model_copy(update={"user": user})
    kept = masked(made.model_copy(update={"context": context}), prompt, recording, opened)
    opened.append(kept)
    return kept


def holding(folder: Path, *texts: str | bytes) -> list[str]:
    """The names of the files, of all in a folder, whose bytes hold one of these texts."""
    wanted = [text.encode() if isinstance(text, str) else text for text in texts]
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path.name for path in files if any(each in path.read_bytes() for each in wanted)]
