"""Red-teaming a policy of one's own: what gets past it in other words, and in images.

`text` mutates prompts that the policy guards against and needs no model; `images` runs the attacks
on a model with the whole guard.
"""
