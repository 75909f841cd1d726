"""Attacks on a guarded model: prompts, or embeddings, that bring back what it keeps out.

One file per family, each after its paper, with its budget stated. White-box attacks know model,
vectors and plan, and differentiate through the hook that steers.
"""
