"""The numbers of the plan in force: one table for batches of every size."""

import pytest
import torch
import torch._dynamo.testing
from torch import Tensor, nn

from safegen.nouns import Intervention
from safegen.steering.hook import Steering
from safegen.steering.plan import Plan
from safegen.testing import random_vector, tiny_unet


def call(unet: nn.Module, rows: int) -> Tensor:
    """The UNet's output for equal rows."""
    with torch.no_grad():
        made: Tensor = unet(
            torch.ones(rows, 4, 8, 8), torch.tensor(500.0), torch.ones(rows, 3, 16)
        ).sample
    return made


@pytest.mark.slow
def test_one_compiled_graph_serves_every_size() -> None:
    """Batches of any size, whole-graph: torch makes as many graphs of the UNet as of a bare one."""
    torch._dynamo.reset()
    unet = tiny_unet()
    sizes = (4, 6, 8, 10, 12, 14, 4)
    bare = torch._dynamo.testing.CompileCounter()
    compiled = torch.compile(unet, backend=bare, fullgraph=True)
    for rows in sizes:
        call(compiled, rows)
    torch._dynamo.reset()
    graphs = torch._dynamo.testing.CompileCounter()
    with Steering(unet, {"a": random_vector("a", {"mid_block": (32,)})}) as steering:
        compiled = torch.compile(unet, backend=graphs, fullgraph=True)
        for rows in sizes:
            plan = Plan.of([[Intervention(concept="a")], *[[]] * (rows // 2 - 1)])
            with steering.using(plan):
                expected, made = call(unet, rows), call(compiled, rows)
            torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-5)
            assert torch.equal(call(compiled, rows), call(unet, rows))

    # One more: torch makes the hook that runs before the UNet a graph of its own.
    assert graphs.frame_count == bare.frame_count + 1 == 3


def test_more_rows_than_there_is_room_for() -> None:
    """A large batch is steered as a small one is; what was read of the tables before is over."""
    plan = Plan.of([[Intervention(concept="a")]] * 3)

    class Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))
            self.mid_block = nn.Identity()

        def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
            hidden: Tensor = self.mid_block(sample)
            return hidden

    many = Plan.of([[Intervention(concept="a")], *[[]] * 98, [Intervention(concept="a")]])
    with Steering(Denoiser(), {"a": random_vector("a", {"mid_block": (8,)})}) as steering:
        first = steering._sites[0].strengths
        made = []
        for each in (plan, many, plan):
            rows = torch.zeros(2 * len(each.samples), 8, 4, 4)
            with steering.using(each):
                made.append(steering.denoiser(rows, torch.tensor(500.0)))
                if each is many:
                    assert int(first.in_force) == 0

    assert [row.nonzero().flatten().tolist() for row in (m.flatten(1).any(1) for m in made)] == [
        [3, 4, 5],
        [100, 199],
        [3, 4, 5],
    ]


def test_the_numbers_follow_the_model() -> None:
    """Of a model that is moved after attaching, all that a step needs is where the model is."""
    unet = tiny_unet()
    plan = Plan.of([[Intervention(concept="a")]])
    with Steering(unet, {"a": random_vector("a", {"mid_block": (32,)})}) as steering:
        (site,) = steering._sites
        before = site.strengths
        unet.to("meta")
        with pytest.raises(RuntimeError, match="meta"), steering.using(plan):  # read at its end
            unet(*(torch.ones(2, *size, device="meta") for size in ((4, 8, 8), (), (3, 16))))
        numbers = site.strengths
        read = (site.addition.vectors, numbers.table, numbers.gated, numbers.in_force)
        assert [each.device.type for each in read] == ["meta"] * 4
        assert int(before.in_force) == 0
