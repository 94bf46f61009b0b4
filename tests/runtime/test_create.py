"""What `create` takes for a container and what the container sees of it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness import ALICE, BOB, CONFIG, HADOOP, NM, SLOTS, Bundle, PrivateNode
from tests.runtime.refusals import Refusals


def _as(uid: int, *argv: str) -> list[str]:
    """Return the arguments that run `argv` as this user and group, and no other."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", *argv]


def _inside_as(uid: int, bundle: Bundle, *argv: str) -> list[str]:
    """Return the arguments that run a program of the container as this user, in its file tree."""
    process = f"/proc/{bundle.pid}"
    user = [f"--setuid={uid}", f"--setgid={uid}"]
    return ["nsenter", f"--mount={process}/ns/mnt", f"--root={process}/root", *user, "--", *argv]


def _owners(folder: Path) -> dict[str, tuple[int, int]]:
    """Return path -> (uid, gid) of everything in a tree of the disk."""
    found = [Path(root, name) for root, folders, files in os.walk(folder) for name in (*folders, *files)]
    return {str(path): (path.lstat().st_uid, path.lstat().st_gid) for path in found}


def test_two_tenants_have_two_slots_and_applications_of_one_share(node: PrivateNode) -> None:
    first = node.yarn_bundle(user="alice", application=1).launch()
    second = node.yarn_bundle(user="alice", application=2).launch()
    other = node.yarn_bundle(user="bob", application=3).launch()
    assert [bundle.row()["slot"] for bundle in (first, second, other)] == ["slot1", "slot1", "slot2"]
    assert [bundle.inside("id", "-u").stdout for bundle in (first, second, other)] == ["6001\n", "6001\n", "6002\n"]
    first.delete("--force")
    assert [row["tenant"] for row in node.listed("slots")] == ["alice", "bob", None]
    second.delete("--force")
    assert [row["tenant"] for row in node.listed("slots")] == [None, "bob", None]


def test_no_slot_free(node: PrivateNode, refused: Refusals) -> None:
    node.configure(CONFIG.replace('["slot1", "slot2", "slot3"]', '["slot1"]'))
    held = node.yarn_bundle(user="bob", application=1)
    held.create()
    waiting = node.yarn_bundle(user="alice", application=2)
    refused.create(waiting, "no slot is free for tenant 'alice'", "all 1 ", "slot1 by bob")
    held.delete("--force")
    waiting.create()


def test_max_containers(node: PrivateNode, refused: Refusals) -> None:
    node.configure(CONFIG.replace('class = "plain"', 'class = "plain"\nmax_containers = 1'))
    held = node.yarn_bundle()
    held.create()
    refused.create(node.yarn_bundle(), "'alice' has 1 containers", "max_containers")
    node.yarn_bundle(user="bob", application=2).create()
    held.delete("--force")
    node.yarn_bundle().create()


def test_inside_the_tenant_is_the_slot_and_nothing_on_disk_changes(node: PrivateNode) -> None:
    bundle = node.yarn_bundle()
    on_disk = node.path(NM)
    before = _owners(on_disk)
    bundle.launch()
    assert bundle.inside("id").stdout == "uid=6001(alice) gid=6001(alice) groups=6001(alice)\n"
    work = str(bundle.work)
    assert bundle.inside("ls", "-ldn", work).stdout.split()[2:4] == ["6001", str(HADOOP)]
    bundle.inside("touch", f"{work}/made", f"{bundle.logs}/stdout")
    node.run(_inside_as(0, bundle, "/bin/busybox", "touch", f"{work}/made-by-root"))
    made = {path: ids for path, ids in _owners(on_disk).items() if path not in before}
    folder = str(on_disk)[: -len(str(NM))]
    assert made == {
        f"{folder}{work}/made": (ALICE, HADOOP),
        f"{folder}{work}/made-by-root": (0, HADOOP),
        f"{folder}{bundle.logs}/stdout": (ALICE, HADOOP),
    }
    bundle.delete("--force")
    assert {path: ids for path, ids in _owners(on_disk).items() if path in before} == before


def test_another_slot_sees_nothing_of_a_tenants_folders(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch()
    clones = [mount["source"] for mount in bundle.spec["mounts"] if "/folder-" in mount.get("source", "")]
    assert len(clones) == 3
    for path in (*clones, str(bundle.work)):
        assert "Permission denied" in node.run(_as(SLOTS["slot2"], "ls", path), check=False).stderr
    listing = ("/bin/busybox", "ls", str(bundle.work))
    assert node.run(_inside_as(SLOTS["slot1"], bundle, *listing)).stdout == "launch_container.sh\n"
    assert "Permission denied" in node.run(_inside_as(SLOTS["slot2"], bundle, *listing), check=False).stderr


def test_accounts_inside(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch()
    assert "alice:x:6001:6001:" in bundle.inside("cat", "/etc/passwd").stdout
    assert "alice:x:6001:" in bundle.inside("cat", "/etc/group").stdout
    assert bundle.inside("touch", "/etc/passwd", check=False).returncode != 0


def test_slots_off_leaves_users_alone(node: PrivateNode) -> None:
    node.configure(CONFIG.replace("[slots]", '[slots]\nmode = "off"'))
    bundle = node.yarn_bundle(user="bob").launch()
    assert bundle.inside("id", "-u").stdout == f"{BOB}\n"
    assert bundle.row()["slot"] is None
    assert not [line for line in node.leftovers() if line.startswith("mount")]


def test_the_port_range_inside_is_the_block(node: PrivateNode) -> None:
    bundle = node.yarn_bundle().launch()
    first, last = bundle.row()["ports"]
    assert (first % 256, last) == (0, first + 255)
    assert bundle.inside("cat", "/proc/sys/net/ipv4/ip_local_port_range").stdout.split() == [str(first), str(last)]


def test_the_init_sets_the_port_range_and_gives_up_root(node: PrivateNode) -> None:
    node.configure(CONFIG.replace("[classes.plain]", '[classes.plain]\nports = "init"'))
    bundle = node.yarn_bundle()
    with bundle.changed() as spec:  # a runtime that ignores sysctls has them writable
        spec["linux"]["readonlyPaths"].remove("/proc/sys")
    bundle.launch()
    first, last = bundle.row()["ports"]
    assert bundle.inside("cat", "/proc/sys/net/ipv4/ip_local_port_range").stdout.split() == [str(first), str(last)]
    assert "net.ipv4.ip_local_port_range" not in bundle.spec["linux"].get("sysctl", {})
    status = dict(line.split(":\t") for line in Path(f"/proc/{bundle.pid}/status").read_text().splitlines())
    assert status["Uid"].split() == ["6001"] * 4
    assert [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == ["0" * 16] * 4
    assert status["NoNewPrivs"] == "1"
    assert os.readlink(f"/proc/{bundle.pid}/cwd") == str(bundle.work)


def test_the_init_that_may_not_write_ends_the_container(node: PrivateNode) -> None:
    node.configure(CONFIG.replace("[classes.plain]", '[classes.plain]\nports = "init"'))
    bundle = node.yarn_bundle()
    bundle.create()
    bundle.start()
    bundle.wait_stopped()  # /proc/sys is read-only under runc: better none than one outside its ports


def test_pool_exhausted(node: PrivateNode, refused: Refusals) -> None:
    node.configure(CONFIG.replace("16384-17407", "16384-16895"))
    held = [node.yarn_bundle() for _ in range(2)]
    for bundle in held:
        bundle.create()
    waiting = node.yarn_bundle()
    refused.create(waiting, "no block of 256 ports is free", "2 are held", "16384-16895")
    held[0].delete("--force")
    waiting.create()
    assert waiting.row()["ports"] == [16384, 16639]


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_a_block_with_a_port_in_use_is_skipped(node: PrivateNode, refused: Refusals, kind: str) -> None:
    node.configure(CONFIG.replace("16384-17407", "16384-16895"))
    holder = node.begin(["/usr/bin/python3", "-c", _HOLD, kind, "16400"])
    assert holder.stdout is not None
    assert holder.stdout.readline() == "bound\n"
    try:
        bundle = node.yarn_bundle()
        bundle.create()
        assert bundle.row()["ports"] == [16640, 16895]
        refused.create(node.yarn_bundle(), "in use on this node")
    finally:
        holder.kill()
        holder.communicate()


_HOLD = """
import socket, sys, time
held = socket.socket(socket.AF_INET, getattr(socket, sys.argv[1]))
held.bind(("127.0.0.1", int(sys.argv[2])))
if sys.argv[1] == "SOCK_STREAM":
    held.listen()
print("bound", flush=True)
time.sleep(1000)
"""


def test_peers_names_are_known_inside(node: PrivateNode) -> None:
    with node.path("/etc/hosts").open("a") as hosts:
        hosts.write("10.99.0.2 nm2.lab\n")
    bundle = node.yarn_bundle().launch()
    assert "10.99.0.2 nm2.lab\n" in bundle.inside("cat", "/etc/hosts").stdout


def test_an_unknown_tenant_is_refused(node: PrivateNode, refused: Refusals) -> None:
    node.configure(CONFIG.replace('"bob", ', ""))
    refused.create(node.yarn_bundle(user="bob"), "'bob' belongs to no tenant")
    refused.create(node.yarn_bundle(user="bob"), "'bob' belongs to no tenant", verb="run")


def test_what_the_class_forbids_is_refused(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    with bundle.changed() as spec:
        spec["mounts"].append({"destination": "/host", "type": "bind", "source": "/", "options": ["rbind", "rw"]})
    refused.create(bundle, bundle.container, "mounts / (writable)", "class 'plain'")


def test_the_host_network_needs_a_class_that_has_it(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    with bundle.changed() as spec:
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "network"]
        spec["linux"]["sysctl"] = {}
    refused.create(bundle, "asks for the host network", "bridge only")
    node.configure(CONFIG.replace("[classes.plain]", '[classes.plain]\nnetworks = ["bridge", "host"]'))
    bundle.launch()
    assert bundle.row()["ports"] is None  # it has all of the node's
    assert os.readlink(f"/proc/{bundle.pid}/ns/net") == node.run(["readlink", "/proc/self/ns/net"]).stdout.strip()


def test_a_second_create_is_refused_and_leaves_the_first_alone(node: PrivateNode, refused: Refusals) -> None:
    bundle = node.yarn_bundle()
    bundle.create()
    content, row = bundle.config.read_bytes(), bundle.row()
    again = node.foreign_bundle()
    words = ["--bundle", str(again.path), bundle.id]
    refused.call("create", *words, says=[f"container {bundle.id} exists already"])
    assert (bundle.config.read_bytes(), bundle.row()) == (content, row)
    bundle.start()
    assert bundle.inside("id", "-u").stdout == "6001\n"


def test_of_creates_at_once_with_one_id_one_wins(node: PrivateNode) -> None:
    bundle = node.yarn_bundle()
    calls = [node.begin(node.engine("create", *bundle.words()), cwd=str(bundle.path)) for _ in range(8)]
    codes = [call.wait(60) for call in calls]
    for call in calls:
        if call.returncode:
            assert "yarn-kata-runtime: " in call.communicate()[1]
    assert sorted(codes) == [0] + [1] * 7
    bundle.start()
    assert bundle.inside("id", "-u").stdout == "6001\n"
    assert len(node.listed("containers")) == 1


def test_a_failing_runtime_leaves_nothing(node: PrivateNode) -> None:
    bundle = node.yarn_bundle()
    with bundle.changed() as spec:
        spec["root"]["path"] = "/no/such/root"
    done = bundle.create(check=False)
    assert done.returncode == 1
    assert "no/such/root" in node.log.read_text()  # runc's own words
    assert node.leftovers() == []
    assert bundle.delete("--force").returncode == 0


def test_64_launches_at_parallelism_8(node: PrivateNode) -> None:
    node.configure(CONFIG.replace("16384-17407", "16384-32767"))
    bundles = [node.yarn_bundle(user=("alice", "bob")[n % 2], application=1 + n % 2) for n in range(64)]
    addresses = {bundle.id: f"10.88.1.{n}" for n, bundle in enumerate(bundles, 1)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda bundle: bundle.launch(addresses[bundle.id]), bundles))
        rows = {row["id"]: row for row in node.listed("containers")}
        assert len(rows) == 64
        assert node.routes() == {row["ports"][0]: addresses[row["id"]] for row in rows.values()}
        assert len(node.routes()) == 64
        list(pool.map(lambda bundle: bundle.delete("--force"), bundles))
    assert node.leftovers() == []


def test_a_yarn_container_is_not_restored(node: PrivateNode, refused: Refusals) -> None:
    refused.call("restore", *node.yarn_bundle().words(), says=["is YARN's and cannot be restored"])
