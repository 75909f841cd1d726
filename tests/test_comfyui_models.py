"""Steering in ComfyUI with other models, under other nodes' patches, and in its own samplers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_client import Client, Graph, bare, changed, guarded, wired

from safegen.concepts.vector import save_vector
from safegen.testing import random_vector

POLICY = """
apiVersion: safegen/v1
metadata: {name: calm, version: "1"}
rules: [{id: a, when: 'true', then: {steer: [{concept: calm, strength: STRENGTH}]}}]
"""
SITES = {"unet": ("mid_block", 256), "TinyFlux": ("transformer_blocks.0:1", 32)}
SITES["TinySD3"] = ("transformer_blocks.0:1", 64)


def steered(folder: Path, model: str = "unet", strength: float = 5.0, **changes: Any) -> Graph:
    """A graph that steers one image of a model by a random vector that was made for any."""
    site, channels = SITES[model]
    save_vector(random_vector("calm", {site: (channels,)}), folder / "calm.safetensors")
    policy = folder / f"{strength}.yaml"
    policy.write_text(POLICY.replace("STRENGTH", str(strength)), encoding="utf-8")
    few = {"images": 1, "batch_size": 1, "other_model": True, "ledger": str(folder / "ledger")}
    graph = guarded(policy=str(policy), vectors=str(folder), **few | changes)
    del graph["12"]["inputs"]["again"]
    if model == "unet":
        return graph
    graph = wired(wired(graph, "20", f"Test{model}"), "5", model=["20", 0])
    return wired(graph, "9", positive=["20", 1], negative=["20", 1])


def patched(graph: Graph, how: str, *, behind: bool = False) -> Graph:
    """The graph with another node's patch before Steer Model, or behind it."""
    reader = "9" if behind else "5"
    patch = wired(graph, "30", "TestPatched", how=how, model=graph[reader]["inputs"]["model"])
    return wired(patch, reader, model=["30", 0])


def around(graph: Graph) -> Graph:
    """The graph whose sampler gets what goes into Steer Model; its images are not audited."""
    bypassed = wired(graph, "9", model=graph["5"]["inputs"]["model"])
    saved = wired(bypassed, "13", images=["10", 0])
    return {name: node for name, node in saved.items() if name not in ("12", "14", "15")}


def images(client: Client, graph: Graph) -> np.ndarray:
    """What the graph saved, as numbers that can be subtracted."""
    ended = client.run(graph)
    assert not ended.error, ended.error["exception_message"]
    return client.images(ended).astype(float)


@pytest.mark.parametrize("model", ["TinyFlux", "TinySD3"])
def test_transformers_are_steered(client: Client, tmp_path: Path, model: str) -> None:
    """A plan changes the images of FLUX and Stable Diffusion 3, the more, the stronger it is."""
    none = images(client, around(steered(tmp_path, model)))
    weak = images(client, steered(tmp_path, model, 1.0))
    strong = images(client, steered(tmp_path, model, 5.0))

    assert 0 < np.abs(weak - none).mean() < np.abs(strong - none).mean()


def test_a_replaced_block_is_chained_to(client: Client, tmp_path: Path) -> None:
    """Another node's replacement of the same block still acts, and so does the plan."""
    ours = steered(tmp_path, "TinyFlux")
    theirs = patched(ours, "block")
    pictures = [images(client, g) for g in (around(ours), around(theirs), ours, theirs)]

    assert all(np.abs(a - b).mean() > 0 for i, a in enumerate(pictures) for b in pictures[:i])


def test_a_block_taken_by_another_node_is_noticed(client: Client, tmp_path: Path) -> None:
    """Behind Steer Model, a node that does not chain is an error on the sampler."""
    ended = client.run(patched(steered(tmp_path, "TinyFlux"), "take block 0", behind=True))

    assert ended.error["node_type"] == "KSampler"
    assert "put Steer Model last before the sampler" in ended.error["exception_message"]


def test_a_patch_that_undoes_steering_is_noticed(client: Client, tmp_path: Path) -> None:
    """Also where steering was seen to work on the same model before, without that patch."""
    graph = steered(tmp_path)
    before = images(client, graph)
    ended = client.run(patched(graph, "undone", behind=True))

    assert before.any()
    assert ended.error["node_type"] == "KSampler"
    assert "self-test" in ended.error["exception_message"]


def test_a_window_that_no_step_falls_into_is_noticed(client: Client, tmp_path: Path) -> None:
    """Such images come out as without steering, so they do not come out as steered."""
    window = POLICY.replace("STRENGTH", "STRENGTH, start: 0.3, stop: 0.45")
    graph = steered(tmp_path, steps=1)
    Path(graph["2"]["inputs"]["policy"]).write_text(window.replace("STRENGTH", "5.0"))
    missed = client.run(graph)

    assert missed.error["node_type"] == "SafeGenAuditImage"
    assert "'calm' added nothing" in missed.error["exception_message"]
    assert not client.run(changed(graph, steps=12)).error


def test_a_model_that_cannot_be_steered_is_refused(client: Client, tmp_path: Path) -> None:
    """The message is on Steer Model and says which can; the next graph runs."""
    graph = steered(tmp_path)
    unknown = wired(graph, "20", "TestUnknown", model=["1", 0])
    wrong = client.run(wired(unknown, "5", model=["20", 0]))

    assert wrong.error["node_type"] == "SafeGenSteerModel", wrong.error["exception_message"]
    assert "cannot be steered" in wrong.error["exception_message"]
    assert not client.run(steered(tmp_path)).error


def test_vectors_of_another_model_are_refused(client: Client, tmp_path: Path) -> None:
    """Unless the node is told to accept them."""
    ended = client.run(steered(tmp_path, other_model=False))

    assert ended.error["node_type"] == "SafeGenSteerModel"
    assert "was learned on the model" in ended.error["exception_message"]


def test_a_model_is_steered_once(client: Client, tmp_path: Path) -> None:
    """A second Steer Model behind the first would pass the cap on what is added."""
    graph = steered(tmp_path)
    second = wired(graph, "31", "SafeGenSteerModel", **graph["5"]["inputs"] | {"model": ["5", 0]})
    ended = client.run(wired(second, "9", model=["31", 0]))

    assert ended.error["node_id"] == "31"
    assert "steered already" in ended.error["exception_message"]


@pytest.mark.parametrize("how", ["lora", "middle"])
def test_other_patches_act_as_without_us(client: Client, tmp_path: Path, how: str) -> None:
    """With nothing to add, the images are those of the patched model; with a plan, both act."""
    idle, plan = patched(steered(tmp_path, strength=0.0), how), patched(steered(tmp_path), how)
    theirs, unpatched = images(client, around(idle)), images(client, around(steered(tmp_path)))

    assert np.array_equal(images(client, idle), theirs)
    assert np.abs(theirs - unpatched).mean() > 0
    assert np.abs(images(client, plan) - theirs).mean() > 1
    assert np.array_equal(images(client, changed(around(idle), filename_prefix="after")), theirs)


def test_a_clone_behind_steer_model_stays_steered(client: Client, tmp_path: Path) -> None:
    """Another node's patch behind Steer Model is put on a clone, which carries the plan along."""
    graph = steered(tmp_path)
    both = images(client, patched(graph, "middle", behind=True))
    theirs = images(client, patched(around(graph), "middle", behind=True))

    assert np.abs(both - images(client, graph)).mean() > 1
    assert np.abs(both - theirs).mean() > 1


def test_a_lora_does_not_change_whose_vectors_fit(client: Client) -> None:
    """The model's own digest counts, also after a LoRA was merged into its weights."""
    graph = patched(guarded(seed=21), "lora")
    first, second = client.run(graph), client.run(changed(graph, steps=3))

    assert not first.error, first.error
    assert not second.error, second.error


def test_versions_without_a_middle_patch_steer_the_same(client: Client, tmp_path: Path) -> None:
    """The patch of the first output block sees the same tensor."""
    graph = steered(tmp_path, seed=22)

    assert np.array_equal(images(client, graph), images(client, patched(graph, "older")))


def test_a_controlnet_and_a_plan_both_act(client: Client, tmp_path: Path) -> None:
    """What a ControlNet adds to the middle block stays, in the self-test too."""
    graph = steered(tmp_path, seed=23)
    net = wired(graph, "40", "TestControl", conditioning=["6", 0])
    controlled = wired(net, "9", positive=["40", 0])
    pictures = [images(client, g) for g in (controlled, graph, around(controlled))]
    again = images(client, changed(controlled, denoise=0.9999))  # no self-test any more

    assert all(np.abs(a - b).mean() > 0 for i, a in enumerate(pictures) for b in pictures[:i])
    assert np.abs(again - pictures[0]).max() <= 1


def test_guidance_off_is_steered_too(client: Client, tmp_path: Path) -> None:
    """At CFG 1 ComfyUI leaves the unconditional rows out; the conditional ones are steered."""
    graph = steered(tmp_path, cfg=1.0)

    assert np.abs(images(client, graph) - images(client, around(graph))).mean() > 1


def test_tiles_are_steered_one_by_one(client: Client, tmp_path: Path) -> None:
    """Tiles in one batch are refused: nothing says which rows of it are conditional."""
    graph = steered(tmp_path)
    tiled, batched = patched(graph, "tiles"), patched(graph, "tiles in one batch")
    refused = client.run(batched)

    assert np.abs(images(client, tiled) - images(client, around(tiled))).mean() > 1
    assert refused.error["node_type"] == "KSampler"
    assert "1 tile" in refused.error["exception_message"]


def test_regions_are_steered(client: Client, tmp_path: Path) -> None:
    """Conditionings of regions make calls of other sizes, with several chunks of either kind."""
    area = {"width": 128, "height": 64, "x": 0, "y": 0, "strength": 1.0}
    graph = steered(tmp_path)
    graph = wired(graph, "40", "ConditioningSetArea", conditioning=["6", 0], **area)
    both = {"conditioning_1": ["6", 0], "conditioning_2": ["40", 0]}
    graph = wired(graph, "41", "ConditioningCombine", **both)
    graph = wired(graph, "9", positive=["41", 0])

    assert np.abs(images(client, graph) - images(client, around(graph))).mean() > 1


def test_a_guider_with_another_order_is_refused(client: Client, tmp_path: Path) -> None:
    """Rows go by what they are: a guider that puts its negative first is not steered wrongly."""
    graph = steered(tmp_path)
    del graph["9"]
    graph = wired(graph, "51", "RandomNoise", noise_seed=0)
    graph = wired(graph, "52", "KSamplerSelect", sampler_name="euler")
    schedule = {"model": ["5", 0], "scheduler": "normal", "steps": 3, "denoise": 1.0}
    graph = wired(graph, "53", "BasicScheduler", **schedule)
    parts = {"noise": ["51", 0], "guider": ["50", 0], "sampler": ["52", 0], "sigmas": ["53", 0]}
    graph = wired(graph, "9", "SamplerCustomAdvanced", **parts, latent_image=["8", 0])
    texts = {"model": ["5", 0], "negative": ["7", 0]}
    dual = {"cond1": ["6", 0], "cond2": ["6", 0], "cfg_conds": 5.0, "cfg_cond2_negative": 5.0}
    refused = client.run(wired(graph, "50", "DualCFGGuider", **texts, **dual, style="regular"))
    fine = client.run(wired(graph, "50", "CFGGuider", **texts, positive=["6", 0], cfg=5.0))

    assert refused.error["node_type"] == "SamplerCustomAdvanced"
    assert "no rows of the positive conditioning" in refused.error["exception_message"]
    assert not fine.error, fine.error


def test_bare_is_really_bare() -> None:
    """The graph that the others are compared with has no node of ours but the model's loader."""
    kinds = {node["class_type"] for node in bare(guarded()).values()}
    assert {kind for kind in kinds if "SafeGen" in kind} == {"SafeGenReferenceModel"}
