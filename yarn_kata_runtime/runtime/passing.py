"""Verbs that decide nothing, on a node that has no compiled configuration yet."""

from __future__ import annotations

from yarn_kata_runtime.runtime import record
from yarn_kata_runtime.runtime.drivers import oci
from yarn_kata_runtime.runtime.policy import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from yarn_kata_runtime.runtime.call import Call


def hand_on(call: Call) -> NoReturn:
    """Become the runtime that the container was made with, or the one for strangers' containers."""
    kept = None
    if call.words and "/" not in call.words[0]:
        kept = record.read(record.key_of(call.words[0], call.global_option("root")))
    oci.become(kept.argv if kept else load()["foreign"]["argv"], call.argv)
