"""TCP and UDP from somewhere on the node to a container."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from tests.harness import PYTHON, Bundle, PrivateNode

NODE_ADDRESS = "10.88.0.1"

_SERVER = """
import select, socket, sys
tcp = socket.create_server(("0.0.0.0", 0))
port = tcp.getsockname()[1]
udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", port))
print(port, flush=True)
while True:
    for ready in select.select([tcp, udp], [], [])[0]:
        if ready is tcp:
            connection, _ = tcp.accept()
            connection.sendall(connection.recv(100).upper())
            connection.close()
        else:
            data, sender = udp.recvfrom(100)
            udp.sendto(data.upper(), sender)
"""

_CLIENT = """
import socket, sys
kind, address, port = sys.argv[1:]
client = socket.socket(type=getattr(socket, kind))
client.settimeout(5)
client.connect((address, int(port)))
client.send(b"heard")
print(client.recv(100).decode())
"""


@contextlib.contextmanager
def server(bundle: Bundle) -> Iterator[int]:
    """Run an echo server in the container's network; give its port, which the kernel chose there."""
    process = bundle.node.begin(bundle.entered(PYTHON, "-c", _SERVER))
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def hears(node: PrivateNode, where: Sequence[str], kind: str, port: int, address: str = NODE_ADDRESS) -> bool:
    """Say whether the server answers; `where` is a prefix of arguments, [] for a process of the node."""
    done = node.run([*where, PYTHON, "-c", _CLIENT, kind, address, str(port)], check=False)
    return done.stdout == "HEARD\n"
