"""Over-blocking counts what a policy does to harmless prompts with scary words."""

from pathlib import Path

from safegen.evaluation.overblocking import BENIGN, measure
from safegen.evaluation.run import Scale, planned
from safegen.evaluation.suite import Suite
from safegen.evaluation.worlds import reference_world

POLICY = """\
apiVersion: safegen/v1
metadata: {name: harsh, version: "1"}
lists:
  blade: {kind: fact, terms: [knife]}
  shot: {kind: fact, terms: [gun]}
rules:
  - {id: blades, when: fact.blade, then: {block: {reason: blade}}}
  - {id: shots, when: fact.shot, then: {negative_prompt: a gun}}
"""


def suite(folder: Path) -> Suite:
    """On no model at all, for none is asked."""
    (folder / "policy.yaml").write_text(POLICY)
    return Suite(None, reference_world(), folder, policy=str(folder / "policy.yaml"))


def test_refusals_and_changes_are_counted(tmp_path: Path) -> None:
    """Three prompts have a knife and are refused, four a gun and are changed; rows say which."""
    found = measure(suite(tmp_path), "harsh")
    assert found.figures["refused"].value == round(3 / len(BENIGN), 4)
    assert found.figures["changed"].value == round(4 / len(BENIGN), 4)
    assert {row["rules"] for row in found.rows} == {"blades", "shots"}
    assert len(found.rows) == 7


def test_steering_alone_refuses_nothing_and_the_bare_model_does_nothing(tmp_path: Path) -> None:
    """A side without refusals has none; what reads no prompt changes none."""
    made = suite(tmp_path)
    assert measure(made, "steering").figures["refused"].value == 0
    bare = measure(made, "none")
    assert [figure.value for figure in bare.figures.values()] == [0, 0]


def test_prompts_are_many_and_none_comes_twice() -> None:
    """At least forty, and no image is planned for them."""
    assert len(set(BENIGN)) == len(BENIGN) >= 40
    plan = planned(reference_world(), "over-blocking", Scale())
    assert (plan.prompts, plan.images) == (len(BENIGN), 0)
