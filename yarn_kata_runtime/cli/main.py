"""The administrator's side of `yarn-kata-runtime`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from yarn_kata_runtime.cli import check, listing, reconciling
from yarn_kata_runtime.errors import Refused

_DESCRIPTION = "An OCI runtime that runs YARN's containers in sandboxes, tenant by tenant."
_EPILOG = """\
For container engines (the OCI runtime command line, as runc's):
  yarn-kata-runtime [--root DIR] [--log FILE] [--log-format text|json] [--systemd-cgroup] [--debug] VERB ...
  VERB is create, start, state, kill, delete, run, exec, ps, list, pause, resume, update, events,
  features or spec; their options are those of the runtime below, named by the container's class.

Configuration: /etc/yarn-kata/config.toml.  State of the node: /run/yarn-kata.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="yarn-kata-runtime",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="For people", metavar="COMMAND", required=True)
    _add_listing(commands, "containers", "the YARN containers of this node and what they hold", listing.containers)
    _add_listing(commands, "routes", "which ports of this node lead to which container", listing.routes)
    _add_listing(commands, "slots", "the node's slots and who holds them", listing.slots)
    config = commands.add_parser("config", help="the configuration").add_subparsers(metavar="COMMAND", required=True)
    checking = config.add_parser("check", help="say whether config.toml is valid, and what it means for this node")
    checking.set_defaults(command=lambda _: check.check())
    again = commands.add_parser("reconcile", help="give back what containers hold that are no more")
    again.add_argument("--json", action="store_true", help="print what was given back as JSON")
    again.set_defaults(command=lambda arguments: reconciling.reconcile(arguments.json))
    return parser


def _add_listing(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    about: str,
    command: Callable[[bool], int],
) -> None:
    parser = commands.add_parser(name, help=about)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(command=lambda arguments: command(arguments.json))


def main(argv: list[str]) -> int:
    """Run the command; return 0, 1 where something is wrong on the node, 2 for wrong arguments."""
    arguments = _parser().parse_args(argv or ["--help"])
    try:
        code: int = arguments.command(arguments)
    except (Refused, OSError) as error:
        print(f"yarn-kata-runtime: {error}", file=sys.stderr)
        return 1
    return code
