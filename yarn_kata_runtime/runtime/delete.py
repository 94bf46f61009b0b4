"""`delete`: the runtime below goes first; only what it has let go of is given back."""

from __future__ import annotations

from yarn_kata_runtime.runtime import record
from yarn_kata_runtime.runtime.drivers import oci

TYPE_CHECKING = False
if TYPE_CHECKING:
    from yarn_kata_runtime.runtime.call import Call


def delete(call: Call) -> int:
    """Delete the container below, then give back what it held; return the exit code for the caller."""
    key = record.key_of(call.container_id(), call.global_option("root"))
    kept = record.read(key)
    if kept is None:
        from yarn_kata_runtime.runtime.policy import load

        oci.become(load()["foreign"]["argv"], call.argv)
    code = oci.run(kept.argv, call.argv)
    if code == 0:
        from yarn_kata_runtime.runtime.release import release

        release(key)
    return code
