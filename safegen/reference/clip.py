"""Train the reference CLIP: open_clip's own model, small, on pictures and captions of the world.

Its captions are truthful and drawn evenly, without the world's biases: whatever a person holds is
said, and empty hands are left unsaid. A detector that had learned the biases would see a weapon on
every guard. It shares no weights with the diffusion model or the judges.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from safegen.errors import MissingExtraError
from safegen.reference.autoencoder import to_tensor
from safegen.reference.judge_train import degrade, make_folder
from safegen.reference.render import SIZE, render_array, subjects
from safegen.reference.world import (
    BACKGROUNDS,
    GENDER_WORDS,
    GENDERS,
    HOLDING,
    ITEMS,
    OCCUPATIONS,
    PREFIXES,
    TONE_GROUP_OF,
    TONES,
    Person,
    Scene,
    with_article,
)
from safegen.shipped import write_card

STEPS = 900
_POOL, _HELD_OUT, _BATCH = 12_000, 1500, 96
_BY_NAME = {item.name: item for item in ITEMS}
CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 128,
        "vision_cfg": {"image_size": SIZE, "layers": [1, 1, 1, 1], "width": 16, "head_width": 64},
        # open_clip's own vocabulary, so that its tokenizer serves; the width keeps it small.
        "text_cfg": {
            "context_length": 32,
            "vocab_size": 49408,
            "width": 48,
            "heads": 4,
            "layers": 2,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}


def sample_content(rng: np.random.Generator, names: tuple[str, ...]) -> Person | str:
    """A person with every attribute drawn evenly (70 %), an item alone, or a subject of `names`."""
    kind = rng.random()
    if kind < 0.15:
        return str(rng.choice(names))
    if kind < 0.3:
        return ITEMS[int(rng.integers(len(ITEMS)))].name
    return Person(
        int(rng.integers(len(OCCUPATIONS))),
        int(rng.integers(len(GENDERS))),
        int(rng.integers(len(TONES))),
        None if rng.random() < 0.35 else int(rng.integers(len(ITEMS))),
    )


def describe(content: Person | str, rng: np.random.Generator) -> str:
    """A truthful caption; occupation, gender and tone may be left unsaid, the item never is."""
    if isinstance(content, str):
        item = _BY_NAME.get(content)
        words = with_article(str(rng.choice(item.synonyms)) if item else content)
    else:
        noun = str(rng.choice(OCCUPATIONS[content.occupation].synonyms))
        forms = GENDER_WORDS[GENDERS[content.gender]]
        says_occupation, says_gender, says_tone = rng.random(3) < (0.6, 0.4, 0.3)
        if not says_occupation:
            noun = forms[0] if says_gender else "person"
        elif says_gender:
            noun = f"{rng.choice(forms)} {noun}"
        if says_tone:
            noun = f"{TONE_GROUP_OF[content.tone]}-skinned {noun}"
        words = with_article(noun)
        if content.item is not None:
            thing = with_article(str(rng.choice(ITEMS[content.item].synonyms)))
            words += f" {rng.choice(HOLDING)} {thing}"
    return f"{rng.choice(PREFIXES)} {words}".strip()


def render_contents(
    rng: np.random.Generator, count: int
) -> tuple[list[Person | str], NDArray[np.uint8]]:
    """Contents and their pictures, uint8 [count, 64, 64, 3], on random backgrounds."""
    names = subjects()
    contents = [sample_content(rng, names) for _ in range(count)]
    backgrounds = rng.choice(list(BACKGROUNDS), count)
    pictures = [
        render_array(Scene(content, str(background), ""), rng)
        for content, background in zip(contents, backgrounds, strict=True)
    ]
    return contents, np.stack(pictures)


def train_clip(
    folder: Path, steps: int, seed: int, progress: Callable[[str, int, int, str], None]
) -> dict[str, float]:
    """Train for `steps` and write an open_clip folder with a card.

    AdamW, one cycle, batches of 96 pictures degraded afresh and captioned afresh.

    Args:
        folder: for `open_clip_config.json`, `open_clip_model.safetensors` (fp16) and `card.json`.
        steps: optimiser steps.
        seed: decides initial weights and data.
        progress: told ("clip", steps done, steps in all, a line on the loss).

    Returns:
        What `measure` finds on held-out renders.

    Raises:
        MissingExtraError: open_clip is not installed.
        OutputError: the folder cannot be written.
    """
    try:
        from open_clip import SimpleTokenizer
        from open_clip.model import CLIP
    except ImportError as error:
        raise MissingExtraError("open_clip_torch", "clip", "training the reference CLIP") from error
    make_folder(folder)
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 7])
    generator = torch.Generator().manual_seed(seed)
    contents, pictures = render_contents(rng, _POOL)
    pixels = to_tensor(pictures)
    model = CLIP(**CONFIG["model_cfg"])
    tokenize = SimpleTokenizer(context_length=CONFIG["model_cfg"]["text_cfg"]["context_length"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=steps, pct_start=0.15
    )
    targets = torch.arange(_BATCH)
    for step in range(steps):
        chosen = rng.choice(_POOL, _BATCH, replace=False)
        captions = tokenize([describe(contents[i], rng) for i in chosen])
        image, text, scale = model(degrade(pixels[chosen], generator), captions)
        logits = scale * image @ text.T
        loss = functional.cross_entropy(logits, targets) + functional.cross_entropy(
            logits.T, targets
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, np.log(100))
        progress("clip", step + 1, steps, f"loss {loss.item() / 2:.3f}")

    state = {key: value.half().contiguous() for key, value in model.state_dict().items()}
    (folder / "open_clip_model.safetensors").write_bytes(save(state))
    (folder / "open_clip_config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    quality = measure(folder, seed + 99_999, _HELD_OUT)
    card = {
        "what": "CLIP of the reference world, for open_clip's local-dir: loader",
        "data": f"{_POOL} renders, degraded and captioned afresh for every step",
        "command": f"safegen reference train-clip --steps {steps} --seed {seed}",
        "held_out": quality,
        "licence": "Apache-2.0",
    }
    write_card(folder, card)
    return quality


def measure(folder: Path, seed: int, count: int) -> dict[str, float]:
    """Zero-shot AUC per label of the default CLIP detector, on held-out renders.

    Positive is every picture with an item of that category, held or alone; negative is every other
    picture. Keys are "label, clean" and "label, degraded"; values are in [0, 1].
    """
    from safegen.audit.detectors.clip import ClipDetector

    detector = ClipDetector(model=f"local-dir:{folder}")
    contents, pictures = render_contents(np.random.default_rng(seed), count)
    categories = np.array([category(content) for content in contents])
    clean = to_tensor(pictures)
    generator = torch.Generator().manual_seed(seed)
    soft = torch.cat([degrade(part, generator) for part in torch.split(clean, 64)])
    quality = {}
    for kind, images in (("clean", clean), ("degraded", soft)):
        findings = detector(_to_images(images))
        for i, label in enumerate(detector.labels):
            scores = np.array([row[i].score for row in findings])
            quality[f"{label}, {kind}"] = round(auc(scores, categories == label), 4)
    return quality


def category(content: Person | str) -> str:
    """The category of the item in the picture; "none" without one."""
    if isinstance(content, str):
        item = _BY_NAME.get(content)
    else:
        item = None if content.item is None else ITEMS[content.item]
    return item.category if item else "none"


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """The share of (positive, negative) pairs in which the positive scores higher; ties half."""
    ahead = scores[positive][:, None] - scores[~positive][None, :]
    return float((ahead > 0).mean() + 0.5 * (ahead == 0).mean())


def _to_images(images: Tensor) -> list[Image.Image]:
    pixels = ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(picture) for picture in pixels]
