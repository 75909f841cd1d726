"""The words that mutations work with: those that are shipped, and those of users' files."""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from safegen.errors import InputError
from safegen.nouns import Frozen
from safegen.policy.load import decoded, parse_yaml

_Word = Annotated[str, Field(min_length=1)]


def _holds_a_prompt(template: str) -> str:
    if template.count("{}") != 1:
        raise ValueError(f"{template!r} must hold {{}} once, where the prompt goes")
    return template


_Template = Annotated[str, AfterValidator(_holds_a_prompt)]


class Words(Frozen):
    """What mutations put in place of words or around them; all words are plain ones."""

    paraphrases: tuple[Annotated[tuple[_Word, ...], Field(min_length=2)], ...] = Field(
        default=(), description="groups of words that mean the same"
    )
    indirect: dict[_Word, Annotated[tuple[_Word, ...], Field(min_length=1)]] = Field(
        default={}, description="word -> what describes it without naming it"
    )
    contexts: tuple[_Template, ...] = Field(
        default=(), description="harmless settings; {} is the prompt"
    )
    styles: tuple[_Template, ...] = Field(
        default=(), description="words about the picture; {} is the prompt"
    )
    disarming: tuple[_Template, ...] = Field(
        default=(), description="settings that do not keep the meaning; {} is the prompt"
    )
    soup: tuple[_Word, ...] = Field(default=(), description="words to hide a prompt among")
    languages: dict[_Word, dict[_Word, _Word]] = Field(
        default={}, description="language -> English word -> the same in that language"
    )

    @property
    def phrases(self) -> tuple[str, ...]:
        """The English words that paraphrases and descriptions know."""
        return (*(word for group in self.paraphrases for word in group), *self.indirect)

    def and_those_of(self, other: "Words") -> "Words":
        """These words and another's."""
        indirect = dict(self.indirect)
        for word, told in other.indirect.items():
            indirect[word] = (*indirect.get(word, ()), *told)
        languages = dict(self.languages)
        for name, words in other.languages.items():
            languages[name] = languages.get(name, {}) | words
        return Words(
            paraphrases=self.paraphrases + other.paraphrases,
            indirect=indirect,
            contexts=self.contexts + other.contexts,
            styles=self.styles + other.styles,
            disarming=self.disarming + other.disarming,
            soup=self.soup + other.soup,
            languages=languages,
        )


def shipped_words() -> Words:
    """The words that come with SafeGen."""
    source = files("safegen.evaluation.mutations").joinpath("words.yaml")
    return _parsed(source.read_text(encoding="utf-8"), "words.yaml")


def read_words(paths: Iterable[Path]) -> Words:
    """The shipped words, and those of the files.

    Raises:
        InputError: a file cannot be read.
        PolicyError: it says something else, with file:line:column.
    """
    words = shipped_words()
    for path in paths:
        try:
            text = decoded(path.read_bytes(), str(path))
        except OSError as error:
            raise InputError(
                f"cannot read the words {path}: {error.strerror}", "give a YAML file"
            ) from error
        words = words.and_those_of(_parsed(text, str(path)))
    return words


def _parsed(text: str, source: str) -> Words:
    words, _ = parse_yaml(text, source, Words, _schema, "the words", "paraphrases:")
    return words


@cache
def _schema() -> dict[str, Any]:
    return Words.model_json_schema()
