"""Nodes and containers made of network namespaces, with a firewall like Docker's."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import pytest

from yarn_kata_runtime.node.syscalls import call

PROCESSES = get_context("fork")
CLONE_NEWNET = 0x40000000
SECONDS = 60.0  # for anything that a namespace is asked to do
DIAL_SECONDS = 3.0  # until a dial counts as unanswered
WIRE = "10.99.0"  # network of the nodes
NUMBERS = count()
N = TypeVar("N", bound="Namespace")


def require(*programs: str) -> None:
    """Fail in CI, and skip elsewhere saying so, where a program of /usr/sbin or /usr/bin is missing."""
    missing = [program for program in programs if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")]
    if not missing:
        return
    if "CI" in os.environ:
        pytest.fail(f"these tests need {', '.join(missing)}; install them in CI")
    pytest.skip(f"needs {', '.join(missing)}")


class Namespace:
    """A network namespace with its loopback up."""

    def __init__(self) -> None:
        self.name = f"ykr-{os.getpid()}-{next(NUMBERS)}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.ip("link", "set", "lo", "up")

    def remove(self) -> None:
        subprocess.run(["ip", "netns", "delete", self.name], check=True)

    def ip(self, *arguments: str) -> None:
        subprocess.run(["ip", "-n", self.name, *arguments], check=True)

    def run(self, *argv: str) -> str:
        """Run a command inside and return its output."""
        command = ["ip", "netns", "exec", self.name, *argv]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def sysctl(self, name: str, value: int) -> None:
        self.run("sysctl", "-q", "-w", f"{name}={value}")

    def connect(self, interface: str, other: Namespace, other_interface: str) -> None:
        """Lay a cable between two namespaces."""
        ends = [interface, "netns", self.name, "type", "veth", "peer", "name", other_interface, "netns", other.name]
        subprocess.run(["ip", "link", "add", *ends], check=True)
        self.ip("link", "set", interface, "up")
        other.ip("link", "set", other_interface, "up")

    def call(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Return what a function returns, or raise what it raises, in a process inside."""
        return self.spawn(function, *arguments).result()

    def spawn(self, function: Callable[..., Any], *arguments: object) -> Spawned:
        return Spawned(self.name, function, arguments)


class Spawned:
    """A function running in a process of its own inside a namespace."""

    def __init__(self, namespace: str, function: Callable[..., Any], arguments: tuple[object, ...]) -> None:
        self.answers, there = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(target=_inside, args=(namespace, there, function, arguments), daemon=True)
        self.process.start()
        there.close()
        assert self.answers.poll(SECONDS) and self.answers.recv() == "inside"

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def result(self) -> Any:
        if not self.answers.poll(SECONDS):
            self.stop()
            raise TimeoutError(f"nothing came back within {SECONDS} s")
        value, error = self.answers.recv()
        self.process.join()
        if error is not None:
            raise error
        return value

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


def _inside(namespace: str, answers: Connection, function: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    with open(f"/run/netns/{namespace}") as file:
        call("setns", file.fileno(), CLONE_NEWNET)
    answers.send("inside")
    try:
        answers.send((function(*arguments), None))
    except BaseException as error:  # the caller raises it, whatever it is
        answers.send((None, error))


class Container(Namespace):
    """A namespace on a node's bridge, with a first process that answers on the ports that it is told."""

    def __init__(self, node: Node, address: str, ports: list[int]) -> None:
        super().__init__()
        self.node, self.address = node, address
        self.port = f"v{self.name.rsplit('-', 1)[1]}"
        self.connect("eth0", node, self.port)
        node.ip("link", "set", self.port, "master", "docker0")
        self.ip("address", "add", f"{address}/16", "dev", "eth0")
        self.ip("route", "add", "default", "via", node.gateway)
        ready, there = PROCESSES.Pipe(duplex=False)
        self.first = self.spawn(answer, ports, there)
        there.close()
        assert ready.poll(SECONDS) and ready.recv() == "ready"

    def remove(self) -> None:
        self.first.stop()
        super().remove()


class Node(Namespace):
    """A namespace with a bridge docker0 and the rules of Docker with `icc` off, where all depends on ours.

    `proxy` False is Docker's userland-proxy=false without its hairpin mode.
    """

    def __init__(self, wire: Namespace, number: int, bridged: bool, proxy: bool) -> None:
        super().__init__()
        self.address, self.gateway = f"{WIRE}.{number}", f"172.{16 + number}.0.1"
        self.connect("eth0", wire, f"node{number}")
        wire.ip("link", "set", f"node{number}", "master", "switch")
        self.ip("address", "add", f"{self.address}/24", "dev", "eth0")
        self.ip("link", "add", "docker0", "type", "bridge")
        self.ip("address", "add", f"{self.gateway}/16", "dev", "docker0")
        self.ip("link", "set", "docker0", "up")
        self.sysctl("net.ipv4.ip_forward", 1)
        self.sysctl("net.bridge.bridge-nf-call-iptables", int(bridged))
        self.proxy = proxy

    def container(self, number: int, ports: list[int]) -> Container:
        return Container(self, f"{self.gateway[:-1]}{number}", ports)

    def start_docker(self) -> None:
        """Make the rules that dockerd 20.10 makes, in its order: its own chain's jump comes first."""
        subnet = f"{self.gateway}/16"
        for rule in (
            "-P FORWARD DROP",
            "-I FORWARD -i docker0 -o docker0 -j DROP",
            "-I FORWARD -i docker0 ! -o docker0 -j ACCEPT",
            "-I FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            f"-t nat -A POSTROUTING -s {subnet} ! -o docker0 -j MASQUERADE",
            *([] if self.proxy else ["-t nat -A POSTROUTING -m addrtype --src-type LOCAL -o docker0 -j MASQUERADE"]),
        ):
            self.run("iptables", *rule.split())
        if "-N DOCKER-USER" not in self.firewall():
            self.run("iptables", "-N", "DOCKER-USER")
            self.run("iptables", "-A", "DOCKER-USER", "-j", "RETURN")
        if "-A FORWARD -j DOCKER-USER" in self.firewall():
            self.run("iptables", "-D", "FORWARD", "-j", "DOCKER-USER")
        self.run("iptables", "-N", "DOCKER")
        self.run("iptables", "-I", "FORWARD", "-j", "DOCKER-USER")

    def firewall(self) -> list[str]:
        return self.run("iptables", "-S").splitlines()


@contextlib.contextmanager
def wire() -> Iterator[Namespace]:
    """The network between nodes."""
    require("ip", "nft", "iptables", "bridge", "sysctl")
    if not os.path.exists("/proc/sys/net/bridge"):
        subprocess.run(["modprobe", "br_netfilter"], check=True)
    with removed(Namespace()) as namespace:
        namespace.ip("link", "add", "switch", "type", "bridge")
        namespace.ip("link", "set", "switch", "up")
        namespace.sysctl("net.bridge.bridge-nf-call-iptables", 0)
        yield namespace


@contextlib.contextmanager
def removed(namespace: N) -> Iterator[N]:
    """Remove the namespace in the end."""
    try:
        yield namespace
    finally:
        namespace.remove()


def answer(ports: list[int], ready: Connection) -> None:
    """Tell whoever comes to a port where it comes from, then repeat what it says: TCP and UDP."""
    for port in ports:
        listener = socket.create_server(("0.0.0.0", port))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("0.0.0.0", port))
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        threading.Thread(target=_receive, args=(datagrams,), daemon=True).start()
    ready.send("ready")
    threading.Event().wait()


def _accept(listener: socket.socket) -> None:
    while True:
        connection, peer = listener.accept()
        threading.Thread(target=_repeat, args=(connection, peer[0]), daemon=True).start()


def _repeat(connection: socket.socket, peer: str) -> None:
    with contextlib.suppress(OSError), connection:
        connection.sendall(peer.encode())
        while data := connection.recv(4096):
            connection.sendall(data)


def _receive(datagrams: socket.socket) -> None:
    while True:
        _, peer = datagrams.recvfrom(4096)
        datagrams.sendto(peer[0].encode(), peer)


def opened(protocol: str, address: str, port: int) -> socket.socket:
    """A socket connected to (address, port) by "tcp" or "udp"."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    dialling = socket.socket(socket.AF_INET, kind)
    dialling.settimeout(DIAL_SECONDS)
    dialling.connect((address, port))
    return dialling


def dial(protocol: str, address: str, port: int) -> str:
    """Return where the answering container says that we come from, or the name of the error."""
    try:
        with opened(protocol, address, port) as dialling:
            if protocol == "udp":
                dialling.send(b"?")
            return dialling.recv(4096).decode()
    except OSError as error:
        return type(error).__name__
