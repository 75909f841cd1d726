"""Discovery: learn concept vectors from words, with the diffusion model frozen.

One file per method, one signature: `(pipeline, spec, budget, progress) -> ConceptVector`.
"""
