"""Fuzz what strangers write, guided by coverage: policy files, and prompts.

    python scripts/fuzz.py policy --seconds 600
    python scripts/fuzz.py prompt --seconds 600

A policy must load or be an error of SafeGen, a prompt must be classified or be a `ClassifierError`,
in ten seconds and 2 GiB. Anything else stops the run, and the input that did it is kept in the
folder `.fuzz/` as `crash-…`, `timeout-…` or `oom-…`; give it as a further argument to run it again.
"""

import argparse
import json
import os
import sys
from pathlib import Path

# The fuzzed code must not go looking for models.
os.environ["HF_HUB_OFFLINE"] = "1"
SMALL = """\
apiVersion: safegen/v1
metadata: {name: x, version: "1", owner: me}
lists:
  a: {kind: score, terms: [knife, "big {b}"], rules_out: [unarmed], except_in: [a "knife" cake]}
  b: {kind: fact, terms: [hat]}
rules:
  - id: a
    when: score.a >= 0.5 && !fact.b
    priority: 3
    then:
      steer: [{concept: c, strength: 1.5, start: 0.1, stop: 0.8, follow: a}]
      fair: {attribute: g, target: {w: 0.5, m: 0.5}, mode: quota}
      check:
        - at_least: 2
          of: [{detector: p, label: x, threshold: 0.5}, {detector: q, label: y, threshold: 1}]
  - {id: b, locked: true, when: "request.region == 'eu'", then: {block: {reason: r.r}}}
checks: [{detector: clip, label: x, threshold: 0.5}]
detectors: {clip: {timeout: 1.0, when: {detector: p, label: x, between: [0.1, 0.9]}}}
ladder: [{action: regenerate, times: 2, add: [{concept: c}]}, {action: blur, area: boxes}]
early_look: {at: 0.5}
record: {prompt: encrypted, user: hmac, keep_days: 9}
tests: [{prompt: a knife, context: {seed: 1, region: eu}, expect: allowed, facts: {b: false}}]
"""
PROMPTS = (
    "a guard without a knife, but with a gun",
    "a kn1fe, k n i f e, k.n.i.f.e, \u043a\u200bn\u0456fe",
    "no guns, knives or bombs, not without a hat",
    "child\U0001f52a \u202ereversed\u202c \ud83d\ude00 e\u0301\u0301",
)


def main() -> None:
    """Run one target."""
    options = argparse.ArgumentParser(description=__doc__, add_help=True)
    options.add_argument("target", choices=["policy", "prompt"])
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--runs", type=int, default=-1, help="stop after so many inputs")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--folder", type=Path, default=Path(__file__).parent.parent / ".fuzz")
    options.add_argument("inputs", nargs="*", help="run only these files")
    given = options.parse_intermixed_args()
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: it has wheels for Linux, for some versions of Python")
    _forget_the_callers_memory()
    with atheris.instrument_imports(include=["safegen.policy", "safegen.risk", "safegen.nouns"]):
        from safegen.errors import ClassifierError, PolicyError, SafeGenError
        from safegen.policy import Policy
        from safegen.policy.load import decoded

    def nothing(name: str, _: str) -> tuple[str, str]:
        raise PolicyError(f"nothing is called {name!r}")

    def policy(data: bytes) -> None:
        try:
            Policy(decoded(data, "p.yaml"), "p.yaml", fetch=nothing)
        except SafeGenError as error:
            if len(str(error)) > 10_000:
                raise ValueError("the error is as long as a file") from error

    default = Policy.load("default")

    def prompt(data: bytes) -> None:
        # What is no UTF-8 becomes lone surrogates, which a prompt may hold too.
        text = data.decode("utf-8", "surrogateescape")
        try:
            [scores] = default.classify([text])
        except ClassifierError:
            return
        if not all(0 <= span.start < span.end <= len(text) for span in scores.spans):
            raise ValueError(f"a span outside of the prompt: {scores.spans}")

    corpus = given.folder / given.target
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = (SMALL,) if given.target == "policy" else PROMPTS
    for number, text in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(text.encode("utf-8", "surrogatepass"))
    words = given.folder / "words.txt"
    words.write_text("".join(f"{json.dumps(word)}\n" for word in _words()), encoding="utf-8")
    limits = [
        f"-max_total_time={given.seconds}", f"-runs={given.runs}", f"-seed={given.seed}",
        "-timeout=10", "-rss_limit_mb=2048", "-max_len=4096", f"-dict={words}",
        f"-artifact_prefix={given.folder}/",
    ]  # fmt: skip
    atheris.Setup(
        [sys.argv[0], *limits, *(given.inputs or [str(corpus)])],
        policy if given.target == "policy" else prompt,
    )
    atheris.Fuzz()


def _forget_the_callers_memory() -> None:
    """Go on in a child process, and end as it ends.

    libFuzzer holds its limit against the peak that the kernel keeps for a process, and that starts
    at the size of whoever started it (a test run of 2 GiB, say); a fork starts at its own.
    """
    if child := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _words() -> list[str]:
    """What the fuzzer puts together: a policy's keys and values, YAML's signs, words that count."""
    from safegen.policy.schema import json_schema

    models = json_schema()["$defs"].values()
    fields = {
        name: field for model in models for name, field in model.get("properties", {}).items()
    }
    values = {str(each) for field in fields.values() for each in field.get("enum", ())}
    signs = [": ", "- ", "{", "}", "[", "]", ", ", "&a ", "*a", "<<: ", "!!int ", "|", ">-", "? "]
    terms = [
        "without ",
        "no ",
        "but ",
        "knife",
        "child",
        "nude",
        "score.a",
        "fact.b",
        " && ",
        "1e9",
    ]
    return sorted({*fields, *values, *signs, *terms})


if __name__ == "__main__":
    main()
