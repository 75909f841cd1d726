"""What a decision costs: p50 and p99 over rules and terms, beside what users would pick instead.

    uv run python benchmarks/policy.py [--quick] [--json]

For LLM Guard, whose requirements exclude those of some extras, say `uv run --isolated --no-dev
--with better-profanity --with regopy --with llm-guard`.

Every size decides on the same prompts, one at a time: term matching, then all rules. The peers do
the same work in the same run: better-profanity and LLM Guard's ban list look for the terms (yes or
no), regopy evaluates the rules on scores given to it. Those that are not installed are left out,
and the report says so.
"""

import argparse
import json
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import structlog
from rich.console import Console
from rich.table import Table

from safegen import Context, Policy, Scores
from safegen.errors import MissingExtraError
from safegen.policy.load import find_policy, parse_policy
from safegen.risk import TermClassifier, TermList, classify
from safegen.risk.combine import Classifier
from safegen.risk.head import HeadClassifier, HeadSettings
from safegen.risk.similarity import SimilarityClassifier, SimilaritySettings

RULES = (10, 100, 1000)
TERMS = (100, 10_000, 100_000)
LARGEST = f"rules_{RULES[-1]}_terms_{TERMS[-1]}"
_LISTS = 20
_REQUEST = Context(region="r7")  # a region that one of the rules asks for
_STYLE = "a detailed painting of {} by the sea, soft light, wide shot, {} in the distance, 4k"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer prompts, within a minute")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # LLM Guard's
    report = measure(*(200, 1) if options.quick else (2000, 20))
    if options.json:
        print(json.dumps(report))
    else:
        _show(report)


def measure(prompts: int, peer_prompts: int) -> dict[str, Any]:
    """The report: milliseconds per decision, and the ratio to the fastest peers."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(4, 9)))
             for _ in range(20_000)]  # fmt: skip
    terms = [" ".join(draw.choices(words, k=draw.choice((1, 1, 2, 3)))) for _ in range(TERMS[-1])]
    asked = [_STYLE.format(draw.choice(terms), draw.choice(words)) for _ in range(prompts)]
    times: dict[str, list[float]] = {}
    scores: dict[str, list[float]] = {}
    for count in TERMS:
        classifier = TermClassifier(_lists(terms[:count]))
        scores[f"terms_{count}"] = timed(lambda p, c=classifier: classify([c], [p]), asked)
        for rules in RULES:
            policy = Policy(_policy(rules), classifiers=[classifier])
            times[f"rules_{rules}_terms_{count}"] = timed(
                lambda p, policy=policy: policy.assess(p, _REQUEST), asked
            )
    decided = {f"rules_{count}": _rules_alone(count, asked) for count in RULES}
    peers, missing = _peers(terms, asked[:peer_prompts])
    report = {
        name: {key: float(np.quantile(each, q)) for key, each in (times | scores | decided).items()}
        for name, q in (("p50_ms", 0.5), ("p99_ms", 0.99))
    }
    report |= {"classifiers_p50_ms": _classifiers(asked[:100])}
    return report | {
        "peers_p50_ms": {name: float(np.median(each)) for name, each in peers.items()},
        "speedup_vs_fastest_peer": _speedup(report["p50_ms"], peers),
        "peers_missing": missing,
        "prompts": prompts,
        "machine": f"{platform.machine()}, {platform.python_implementation()} "
        f"{platform.python_version()}",
    }


def timed(call: Callable[[str], object], prompts: Sequence[str]) -> list[float]:
    """Milliseconds of a call for each prompt: the better of two, as other programs interrupt.

    One round after the other, for a classifier may remember the last prompt.
    """
    call(prompts[0])
    rounds: list[list[float]] = [[], []]
    for times in rounds:
        for prompt in prompts:
            start = time.perf_counter()
            call(prompt)
            times.append((time.perf_counter() - start) * 1000)
    return [min(pair) for pair in zip(*rounds, strict=True)]


def _lists(terms: Sequence[str]) -> dict[str, TermList]:
    return {
        f"list{i}": TermList(kind="score", terms=tuple(terms[i::_LISTS])) for i in range(_LISTS)
    }


def _policy(rules: int) -> str:
    """A policy of so many rules, of which few fire; the lists come as a classifier.

    Of lists in the file nothing would be faster or slower but loading.
    """
    told = "".join(
        f"  - {{id: r{i}, when: 'score.list{i % _LISTS} >= 0.5 && score.list{(i + 7) % _LISTS} < "
        f'{0.3 + i / 5000:.4f} && request.region == "r{i}"\', then: {{review: {{reason: x}}}}}}\n'
        for i in range(rules)
    )
    return f'apiVersion: safegen/v1\nmetadata: {{name: bench, version: "1"}}\nrules:\n{told}'


def _rules_alone(count: int, prompts: Sequence[str]) -> list[float]:
    known = TermClassifier(_lists(["knife"] * _LISTS))
    policy = Policy(_policy(count), classifiers=[known])
    scores = known([""])[0]
    return timed(lambda _: policy.decide(scores, _REQUEST), prompts)


def _classifiers(prompts: Sequence[str]) -> dict[str, float]:
    """What those of the pack `default-plus` take by themselves, without their memory of answers."""
    try:
        settings = parse_policy(*find_policy("default-plus")).file.classifiers
        made: dict[str, Classifier] = {
            each.kind: HeadClassifier(name, each)
            if isinstance(each, HeadSettings)
            else SimilarityClassifier(name, each)
            for name, each in settings.items()
            if isinstance(each, HeadSettings | SimilaritySettings)
        }
    except MissingExtraError:
        return {}
    return {
        kind: float(np.median(timed(lambda p, asked=each: asked([p]), prompts)))
        for kind, each in made.items()
    }


def _peers(
    terms: Sequence[str], prompts: Sequence[str]
) -> tuple[dict[str, list[float]], list[str]]:
    """Times of the peers that are installed, as terms/NAME or rules/NAME, and the others' names."""
    found, missing = {}, []
    try:
        from better_profanity import Profanity

        filter_ = Profanity(list(terms))
        found["terms/better-profanity"] = timed(filter_.contains_profanity, prompts)
    except ImportError:
        missing.append("better-profanity")
    try:
        from llm_guard.input_scanners import BanSubstrings
        from llm_guard.input_scanners.ban_substrings import MatchType

        scanner = BanSubstrings(list(terms), match_type=MatchType.WORD)
        found["terms/llm-guard"] = timed(scanner.scan, prompts)
    except ImportError:
        missing.append("llm-guard")
    try:
        import regopy

        engine = regopy.Interpreter()
        engine.add_module("bench", _rego(RULES[-1]))
        scores = Scores(values={f"list{i}": 0.0 for i in range(_LISTS)})
        engine.set_input({"score": scores.values, "region": _REQUEST.region})
        found["rules/regopy"] = timed(lambda _: engine.query("data.bench.fired"), prompts)
    except ImportError:
        missing.append("regopy")
    return found, missing


def _rego(rules: int) -> str:
    told = "".join(
        f'fired contains "r{i}" if {{ input.score.list{i % _LISTS} >= 0.5; '
        f"input.score.list{(i + 7) % _LISTS} < {0.3 + i / 5000:.4f}; "
        f'input.region == "r{i}" }}\n'
        for i in range(rules)
    )
    return f"package bench\nimport rego.v1\n{told}"


def _speedup(mine: dict[str, float], peers: dict[str, list[float]]) -> float | None:
    """Fastest peers for terms and rules together, over SafeGen's time; None if one is lacking."""
    fastest = [
        min((float(np.median(times)) for name, times in peers.items() if name.startswith(kind)),
            default=None)
        for kind in ("terms/", "rules/")
    ]  # fmt: skip
    both = [each for each in fastest if each is not None]
    return sum(both) / mine[LARGEST] if len(both) == len(fastest) else None


def _show(report: dict[str, Any]) -> None:
    table = Table("what", "p50 ms", "p99 ms", title="Decisions")
    for name, p50 in report["p50_ms"].items():
        table.add_row(name, f"{p50:.3f}", f"{report['p99_ms'][name]:.3f}")
    for name, p50 in (report["classifiers_p50_ms"] | report["peers_p50_ms"]).items():
        table.add_row(name, f"{p50:.3f}", "")
    console = Console()
    console.print(table)
    speedup = report["speedup_vs_fastest_peer"]
    console.print(f"{LARGEST}: {speedup:.0f}× the fastest peers" if speedup else "no ratio")
    if report["peers_missing"]:
        console.print(f"not installed: {', '.join(report['peers_missing'])}")


if __name__ == "__main__":
    main()
