"""Conditions: CEL expressions, type-checked when the policy is loaded.

Every score is declared as its own variable `score.NAME` (double), every fact as `fact.NAME` (bool)
and what is known of the request as `request.NAME` (string), so that a typing error is found at
load, not in production.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel

REQUEST = ("tenant", "region", "age_band", "surface")
_WHERE = re.compile(r"<input>:(\d+):(\d+): ([^\n]*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_VARIABLE = re.compile(r"\b(?:score|fact|request)\.\w+")


class ConditionError(ValueError):
    """A condition is wrong; `column` counts from 1 within the condition."""

    def __init__(self, reason: str, column: int, mend: str | None = None) -> None:
        super().__init__(reason)
        self.column = column
        self.mend = mend


@dataclass(frozen=True)
class Condition:
    """One compiled condition and the variables it names."""

    text: str
    variables: tuple[str, ...]
    _program: Any

    def holds(self, activation: Any) -> bool:
        """Whether it holds for these values."""
        return self._program.eval(activation).value() is True


class Conditions:
    """Compiles conditions over the scores and facts that the policy's classifiers give."""

    def __init__(self, scores: Sequence[str], facts: Sequence[str]) -> None:
        """Declare the variables."""
        types = {f"score.{name}": cel.Type.DOUBLE for name in scores}
        types |= {f"fact.{name}": cel.Type.BOOL for name in facts}
        types |= {f"request.{name}": cel.Type.STRING for name in REQUEST}
        self._names = tuple(types)
        self._environment = cel.NewEnv(variables=types)

    def compile(self, text: str) -> Condition:
        """Compile one condition.

        Raises:
            ConditionError: it does not parse, names an unknown variable, or is no yes/no question.
        """
        try:
            program = self._environment.compile(text)
        except RuntimeError as error:
            raise self._explained(str(error)) from error
        if program.return_type() != cel.Type.BOOL:
            raise ConditionError(
                f"the condition gives {program.return_type()}, expected yes or no",
                1,
                "compare it with something, e.g. `score.x >= 0.5`",
            )
        return Condition(text, tuple(dict.fromkeys(_VARIABLE.findall(text))), program)

    def activation(self, values: Mapping[str, float | bool | str]) -> Any:
        """Values of all variables, shared by the conditions of one decision."""
        return self._environment.Activation(values)

    def _explained(self, message: str) -> ConditionError:
        found = _WHERE.search(message)
        reason = found.group(3) if found else message
        column = int(found.group(2)) if found else 1
        if unknown := _UNDECLARED.search(reason):
            name = unknown.group(1)
            near = difflib.get_close_matches(name, self._names, n=1)
            mend = f"did you mean {near[0]}?" if near else f"known are: {', '.join(self._names)}"
            return ConditionError(f"unknown variable {name}", column, mend)
        return ConditionError(reason, column)
