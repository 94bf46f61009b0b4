"""`start`: the routes that are open when the container runs, and what happens where nftables refuses."""

from __future__ import annotations

import pytest

from tests.harness import CONFIG, PrivateNode
from tests.runtime.refusals import Refusals
from tests.runtime.traffic import hears, server

KINDS = ["SOCK_STREAM", "SOCK_DGRAM"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_block_of_the_node_leads_to_the_container(node: PrivateNode, kind: str) -> None:
    bundle, peer = node.yarn_bundle().launch("10.88.2.1"), node.yarn_bundle().launch("10.88.2.2")
    first, last = bundle.row()["ports"]
    with server(bundle) as port:
        assert first <= port <= last
        assert hears(node, [], kind, port)
        assert hears(node, peer.entered(), kind, port)
        bundle.delete("--force")
    assert first not in node.routes()


def test_routes_end_with_the_container(node: PrivateNode) -> None:
    bundle, other = node.yarn_bundle().launch("10.88.2.3"), node.yarn_bundle().launch("10.88.2.4")
    assert set(node.routes().values()) == {"10.88.2.3", "10.88.2.4"}
    bundle.delete("--force")
    assert set(node.routes().values()) == {"10.88.2.4"}
    assert other.row()["address"] == "10.88.2.4"


def test_a_flush_is_made_good_by_the_next_start(node: PrivateNode) -> None:
    first, second = node.yarn_bundle().launch("10.88.2.5"), node.yarn_bundle().launch("10.88.2.6")
    before = node.routes()
    node.run(["nft", "flush", "ruleset"])
    assert node.routes() == {}
    third = node.yarn_bundle().launch("10.88.2.7")
    assert node.routes() == {**before, third.row()["ports"][0]: "10.88.2.7"}
    with server(first) as port:
        assert hears(node, [], "SOCK_STREAM", port)
        assert hears(node, second.entered(), "SOCK_STREAM", port)


def test_a_flush_is_made_good_by_reconcile(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch("10.88.2.8")
    before = node.routes()
    node.run(["nft", "flush", "ruleset"])
    node.people("reconcile")
    assert node.routes() == before
    with server(bundle) as port:
        assert hears(node, [], "SOCK_STREAM", port)


def test_without_a_network_nothing_is_routed(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch()
    assert bundle.row()["address"] is None
    assert node.routes() == {}


def test_a_start_without_a_pid_file(node: PrivateNode) -> None:
    bundle = node.yarn_bundle()
    node.runtime("create", "--bundle", str(bundle.path), bundle.id)
    bundle.pid_file.write_text(str(bundle.state()["pid"]))  # for attach; the runtime was not told of it
    bundle.attach("10.88.2.9")
    bundle.pid_file.unlink()
    bundle.start()
    assert node.routes() == {bundle.row()["ports"][0]: "10.88.2.9"}


def test_a_second_start_is_refused_by_the_runtime_and_breaks_nothing(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch("10.88.2.10")
    assert bundle.start(check=False).returncode != 0
    assert node.routes() == {bundle.row()["ports"][0]: "10.88.2.10"}
    assert bundle.state()["status"] == "running"


def test_without_cap_net_admin_no_container_starts(node: PrivateNode) -> None:
    bundle = node.yarn_bundle()
    bundle.create()
    bundle.attach("10.88.2.11")
    powerless = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"]
    done = node.run([*powerless, *node.engine("start", bundle.id)], check=False)
    assert done.returncode == 1
    assert "not permitted" in node.last_log()
    assert bundle.state()["status"] == "created"
    bundle.start()
    assert node.routes() == {bundle.row()["ports"][0]: "10.88.2.11"}


def test_a_table_of_another_kind_is_replaced(node: PrivateNode) -> None:
    node.run(["nft", "flush", "ruleset"])
    node.run(["nft", "add", "table", "ip", "yarn_kata"])
    node.run(["nft", "add", "map", "ip", "yarn_kata", "blocks", "{ type ipv4_addr : ipv4_addr; }"])
    bundle = node.yarn_bundle().launch("10.88.2.12")
    with server(bundle) as port:
        assert hears(node, [], "SOCK_STREAM", port)


def test_a_table_that_claims_to_be_ours_and_is_not_refuses_starts(node: PrivateNode, refused: Refusals) -> None:
    node.run(["nft", "flush", "ruleset"])
    comment = 'comment "blocks of 256 ports"'
    node.run(["nft", "add", "table", "ip", "yarn_kata"])
    node.run(["nft", "add", "map", "ip", "yarn_kata", "blocks", f"{{ type ipv4_addr : ipv4_addr; {comment}; }}"])
    bundle = node.yarn_bundle()
    bundle.create()
    bundle.attach("10.88.2.13")
    refused.call("start", bundle.id, says=["10.88.2.13", "yarn_kata"])
    assert bundle.state()["status"] == "created"
    node.run(["nft", "delete", "table", "ip", "yarn_kata"])
    bundle.start()


def test_a_node_that_does_not_forward_refuses_starts(node: PrivateNode, refused: Refusals) -> None:
    node.run(["nft", "flush", "ruleset"])
    node.run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=0"])
    bundle = node.yarn_bundle()
    bundle.create()
    bundle.attach("10.88.2.14")
    refused.call("start", bundle.id, says=["net.ipv4.ip_forward=1"])
    node.run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"])
    bundle.start()


def test_a_new_size_of_block_waits_for_the_old_routes(node: PrivateNode, refused: Refusals) -> None:
    held = node.yarn_bundle().launch("10.88.2.15")
    node.configure(CONFIG.replace("block = 256", "block = 128"))
    bundle = node.yarn_bundle()
    bundle.create()
    bundle.attach("10.88.2.16")
    refused.call("start", bundle.id, says=["ports.block = 128"])
    held.delete("--force")
    bundle.start()
    first = bundle.row()["ports"][0]
    assert node.routes() == {first: "10.88.2.16"}


def test_an_unknown_container_is_the_runtimes_to_refuse(node: PrivateNode) -> None:
    done = node.runtime("start", "nobody-knows", check=False)
    assert done.returncode == 1
    assert "does not exist" in node.log.read_text()


def test_a_container_that_died_before_start(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    bundle.create()
    node.runtime("kill", bundle.id, "KILL")
    bundle.wait_stopped()
    refused.call("start", bundle.id, says=[bundle.container])
