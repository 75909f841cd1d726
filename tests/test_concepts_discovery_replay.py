"""Replaying what precedes the site gives the same prediction at a part of the cost."""

import torch

from safegen.concepts.discovery.replay import Replay, measure_costs, replays
from safegen.testing import tiny_unet


def states() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents, timesteps and text of four rows."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(4, 4, 8, 8, generator=generator)
    return latents, torch.tensor([1, 200, 600, 999]), torch.randn(4, 3, 16, generator=generator)


@torch.no_grad()
def test_a_replayed_forward_is_the_forward() -> None:
    """Bit for bit, for any choice of rows; and the UNet is as it was afterwards."""
    unet = tiny_unet()
    latents, timesteps, text = states()
    replay = Replay(unet)
    assert replay.record(latents, timesteps, text)
    replay.finish()
    rows = torch.tensor([3, 1])
    given = (latents[rows], timesteps[rows], text[rows])
    whole = unet(*given).sample
    modules = list(unet.modules())
    with replay.instead():
        replay.rows(rows)
        part = unet(*given).sample

    torch.testing.assert_close(part, whole, rtol=1e-5, atol=1e-6)
    assert list(unet.modules()) == modules


def test_costs_are_shares_of_a_forward() -> None:
    """The down path is a part of it; a backward to the mid block costs less than a forward."""
    unet = tiny_unet().requires_grad_(False)
    mid = measure_costs(unet, ["mid_block"], states()[2])
    down = measure_costs(unet, ["down_blocks.0"], states()[2])

    assert 0.2 < mid.prefix < 0.8
    assert 0.1 < mid.backward < 1
    assert down.prefix == 0
    assert down.backward > mid.backward


def test_only_sites_behind_the_down_path_can_be_replayed() -> None:
    """A vector before or within it changes what would be replayed."""
    assert replays(tiny_unet(), ["mid_block", "up_blocks.1"])
    assert not replays(tiny_unet(), ["mid_block", "down_blocks.1"])
