"""Evaluation: are images really safer and fairer, and at what cost? One file per protocol.

A protocol asks a subject (a bare model, a peer's method, a guard) for images and has a judge that
had no part in making them say what they show.
"""
