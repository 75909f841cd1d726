"""An attack on the text embedding itself, for services that take embeddings from their users.

No token has to be found, so this bounds from above what any prompt can reach.
"""

from torch import Tensor

from safegen.evaluation.attacks.descent import Budget, Case, Objective, descend


def attack(case: Case, budget: Budget, objective: Objective) -> Tensor:
    """Adversarial text embeddings [1, L, D], from those of the prompt on."""
    text = case.bare.text(case.bare.ids(case.prompt)).detach().clone().requires_grad_()
    descend(case, budget, objective, text, lambda: text)
    return text.detach()
