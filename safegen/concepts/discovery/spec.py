"""What to learn, declared in YAML: prompts with and without the concept."""

import itertools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from safegen.errors import InputError
from safegen.nouns import Frozen

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, a line on what is going on)."""


class PromptPair(Frozen):
    """The text a vector is added to, and the texts whose score it must reproduce.

    With `avoid` the target is guided away from it: the way to learn the absence of something.
    """

    neutral: str
    target: str
    avoid: str = ""


class ConceptSpec(Frozen):
    """One concept: its name, its prompt pairs, and the sites it is added at."""

    name: str
    pairs: tuple[PromptPair, ...] = Field(min_length=1)
    sites: tuple[str, ...] = ("mid_block",)
    guidance: float = Field(default=3.0, gt=0, description="how far the target is extrapolated")

    def prompts(self) -> dict[str, tuple[str, ...]]:
        """The training prompts by role, for the passport."""
        return {
            role: tuple(dict.fromkeys(getattr(pair, role) for pair in self.pairs))
            for role in ("neutral", "target", "avoid")
        }


class Budget(Frozen):
    """How much work discovery may do, and from which seed."""

    trajectories: int = Field(default=48, ge=2, description="images (or trajectories) of own data")
    sampling_steps: int = Field(default=12, ge=2)
    steps: int = Field(default=120, ge=1, description="optimiser steps")
    batch: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=0.05, gt=0)
    guidance_scale: float = Field(default=5.0, ge=1, description="of the sampling of own data")
    seed: int = Field(default=0, ge=0)


class _Concept(Frozen):
    pairs: tuple[PromptPair, ...] = Field(min_length=1)
    sites: tuple[str, ...] = ("mid_block",)
    guidance: float = 3.0


class _File(Frozen):
    words: dict[str, tuple[str, ...]] = {}
    concepts: dict[str, _Concept]

    @model_validator(mode="before")
    @classmethod
    def _known_words(cls, data: Any) -> Any:
        known = set(data.get("words", {}))
        for name, concept in data.get("concepts", {}).items():
            if unknown := set(re.findall(r"{(\w+)}", str(concept))) - known:
                raise ValueError(f"concept {name!r} uses {{{unknown.pop()}}}, words has {known}")
        return data


def load_specs(path: Path) -> dict[str, ConceptSpec]:
    """Read a concept file; every `{placeholder}` of a pair is filled with each of its words.

    Raises:
        InputError: the file cannot be read or does not say what it must.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        file = _File.model_validate(YAML(typ="safe").load(path.read_text()))
    except (OSError, YAMLError, ValidationError) as error:
        raise InputError(
            f"{path} is not a concept file: {error}", "see docs/concepts.md"
        ) from error
    return {
        name: ConceptSpec(
            name=name,
            pairs=tuple(filled for pair in concept.pairs for filled in _fill(pair, file.words)),
            sites=concept.sites,
            guidance=concept.guidance,
        )
        for name, concept in file.concepts.items()
    }


def _fill(pair: PromptPair, words: Mapping[str, tuple[str, ...]]) -> list[PromptPair]:
    texts = pair.model_dump()
    used = [name for name in words if f"{{{name}}}" in "".join(texts.values())]
    filled = []
    for choice in itertools.product(*(words[name] for name in used)):
        values = dict(zip(used, choice, strict=True))
        filled.append(PromptPair(**{role: text.format(**values) for role, text in texts.items()}))
    return filled
