"""The runtime below gets the caller's words, environment and signals, and its answer is the caller's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.runtime.drivers import oci

SHELL = ["/bin/sh", "-c"]


def _python(program: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    text = f"from yarn_kata_runtime.runtime.drivers import oci\n{program}"
    repo = str(Path(oci.__file__).parents[3])
    argv = [sys.executable, "-c", text]
    return subprocess.run(argv, env=env, cwd=repo, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("call", ["oci.become(A, B)", "oci.run(A, B)"])
def test_words_and_environment_are_the_callers(call: str) -> None:
    env = {"GIVEN": "yes", "EMPTY": "", "LC_ALL": "C"}
    program = f"A = ['/usr/bin/env', '-u', 'PWD']\nB = ['/bin/sh', '-c', 'env -u PWD; echo $0', 'a b']\n{call}"
    lines = _python(program, env).stdout.splitlines()
    assert sorted(lines) == sorted([*(f"{name}={value}" for name, value in env.items()), "a b"])


def test_without_an_environment_there_is_none() -> None:
    assert _python("oci.become(['/usr/bin/env'], [])", {}).stdout == ""


@pytest.mark.parametrize("call", ["oci.become", "oci.run"])
def test_signals_are_not_left_ignored(call: str) -> None:
    program = f"{call}(['/bin/grep'], ['^SigIgn:', '/proc/self/status'])"
    ignored = int(_python(program, {}).stdout.split()[1], 16)
    assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_exit_codes(script: str, code: int) -> None:
    assert oci.run(SHELL, [script]) == code


def test_output() -> None:
    assert oci.output(SHELL, ["echo out; echo err >&2"], 10) == b"out\n"
    assert oci.output(SHELL, ["head -c 1000000 /dev/zero"], 10) == bytes(1_000_000)
    assert oci.output(SHELL, ["cat"], 10) == b""
    assert oci.output(SHELL, ["echo out; exit 1"], 10) is None
    assert oci.output(SHELL, ["kill -9 $$"], 10) is None


def test_output_that_takes_too_long_ends_its_program() -> None:
    before = _children()
    assert oci.output(["/bin/sleep"], ["1000"], 0.05) is None
    assert _children() == before


def _children() -> set[str]:
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())


def test_no_descriptor_is_left_open() -> None:
    before = os.listdir("/proc/self/fd")
    oci.output(SHELL, ["true"], 10)
    oci.output(["/bin/sleep"], ["1000"], 0.01)
    with pytest.raises(Refused):
        oci.output(["/no/such/runtime"], [], 10)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("path", ["/no/such/runtime", "/etc", "/etc/passwd"])
def test_a_runtime_that_is_none(path: str) -> None:
    for attempt in (lambda: oci.run([path], []), lambda: oci.become([path], []), lambda: oci.output([path], [], 1)):
        with pytest.raises(Refused, match=f"the runtime {path} cannot be executed"):
            attempt()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # become has set it for a program that did not come
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
