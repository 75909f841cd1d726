"""What a record and a log say of a failure: no words of other code, which may quote the prompt."""

import json
import re
from collections.abc import Callable

import pytest

from safegen.audit.ledger.failures import hidden, told, traced, without
from safegen.errors import ClassifierError, OutputError

PROMPT = 'Zoë Miller, 12 Elm Street, "in her garden"'
"""A prompt that a quote may write in many ways."""

QUOTES: dict[str, Callable[[str], object]] = {
    "as it is": str,
    "as Python writes it": repr,
    "as JSON": json.dumps,
    "in small letters": str.lower,
    "shortened": lambda prompt: f"{prompt[:20]}...",
    "in tokens": lambda prompt: prompt.split(),
}


def failing(words: object, kind: type[Exception] = ValueError) -> Exception:
    """An exception with these words, as it is where it was caught."""
    try:
        raise kind(words)
    except Exception as error:  # noqa: BLE001 - whatever kind was asked for
        return error


def wrapped(message: str, cause: Exception | None) -> ClassifierError:
    """An error of SafeGen's own that came of another exception."""
    try:
        raise ClassifierError(message) from cause
    except ClassifierError as error:
        return error


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
def test_the_words_of_other_code_are_not_told(quote: Callable[[str], object]) -> None:
    """Its type and where it was raised are, also where an error of SafeGen's own repeats it."""
    other = failing(f"bad prompt {quote(PROMPT)}")
    inner = wrapped(f"no answer: {other}", other)
    outer = wrapped(f"classifier 'x' failed: {inner.message}", inner)
    elsewhere = wrapped(f"failed with {quote(PROMPT)} for once", other)
    there = told(other, PROMPT)

    assert re.fullmatch(r"ValueError in failing \(test_audit_ledger_failures\.py:\d+\)", there)
    assert told(outer, PROMPT) == f"ClassifierError: classifier 'x' failed: no answer: {there}"
    assert re.fullmatch(
        rf"ClassifierError in wrapped \([a-z_]+\.py:\d+\), from {re.escape(there)}",
        told(elsewhere, PROMPT),
    )
    for failure in (other, outer, elsewhere):
        said = traced(failure)
        assert "Zoë" not in said
        assert "zoë" not in said
        assert "Zo\\u" not in said
        assert "Traceback" in said
        assert there in said


def test_an_exception_without_words_or_place_is_told_by_its_type() -> None:
    """One that was never raised has no place; one without words leaves those of SafeGen alone."""
    assert told(ValueError(PROMPT)) == "ValueError"
    assert told(wrapped("it failed: ", failing(""))).startswith("ClassifierError in wrapped (")


def test_a_failure_of_the_system_is_told_by_its_name() -> None:
    """That a disk is full is in no text; nor is what other code puts there in place of a number."""
    full = OSError(28, "No space left on device", PROMPT)

    assert told(full) == "OSError ENOSPC"
    assert told(OSError(PROMPT, PROMPT)) == "OSError"


def test_words_of_our_own_are_told_without_the_prompt() -> None:
    """What SafeGen says itself stays, and what is private is taken out of it."""
    assert told(OutputError(f"cannot keep {PROMPT!r}", "try again"), PROMPT, "") == (
        "OutputError: cannot keep '[hidden]'"
    )


def test_a_traceback_goes_back_to_the_first_failure() -> None:
    """Each failure comes after the one that led to it; one that was set apart is left out."""
    first = failing("first", KeyError)
    try:
        try:
            raise first
        except KeyError:
            raise TypeError("second")  # noqa: B904 - what was being handled counts too
    except TypeError as error:
        last = wrapped("third", error)
    said = traced(last)

    assert said.index("KeyError in") < said.index("TypeError in") < said.index("ClassifierError in")
    first.__context__ = last  # a circle ends
    assert traced(last) == said
    last.__cause__ = None
    last.__suppress_context__ = True
    assert "KeyError" not in traced(last)


@pytest.mark.parametrize("prompt", ["a pipe bomb", 'say "hi"\nnow', "Zoë's cat"])
def test_errors_do_not_quote_the_prompt(prompt: str) -> None:
    """Neither as it is nor as Python writes it; what is shorter than four letters is left."""
    for text in (f"cannot read {prompt}!", f"cannot read {prompt!r}!"):
        assert prompt not in hidden(text, prompt, "")
        assert repr(prompt)[1:-1] not in hidden(text, prompt, "")

    assert hidden("a cat", "cat") == "a cat"


def test_the_longest_is_taken_out_first() -> None:
    """Of a name that holds another nothing is left."""
    failure = OutputError("cannot: annabella lives here")

    assert told(failure, "anna", "annabella") == "OutputError: cannot: [hidden] lives here"


@pytest.mark.parametrize("prompt", ["Clas", "Error", "Err"])
def test_the_type_of_an_error_is_not_the_prompts(prompt: str) -> None:
    """It stands there whatever was asked, so it is told in full."""
    assert told(wrapped("it failed", None), prompt) == "ClassifierError: it failed"


@pytest.mark.parametrize("private", ["Ann", "Zo\u00eb", "\u674e\u5a1c", "417", "\n!"])
def test_what_is_too_short_to_take_out_takes_the_words_along(private: str) -> None:
    """Of an error that quotes it, type and place are left; where it is not quoted, all."""
    quoting = wrapped(f"cannot read {private!r} of it", None)

    assert re.fullmatch(r"ClassifierError in wrapped \([a-z_]+\.py:\d+\)", told(quoting, private))
    assert without(f"the account {private} was refused", "[hidden]", "", private) == "[hidden]"
    assert told(OutputError("the disk is full"), private, "") == "OutputError: the disk is full"
