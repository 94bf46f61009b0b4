"""docs/configuration.md: `python -m yarn_kata_runtime.config.document` prints it, from the model itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from yarn_kata_runtime.config.model import Config

if TYPE_CHECKING:
    Schema = dict[str, Any]

_INTRODUCTION = """\
<!-- made by: python -m yarn_kata_runtime.config.document -->
# Configuration

One file, `/etc/yarn-kata/config.toml`, the same on every node unless nodes differ. It must be a regular file and at
most 1 MiB; it is read as TOML.

The file is compiled when the next container comes after a change of it, of `/etc/passwd` or of `/etc/group`; nothing
has to be restarted. Containers that run keep what they have. An invalid file is never half in force, and the one of
before is not used either: until it is mended, containers of YARN are refused with its error. So look first:

    yarn-kata-runtime config check

It names each mistake, or says what the file comes to on this node, and ends with 1 if anything is wrong.
[errors.md](errors.md#configuration) explains the sentences.

Options without a default must be given. There are no others: a name that is not listed here is a mistake.
"""

# Every option is here; tests hold it against the model.
EXAMPLE = """\
# The class of containers that are not YARN's: they pass unchanged.
foreign = "runc"

[node]
local_dirs = ["/data1/yarn/local", "/data2/yarn/local"]
log_dirs = ["/data1/yarn/log", "/data2/yarn/log"]
yarn_user = "yarn"
yarn_group = "hadoop"
nonsecure_user = "nobody"   # leave it out on a cluster with Kerberos
hostname = ""               # as the NodeManager calls itself
share_hosts = true

# What is not YARN's, and nobody else.
[classes.runc]
path = "/usr/sbin/runc"

# gVisor, for all tenants.
[classes.gvisor]
driver = "oci"
path = "/usr/local/bin/runsc"
args = ["--platform=systrap"]
ports = "auto"
networks = ["bridge"]
mounts_ro = ["/etc/passwd", "/etc/group", "/etc/hadoop", "/opt/hadoop", "/opt/spark"]
mounts_rw = []
capabilities = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"]
devices = false
no_new_privileges = true
kill_grace = 1.0
pids = 16384
open_files = 65536

# The analysts share a slot and count as one; they get 40 containers on a node at most.
[[tenants]]
name = "analytics"
users = ["alice", "bob", "analyst-*"]
class = "gvisor"
max_containers = 40

# Everybody else is a tenant of his own. Without this entry nobody else could run anything.
[[tenants]]
users = ["user-*"]
class = "gvisor"

[slots]
mode = "on"
accounts = ["slot1", "slot2", "slot3", "slot4"]

[ports]
mode = "on"
pool = "16384-32767"
block = 256
"""

_CAPABILITIES = "what Docker gives"  # in place of fourteen names


def page() -> str:
    """Return the whole page."""
    schema = Config.model_json_schema()
    sections = [_section("At the top of the file", _own(schema))]
    for heading, name in (
        ("[node]", "Node"),
        ("[classes.NAME]", "RuntimeClass"),
        ("[[tenants]]", "Tenant"),
        ("[slots]", "Slots"),
        ("[ports]", "Ports"),
    ):
        sections.append(_section(f"`{heading}`", schema["$defs"][name]))
    return "\n".join([_INTRODUCTION, *sections, f"## Example\n\nEvery option once:\n\n```toml\n{EXAMPLE}```\n"])


def _own(schema: Schema) -> Schema:
    """Return the file's schema without its sections, which have tables of their own."""
    values = {name: field for name, field in schema["properties"].items() if field.get("type") == "string"}
    return schema | {"properties": values, "description": "Before the first section:"}


def _section(heading: str, schema: Schema) -> str:
    rows = [
        f"| `{name}` | {_kind(field)} | {_default(name, field)} | {_sentence(field['description'])} |"
        for name, field in schema["properties"].items()
    ]
    head = ["| option | value | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {heading}", "", schema["description"], "", *head, *rows, ""])


def _kind(field: Schema) -> str:
    """Return what a value of the option looks like."""
    if "const" in field or "enum" in field:
        return " or ".join(f'`"{value}"`' for value in field.get("enum", [field.get("const")]))
    match field["type"]:
        case "array":
            return f"list of {_kind(field['items'])}".replace("list of text", "list of texts")
        case "integer" | "number":
            low, high = field.get("minimum"), field.get("maximum")
            bounds = f" from {low}" + ("" if high is None else f" to {high}")
            return ("whole number" if field["type"] == "integer" else "number") + bounds
        case "boolean":
            return "`true` or `false`"
    return "text"


def _default(name: str, field: Schema) -> str:
    if "default" not in field:
        return ""
    return _CAPABILITIES if name == "capabilities" else f"`{json.dumps(field['default'])}`"


def _sentence(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
