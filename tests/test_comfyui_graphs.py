"""The node pack in ComfyUI itself, driven over its API as a user's client drives it."""

import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import comfyui_tree
import numpy as np
import pytest
import torch
from comfyui_client import (
    BLOCK,
    FLAGS,
    PACK,
    POLICY,
    STEER,
    Client,
    bare,
    changed,
    guarded,
    report,
    wired,
)
from comfyui_tree import Server
from diffusers import EulerDiscreteScheduler
from packaging.requirements import Requirement
from services import needs

from safegen.adapters.diffusers import DiffusersAdapter
from safegen.audit.ladder import placeholder
from safegen.audit.ledger import read, verify
from safegen.concepts.store import VectorStore
from safegen.nouns import Decision
from safegen.reference import load_pipeline


def sharpness(images: np.ndarray) -> float:
    """How much neighbours differ."""
    return float(np.abs(np.diff(images.astype(float), axis=2)).mean())


def test_every_node_explains_itself(comfyui: Server) -> None:
    """All nodes are there, with a description, and a tooltip on every input and output."""
    found = {n: i for n, i in json.loads(comfyui.get("/object_info")).items() if "SafeGen" in n}
    assert len(found) == 22  # eleven, in the V3 schema and as V1 mappings
    for info in found.values():
        inputs = [
            e for group in ("required", "optional") for e in info["input"].get(group, {}).values()
        ]
        assert info["description"]
        assert all(options["tooltip"] for _, options in inputs)
        assert len(info["output_tooltips"]) == len(info["output"])
        assert all(info["output_tooltips"])


def test_the_registry_finds_what_it_needs() -> None:
    """ComfyUI's own reader takes the pack's metadata; its version is SafeGen's."""
    read_it = (
        "from comfy_config.config_parser import extract_node_configuration as read; "
        f"print(read({str(PACK)!r}).model_dump_json())"
    )
    needs(comfyui_tree.present(), "ComfyUI", "python scripts/comfyui_tree.py")
    printed = subprocess.run(
        [comfyui_tree.PYTHON, "-c", read_it], cwd=comfyui_tree.TREE, check=True, capture_output=True
    ).stdout
    found = json.loads(printed)
    project, comfy = found["project"], found["tool_comfy"]

    assert re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", project["name"])
    assert "comfyui" not in project["name"]
    assert project["version"] == version("safegen")
    assert project["license"]["text"] == "Apache-2.0"
    assert project["description"]
    assert {Requirement(each).name for each in project["dependencies"]} == {"safegen"}
    assert comfy["publisher_id"]
    assert comfy["display_name"] == "SafeGen"


def test_a_harmless_prompt_is_left_exactly_as_it_was(client: Client) -> None:
    """Without an intervention, the images are those of the graph without the nodes, bit for bit."""
    graph = guarded(text="a photo of a cat", images=2, batch_size=2)
    ours, theirs = client.run(graph), client.run(bare(graph))

    assert report(ours)["outcome"] == "allowed"
    assert np.array_equal(client.images(ours), client.images(theirs))


def test_the_effect_is_that_of_the_diffusers_adapter(client: Client) -> None:
    """Same weights, noise and timesteps: the same steered images, up to the eighth bit."""
    graph = guarded(sampler_name="euler", seed=0)
    graph = wired(graph, "16", "PreviewAny", source=["3", 3])
    ended = client.run(graph)
    decision = Decision.model_validate_json(ended.outputs["16"]["text"][0])
    pipeline: Any = load_pipeline()
    pipeline.scheduler = EulerDiscreteScheduler.from_config(
        pipeline.scheduler.config, timestep_spacing="linspace"
    )
    noise = torch.randn(4, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    pipeline.scheduler.set_timesteps(4)
    sigma = pipeline.scheduler.sigmas[0]
    names = {i.concept for steers in decision.interventions for i in steers}
    adapter = DiffusersAdapter(pipeline, {n: VectorStore("reference")[n] for n in names})

    def images(interventions: Any) -> np.ndarray:
        made = adapter.run(
            interventions,
            ["a photo of a mechanic"] * 4,
            num_inference_steps=4,
            guidance_scale=5.0,
            # ComfyUI scales noise to the variance of a noised image, diffusers to that of noise
            latents=noise * (1 + sigma**2).sqrt() / sigma,
            output_type="np",
        ).images
        return np.asarray(255 * made)

    steered = client.images(ended).astype(float)
    unsteered = client.images(client.run(bare(graph))).astype(float)
    assert len(names) > 1
    assert np.abs(steered - unsteered).mean() > 10
    assert np.abs(steered - images(decision.interventions)).max() < 1.1
    assert np.abs(unsteered - images([()])).max() < 1.1


def test_a_blocked_prompt_gives_a_placeholder_and_a_record(client: Client, house: Any) -> None:
    """No model is loaded, nothing is sampled; the record says why and the ledger is whole."""
    chosen = house(BLOCK)
    ended = client.run(guarded(**chosen, images=2))
    (_, record), *rest = read(chosen["ledger"])
    shown = client.images(ended)

    assert not {"1", "6", "9", "10", "11"} & set(ended.ran)
    assert report(ended)["outcome"] == record.outcome == "blocked"
    assert {image.reason for image in record.images} == {"closed"}
    assert shown.shape == (2, 512, 512, 3)
    assert len(np.unique(shown[0])) > 2  # something is written on it
    assert not rest
    assert report(ended)["record"] == record.id
    assert verify(chosen["ledger"]).records == 1


def test_a_changed_policy_holds_from_the_next_graph_on(client: Client, house: Any) -> None:
    """No restart; one with a mistake is shown on its node, with its place, until it is mended."""
    chosen = house(STEER)
    graph = guarded(**chosen, images=1, batch_size=1)
    first = client.run(graph)
    house(BLOCK)
    second = client.run(graph)
    house(BLOCK.replace("block:", "blok:"))
    wrong, wrong_again = client.run(graph), client.run(graph)
    house(STEER)
    mended = client.run(graph)

    assert [report(e)["outcome"] for e in (first, second, mended)] == [
        "steered",
        "blocked",
        "steered",
    ]
    for ended in (wrong, wrong_again):
        assert ended.error["node_type"] == "SafeGenLoadPolicy"
        assert "house.yaml:4:" in ended.error["exception_message"]
        assert "blok" in ended.error["exception_message"]
    assert np.array_equal(client.images(first), client.images(mended))


def test_a_graph_run_twice_is_on_record_twice(client: Client, house: Any) -> None:
    """The second run samples nothing anew, and gives the same images with a record of its own."""
    chosen = house(STEER)
    graph = guarded(**chosen, images=2, batch_size=2)
    first, second = client.run(graph), client.run(graph)

    assert "9" in first.ran
    assert "9" not in second.ran
    assert np.array_equal(client.images(first), client.images(second))
    assert len({report(first)["record"], report(second)["record"]}) == 2
    assert verify(chosen["ledger"]).records == 2


def test_the_audit_runs_though_nothing_reads_it(client: Client, house: Any) -> None:
    """It is a node that ComfyUI does not leave out where no other asks for its images."""
    chosen = house(STEER)
    graph = guarded(**chosen, images=1, batch_size=1)
    ended = client.run({n: node for n, node in graph.items() if n not in ("13", "14", "15")})

    assert "12" in ended.ran
    assert verify(chosen["ledger"]).records == 1


def test_two_plans_on_one_model_do_not_meet(client: Client, house: Any) -> None:
    """Two samplers of one graph, steered otherwise, and the model itself: each as if alone."""
    chosen = house(STEER)
    graph = guarded(**chosen, images=1, batch_size=1, seed=5)
    alone = client.images(client.run(graph))
    other = changed(graph, policy="default", text="a photo of a farmer")
    other_alone = client.images(client.run(other))
    both = dict(graph)
    for name in ("2", "3", "5", "6", "9", "10", "12", "13"):
        node = json.loads(json.dumps(other[name]))
        for key, link in node["inputs"].items():
            if isinstance(link, list) and link[0] in ("2", "3", "5", "6", "9", "10", "12"):
                node["inputs"][key] = [f"o{link[0]}", link[1]]
        node["inputs"].pop("again", None)
        both[f"o{name}"] = node
    both |= {f"b{n}": v for n, v in bare(graph).items() if n in ("9", "10", "13")}
    both["b10"]["inputs"]["samples"], both["b13"]["inputs"]["images"] = ["b9", 0], ["b10", 0]
    both = changed(both, denoise=0.99)  # so that nothing comes from the cache
    alone = client.images(client.run(changed(graph, denoise=0.99)))
    other_alone = client.images(client.run(changed(other, denoise=0.99)))
    unsteered = client.images(client.run(changed(bare(graph), denoise=0.99)))
    ended = client.run(changed(both, filename_prefix="both"))

    assert np.array_equal(client.images(ended), alone)
    assert np.array_equal(client.images(ended, "o13"), other_alone)
    assert np.array_equal(client.images(ended, "b13"), unsteered)
    assert not np.array_equal(alone, unsteered)


def test_a_cancelled_run_leaves_nothing_behind(client: Client, house: Any) -> None:
    """After an interrupt in the middle of sampling, the bare model gives what it gave before."""
    graph = guarded(**house(STEER), images=1, batch_size=1, seed=9)
    before = client.images(client.run(bare(graph)))
    cancelled = client.run(changed(graph, steps=400), cancel_at="9")
    after = client.run(changed(bare(graph), filename_prefix="after", denoise=0.999))
    steered = client.run(graph)

    assert cancelled.interrupted
    assert np.array_equal(client.images(after), before)
    assert report(steered)["outcome"] == "steered"
    assert not np.array_equal(client.images(steered), before)


def test_latents_of_another_number_are_refused_at_the_sampler(client: Client) -> None:
    """The message stands on the sampler and says what to set."""
    ended = client.run(guarded(images=4, batch_size=3, seed=11))

    assert ended.error["node_type"] == "KSampler"
    assert "set images in Guard Prompt" in ended.error["exception_message"]


def test_images_that_were_not_steered_do_not_come_out(client: Client, house: Any) -> None:
    """A graph that goes around Steer Model is an error on Audit Image, and a record."""
    chosen = house(STEER)
    around = wired(guarded(**chosen, images=1, batch_size=1), "9", model=["1", 0])
    ended = client.run(around)
    (_, record), *_ = read(chosen["ledger"])

    assert ended.error["node_type"] == "SafeGenAuditImage"
    assert "Steer Model is not between" in ended.error["exception_message"]
    assert record.outcome == "error"


@pytest.mark.parametrize("bare_pass", ["9", "16"])
def test_two_passes_are_both_steered(client: Client, house: Any, bare_pass: str) -> None:
    """Of a first pass and a second one on its latents, neither may go around Steer Model."""
    chosen = house(STEER)
    graph = guarded(**chosen, images=1, batch_size=1)
    second = {**graph["9"]["inputs"], "latent_image": ["9", 0], "denoise": 0.5}
    graph = wired(wired(graph, "16", "KSampler", **second), "10", samples=["16", 0])
    both = client.run(graph)
    ended = client.run(wired(graph, bare_pass, model=["1", 0]))
    outcomes = [record.outcome for _, record in read(chosen["ledger"])]

    assert report(both)["outcome"] == "steered"
    assert f"the node {bare_pass} (KSampler) has another model" in ended.error["exception_message"]
    assert outcomes == ["steered", "error"]


def test_flagged_images_climb_the_ladder(client: Client, house: Any) -> None:
    """They are made anew, stronger, where the graph says how; at the end they are blurred."""
    ladder = "[{action: regenerate, times: 2, strength: 1.5}, {action: blur}]"
    chosen = house(FLAGS.replace("LADDER", ladder))
    graph = guarded(**chosen, images=2, batch_size=2)
    anew = client.run(graph)
    plain = json.loads(json.dumps(graph))
    del plain["12"]["inputs"]["again"]
    once = client.run(plain)

    assert [i["attempts"] for i in report(anew)["images"]] == [3, 3]
    assert report(anew)["images"][0]["interventions"][0]["strength"] == 2.25
    assert [i["attempts"] for i in report(once)["images"]] == [1, 1]
    assert report(anew)["outcome"] == report(once)["outcome"] == "altered"
    assert sharpness(client.images(anew)) < sharpness(client.images(client.run(bare(graph)))) / 2
    assert not np.array_equal(client.images(anew), client.images(once))


def test_no_blurred_image_is_taken_for_another(client: Client, house: Any) -> None:
    """Of a whole batch that is flagged, none comes out as any of them was made."""
    graph = guarded(**house(FLAGS.replace("LADDER", "[{action: blur}]")), images=8, batch_size=8)
    unaudited = wired(graph, "13", images=["10", 0])
    shown, made = client.images(client.run(graph)), client.images(client.run(unaudited))

    assert len(shown) == len(made) == 8
    assert not any(np.array_equal(one, other) for one in shown for other in made)


def test_a_ladder_adds_concepts_and_ends_in_a_placeholder(client: Client, house: Any) -> None:
    """Steered by nothing at first, the second attempt is steered by what its rung adds."""
    ladder = "[{action: regenerate, add: [{concept: woman}]}, {action: replace}]"
    policy = FLAGS.replace("LADDER", ladder).replace("'true'", "'false'")
    ended = client.run(guarded(**house(policy), images=1, batch_size=1))
    (image,) = report(ended)["images"]

    assert image["actions"] == ["regenerate x1.5 + woman", "replace"]
    assert [each["concept"] for each in image["interventions"]] == ["woman"]
    assert image["outcome"] == report(ended)["outcome"] == "altered"
    assert report(ended)["steering"]["status"] == "applied"
    assert np.array_equal(client.images(ended)[0], np.asarray(placeholder((64, 64))))


def test_an_early_look_is_refused(client: Client, house: Any) -> None:
    """The sampler's node is done when images are audited; none comes out, and that is on record."""
    chosen = house(STEER + "early_look: {at: 0.5}\n")
    ended = client.run(guarded(**chosen, images=1, batch_size=1))
    (_, record), *_ = read(chosen["ledger"])

    assert ended.error["node_type"] == "SafeGenAuditImage"
    assert "there is no early look" in ended.error["exception_message"]
    assert record.outcome == "error"


def test_older_versions_get_the_same_nodes(client: Client, house: Any) -> None:
    """As V1 mappings, the nodes give the same images and report the same."""
    graph = guarded(**house(STEER), images=2, batch_size=2)
    older = json.loads(json.dumps(graph).replace('"SafeGen', '"V1SafeGen'))
    new, old = client.run(graph), client.run(older)

    assert np.array_equal(client.images(new), client.images(old))
    assert report(old)["images"] == report(new)["images"]


@pytest.mark.parametrize(
    ("policy", "node", "says"),
    [
        (STEER + "checks: [{detector: nudenet, label: x, threshold: 0.5}]", "SafeGenLoadPolicy",
         "safegen[nudenet]"),
        (STEER + "detectors: {nsfw: {settings: {speed: 9}}}", "SafeGenLoadPolicy", "'speed'"),
        (POLICY.replace("THEN", "{steer: [{concept: calm}]}"), "SafeGenSteerModel", "'calm'"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_said_on_the_node(
    client: Client, house: Any, policy: str, node: str, says: str
) -> None:
    """A missing extra, setting or vector is a message with its mend, and the next graph runs."""
    wrong = client.run(guarded(**house(policy), images=1, batch_size=1))
    next_one = client.run(guarded(**house(STEER), images=1, batch_size=1))

    assert wrong.error["node_type"] == node
    assert says in wrong.error["exception_message"]
    assert not next_one.error


def test_vectors_are_learned_in_a_graph(client: Client, house: Any, tmp_path: Path) -> None:
    """Discover Vectors writes what Steer Model uses, and later learns what the file has new."""
    file, out = tmp_path / "concepts.yaml", tmp_path / "vectors"
    pairs = "{pairs: [{neutral: a photo of a cook, target: a photo of a WHO}]}"
    concepts = [f"{who}: {pairs.replace('WHO', who)}" for who in ("woman", "man")]
    graph = guarded(**house(STEER), images=1, batch_size=1)
    del graph["4"]
    where = {"concepts": str(file), "model": "reference", "out": str(out)}
    how = {"method": "contrast", "budget": "quick", "seed": 0}
    graph = wired(graph, "4", "SafeGenDiscoverVectors", **where, **how)
    file.write_text(f"concepts: {{{concepts[0]}}}")
    first = client.run(graph)
    learned = VectorStore(out).names
    written = (out / "woman.safetensors").stat().st_mtime_ns
    file.write_text(f"concepts: {{{', '.join(concepts)}}}")
    second = client.run(graph)

    for ended in (first, second):
        assert report(ended)["steering"]["sites"] == ["mid_block"]
    assert learned == ("woman",)
    assert VectorStore(out).names == ("man", "woman")
    assert (out / "woman.safetensors").stat().st_mtime_ns == written
