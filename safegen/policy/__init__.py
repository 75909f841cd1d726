"""Policy: declarative rules turn scores and context into a decision."""

from safegen.policy.policy import Policy

__all__ = ["Policy"]
