"""hadoop-conf/ and config.toml as the mini-cluster renders them: complete, consistent, nothing loosened."""

from __future__ import annotations

import json
import re
import tomllib
import xml.etree.ElementTree
from collections import Counter
from pathlib import Path

import pytest

from integration import accounts, tree
from integration.container_executor.configuration import parse, split
from integration.paths import HADOOP_CONF_TEMPLATES, INTEGRATION
from yarn_kata_runtime.config.model import Config

DOCKER = "yarn.nodemanager.runtime.linux.docker"


def rendered(path: Path) -> str:
    return tree.render_text(path.read_text())


def site(name: str) -> dict[str, str]:
    root = xml.etree.ElementTree.fromstring(rendered(HADOOP_CONF_TEMPLATES / name))
    pairs = [(p.findtext("name") or "", p.findtext("value") or "") for p in root.findall("property")]
    assert not [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    return dict(pairs)


@pytest.fixture
def yarn() -> dict[str, str]:
    return site("yarn-site.xml")


@pytest.fixture
def executor() -> dict[str, str]:
    sections = parse(rendered(HADOOP_CONF_TEMPLATES / "container-executor.cfg"))
    return {**sections[""], **sections["docker"]}


@pytest.mark.parametrize("template", sorted(HADOOP_CONF_TEMPLATES.glob("[!R]*")), ids=lambda path: path.name)
def test_every_word_is_filled_in(template: Path) -> None:
    assert re.findall(r"@[A-Z_]+@", rendered(template)) == []


@pytest.mark.parametrize("name", [path.name for path in HADOOP_CONF_TEMPLATES.glob("*.xml")])
def test_sites_are_well_formed_and_say_nothing_twice(name: str) -> None:
    assert site(name)


def test_every_word_is_explained() -> None:
    used = {word for path in HADOOP_CONF_TEMPLATES.glob("[!R]*") for word in re.findall(r"@[A-Z_]+@", path.read_text())}
    explained = set(re.findall(r"@[A-Z_]+@", (HADOOP_CONF_TEMPLATES / "README.md").read_text()))
    assert used == explained


def test_nothing_runs_outside_a_container(yarn: dict[str, str]) -> None:
    assert yarn["yarn.nodemanager.runtime.linux.allowed-runtimes"] == "docker"
    assert yarn["yarn.nodemanager.runtime.linux.type"] == "docker"


def test_no_other_runtime_can_be_named(yarn: dict[str, str], executor: dict[str, str]) -> None:
    daemon = json.loads(rendered(HADOOP_CONF_TEMPLATES / "daemon.json"))
    assert list(daemon["runtimes"]) == [daemon["default-runtime"]] == ["yarn-kata"]
    assert yarn[f"{DOCKER}.allowed-container-runtimes"] == executor["docker.allowed.runtimes"] == "yarn-kata"


def test_no_privileges(yarn: dict[str, str], executor: dict[str, str]) -> None:
    assert yarn[f"{DOCKER}.privileged-containers.allowed"] == "false"
    assert executor["docker.privileged-containers.enabled"] == "false"
    assert yarn[f"{DOCKER}.host-pid-namespace.allowed"] == executor["docker.host-pid-namespace.enabled"] == "false"
    assert (yarn[f"{DOCKER}.capabilities"], executor["docker.allowed.capabilities"]) == ("none", "")
    assert executor["docker.allowed.devices"] == ""


def test_only_the_nodemanagers_folders_are_writable(executor: dict[str, str]) -> None:
    assert set(split(executor["docker.allowed.rw-mounts"])) == {tree.LOCAL_DIR, tree.LOG_DIR}


def test_what_yarn_mounts_is_allowed_below(yarn: dict[str, str], executor: dict[str, str]) -> None:
    sources = {mount.split(":")[0] for mount in split(yarn[f"{DOCKER}.default-ro-mounts"])}
    assert sources <= set(split(executor["docker.allowed.ro-mounts"]))
    gvisor = tomllib.loads(rendered(INTEGRATION / "config.toml"))["classes"]["gvisor"]
    assert sources == set(gvisor["mounts_ro"])


def test_the_services_run_no_containers(executor: dict[str, str]) -> None:
    assert {"root", *(account.name for account in accounts.SERVICES)} <= set(split(executor["banned.users"]))
    assert int(executor["min.user.id"]) >= 1000


def test_the_nodes_configuration_is_valid() -> None:
    config = Config.model_validate(tomllib.loads(rendered(INTEGRATION / "config.toml")))
    assert config.slots.accounts == [slot.name for slot in accounts.SLOTS]
    assert {user for tenant in config.tenants for user in tenant.users} == {"alice", "bob"}


def test_accounts_are_distinct() -> None:
    everybody = (*accounts.SERVICES, *accounts.USERS, *accounts.SLOTS)
    assert len({account.uid for account in everybody}) == len({account.name for account in everybody}) == len(everybody)
    assert all(len(line.split(":")) == 7 for line in accounts.passwd().splitlines())
    assert all(len(line.split(":")) == 4 for line in accounts.group().splitlines())
