"""Ready-made policy packs: one YAML file each, its test cases beside it."""
