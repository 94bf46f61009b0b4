"""Builds the package's C programs before setuptools collects its files; the rest is in pyproject.toml."""

from __future__ import annotations

import runpy
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

NATIVE_BUILD = Path(__file__).parent / "yarn_kata_runtime" / "native" / "build.py"


class BuildWithNative(build_py):
    """build_py that first compiles the launcher and init beside their sources, as package data."""

    def run(self) -> None:
        runpy.run_path(str(NATIVE_BUILD))["build"]()
        super().run()


class BinaryDistribution(Distribution):
    """A distribution for one interpreter and machine, since the launcher names both."""

    def has_ext_modules(self) -> bool:
        return True


setup(
    cmdclass={"build_py": BuildWithNative},
    distclass=BinaryDistribution,
    package_data={"yarn_kata_runtime.native": ["launcher", "init"]},
)
