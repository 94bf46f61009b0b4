"""Elements of a map, as `nft` shows them."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator

import pytest

from tests.node.hosts import Namespace, removed, require
from yarn_kata_runtime.node.elements import BLOCKS, MARKS, Elements, comment, commit, made_for, mark

pytestmark = pytest.mark.usefixtures("needs_root")

TEXT = f"""
table ip yarn_kata {{
    map blocks {{ type inet_service : ipv4_addr; comment "{comment(256)}"; }}
    map marks {{ type inet_service : mark; }}
}}
"""
KEY, OTHER = b"\x50\x00", b"\x51\x00"  # 20480, 20736
ADDRESS = bytes([172, 17, 0, 2])
MISSING = Elements("yarn_kata", "missing"), Elements("missing", "blocks")


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    require("ip", "nft")
    with removed(Namespace()) as made:
        yield made


@pytest.fixture
def table(namespace: Namespace) -> Namespace:
    namespace.run("nft", "flush", "ruleset")
    namespace.run("nft", TEXT)
    return namespace


def shown(namespace: Namespace, name: str) -> list[list[object]]:
    listing = json.loads(namespace.run("nft", "-j", "list", "map", "ip", "yarn_kata", name))
    return sorted(listing["nftables"][1]["map"].get("elem", []))


def change(*changes: bytes) -> None:
    commit(*changes)


class TestChanges:
    def test_byte_order_is_nft_s(self, table: Namespace) -> None:
        data = mark(20480).to_bytes(4, "little" if int.from_bytes(b"\1\0", "little") == 1 else "big")
        table.call(change, BLOCKS.addition(KEY, ADDRESS), MARKS.addition(KEY, data))
        assert shown(table, "blocks") == [[20480, "172.17.0.2"]]
        assert table.call(MARKS.all) == {KEY: data}
        assert shown(table, "marks") == [[20480, 0x10005000]]

    def test_what_nft_added_is_read(self, table: Namespace) -> None:
        table.run("nft", "add element ip yarn_kata blocks { 20480 : 172.17.0.2, 20736 : 10.0.0.1 }")
        assert table.call(BLOCKS.all) == {KEY: ADDRESS, OTHER: bytes([10, 0, 0, 1])}
        assert table.call(BLOCKS.data, OTHER) == bytes([10, 0, 0, 1])

    def test_removal(self, table: Namespace) -> None:
        table.call(change, BLOCKS.addition(KEY, ADDRESS), BLOCKS.addition(OTHER, ADDRESS))
        table.call(change, BLOCKS.removal(KEY))
        assert shown(table, "blocks") == [[20736, "172.17.0.2"]]

    def test_same_again(self, table: Namespace) -> None:
        for _ in range(2):
            table.call(change, BLOCKS.addition(KEY, ADDRESS))
        assert shown(table, "blocks") == [[20480, "172.17.0.2"]]

    def test_all_or_nothing(self, table: Namespace) -> None:
        with pytest.raises(FileNotFoundError):
            table.call(change, BLOCKS.addition(KEY, ADDRESS), BLOCKS.removal(OTHER))
        assert shown(table, "blocks") == []


class TestErrors:
    def test_other_data(self, table: Namespace) -> None:
        table.call(change, BLOCKS.addition(KEY, ADDRESS))
        with pytest.raises(OSError, match=".") as caught:
            table.call(change, BLOCKS.addition(KEY, bytes(4)))
        assert caught.value.errno in (errno.EEXIST, errno.EBUSY)

    def test_missing_element(self, table: Namespace) -> None:
        for attempt in (change, BLOCKS.removal(KEY)), (BLOCKS.data, KEY):
            with pytest.raises(FileNotFoundError):
                table.call(*attempt)

    @pytest.mark.parametrize("elements", MISSING, ids=["map", "table"])
    def test_missing(self, table: Namespace, elements: Elements) -> None:
        for attempt in (change, elements.addition(KEY, ADDRESS)), (elements.all,), (elements.userdata,):
            with pytest.raises(FileNotFoundError):
                table.call(*attempt)


class TestMadeFor:
    def test_its_size_only(self, table: Namespace) -> None:
        assert [table.call(made_for, block) for block in (256, 2560, 128, 25)] == [True, False, False, False]

    def test_no_table(self, table: Namespace) -> None:
        table.run("nft", "flush", "ruleset")
        assert table.call(made_for, 256) is False
