"""Steering: one addition at the output of a site while the image forms.

    h ← h + Σ_k s_k(t)·g_k(h)·c_k

`plan` says what is added, per sample and phase; `site` says where; only `add` adds.
"""
