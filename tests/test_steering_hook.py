"""Steering on a tiny real UNet: exact, visible, reversible."""

import copy
import pickle
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch._dynamo.testing
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from safegen.concepts.vector import ConceptVector
from safegen.errors import ConceptError, SteeringError, UnknownConceptError
from safegen.nouns import Intervention
from safegen.steering.hook import Steering
from safegen.steering.layout import GUIDED, SPLIT, UNGUIDED
from safegen.steering.plan import Plan
from safegen.testing import random_vector, tiny_unet

POOLED = {"mid_block": (32,)}


@pytest.fixture
def unet() -> UNet2DConditionModel:
    """A UNet of Stable Diffusion's kind, tiny and random."""
    return tiny_unet()


def call(unet: nn.Module, rows: int, timestep: float = 500, size: int = 8) -> Tensor:
    """The UNet's output for equal rows."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(1, 4, size, size, generator=generator).repeat(rows, 1, 1, 1)
    text = torch.randn(1, 3, 16, generator=generator).repeat(rows, 1, 1)
    with torch.no_grad():
        output: Tensor = unet(noise, torch.tensor(timestep), text).sample
    return output


def mid_output(
    unet: UNet2DConditionModel, steering: Steering, sample: Sequence[Intervention], size: int = 8
) -> Tensor:
    """What leaves the mid block for one sample under a plan."""
    seen: list[Tensor] = []
    handle = unet.mid_block.register_forward_hook(lambda m, i, o: seen.append(o))
    with steering.using(Plan.of([sample]), UNGUIDED):
        call(unet, 1, size=size)
    handle.remove()
    return seen[0][0]


def test_only_the_steered_conditional_row_changes(unet: UNet2DConditionModel) -> None:
    """In a guided batch the unsteered sample and all unconditional rows are bit-identical."""
    bare = call(unet, 4)
    with Steering(unet, {"a": random_vector("a", {"mid_block": (32, 4, 4)})}) as steering:
        with steering.using(Plan.of([[], [Intervention(concept="a")]])):
            steered = call(unet, 4)

    assert [torch.equal(steered[i], bare[i]) for i in range(4)] == [True, True, True, False]


def test_every_row_on_request(unet: UNet2DConditionModel) -> None:
    """`every_row` steers the unconditional row as well."""
    bare = call(unet, 2)
    with Steering(unet, {"a": random_vector("a", POOLED)}) as steering:
        with steering.using(Plan.of([[Intervention(concept="a")]], every_row=True)):
            steered = call(unet, 2)

    assert [torch.equal(steered[i], bare[i]) for i in range(2)] == [False, False]


def test_a_perturbed_row_is_left_alone(unet: UNet2DConditionModel) -> None:
    """Perturbed-attention guidance adds rows that are neither: only the conditional one changes."""
    bare = call(unet, 3)
    with Steering(unet, {"a": random_vector("a", POOLED)}) as steering:
        with steering.using(Plan.of([[Intervention(concept="a")]]), (*GUIDED, "perturbed")):
            steered = call(unet, 3)

    assert [torch.equal(steered[i], bare[i]) for i in range(3)] == [True, False, True]


@pytest.mark.parametrize("shape", [(32,), (32, 1, 1), (32, 4, 4), (32, 2, 2)])
def test_vectors_of_every_shape_are_added(
    unet: UNet2DConditionModel, shape: tuple[int, ...]
) -> None:
    """Pooled vectors broadcast, and a spatial vector of another size is interpolated."""
    vector = random_vector("v", {"mid_block": shape})
    with Steering(unet, {"v": vector}) as steering:
        bare = mid_output(unet, steering, [])
        added = mid_output(unet, steering, [Intervention(concept="v", strength=2)]) - bare
    expected = 2 * torch.from_numpy(vector.arrays["mid_block"])
    if shape in ((32,), (32, 1, 1)):
        expected = expected.reshape(32, 1, 1).expand(32, 4, 4)
    elif shape == (32, 2, 2):
        expected = torch.nn.functional.interpolate(expected[None], (4, 4), mode="bilinear")[0]

    torch.testing.assert_close(added, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("storage", [torch.uint8, torch.float8_e4m3fn, torch.bfloat16])
def test_vectors_do_not_take_the_dtype_of_stored_weights(storage: torch.dtype) -> None:
    """Where weights are kept in fewer bits than is calculated in, vectors are added as learned."""

    class Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.packed = nn.Parameter(torch.zeros(4).to(storage), requires_grad=False)
            self.mid_block = nn.Identity()

        def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
            hidden: Tensor = self.mid_block(sample)
            return hidden

    vector = random_vector("v", POOLED, with_levels=True)
    with Steering(Denoiser(), {"v": vector}) as steering:
        for gate in ("open", "projection"):
            with steering.using(Plan.of([[Intervention(concept="v", gate=gate)]]), UNGUIDED):
                added = steering.denoiser(torch.zeros(1, 32, 4, 4), torch.tensor(500.0))
            share = 1.0 if gate == "open" else 0.5  # half-way between its levels
            expected = share * torch.from_numpy(vector.arrays["mid_block"]).reshape(32, 1, 1)
            torch.testing.assert_close(added[0], expected.expand(32, 4, 4))


def test_a_pooled_vector_at_another_size(unet: UNet2DConditionModel) -> None:
    """Where the passport says so, another latent size gets the mean over positions."""
    vector = random_vector("v", {"mid_block": (32, 4, 4)})
    passport = vector.passport.model_copy(update={"resize": "pool"})
    pooled = ConceptVector(passport, vector.arrays)
    with Steering(unet, {"v": pooled}) as steering:
        bare = mid_output(unet, steering, [], size=16)
        added = mid_output(unet, steering, [Intervention(concept="v")], size=16) - bare
    expected = torch.from_numpy(vector.arrays["mid_block"]).mean((1, 2), keepdim=True)

    torch.testing.assert_close(added, expected.expand(32, 8, 8), atol=1e-4, rtol=1e-4)


def test_the_window_decides_when(unet: UNet2DConditionModel) -> None:
    """A vector with a window acts within it and leaves the rest of the denoising alone."""
    late = Intervention(concept="a", start=0.6)
    bare = {t: call(unet, 1, t) for t in (900, 100)}
    with Steering(unet, {"a": random_vector("a", POOLED)}) as steering:
        with steering.using(Plan.of([[late]]), UNGUIDED):
            steered = {t: call(unet, 1, t) for t in (900, 100)}

    assert torch.equal(steered[900], bare[900])
    assert not torch.equal(steered[100], bare[100])


def test_the_gate_acts_as_far_as_the_sample_is_from_the_concept(
    unet: UNet2DConditionModel,
) -> None:
    """At every position the addition is strength x clip((after - projection)/distance) x vector."""
    vector = random_vector("v", {"mid_block": (32, 4, 4)}, with_levels=True)
    gated = Intervention(concept="v", gate="projection")
    with Steering(unet, {"v": vector}) as steering:
        bare = mid_output(unet, steering, [])
        added = mid_output(unet, steering, [gated]) - bare
    array = torch.from_numpy(vector.arrays["mid_block"])
    projection = (bare * array / array.norm(dim=0)).sum(0)
    gate = ((1 - projection) / 2).clamp(0, 1)

    assert 0 < gate.mean() < 1
    torch.testing.assert_close(added, gate * array, atol=1e-4, rtol=1e-4)


def test_a_gate_without_levels_is_an_error(unet: UNet2DConditionModel) -> None:
    """A gate needs the levels measured when the vector was learned."""
    with Steering(unet, {"v": random_vector("v", POOLED)}) as steering:
        with pytest.raises(ConceptError, match="no levels at 'mid_block'"):
            with steering.using(Plan.of([[Intervention(concept="v", gate="projection")]])):
                pass


def test_a_plan_that_never_took_effect_is_an_error(unet: UNet2DConditionModel) -> None:
    """Steering that was asked for and did not happen is never silent."""
    with Steering(unet, {"a": random_vector("a", POOLED)}) as steering:
        with pytest.raises(SteeringError, match="added in 0 of 0 calls"):
            with steering.using(Plan.of([[Intervention(concept="a")]])):
                pass


@pytest.mark.parametrize(
    ("how", "timesteps"),
    [
        ({"start": 0.3, "stop": 0.45}, [999]),
        ({"start": 0.3, "stop": 0.45}, [751, 501, 251, 1]),
        ({"schedule": "bell"}, [999]),
        ({"schedule": "bell", "start": 0.25, "stop": 0.5}, [999, 750, 500]),
    ],
)
def test_a_window_that_no_step_falls_into_is_an_error(
    unet: UNet2DConditionModel, how: dict[str, Any], timesteps: list[int]
) -> None:
    """It would add nothing; the message names the concept, its window and the steps."""
    windowed = Intervention(concept="a", strength=2.0, **how)
    beside = Intervention(concept="b")

    def denoised(steering: Steering, *more: int) -> None:
        with steering.using(Plan.of([[beside], [beside, windowed]]), UNGUIDED):
            for timestep in (*timesteps, *more):
                call(unet, 2, timestep)

    bare = call(unet, 2)
    with Steering(unet, {n: random_vector(n, POOLED) for n in "ab"}) as steering:
        expected = rf"'a' added nothing.* at none of the {len(timesteps)} moment"
        with pytest.raises(SteeringError, match=expected):
            denoised(steering)
        denoised(steering, 600)
        with pytest.raises(SteeringError, match=expected):
            denoised(steering)

    assert torch.equal(call(unet, 2), bare)


def test_no_strength_needs_no_step(unet: UNet2DConditionModel) -> None:
    """Where nothing is asked for nothing is missing; nor where a gate finds nothing to do."""
    nothing = Intervention(concept="a", strength=0.0, start=0.3, stop=0.45)
    absent = Intervention(concept="a", gate="projection", strength=1e-9)
    vector = random_vector("a", POOLED, with_levels=True)
    with Steering(unet, {"a": vector, "b": random_vector("b", POOLED)}) as steering:
        bare = call(unet, 1, 999)
        for samples in ([nothing], [nothing, Intervention(concept="b")], [absent]):
            with steering.using(Plan.of([samples]), UNGUIDED):
                made = call(unet, 1, 999)
            assert torch.allclose(made, bare, atol=1e-6) is (len(samples) == 1)


def test_a_skipped_block_is_an_error(unet: UNet2DConditionModel) -> None:
    """A cache that leaves out the hooked block on some steps is noticed."""
    mid = unet.mid_block

    def every_other(steering: Steering) -> None:
        with steering.using(Plan.of([[Intervention(concept="a")]])):
            call(unet, 2)
            unet.mid_block = None
            call(unet, 2)

    with Steering(unet, {"a": random_vector("a", POOLED)}) as steering:
        with pytest.raises(SteeringError, match="added in 1 of 2 calls"):
            every_other(steering)
        unet.mid_block = mid


def test_a_batch_of_another_layout_is_an_error(unet: UNet2DConditionModel) -> None:
    """Rows that the plan does not account for stop the run instead of steering the wrong ones."""
    with Steering(unet, {"a": random_vector("a", POOLED)}) as steering:
        with pytest.raises(SteeringError, match="3 rows, the plan is for 2"):
            with steering.using(Plan.of([[Intervention(concept="a")]]), GUIDED):
                call(unet, 3)


def test_an_unknown_concept_is_an_error(unet: UNet2DConditionModel) -> None:
    """A plan may only name what is attached."""
    with Steering(unet, {"a": random_vector("a", POOLED)}) as steering:
        with pytest.raises(UnknownConceptError, match="'b', which is not attached"):
            with steering.using(Plan.of([[Intervention(concept="b")]])):
                pass


def test_detaching_leaves_no_trace(unet: UNet2DConditionModel) -> None:
    """After detach the denoiser has no hooks and no buffers, and the handle refuses to steer."""
    bare, weights = call(unet, 2), set(unet.state_dict())
    buffers = {name for name, _ in unet.named_buffers()}
    steering = Steering(unet, {"a": random_vector("a", {"mid_block": (32,), "up_blocks.0": (32,)})})

    assert set(unet.state_dict()) == weights
    steering.detach()
    assert {name for name, _ in unet.named_buffers()} == buffers
    assert not unet._forward_pre_hooks
    assert not unet.mid_block._forward_hooks
    assert torch.equal(call(unet, 2), bare)
    with pytest.raises(SteeringError, match="detached"):
        with steering.using(Plan.of([[]])):
            pass


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_a_steered_denoiser_is_not_copied(
    unet: UNet2DConditionModel, copied: Callable[[nn.Module], object]
) -> None:
    """A copy's hooks would belong to nobody: copying says to detach first, and then works."""
    with Steering(unet, {"a": random_vector("a", POOLED)}):
        with pytest.raises(SteeringError, match="detach"):
            copied(unet)
    copied(unet)


def test_an_unknown_site_names_what_there_is(unet: UNet2DConditionModel) -> None:
    """A misspelt site says which modules the denoiser has."""
    with pytest.raises(SteeringError, match="mid_block"):
        Steering(unet, {"a": random_vector("a", {"middle": (32,)})})


def test_two_guards_on_one_denoiser(unet: UNet2DConditionModel) -> None:
    """A second steering is refused, or composed where that is asked for."""
    a, b = random_vector("a", POOLED), random_vector("b", POOLED)
    both = [Intervention(concept="a"), Intervention(concept="b")]
    with Steering(unet, {"a": a, "b": b}) as steering:
        expected = mid_output(unet, steering, both)
        with pytest.raises(SteeringError, match="steered already"):
            Steering(unet, {"b": b})
    with Steering(unet, {"a": a}) as one, Steering(unet, {"b": b}, compose=True) as two:
        with two.using(Plan.of([[both[1]]]), UNGUIDED):
            together = mid_output(unet, one, [both[0]])

    torch.testing.assert_close(together, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("attached", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_inference_mode_comes_and_goes(
    unet: UNet2DConditionModel, attached: bool, first: bool
) -> None:
    """A server may attach in it, serve a request in it, and the next without it."""
    vectors = {"a": random_vector("a", POOLED)}
    plan = Plan.of([[Intervention(concept="a")]])
    bare = call(unet, 2)
    with torch.inference_mode(attached):
        steering = Steering(unet, vectors)
    for mode in (first, not first, first):
        with torch.inference_mode(mode), steering.using(plan):
            made = call(unet, 2)
        assert not torch.equal(made[1], bare[1])
    assert torch.equal(call(unet, 2), bare)


def test_a_plan_is_over_whatever_fails_at_its_end(
    unet: UNet2DConditionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next request of the thread is served."""
    steering = Steering(unet, {"a": random_vector("a", POOLED)})
    plan = Plan.of([[Intervention(concept="a")]])

    def fail() -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(steering, "_unload", fail)
        with pytest.raises(RuntimeError), steering.using(plan):
            call(unet, 2)
    bare = call(unet, 2)
    with steering.using(plan):
        assert not torch.equal(call(unet, 2), bare)


def test_a_second_thread_waits(unet: UNet2DConditionModel) -> None:
    """Threads that share a denoiser take turns; each gets its own plan."""
    results: dict[str, Tensor] = {}
    with Steering(unet, {n: random_vector(n, POOLED) for n in "ab"}) as steering:
        alone = {n: mid_output(unet, steering, [Intervention(concept=n)]) for n in "ab"}

        def work(name: str) -> None:
            results[name] = mid_output(unet, steering, [Intervention(concept=name)])

        with steering.using(Plan.of([[]])):
            threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
            for thread in threads:
                thread.start()
            assert not results
        for thread in threads:
            thread.join()

    assert all(any(torch.equal(results[n], alone[n]) for n in "ab") for n in "ab")


@pytest.mark.parametrize("rows", [2, 3])
def test_a_bare_call_in_another_thread(unet: UNet2DConditionModel, rows: int) -> None:
    """A plan is in force in its own thread alone: others are neither steered, counted nor timed."""
    seen: list[Tensor] = []
    other = threading.Thread(target=lambda: seen.append(call(unet, rows, 900)))
    late = Plan.of([[Intervention(concept="a", start=0.4, stop=0.6)]])
    with Steering(unet, {"a": random_vector("a", POOLED)}) as steering:
        bare = call(unet, rows, 900)
        with steering.using(late):
            alone = call(unet, 2)
        # At the mid block of its own call, the plan finds the time it began with.
        handle = unet.down_blocks[0].register_forward_hook(lambda *_: between())

        def between() -> None:
            handle.remove()
            other.start()
            other.join()

        with steering.using(late):
            made = call(unet, 2)

    assert torch.equal(seen[0], bare)
    assert torch.equal(made, alone)


def test_tokens_of_a_transformer_block() -> None:
    """A block that puts out two streams [B, N, C] is steered on the one named, and only there."""

    class Block(nn.Module):
        def forward(self, text: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
            return text, image

    class Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([Block()])
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, image: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
            text, image = self.blocks[0](image[:, :2], image)
            return text, image

    denoiser, image = Denoiser(), torch.randn(2, 5, 8)
    vector = random_vector("v", {"blocks.0:1": (8,)})
    with Steering(denoiser, {"v": vector}, timesteps=1) as steering:
        with steering.using(Plan.of([[Intervention(concept="v")]])):
            text, steered = denoiser(image, torch.tensor(0.5))

    assert torch.equal(text, image[:, :2])
    assert torch.equal(steered[0], image[0])
    torch.testing.assert_close(
        steered[1] - image[1], torch.from_numpy(vector.arrays["blocks.0:1"]).expand(5, 8)
    )


@pytest.mark.slow
def test_one_compiled_graph_serves_every_plan(unet: UNet2DConditionModel) -> None:
    """Attached before `torch.compile`, whole-graph: plans change without compiling again."""
    graphs, counts = torch._dynamo.testing.CompileCounter(), []
    vectors = {n: random_vector(n, POOLED) for n in "ab"}
    plans = [
        [[Intervention(concept="a")], []],
        [[], [Intervention(concept="b", start=0.3)]],
        [[], []],
    ]
    with Steering(unet, vectors) as steering:
        compiled = torch.compile(unet, backend=graphs, fullgraph=True)
        for samples in plans:
            with steering.using(Plan.of(samples)):
                expected, made = call(unet, 4), call(compiled, 4)
            torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-5)
            counts.append(graphs.frame_count)
        with pytest.raises(SteeringError, match="'b' added nothing"):
            with steering.using(Plan.of(plans[1])):
                call(compiled, 4, 900)
        assert torch.equal(call(compiled, 4), call(unet, 4))

    assert [*counts, graphs.frame_count] == [counts[0]] * 4


def test_calls_of_their_own_per_condition(unet: UNet2DConditionModel) -> None:
    """Of a step's two calls only the conditional one is steered, in whatever order they come."""
    with Steering(unet, {"a": random_vector("a", POOLED)}) as steering:
        bare = call(unet, 1)
        plan = Plan.of([[Intervention(concept="a")]])
        with steering.using(plan, *SPLIT):
            made = [call(unet, 1) for _ in range(4)]
        with steering.using(plan, *reversed(SPLIT)):
            other = [call(unet, 1) for _ in range(4)]

    assert [torch.equal(each, bare) for each in made] == [False, True, False, True]
    assert [torch.equal(each, bare) for each in other] == [True, False, True, False]
    torch.testing.assert_close(made[0], made[2])


def test_several_conditionals(unet: UNet2DConditionModel) -> None:
    """Every conditional run of rows is steered, wherever it stands."""
    with Steering(unet, {"a": random_vector("a", POOLED)}) as steering:
        bare = call(unet, 3)
        with steering.using(Plan.of([[Intervention(concept="a")]]), ("cond", "uncond", "cond")):
            made = call(unet, 3)

    assert [torch.equal(a, b) for a, b in zip(made, bare, strict=True)] == [False, True, False]


def test_calls_of_unlike_sizes_are_refused(unet: UNet2DConditionModel) -> None:
    """A step whose calls differ in rows must be told call by call."""
    with Steering(unet, {"a": random_vector("a", POOLED)}) as steering:
        with pytest.raises(SteeringError, match="one number of rows"):
            with steering.using(Plan.of([[Intervention(concept="a")]]), GUIDED, UNGUIDED):
                pass
