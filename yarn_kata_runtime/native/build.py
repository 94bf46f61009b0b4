"""Compile the package's two C programs, the launcher and the init of sandboxes, with gcc.

`python3 yarn_kata_runtime/native/build.py` builds them in place, beside their sources, for the interpreter
that runs it; setup.py does the same and packs them. Both are static: init enters images of any kind, and the
launcher starts in a fraction of the time that a dynamic linker takes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

NATIVE = Path(__file__).resolve().parent
LAUNCHER_SOURCES = ("launcher.c", "arguments.c", "record.c", "process.c")
RUN_DIR = "/run/yarn-kata"
STATIC = ("-static", "-Os", "-s")


def compile_c(output: Path, sources: tuple[str, ...], macros: dict[str, str], flags: tuple[str, ...]) -> None:
    """Compile `sources` of this folder to `output`; `macros` become C strings. Raises CalledProcessError."""
    definitions = [f'-D{name}="{value}"' for name, value in macros.items()]
    warnings = ["-std=gnu11", "-Wall", "-Wextra", "-Werror"]
    paths = [str(NATIVE / source) for source in sources]
    subprocess.run(["gcc", *warnings, *flags, *definitions, "-o", output, *paths], check=True)


def compile_launcher(output: Path, *, python: str, run_dir: str = RUN_DIR, flags: tuple[str, ...] = STATIC) -> None:
    """The `yarn-kata-runtime` command. `python`: absolute path of the hot path's interpreter."""
    macros = {"PYTHON": python, "VERSION": package_version(), "RUN_DIR": run_dir}
    compile_c(output, LAUNCHER_SOURCES, macros, flags)


def compile_init(output: Path, *, flags: tuple[str, ...] = STATIC) -> None:
    """The first process inside a sandbox that ignores linux.sysctl."""
    compile_c(output, ("init.c",), {}, flags)


def package_version() -> str:
    """`yarn_kata_runtime.__version__`, read from its file: the package need not be importable to be built."""
    text = (NATIVE.parent / "__init__.py").read_text()
    match = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if match is None:
        raise ValueError(f'{NATIVE.parent / "__init__.py"} has no line __version__ = "..."; add it')
    return match[1]


def base_interpreter() -> str:
    """The interpreter below a virtual environment, which needs none of its start-up files."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def build() -> None:
    """Build both programs in place."""
    compile_launcher(NATIVE / "launcher", python=base_interpreter())
    compile_init(NATIVE / "init")


if __name__ == "__main__":
    build()
