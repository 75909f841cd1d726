"""Mutations: other ways to write the same prompt, one function for each idea.

Each takes a prompt whose telling words are marked and a source of chance, and gives the prompt
rewritten, marks and all, so that mutations chain. Whether it keeps the meaning is said of each.
"""
