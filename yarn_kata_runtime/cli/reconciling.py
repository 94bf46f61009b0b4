"""`reconcile`: what crashes left behind, given back."""

from __future__ import annotations

import json
import os

from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.runtime.reconcile import reconcile as run


def reconcile(as_json: bool) -> int:
    """Reconcile the node and print what was done."""
    if os.geteuid() != 0:
        raise Refused("reconcile changes what root holds; run it as root")
    done = run()
    if as_json:
        print(json.dumps(done, indent=2))
        return 0
    for sentence in done:
        print(sentence)
    if not done:
        print("nothing to do: the node's state is what lives")
    return 0
