"""Ready-made policy packs, loaded by name: `Policy.load("default")`."""
