"""What was found, for machines, for people, and as test cases of the policy."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from safegen import pages
from safegen.audit.text import plain
from safegen.evaluation.redteam.found import ByImages, ByWords, Hole, Tally
from safegen.evaluation.report import sheet, told
from safegen.evaluation.results import SHEET, evenly
from safegen.policy.casefile import case_file

_EXAMPLES = 5  # of each mutation, on the page
_STYLE = (
    ".holes td,.holes th{text-align:left;vertical-align:top}"
    "td:nth-child(2),th:nth-child(2){text-align:left}"
    ".holes{font-size:13px}"
)
_HEAD = (
    "{count} prompts that get past the policy although they mean what another one means.",
    "`safegen policy test` with this file fails for each until the policy guards against it.",
)
_FOOT = (
    "{count} prompts brought harmful images although the policy decides about them as it does "
    "about the original.",
    "No test of a prompt can say that: steer harder, check the images, or block. report.html shows "
    "them.",
)


def holes_of(by_words: ByWords, by_images: ByImages | None) -> list[Hole]:
    """All holes that a test case can tell, no prompt twice."""
    found = [*by_words.holes]
    found += [each.hole for each in by_images.breaks if each.hole] if by_images else []
    return list({(hole.prompt, hole.context): hole for hole in found}.values())


def as_json(
    by_words: ByWords, by_images: ByImages | None, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything but the pictures."""
    report: dict[str, Any] = {"about": dict(about), "words": by_words.model_dump(mode="json")}
    if by_images is not None:
        report["images"] = {
            "attacked": list(by_images.attacked),
            "tallies": [each.model_dump(mode="json") for each in by_images.tallies],
            "breaks": [each.model_dump(mode="json") for each in by_images.breaks],
        }
    return report


def as_cases(by_words: ByWords, by_images: ByImages | None, policy: str) -> str:
    """A policy file that imports `policy` (a pack's name or a path) and tests every hole."""
    holes = holes_of(by_words, by_images)
    strong = [each for each in by_images.breaks if not each.hole] if by_images else []
    return case_file(
        "holes",
        policy,
        [(_comment(hole), _case(hole)) for hole in holes],
        head=[line.format(count=len(holes)) for line in _HEAD],
        foot=[line.format(count=len(strong)) for line in _FOOT] if strong else (),
    )


def as_html(by_words: ByWords, by_images: ByImages | None, about: Mapping[str, Any]) -> str:
    """Tables with intervals, examples of every mutation, and blurred pictures."""
    parts = [
        pages.table(("", ""), ((name, str(value)) for name, value in about.items())),
        "<h2>By words alone</h2>",
        f"<p>{by_words.guarded} prompts that the policy guards against, mutated so that they keep "
        "their meaning. What gets through is decided about less gravely than the original.</p>",
        _table("mutation", by_words.tallies),
    ]
    if by_words.unguarded:
        parts += [
            f"<p>{len(by_words.unguarded)} of the prompts given are not guarded against at all, "
            "and so were not attacked:</p>",
            _list(by_words.unguarded[: 4 * _EXAMPLES]),
        ]
    for tally in by_words.tallies:
        holes = [hole for hole in by_words.holes if hole.mutation == tally.mutation]
        if holes:
            more = f", {_EXAMPLES} of {len(holes)}" if len(holes) > _EXAMPLES else ""
            parts.append(f"<h3>{escape(tally.mutation)}{more}</h3>")
            parts.append(_examples(evenly(holes, _EXAMPLES)))
    if by_images is not None:
        parts += _images(by_images)
    return pages.page("Red team", "".join(parts), pages.REPORT + _STYLE)


def unseen(hole: Hole) -> str:
    """The nearest miss: what would have been enough for the rules that were lost."""
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in hole.unseen.items())


def _images(found: ByImages) -> list[str]:
    return [
        "<h2>By images</h2>",
        f"<p>{len(found.attacked)} prompts attacked on the model with the whole guard. What gets "
        "through brings an image that an independent judge finds harmful.</p>",
        _table("attack", found.tallies),
        sheet("what got through, blurred", evenly(found.pictures, SHEET)),
        pages.table(
            ("attack", "original", "found", "category", "harmful"),
            (
                (
                    b.attack,
                    plain(b.original),
                    plain(b.found),
                    b.category,
                    f"{b.harmful} of {b.images}",
                )
                for b in found.breaks
            ),
        ),
    ]


def _table(kind: str, tallies: Iterable[Tally]) -> str:
    def row(each: Tally) -> Sequence[str]:
        counts = (str(each.tried), str(each.held), str(each.tried - each.held))
        return each.mutation, each.about, *counts, told(each.through) if each.through else "-"

    heads = (kind, "what it does", "tried", "held", "got through", "share, with 95 % interval")
    return pages.table(heads, map(row, tallies))


def _examples(holes: Iterable[Hole]) -> str:
    def row(hole: Hole) -> Sequence[str]:
        prompts = (plain(hole.original), plain(hole.prompt))
        rules = (", ".join(hole.lost) or "-", ", ".join(hole.fired) or "none")
        return *prompts, hole.steps, f"{hole.expected} → {hole.got}", *rules, unseen(hole) or "-"

    heads = ("original", "gets through as", "by", "outcome", "should have fired", "fired instead")
    return f'<div class="holes">{pages.table((*heads, "it lacked"), map(row, holes))}</div>'


def _list(texts: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(plain(text))}</li>' for text in texts)}</ul>"


def _comment(hole: Hole) -> str:
    """In ASCII, prompts as JSON, so that nothing in them can end it."""
    lost = f"; {', '.join(hole.lost)} lacked {unseen(hole)}" if hole.lost else ""
    return f"{json.dumps(hole.original)} by {json.dumps(hole.steps)}{lost}"


def _case(hole: Hole) -> dict[str, Any]:
    context = hole.context.model_dump(exclude_defaults=True)
    return {
        "prompt": hole.prompt,
        **({"context": context} if context else {}),
        "expect": hole.expected.value,
        **({"rules": list(hole.rules)} if hole.rules else {}),
    }
