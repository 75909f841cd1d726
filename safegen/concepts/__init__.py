"""Concept vectors: data with a passport, kept in a store."""
