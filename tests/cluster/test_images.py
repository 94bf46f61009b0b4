"""The images' sources are this machine's own."""

from __future__ import annotations

import subprocess

import pytest

from integration import images
from integration.shell import ClusterError

LISTING = """http://mirror.example/debian/ bookworm main
http://mirror.example/debian/ bookworm contrib
http://mirror.example/debian/ bookworm-updates main
http://other.example/debian-security/ bookworm-security main
http://mirror.example/debian/ bookworm-backports main
http://mirror.example/debian/ trixie main
"""


def answer(monkeypatch: pytest.MonkeyPatch, stdout: str) -> None:
    monkeypatch.setattr(images, "run", lambda argv: subprocess.CompletedProcess(argv, 0, stdout, ""))
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"VERSION_CODENAME": "bookworm"})


def test_debian_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, LISTING)
    assert images._debian_sources() == [
        ("http://mirror.example/debian/", "bookworm", "main contrib"),
        ("http://other.example/debian-security/", "bookworm-security", "main"),
        ("http://mirror.example/debian/", "bookworm-updates", "main"),
    ]


def test_no_debian_source(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "http://mirror.example/debian/ trixie main\n")
    with pytest.raises(ClusterError, match="no source of Debian bookworm: run apt-get update"):
        images._debian_sources()


def test_proxies_reach_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(
        monkeypatch, 'APT::Architecture "amd64";\nAcquire "";\nAcquire::http "";\nAcquire::http::Proxy "http://p:1";\n'
    )
    assert images._acquire_options().splitlines() == [
        'Acquire::http::Proxy "http://p:1";',
        'Acquire::https::CAInfo "/etc/ssl/outer.crt";',
    ]


def test_tags_change_with_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = images.node_image()
    monkeypatch.setattr(images, "NODE_PACKAGES", (*images.NODE_PACKAGES, "another"))
    assert images.node_image() != before
