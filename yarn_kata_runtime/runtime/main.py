"""One OCI verb in one process; the launcher hands over those that need a decision."""

from __future__ import annotations

from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.runtime.call import Call


def main(argv: list[str], at: int) -> int:
    """Do the verb at `argv[at]`; return the exit code, or do not return at all."""
    call = Call(argv, at)
    try:
        return _verb(call)
    except Refused as refusal:
        message = str(refusal)
    except Exception as error:  # a defect must reach the log too, and must not let anything run
        what = f"{type(error).__name__}: {error}"
        message = f"internal error in {call.verb}, {_place(error)}: {what}; please report it"
    from yarn_kata_runtime.runtime import report

    report.failure(call, message)
    return 1


def _place(error: Exception) -> str:
    """Return the file and line that raised the error."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "unknown place"


def _verb(call: Call) -> int:
    """Do the verb; each has its own module, and no verb pays for another's imports."""
    match call.verb:
        case "create" | "run" | "restore":
            from yarn_kata_runtime.runtime.create import create

            create(call)
        case "start":
            from yarn_kata_runtime.runtime.start import start

            start(call)
        case "exec":
            from yarn_kata_runtime.runtime.execute import execute

            execute(call)
        case "delete":
            from yarn_kata_runtime.runtime.delete import delete

            return delete(call)
        case "list":
            from yarn_kata_runtime.runtime.list import list_containers

            return list_containers(call)
        case _:
            from yarn_kata_runtime.runtime.passing import hand_on

            hand_on(call)
