"""What Docker says of a container, and what must not be taken for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.harness import PrivateNode
from tests.runtime.refusals import Refusals
from yarn_kata_runtime.runtime.docker import DockerState, state_of

FOLDER = "/var/lib/docker/containers/" + "a" * 64
VOLUME = "b" * 64


def test_other_engines_say_nothing() -> None:
    for mounts in ([], [{"destination": "/etc/hostname", "source": "/run/containers/x/hostname"}]):
        state = state_of({"mounts": mounts}, "a" * 64)
        assert (state.name, state.folder, state.own_folders()) == ("", "", [])


@pytest.mark.parametrize(
    ("source", "made"),
    [
        (f"/var/lib/docker/volumes/{VOLUME}/_data", True),
        (f"/var/lib/docker/volumes/{VOLUME}/_data/..", False),
        (f"/var/lib/docker/volumes/{VOLUME}", False),
        ("/var/lib/docker/volumes/named/_data", False),
        (f"/var/lib/docker/volumes/../{VOLUME}/_data", False),
        (f"/srv/volumes/{VOLUME}/_data", False),
    ],
)
def test_volumes_of_images(source: str, made: bool) -> None:
    assert DockerState("c", FOLDER).made_volume(source) == made
    assert not DockerState("", "").made_volume(source)


def test_an_images_volume_is_mounted(node: PrivateNode) -> None:
    bundle = node.yarn_bundle()
    source = f"/var/lib/docker/volumes/{VOLUME}/_data"
    node.path(source).mkdir(parents=True, exist_ok=True)
    with bundle.changed() as spec:
        spec["mounts"].append({"destination": "/data", "type": "bind", "source": source, "options": ["rbind", "rw"]})
    bundle.launch()
    assert bundle.inside("ls", "-d", "/data").stdout == "/data\n"


def test_the_name_is_another_containers(node: PrivateNode, refused: Refusals) -> None:
    name = "container_1795190376517_0009_01_000009"
    refused.create(node.yarn_bundle(name=name), "ambiguous", name)


def test_the_name_is_nobodys(node: PrivateNode, refused: Refusals) -> None:
    refused.create(node.yarn_bundle(name="friendly_bohr"), "signs of YARN", "'friendly_bohr'")


@pytest.mark.parametrize(
    "content", ["", "[]", '{"Name": 7}', "{}", '{"Name": "/container', "\0"], ids=lambda text: repr(text)
)
def test_a_state_that_says_nothing(node: PrivateNode, refused: Refusals, content: str) -> None:
    bundle = node.yarn_bundle()
    (bundle.docker / "config.v2.json").write_text(content)
    refused.create(bundle, "Docker's ", f"{bundle.id}/config.v2.json", "dockerd's own log")


@pytest.mark.parametrize("mode", [0o666, 0o620], ids=oct)
def test_a_state_that_others_can_write_does_not_count(node: PrivateNode, refused: Refusals, mode: int) -> None:
    bundle = node.yarn_bundle()
    (bundle.docker / "config.v2.json").chmod(mode)
    refused.create(bundle, "its name is 'unknown'")


def test_hostname_and_environment_do_not_count(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle(name="friendly_bohr")

    def claim(spec: dict[str, Any]) -> None:
        spec["hostname"] = bundle.container
        spec["process"]["env"] += [f"CONTAINER_ID={bundle.container}", "USER=alice"]
        spec["annotations"] = {"container": bundle.container}

    with bundle.changed() as spec:
        claim(spec)
    refused.create(bundle, "signs of YARN")
    foreign = node.foreign_bundle()
    with foreign.changed() as spec:
        claim(spec)
    before = foreign.config.read_bytes()
    foreign.create()
    assert foreign.config.read_bytes() == before
    assert json.loads(node.people("containers", "--json").stdout) == []
