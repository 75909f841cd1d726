"""An attack on the text embedding itself, for services that take embeddings from their users.

No token has to be found, so this bounds from above what any prompt can reach.
"""

from torch import Tensor

from safegen.evaluation.attacks.descent import Budget, Objective, descend
from safegen.evaluation.attacks.target import Steer, Target


def attack(
    bare: Target,
    guarded: Target,
    prompt: str,
    image: Tensor,
    steer: Steer,
    budget: Budget,
    objective: Objective,
) -> Tensor:
    """Adversarial text embeddings [1, L, D]; for the arguments see `descent.descend`."""
    text = bare.text(bare.ids(prompt)).detach().clone().requires_grad_()
    descend(bare, guarded, prompt, image, steer, budget, objective, text, lambda: text)
    return text.detach()
