"""`config check`: is the file valid, and what does it mean here."""

from __future__ import annotations

import os
import shutil
import sys

from yarn_kata_runtime import compiled, paths
from yarn_kata_runtime.config.compile import Invalid, compile_policy, read


def check() -> int:
    """Print what is wrong with the configuration, or what it comes to; return 1 if anything is wrong."""
    try:
        policy = compile_policy(read(paths.CONFIG))
    except Invalid as error:
        for mistake in error.args:
            print(f"{paths.CONFIG}: {mistake}", file=sys.stderr)
        return 1
    missing = _missing(policy)
    for sentence in missing:
        print(sentence, file=sys.stderr)
    if not missing:
        print(f"{paths.CONFIG} is valid")
    _print(policy)
    return 1 if missing else 0


def _missing(policy: compiled.Policy) -> list[str]:
    found = []
    for name, runtime_class in policy["classes"].items():
        if shutil.which(runtime_class["argv"][0]) is None:
            found.append(f"classes.{name}.path: {runtime_class['argv'][0]} cannot be executed; install it")
    for folder in (*policy["node"]["local_dirs"], *policy["node"]["log_dirs"]):
        if not os.path.isdir(folder):
            found.append(f"node: there is no folder {folder}; name the folders of yarn-site.xml")
    return found


def _print(policy: compiled.Policy) -> None:
    slots, ports = policy["slots"], policy["ports"]
    for tenant in policy["tenants"]:
        name = tenant["name"] or "each of them"
        print(f"tenant  {name}: users {', '.join(tenant['users'])} in class {tenant['runtime_class']}")
    for name, runtime_class in policy["classes"].items():
        print(f"class   {name}: {' '.join(runtime_class['argv'])}")
    print(f"foreign {policy['foreign']['name']}")
    print(f"slots   {len(slots['accounts']) if slots['mode'] == 'on' else 'off'}")
    blocks = (ports["last"] + 1 - ports["first"]) // ports["block"]
    print(f"ports   {blocks} blocks of {ports['block']}" if ports["mode"] == "on" else "ports   off")
