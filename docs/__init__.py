"""The pages of the documentation, printed by `safegen docs`."""
