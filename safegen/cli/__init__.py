"""The `safegen` command: one file for each group of commands."""
