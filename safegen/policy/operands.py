"""What a condition compares its variables with, read from its text.

A whole comparison of one variable with constants comes out differently only beyond these; so do all
facts. How a variable acts that is added to, compared with another or given to a function, the text
does not say: it is `calculated`.
"""

import math
import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from cel_expr_python import cel

from safegen.nouns import Value

_TOKEN = re.compile(
    r"""
    (?P<gap> \s+ | //[^\n]* )
  | (?P<text> [bB]? [rR] (?: '''.*?''' | \"\"\".*?\"\"\" | '[^'\n]*' | "[^"\n]*" )
      | [bB]? (?: '''(?:\\.|[^\\])*?''' | \"\"\"(?:\\.|[^\\])*?\"\"\"
        | '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" ) )
  | (?P<number> (?: \d+ (?:\.\d+)? | \.\d+ ) (?:[eE][-+]?\d+)? (?!\w) )
  | (?P<word> \w+ )
  | (?P<sign> && | \|\| | [<>=!]= | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
_EQUAL = ("==", "!=")
# Beyond these, what stands between is not part of something greater that binds more tightly.
_BEFORE = {"(", "[", "{", ",", "&&", "||", "?", ":", ""}
_AFTER = {")", "]", "}", ",", "&&", "||", "?", ":", ""}
_OPEN = ("(", "[", "{")
_CLOSE = (")", "]", "}")


class Threshold(NamedTuple):
    """A score compared with a number, the score on the left."""

    variable: str
    sign: str
    number: float


class Operands(NamedTuple):
    """What stands in a condition."""

    comparisons: tuple[Threshold, ...]
    calculated: frozenset[str]
    numbers: frozenset[float]
    texts: frozenset[str]
    compared: tuple[tuple[str, str], ...]
    """A text of the request, and one that it is compared with, in their order."""


class Requirement(NamedTuple):
    """What a condition waits for: a score of at least so much, a fact that is so, a text alike."""

    variable: str
    value: Value


class _Token(NamedTuple):
    kind: str
    text: str
    value: Any = None


_END = _Token("", "")


@lru_cache(maxsize=4096)  # lint, diff and explain ask for the same ones again and again
def operands(condition: str) -> Operands:
    """Read a condition that CEL has compiled."""
    tokens = [_END, *_tokens(condition), _END, _END, _END]
    comparisons: list[Threshold] = []
    compared_texts: list[tuple[str, str]] = []
    calculated = set()
    for at, token in enumerate(tokens):
        if token.kind != "variable" or token.text.startswith("fact."):
            continue
        if compared := _compared(tokens, at):
            sign, value = compared
            if isinstance(value, float):
                comparisons.append(Threshold(token.text, sign, value))
            else:
                compared_texts.append((token.text, value))
        elif listed := _listed(tokens, at):
            compared_texts += [(token.text, each.value) for each in listed if each.kind == "text"]
        else:
            calculated.add(token.text)
    return Operands(
        comparisons=tuple(comparisons),
        calculated=frozenset(calculated),
        numbers=frozenset(token.value for token in tokens if token.kind == "number"),
        texts=frozenset(token.value for token in tokens if token.kind == "text"),
        compared=tuple(compared_texts),
    )


def needs(condition: str) -> list[frozenset[Requirement]]:
    """What must be so for a condition to hold that CEL has compiled: of each set, at least one.

    Where nothing of a set is so, and all values are of their types, the condition does not hold,
    whatever stands beside it: to CEL, no and an error are a no. What is not understood needs
    nothing.
    """
    return _needs(_nested(_tokens(condition)))


def _needs(tokens: Sequence[_Token]) -> list[frozenset[Requirement]]:
    if any(token.text == "?" for token in tokens):
        return []
    either = _parted(tokens, "||")
    if len(either) > 1:
        # No or an error is an error: one set of each side, so that together they say that all do
        # not hold.
        sides = [_needs(part) for part in either]
        return [frozenset().union(*(side[0] for side in sides))] if all(sides) else []
    both = _parted(tokens, "&&")
    if len(both) > 1:
        return [need for part in both for need in _needs(part)]
    if [token.kind for token in tokens] == ["("]:
        return _needs(tokens[0].value)
    needed = _needed(tokens)
    return [needed] if needed else []


def _needed(tokens: Sequence[_Token]) -> frozenset[Requirement]:
    """What a term without && and || waits for, if it is a fact or a comparison and no more."""
    first, last = tokens[0], tokens[-1]
    if len(tokens) == 1 and first.text.startswith("fact."):
        return frozenset([Requirement(first.text, True)])
    if len(tokens) != 3:
        return frozenset()
    if tokens[1].text == "in" and first.kind == "variable" and last.kind == "[":
        listed = [token for token in last.value if token.text != ","]
        texts = all(token.kind == "text" for token in listed)
        return frozenset(Requirement(first.text, token.value) for token in listed if texts)
    variable = first if first.kind == "variable" else last
    compared = _compared([_END, *tokens, _END, _END, _END], 1 if variable is first else 3)
    if variable.kind != "variable" or compared is None:
        return frozenset()
    sign, value = compared
    if isinstance(value, str):
        return frozenset([Requirement(variable.text, value)] if sign == "==" else [])
    least = math.nextafter(value, math.inf) if sign == ">" else value
    # No score is below 0: nothing ever waits for that.
    waits = sign in (">", ">=", "==") and least > 0
    return frozenset([Requirement(variable.text, least)] if waits else [])


def _nested(tokens: Iterable[_Token]) -> list[_Token]:
    """What stands in brackets as one token of their kind, once for all its levels."""
    levels: list[list[_Token]] = [[]]
    for token in tokens:
        if token.text in _OPEN:
            levels.append([])
        elif token.text in _CLOSE:
            inner = levels.pop()
            levels[-1].append(_Token(_OPEN[_CLOSE.index(token.text)], "", inner))
        else:
            levels[-1].append(token)
    return levels[0]


def _parted(tokens: Iterable[_Token], sign: str) -> list[list[_Token]]:
    parts: list[list[_Token]] = [[]]
    for token in tokens:
        if token.text == sign:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _tokens(condition: str) -> list[_Token]:
    tokens: list[_Token] = []
    for found in _TOKEN.finditer(condition):
        kind, text = str(found.lastgroup), found.group()
        named = [token.text for token in tokens[-2:]]
        if kind == "gap":
            continue
        if kind == "word" and named in (["score", "."], ["fact", "."], ["request", "."]):
            tokens[-2:] = [_Token("variable", f"{named[0]}.{text}")]
        elif kind == "number":
            tokens.append(_Token(kind, text, float(text)))
        elif kind == "text" and text[0] not in "bB":  # bytes are compared with no variable
            tokens.append(_Token(kind, text, _literal(text)))
        else:
            tokens.append(_Token("", text))
    return tokens


def _compared(tokens: Sequence[_Token], at: int) -> tuple[str, float | str] | None:
    """The sign and the constant, if the variable there is compared with one and no more."""
    before, after = tokens[at - 1], tokens[at + 1]
    if before.text in _BEFORE:
        sign = after.text
        minus = tokens[at + 2].text == "-"
        constant, end = tokens[at + 2 + minus], tokens[at + 3 + minus]
    elif before.text in _MIRRORED and after.text in _AFTER:
        sign, minus = _MIRRORED[before.text], False
        constant, end = tokens[at - 2], after
        if tokens[at - 3].text not in _BEFORE:
            return None
    else:
        return None
    signs = {"number": _MIRRORED, "text": _EQUAL}.get(constant.kind, ())
    if sign not in signs or end.text not in _AFTER:
        return None
    return sign, -constant.value if minus else constant.value


def _listed(tokens: Sequence[_Token], at: int) -> Sequence[_Token]:
    """The list of constants, brackets and all, in which the variable there is looked for.

    Nothing if it is not, or if there is more to it.
    """
    if tokens[at - 1].text not in _BEFORE or tokens[at + 1].text + tokens[at + 2].text != "in[":
        return ()
    end = at + 3
    while tokens[end].kind in ("number", "text") or tokens[end].text == ",":
        end += 1
    whole = tokens[end].text == "]" and tokens[end + 1].text in _AFTER
    return tokens[at + 2 : end + 1] if whole else ()


@cache
def _environment() -> Any:
    return cel.NewEnv(variables={})


def _literal(text: str) -> str:
    """What a text in quotes stands for."""
    environment = _environment()
    return str(environment.compile(text).eval(environment.Activation({})).value())
