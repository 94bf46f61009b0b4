"""YARN's launch scripts before and after; bash itself says what a quoted word is."""

from __future__ import annotations

import difflib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.container.specs import script
from yarn_kata_runtime.container import launch_script
from yarn_kata_runtime.container.launch_script import adapted, quoted

if TYPE_CHECKING:
    from yarn_kata_runtime.compiled import Ports

PORTS: Ports = {"mode": "on", "first": 32768, "last": 40959, "block": 256}  # holds the golden driver's 35143
ELSEWHERE: Ports = {"mode": "on", "first": 16384, "last": 32767, "block": 256}
AM = "org.apache.spark.deploy.yarn.ApplicationMaster"
CLIENT_AM = "org.apache.spark.deploy.yarn.ExecutorLauncher"
EXECUTOR = "org.apache.spark.executor.YarnCoarseGrainedExecutorBackend"
LAUNCH = "exec /bin/bash -c "


def changes(before: str, after: str) -> list[str]:
    """Return the lines that are gone (-) and new (+)."""
    lines = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line for line in lines if line[0] in "+-"]


def launch_line(text: str) -> str:
    """Return the golden script's last command, which has a line for itself."""
    (line,) = (line for line in text.splitlines(keepends=True) if line.startswith(LAUNCH))
    return line


class TestGolden:
    def test_the_driver_of_cluster_mode(self) -> None:
        before = script("spark-am")
        line = launch_line(before)
        assert changes(before, adapted(before, "nm1.lab", PORTS)) == [
            "+ export SPARK_LOCAL_HOSTNAME='nm1.lab'\n",
            f"- {line}",
            f"+ {line.replace(f' {AM} ', f' -Dspark.driver.bindAddress=0.0.0.0 {AM} ')}",
        ]

    def test_an_executor(self) -> None:
        before = script("spark-executor")
        line = launch_line(before)
        assert changes(before, adapted(before, "nm1.lab", PORTS)) == [
            "+ export SPARK_LOCAL_HOSTNAME='nm1.lab'\n",
            f"- {line}",
            f"+ {line.replace(EXECUTOR, f'{EXECUTOR} --bind-address 0.0.0.0')}",
        ]

    def test_the_application_master_of_client_mode(self) -> None:
        """Its driver is the client's: the AM itself advertises the node, and binds as it likes."""
        before = script("spark-am").replace(AM, CLIENT_AM)
        assert changes(before, adapted(before, "nm1.lab", PORTS)) == [
            "+ export SPARK_LOCAL_HOSTNAME='nm1.lab'\n"
        ]

    @pytest.mark.parametrize("name", ["mr-am", "ds-task"])
    def test_other_frameworks_scripts_stay(self, name: str) -> None:
        assert adapted(script(name), "nm1.lab", PORTS) == script(name)
        assert not launch_script.is_spark(script(name))

    @pytest.mark.parametrize("name", ["spark-am", "spark-executor", "mr-am", "ds-task"])
    def test_the_nodes_name(self, name: str) -> None:
        assert launch_script.nm_host(script(name)) == "nm1.lab"

    @pytest.mark.parametrize("name", ["spark-am", "spark-executor"])
    def test_bash_takes_the_result(self, name: str) -> None:
        result = adapted(script(name), "nm1.lab", ELSEWHERE)
        subprocess.run(["bash", "-n"], input=result.encode(), check=True)


class TestOdd:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "\n",
            f"# {AM} \n",
            f"echo {EXECUTOR} ",
            f"\n{LAUNCH}",
            f'\n{LAUNCH}"java {AM}X --class Y"',
            f'\n{LAUNCH}"java -cp /{EXECUTOR}/x Main"',
            f'export X=" {AM} "\n{LAUNCH}"java Main"',
            f'#!/bin/bash\n  {LAUNCH}"java {AM} "',
        ],
    )
    def test_what_starts_nothing_of_sparks_stays(self, text: str) -> None:
        assert adapted(text, "nm1.lab", PORTS) == text

    def test_the_launch_is_a_line_and_not_a_word(self) -> None:
        """An application may be given the very words with which YARN launches it."""
        command = f"\"java {AM} --arg '{LAUNCH}x' --arg ' {AM} ' --arg ' {EXECUTOR} {EXECUTOR} '\"\n"
        result = adapted(f"#!/bin/bash\n{LAUNCH}{command}", "h", PORTS)
        bound = command.replace(f" {AM} --arg", f" -Dspark.driver.bindAddress=0.0.0.0 {AM} --arg")
        bound = bound.replace(f" {EXECUTOR} {EXECUTOR}", f" {EXECUTOR} --bind-address 0.0.0.0 {EXECUTOR}")
        assert result == f"#!/bin/bash\nexport SPARK_LOCAL_HOSTNAME='h'\n{LAUNCH}{bound}"

    def test_bytes_that_are_no_utf_8(self) -> None:
        raw = script("spark-executor").encode().replace(b'USER="alice"', b'USER="al\xff\xfe\xe9ce"')
        result = adapted(raw.decode("utf-8", "surrogateescape"), "nm1.lab", PORTS)
        after = result.encode("utf-8", "surrogateescape")
        assert b'USER="al\xff\xfe\xe9ce"' in after
        lines = {*raw.splitlines()} ^ {*after.splitlines()}
        assert sum(line.startswith((b"export SPARK", b"exec ")) for line in lines) == len(lines) == 3

    def test_no_node_name(self) -> None:
        assert launch_script.nm_host("") == ""
        assert launch_script.nm_host('export NM_HOST="') == ""
        assert launch_script.nm_host('export NM_HOST=""\nexport X="y"') == ""

    @settings(max_examples=200)
    @given(
        st.lists(
            st.sampled_from(
                [f" {AM} ", f" {EXECUTOR} ", LAUNCH, "\n", '"', "'", "--driver-url spark://", "x", ":1 "]
            ),
            max_size=12,
        ).map("".join)
    )
    def test_nothing_of_any_script_is_lost(self, text: str) -> None:
        """The script comes out as it was but for insertions."""
        rest = iter(adapted(text, "h", PORTS))
        assert all(character in rest for character in text)


class TestFixedPort:
    def notice(self, port: str, ports: Ports) -> list[str]:
        before = script("spark-executor").replace("192.0.2.2:35143", f"nm1.lab:{port}")
        return [
            line
            for line in adapted(before, "nm1.lab", ports).splitlines()
            if line.startswith("echo 'yarn-kata")
        ]

    @pytest.mark.parametrize("port", ["16384", "20000", "32767"])
    def test_none_within_the_pool(self, port: str) -> None:
        assert self.notice(port, ELSEWHERE) == []

    @pytest.mark.parametrize("port", ["5555", "16383", "32768", "1"])
    def test_one_outside_the_pool(self, port: str) -> None:
        (line,) = self.notice(port, ELSEWHERE)
        assert f"the driver listens on port {port}, outside the routed ports 16384-32767" in line
        assert "remove spark.driver.port" in line
        told = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
        assert (told.stdout, told.stderr.count("\n")) == ("", 1)
        assert told.stderr.startswith("yarn-kata-runtime: the driver listens on port")

    @pytest.mark.parametrize("port", ["", "x", "-1", "1.5", "$(id)"])
    def test_none_where_there_is_no_number(self, port: str) -> None:
        assert self.notice(port, ELSEWHERE) == []

    def test_a_driver_knows_no_port_yet(self) -> None:
        assert "echo 'yarn-kata" not in adapted(script("spark-am"), "nm1.lab", ELSEWHERE)


class TestQuoted:
    HOSTILE = (
        "nm1.lab",
        "",
        "'",
        "''",
        "a'b",
        "$(id)",
        "`id`",
        '"',
        "\\",
        "a b",
        "\n",
        "a\nb",
        "!",
        "*",
        "~",
        "$HOME",
        ";",
    )

    @pytest.mark.parametrize("host", HOSTILE)
    def test_a_hostile_host_name_is_one_word(self, host: str, tmp_path: Path) -> None:
        text = f'#!/bin/bash\n{LAUNCH}"printf %s \\"\\$SPARK_LOCAL_HOSTNAME\\"; : {AM} "\n'
        found = self.run_bash(adapted(text, host, PORTS).encode(), tmp_path)
        assert found == host.encode()

    @staticmethod
    def run_bash(text: bytes, folder: Path) -> bytes:
        done = subprocess.run(
            ["bash"], input=text, capture_output=True, check=True, cwd=folder, env={"PATH": os.defpath}
        )
        assert done.stderr == b""
        return done.stdout

    @settings(max_examples=40)
    @given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
    @example("'\\''")
    def test_any_text_is_one_word(self, text: str) -> None:
        done = subprocess.run(["bash", "-c", f"printf %s {quoted(text)}"], capture_output=True, check=True)
        assert done.stdout == text.encode()
