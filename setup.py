"""Finds the packages; everything else about the build is in pyproject.toml.

`[tool.setuptools.packages.find]` cannot rename what it finds, and a list by hand forgets new ones.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["safegen", "safegen.*"]),
        *(f"safegen.{name}" for name in find_packages(include=["adapters", "adapters.*"])),
        *(f"safegen.{name}" for name in find_packages(include=["policies", "policies.*"])),
        "safegen.docs",
    ]
)
