"""Audit: detectors that look at every image, the ladder of reactions, and the ledger."""
