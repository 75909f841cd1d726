"""What proves in ComfyUI that images were steered, and which images can be audited at all."""

from typing import Any

import numpy as np
import pytest
from comfyui_client import FLAGS, POLICY, STEER, Client, changed, guarded, report, wired

from safegen.audit.ledger import read


@pytest.mark.parametrize("piped", ["1", "5"])
def test_a_pass_that_gets_its_model_in_a_pipe(client: Client, house: Any, piped: str) -> None:
    """It is looked into: a bare model may travel there past Steer Model."""
    graph = guarded(**house(STEER), images=1, batch_size=1)
    texts = {name: graph["9"]["inputs"][name] for name in ("positive", "negative")}
    graph = wired(graph, "16", "TestPiped", model=[piped, 0], **texts)
    graph = wired(graph, "17", "TestPipeSampler", pipe=["16", 0], latent=["9", 0])
    ended = client.run(wired(graph, "10", samples=["17", 0]))

    if piped == "5":
        assert report(ended)["outcome"] == "steered"
    else:
        message = ended.error["exception_message"]
        assert "the node 17 (TestPipeSampler) has another model" in message


def test_what_one_run_proved_says_nothing_of_another(client: Client, house: Any) -> None:
    """ComfyUI keeps the steered model from one queued graph to the next."""
    window = "{steer: [{concept: woman, start: 0.3, stop: 0.45}]}"
    graph = guarded(**house(POLICY.replace("THEN", window)), images=1, batch_size=1, seed=21)
    switched = wired(graph, "16", "ComfySwitchNode", on_false=["1", 0], on_true=["5", 0])
    switched = wired(wired(switched, "16", switch=True), "9", model=["16", 0])

    def outcome(graph: Any, **changes: Any) -> str:
        ended = client.run(changed(graph, **changes))
        return str(ended.error.get("exception_message") or report(ended)["outcome"])

    assert outcome(graph, steps=12) == "steered"
    assert "added nothing" in outcome(graph, steps=1)
    assert "no sampler ran" in outcome(graph, steps=12, denoise=0.0)
    assert outcome(switched, steps=12) == "steered"
    assert "no sampler ran" in outcome(wired(switched, "16", switch=False), steps=12)
    assert outcome(graph, steps=12) == "steered"


def test_images_that_comfyui_has_kept_keep_their_proof(client: Client, house: Any) -> None:
    """Queued again, nothing is sampled anew, and Audit Image knows of what it is given."""
    graph = guarded(**house(STEER), images=1, batch_size=1, seed=22)
    first, second = client.run(graph), client.run(graph)

    assert "9" in first.ran
    assert "9" not in second.ran
    assert report(first)["outcome"] == report(second)["outcome"] == "steered"


def test_images_with_alpha_are_refused(client: Client, house: Any) -> None:
    """No detector sees what alpha alone carries."""
    chosen = house(STEER)
    graph = wired(guarded(**chosen, images=1, batch_size=1), "16", "TestAlpha", images=["10", 0])
    ended = client.run(wired(graph, "12", images=["16", 0]))
    (_, record), *_ = read(chosen["ledger"])

    assert "expected images of 3 channels, got 4" in ended.error["exception_message"]
    assert (record.outcome, record.images) == ("error", ())


def test_images_of_another_size_are_not_made_anew(client: Client, house: Any) -> None:
    """Regenerate knows one pass, and the graph has two: that is told before anything is said."""
    chosen = house(FLAGS.replace("LADDER", "[{action: regenerate}, {action: blur}]"))
    graph = guarded(**chosen, images=2, batch_size=2)
    graph = wired(
        *(graph, "16", "LatentUpscaleBy"),
        samples=["9", 0],
        upscale_method="bilinear",
        scale_by=2.0,
    )
    ended = client.run(wired(graph, "10", samples=["16", 0]))
    (_, record), *_ = read(chosen["ledger"])

    assert "those of the graph are (128, 128, 3)" in ended.error["exception_message"]
    assert record.outcome == "error"


def test_one_of_a_batch_of_latents_is_made_anew(client: Client, house: Any) -> None:
    """Also where the latents say which of a batch they are."""
    chosen = house(FLAGS.replace("LADDER", "[{action: regenerate}, {action: blur}]"))
    graph = guarded(**chosen, images=2, batch_size=3)
    latent = graph["9"]["inputs"]["latent_image"]
    graph = wired(graph, "16", "LatentFromBatch", samples=latent, batch_index=1, length=2)
    graph = wired(wired(graph, "9", latent_image=["16", 0]), "11", latent=["16", 0])

    assert [image["attempts"] for image in report(client.run(graph))["images"]] == [2, 2]


def test_windows_hold_under_another_schedule_of_noise(client: Client, house: Any) -> None:
    """Its timesteps are other numbers; the noise that they stand for is the same."""

    def images(start: float, stop: float) -> np.ndarray:
        steer = f"{{steer: [{{concept: woman, start: {start}, stop: {stop}}}]}}"
        chosen = house(POLICY.replace("THEN", steer))
        graph = guarded(**chosen, images=1, batch_size=1, seed=23, steps=8)
        graph = wired(
            *(graph, "16", "ModelSamplingContinuousEDM"),
            model=["1", 0],
            sampling="eps",
            sigma_max=14.0,
            sigma_min=0.03,
        )
        ended = client.run(wired(graph, "5", model=["16", 0]))
        assert report(ended)["outcome"] == "steered"
        return client.images(ended).astype(float)

    whole, early, late = images(0.0, 1.0), images(0.0, 0.5), images(0.7, 1.0)
    assert np.abs(late - whole).mean() > np.abs(early - whole).mean() > 0


def test_activations_that_overflow_are_no_picture(client: Client, house: Any) -> None:
    """They would be black, in which no detector finds anything."""
    graph = guarded(**house(STEER), images=1, batch_size=1, seed=24)
    graph = wired(graph, "16", "TestPatched", model=["1", 0], how="overflow")
    ended = client.run(wired(graph, "5", model=["16", 0]))

    assert "values that are not finite" in ended.error["exception_message"]


def test_merged_weights_are_other_weights(client: Client, house: Any) -> None:
    """A vector was learned on what it was learned on, and not on the double of it."""
    graph = guarded(**house(STEER), images=1, batch_size=1)
    graph = wired(graph, "16", "ModelMergeAdd", model1=["1", 0], model2=["1", 0])
    graph = wired(graph, "5", model=["16", 0])
    ended = client.run(graph)

    assert ended.error["node_type"] == "SafeGenSteerModel"
    assert "was learned on the model" in ended.error["exception_message"]
    assert report(client.run(changed(graph, other_model=True)))["outcome"] == "steered"
