"""Discovery: learn concept vectors from words, with the diffusion model frozen.

One file per method, one signature: `(bench, spec, budget) -> Learned`.
`discover` makes vectors of it.
"""
