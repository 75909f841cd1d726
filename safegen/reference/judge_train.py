"""Train the judges on fresh renders, blurred and noisy like a decoder's images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from safegen.errors import OutputError
from safegen.reference.autoencoder import to_tensor
from safegen.reference.judge import QUESTIONS, Judge, build_judge
from safegen.reference.render import render_array, subjects
from safegen.reference.world import BACKGROUNDS, GENDERS, ITEMS, OCCUPATIONS, TONES, Person, Scene
from safegen.shipped import write_card

_POOL, _HELD_OUT, _BATCH = 12_000, 2000, 64


@dataclass(frozen=True)
class Labelled:
    """uint8 images [N, 64, 64, 3] and, per question, answers [N] (-1: no right answer)."""

    pixels: NDArray[np.uint8]
    answers: dict[str, NDArray[np.int64]]


def render_labelled(rng: np.random.Generator, count: int) -> Labelled:
    """Scenes with every attribute drawn evenly, unlike the world's; a tenth without people."""
    names = subjects()
    pixels, rows = [], []
    for _ in range(count):
        background = str(rng.choice(list(BACKGROUNDS)))
        if rng.random() < 0.1:
            content: Person | str = str(rng.choice(names))
            rows.append((len(OCCUPATIONS), -1, -1, len(ITEMS)))
        else:
            item = None if rng.random() < 0.3 else int(rng.integers(len(ITEMS)))
            person = Person(
                int(rng.integers(len(OCCUPATIONS))),
                int(rng.integers(len(GENDERS))),
                int(rng.integers(len(TONES))),
                item,
            )
            content = person
            last = len(ITEMS) if item is None else item
            rows.append((person.occupation, person.gender, person.tone, last))
        pixels.append(render_array(Scene(content, background, ""), rng))
    columns = np.array(rows, dtype=np.int64).T
    return Labelled(np.stack(pixels), dict(zip(QUESTIONS, columns, strict=True)))


def degrade(images: Tensor, generator: torch.Generator) -> Tensor:
    """Blur, colour shift and noise as a small decoder leaves them; strengths vary by batch."""
    amount = torch.rand(3, generator=generator)
    soft = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), "replicate"), 3, 1)
    images = torch.lerp(images, soft, amount[0])
    shift = 0.06 * torch.randn(len(images), 3, 1, 1, generator=generator)
    noise = 0.12 * amount[1] * torch.randn(images.shape, generator=generator)
    coarse = functional.interpolate(
        torch.randn(len(images), 3, 16, 16, generator=generator), 64, mode="bilinear"
    )
    return (images + shift + noise + 0.15 * amount[2] * coarse).clamp(-1, 1)


def make_folder(folder: Path) -> None:
    """Make the folder for weights, before the training and not after it.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write weights to {folder}: {error.strerror}",
            "choose a folder you can write to",
        ) from error


def train_judges(
    folder: Path, steps: int, seed: int, progress: Callable[[str, int, int, str], None]
) -> dict[str, float]:
    """Train one network per question and write them with a card.

    AdamW, one cycle, batches of 64 renders degraded afresh.

    Args:
        folder: for one `<question>.safetensors` each (fp16), and `card.json`.
        steps: optimiser steps per network.
        seed: decides initial weights and data.
        progress: told (question, steps done, steps in all, a line on the loss).

    Returns:
        What `measure` finds on held-out renders.

    Raises:
        OutputError: the folder cannot be written.
    """
    make_folder(folder)
    rng = np.random.default_rng([seed, 3])
    data = render_labelled(rng, _POOL)
    pixels = to_tensor(data.pixels)
    networks = {}
    for number, (name, choices) in enumerate(QUESTIONS.items()):
        torch.manual_seed(seed * 10 + number)
        generator = torch.Generator().manual_seed(seed * 10 + number)
        network = build_judge(len(choices))
        answers = torch.from_numpy(data.answers[name])
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
        for step in range(steps):
            chosen = torch.randint(len(pixels), (_BATCH,), generator=generator)
            logits = network(degrade(pixels[chosen], generator))
            loss = functional.cross_entropy(logits, answers[chosen], ignore_index=-1)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            progress(name, step + 1, steps, f"loss {loss.item():.4f}")
        networks[name] = network.eval()
    accuracy = measure(Judge(dict(networks)), np.random.default_rng(seed + 99_999), _HELD_OUT)
    for name, network in networks.items():
        state = {key: value.half().contiguous() for key, value in network.state_dict().items()}
        (folder / f"{name}.safetensors").write_bytes(save(state))
    card = {
        "what": "judges of the reference world, one network per question",
        "data": f"{_POOL} fresh renders, degraded at random",
        "command": f"safegen reference train-judges --steps {steps} --seed {seed}",
        "held_out_accuracy": accuracy,
        "licence": "Apache-2.0",
    }
    write_card(folder, card)
    return accuracy


def measure(judge: Judge, rng: np.random.Generator, count: int) -> dict[str, float]:
    """Share of right answers on held-out renders; keys are "question, clean" and "…, degraded"."""
    data = render_labelled(rng, count)
    clean = to_tensor(data.pixels)
    generator = torch.Generator().manual_seed(0)
    soft = torch.cat([degrade(part, generator) for part in torch.split(clean, 64)])
    accuracy = {}
    for kind, images in (("clean", clean), ("degraded", soft)):
        for name, table in judge.probabilities(images).items():
            asked = data.answers[name] >= 0
            right = table.argmax(1).numpy()[asked] == data.answers[name][asked]
            accuracy[f"{name}, {kind}"] = round(float(right.mean()), 4)
    return accuracy
