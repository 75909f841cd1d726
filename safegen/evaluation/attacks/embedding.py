"""An attack on the text embedding itself, for services that take embeddings from their users.

No token has to be found, so this bounds from above what any prompt can reach.
"""

from torch import Tensor

from safegen.evaluation.attacks.descent import AttackedPrompt, DescentBudget, descend


def attack(case: AttackedPrompt, budget: DescentBudget) -> Tensor:
    """Adversarial text embeddings [1, L, D], from those of the prompt on, by P4D's objective."""
    text = case.bare.text(case.bare.ids(case.prompt)).detach().clone().requires_grad_()
    descend(case, budget, "prediction", text, lambda: text)
    return text.detach()
