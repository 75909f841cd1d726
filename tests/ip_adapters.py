"""Tiny random IP-Adapters, and what reads their pictures."""

from typing import Any

import torch
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection


def load(pipeline: Any, count: int = 1) -> None:
    """Loads so many unlike ones into a tiny pipeline."""
    pipeline.unet._load_ip_adapter_weights([_state(pipeline, seed) for seed in range(count)])


def _state(pipeline: Any, seed: int) -> dict[str, dict[str, Tensor]]:
    torch.manual_seed(seed)
    heads = {
        f"{1 + 2 * number}.{part}_ip.weight": torch.randn(32, 16)
        for number in range(len(pipeline.unet.attn_processors) // 2)
        for part in ("to_k", "to_v")
    }
    projection = {
        "proj.weight": torch.randn(64, 8),
        "proj.bias": torch.zeros(64),
        "norm.weight": torch.ones(16),
        "norm.bias": torch.zeros(16),
    }
    return {"image_proj": projection, "ip_adapter": heads}


def encoder(pipeline: Any) -> None:
    """Gives the pipeline what reads the pictures of its IP-Adapters."""
    torch.manual_seed(0)
    pipeline.image_encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=16,
            projection_dim=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=16,
            patch_size=8,
        )
    ).eval()
    pipeline.feature_extractor = CLIPImageProcessor(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    )
