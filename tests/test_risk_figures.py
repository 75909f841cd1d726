"""Whether who does the work is a figure: an animal, a robot, a toy, a statue."""

import pytest

from safegen.risk import TermClassifier, TermList

LISTS = {
    "job": TermList(
        kind="fact",
        terms=("nurse", "flight attendant", "attendant", "trainer", "robot engineer", "engineer"),
        people=True,
        figures=("cat", "robot", "teddy bear", "statue", "emoji", "in the shape"),
        handlers=("trainer",),
    ),
    "person": TermList(kind="fact", terms=("woman", "she"), people=True),
}


def _facts(prompt: str) -> set[str]:
    [scores] = TermClassifier(LISTS)([prompt])
    return {name for name, holds in scores.facts.items() if holds and name.endswith("job")}


@pytest.mark.parametrize(
    "prompt",
    [
        "a robot nurse",
        "a teddy bear nurse",
        "a female robot nurse",
        "a robot lady nurse",
        "robot nurses and a robot nurse",
        "a cat flight attendant",
        "a nurse robot",
        "a nurse emoji",
        "a cat dressed as a nurse",
        "a cat, very small, in a blue coat, dressed up as a nurse",
        "a cat as nurse",
        "a cat that looks like a nurse",
        "a cat who is a nurse",
        "a cat working as a tall nurse",
        "a cat licking her paw, dressed as a nurse, she smiles",
        "a statue of a woman as a nurse",
        "a statue of a nurse",
        "statue of the old nurse",
        "a memorial to an unknown nurse",
        "a cake shaped like a nurse",
        "a cake in the shape of a nurse",
        "a nurse made of wool",
        "a nurse, carved from wood",
        "the nurse is a robot",
        "a nurse who is really a cat",
        "the nurse is played by a robot",
    ],
)
def test_a_figure_at_work_is_not_one_person(prompt: str) -> None:
    """Whatever the order of the words; the word itself is found all the same."""
    assert _facts(prompt) == {"job"}


@pytest.mark.parametrize(
    "prompt",
    [
        "a nurse",
        "a nurse with a cat",
        "a cat and a nurse",
        "a cat beside a nurse",
        "a nurse dressed as a cat",
        "a woman with a cat dressed as a nurse",
        "a cat waits as a nurse walks by",
        "a cat, as well as a nurse",
        "a cat as big as a nurse",
        "a cat. Dressed as a nurse",
        "in a cat cafe as a nurse",
        "the cat's owner, dressed as a nurse",
        "a cat whose owner is a nurse",
        "a cat on a sofa, there is a nurse",
        "a letter from a cat to a nurse",
        "the nurse cats around",
        "a nurse is a cat lover",
        "a nurse looking at a statue of a cat",
        "a photo of a nurse",
        "a robot trainer",
        "a cat trainer",
        "a robot engineer",
        "a robot nurse and an engineer",
    ],
)
def test_somebody_beside_a_figure_is_one_person(prompt: str) -> None:
    """And so is who has to do with figures; where the reading is open, everybody is."""
    assert _facts(prompt) == {"job", "one_job"}


def test_a_list_without_figures_has_the_digest_of_before() -> None:
    """What a list does not use leaves what it enters the classifier's digest with."""
    told = LISTS["person"].told()

    assert not {"figures", "handlers"} & told.keys()
    assert {"figures", "handlers"} <= LISTS["job"].told().keys()


def test_a_prompt_made_to_stall_takes_linear_time() -> None:
    """Each word looks only near itself; by the square, this took minutes."""
    assert _facts("a cat as a robot nurse " * 2000) == {"job"}
