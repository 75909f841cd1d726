"""Conditions: CEL expressions, type-checked when the policy is loaded.

Every score is declared as its own variable `score.NAME` (double), every fact as `fact.NAME` (bool)
and what is known of the request as `request.NAME` (string), so that a typing error is found at
load, not in production. CEL would also take `score .NAME` and the like; we do not, so that whoever
asks `variables_in` what a condition reads misses nothing.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from cel_expr_python import cel

from safegen.errors import did_you_mean, nearest
from safegen.nouns import Values
from safegen.policy.schema import ContextName

REQUEST: tuple[ContextName, ...] = get_args(ContextName)
_LISTED = 50_000  # characters of one list of conditions; CEL takes 100,000
_WHERE = re.compile(r"<input>:(\d+):(\d+): ([^\n]*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_LOOP = re.compile(r"\b(all|exists|exists_one|map|filter)\s*(?://[^\n]*\s*)*\(")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_SIGNS = {
    "and": ("&&", re.compile(r"\band\b", re.IGNORECASE)),
    "or": ("||", re.compile(r"\bor\b", re.IGNORECASE)),
    "not": ("!", re.compile(r"\bnot\b", re.IGNORECASE)),
    "=": ("==", re.compile(r"(?<![=!<>])=(?!=)")),
}
_COMMA = re.compile(r"[<>=]\s*([0-9]+),([0-9]+)")
_PERCENT = re.compile(r"[<>=]\s*([0-9]+(?:\.[0-9]+)?)%")
_VARIABLE = re.compile(r"\b(?:score|fact|request)\.\w+")


class ConditionError(ValueError):
    """A condition is wrong; `line` and `column` count from 1 within the condition."""

    def __init__(
        self, reason: str, line: int = 1, column: int = 1, mend: str | None = None
    ) -> None:
        super().__init__(reason)
        self.line = line
        self.column = column
        self.mend = mend


@dataclass(frozen=True)
class Condition:
    """One compiled condition and the variables it names."""

    text: str
    variables: tuple[str, ...]
    _program: Any

    def holds(self, activation: Any) -> bool:
        """Whether it holds for these values.

        Raises:
            ConditionError: it cannot be evaluated, e.g. it divides by zero.
        """
        result = self._program.eval(activation)
        # A failed evaluation comes as a value, not as an exception: taking it for "no" would let
        # the request pass.
        if result.type() != cel.Type.BOOL:
            raise ConditionError(f"the condition cannot be evaluated: {result.value()}")
        return bool(result.value())


class Together:
    """Many conditions as a few programs, which is several times as fast as one after the other."""

    def __init__(self, programs: Sequence[Any] | None) -> None:
        self._programs = programs

    def holding(self, activation: Any) -> list[bool] | None:
        """Which of them hold, in their order.

        None if one of them cannot be evaluated, which makes an error of the whole, or if they
        cannot stand together: each by itself then says which.
        """
        if self._programs is None:
            return None
        every: list[bool] = []
        for program in self._programs:
            holding = program.eval(activation).plain_value()
            if not isinstance(holding, list) or set(map(type, holding)) - {bool}:
                return None
            every += holding
        return every


def variables_in(condition: str) -> list[str]:
    """The variables that a condition may read: each once, and what looks like one in a text."""
    return list(dict.fromkeys(_VARIABLE.findall(condition)))


class Conditions:
    """Compiles conditions over the scores and facts that the policy's classifiers give."""

    def __init__(self, scores: Iterable[str], facts: Iterable[str]) -> None:
        """Declare the variables."""
        types = {f"score.{name}": cel.Type.DOUBLE for name in scores}
        types |= {f"fact.{name}": cel.Type.BOOL for name in facts}
        types |= {f"request.{name}": cel.Type.STRING for name in REQUEST}
        self._names = tuple(types)
        self._environment = cel.NewEnv(variables=types)
        self._renamed = cel.NewEnv(variables={_renamed(n): kind for n, kind in types.items()})

    def compile(self, text: str) -> Condition:
        """Compile one condition.

        Raises:
            ConditionError: it does not parse, names an unknown variable or one that is not written
                as one word, is no yes/no question, or loops: nested loops over a few values take
                longer than any request may.
        """
        if loop := _LOOP.search(text):
            before = text[: loop.start()]
            raise ConditionError(
                f"{loop.group(1)}() loops, which conditions cannot",
                before.count("\n") + 1,
                len(before) - before.rfind("\n"),
                "join comparisons with && and ||",
            )
        try:
            program = self._environment.compile(text)
        except RuntimeError as error:
            wrong = self._explained(str(error))
            wrong.mend = wrong.mend or _as_cel(text)
            raise wrong from error
        if program.return_type() != cel.Type.BOOL:
            raise ConditionError(
                f"the condition gives {program.return_type()}, expected yes or no",
                mend="compare it with something, e.g. `score.x >= 0.5`",
            )
        self._refuse_other_spellings(text)
        named = [name for name in variables_in(text) if name in self._names]
        return Condition(text, tuple(named), program)

    def _refuse_other_spellings(self, text: str) -> None:
        """With all variables renamed, those are left that `variables_in` does not see."""
        try:
            self._renamed.compile(_VARIABLE.sub(lambda found: _renamed(found.group()), text))
        except RuntimeError as error:
            where, name = _WHERE.search(str(error)), _UNDECLARED.search(str(error))
            if where is None or name is None:
                raise self._explained(str(error)) from error
            raise ConditionError(
                f"the variable {name.group(1)} is not written as one word",
                int(where.group(1)),
                int(where.group(2)),
                f"write {name.group(1)}, with nothing in between and no brackets",
            ) from error

    def together(self, conditions: Iterable[Condition]) -> Together:
        """Conditions that were compiled here, as few programs as CEL's limits allow."""
        lists: list[list[str]] = [[]]
        length = 0
        for condition in conditions:
            # The line break ends comments.
            text = f"({condition.text}\n)"
            length += len(text)
            if lists[-1] and length > _LISTED:
                lists.append([])
                length = len(text)
            lists[-1].append(text)
        try:
            compiled = [self._environment.compile(f"[{', '.join(each)}]") for each in lists]
        except RuntimeError:  # one that is as long or as nested as may be fits into no list
            return Together(None)
        return Together(compiled)

    def activation(self, values: Values) -> Any:
        """Values of all variables, shared by the conditions of one decision."""
        return self._environment.Activation(values)

    def _meant(self, name: str) -> str:
        """How to mend an unknown variable."""
        kind, _, rest = name.partition(".")
        other = {"score": "fact", "fact": "score"}.get(kind, "")
        if f"{other}.{rest}" in self._names:
            return f"{rest} is a {other}: write {other}.{rest}"
        # So few and such short names are alike by chance.
        if kind == "request" and not nearest(name, self._names, 0.85):
            return f"rules see of a request {', '.join(REQUEST)}, and nothing else"
        return did_you_mean(name, self._names)

    def _explained(self, message: str) -> ConditionError:
        found = _WHERE.search(message)
        if found is None:
            return ConditionError(message)
        line, column, reason = int(found.group(1)), int(found.group(2)), found.group(3)
        if unknown := _UNDECLARED.search(reason):
            name = unknown.group(1)
            # The message points behind the name's first dot.
            start = column - len(name.split(".")[0]) if "." in name else column
            return ConditionError(f"unknown variable {name}", line, start, self._meant(name))
        mend = "write numbers with a point, e.g. 1.0" if "(double, int)" in reason else None
        return ConditionError(reason, line, column, mend)


def _as_cel(text: str) -> str | None:
    """How CEL writes what others write as words, percents or commas, if any is out of quotes."""
    bare = _QUOTED.sub("", text)
    found = [f"{sign} for {word}" for word, (sign, seen) in _SIGNS.items() if seen.search(bare)]
    found += [f"{w}.{part} for {w},{part}" for w, part in _COMMA.findall(bare)]
    found += [f"{float(number) / 100!r} for {number}%" for number in _PERCENT.findall(bare)]
    return f"write {', '.join(found)}" if found else None


def _renamed(variable: str) -> str:
    return variable[0].upper() + variable[1:]
