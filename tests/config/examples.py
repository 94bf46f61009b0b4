"""Configurations that are valid, as text."""

MINIMAL = """
[node]
local_dirs = ["/data/local"]
log_dirs = ["/data/log"]

[classes.runc]
path = "/usr/bin/true"

[[tenants]]
users = ["alice"]
class = "runc"

[slots]
accounts = ["slot1"]
"""

FULL = """
foreign = "plain"

[node]
local_dirs = ["/data1/local/", "/data2/local"]
log_dirs = ["/data1/log", "/data2/log"]
yarn_user = "yarn"
yarn_group = "hadoop"
nonsecure_user = "nobody"
hostname = "node1.example.org"
share_hosts = false

[classes.plain]
path = "/usr/bin/env"

[classes.gvisor]
driver = "oci"
path = "/usr/local/bin/runsc"
args = ["--platform=systrap", "--debug-log=/var/log/runsc/"]
networks = ["bridge", "host"]
mounts_ro = ["/opt"]
mounts_rw = ["/srv/"]
capabilities = ["CAP_KILL"]
devices = true
no_new_privileges = false
kill_grace = 2.5
pids = 4096
open_files = 65536

[classes.forced]
path = "/usr/bin/true"
ports = "init"

[[tenants]]
name = "analytics"
users = ["alice", "team-*"]
class = "gvisor"
max_containers = 20

[[tenants]]
users = ["b?b"]
class = "forced"

[slots]
mode = "on"
accounts = ["slot1", "slot2"]

[ports]
mode = "on"
pool = "20480-24575"
block = 128
"""


def changed(text: str, old: str, new: str) -> str:
    """Return the text with a part of it, which is there once, replaced."""
    assert text.count(old) == 1, f"{old!r} is in the example {text.count(old)} times"
    return text.replace(old, new)
