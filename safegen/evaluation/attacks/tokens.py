"""Adversarial tokens before the prompt, as UnlearnDiffAtk and P4D find them.

The tokens are relaxed to points of the simplex over the vocabulary, as UnlearnDiffAtk does, and
read out as its corners.
"""

import torch
from torch import Tensor

from safegen.evaluation.attacks.descent import AttackedPrompt, DescentBudget, Objective, descend


def attack(case: AttackedPrompt, budget: DescentBudget, objective: Objective) -> str:
    """An adversarial prompt: tokens found, and then the prompt."""
    guarded, prompt = case.guarded, case.prompt
    ids = guarded.ids(prompt)[0]
    room = ids[:1].expand(budget.tokens)
    framed = torch.cat([ids[:1], room, ids[1 : len(ids) - budget.tokens]])[None]
    generator = torch.Generator().manual_seed(budget.seed)
    drawn = torch.randn(budget.tokens, len(guarded.words), generator=generator) * 0.01
    logits = drawn.to(ids.device).requires_grad_()

    def text() -> Tensor:
        return guarded.text(framed, logits.softmax(1) @ guarded.words)

    descend(case, budget, objective, logits, text)
    own = guarded.pipeline.tokenizer(prompt, add_special_tokens=False).input_ids
    return guarded.decode([*logits.argmax(1).tolist(), *own])
