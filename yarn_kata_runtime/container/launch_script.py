"""YARN's launch script, adapted so that unmodified Spark works behind a bridge network.

Spark binds to the name it advertises.  In a container the node's name is not an address of its own, so
executors and drivers bind to every address and advertise the node's; the routes do the rest.
Source: spark-core's CoarseGrainedExecutorBackend takes --bind-address since 3.0.0, spark-yarn (to 4.3.0)
passes none; SPARK_LOCAL_HOSTNAME is read by org.apache.spark.util.Utils.localCanonicalHostName.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from yarn_kata_runtime.compiled import Ports

_EXECUTOR = "org.apache.spark.executor.YarnCoarseGrainedExecutorBackend"
_DRIVER = "org.apache.spark.deploy.yarn.ApplicationMaster"  # cluster mode: the driver lives in it
_CLIENT_AM = "org.apache.spark.deploy.yarn.ExecutorLauncher"  # client mode: the driver is the client's
_LAUNCH = "\nexec /bin/bash -c "  # the last line; the command on it may hold the same words
_NM_HOST = 'export NM_HOST="'
_DRIVER_URL = "--driver-url spark://CoarseGrainedScheduler@"


def is_spark(command: str) -> bool:
    """Say whether the command starts one of Spark's processes."""
    return any(f" {main} " in command for main in (_EXECUTOR, _DRIVER, _CLIENT_AM))


def nm_host(script: str) -> str:
    """Return the NodeManager's host name that YARN put into the script, "" if there is none."""
    _, _, rest = script.partition(_NM_HOST)
    return rest.partition('"')[0]


def bound_everywhere(command: str) -> str:
    """Return the command with executors and cluster-mode drivers bound to all addresses."""
    command = command.replace(f" {_EXECUTOR} ", f" {_EXECUTOR} --bind-address 0.0.0.0 ", 1)
    return command.replace(f" {_DRIVER} ", f" -Dspark.driver.bindAddress=0.0.0.0 {_DRIVER} ", 1)


def adapted(script: str, host: str, ports: Ports) -> str:
    """Return the launch script as the container is to run it; `host` is the name that peers reach.

    A script that starts nothing of Spark's is returned as it is.
    """
    setup, launch, command = script.rpartition(_LAUNCH)
    if not launch or not is_spark(command):
        return script
    notice = _fixed_port_notice(command, ports)
    return f"{setup}\nexport SPARK_LOCAL_HOSTNAME={quoted(host)}{notice}{launch}{bound_everywhere(command)}"


def quoted(text: str) -> str:
    """Return `text` as one word of the shell's."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fixed_port_notice(command: str, ports: Ports) -> str:
    """Return one more line that tells the user of a driver port that no route leads to, "" if there is no need.

    Only executors know it before anything runs: their command names the driver's address.
    """
    _, _, rest = command.partition(_DRIVER_URL)
    port = rest.partition(" ")[0].rpartition(":")[2]
    if not port.isdigit() or ports["first"] <= int(port) <= ports["last"]:
        return ""
    text = (
        f"yarn-kata-runtime: the driver listens on port {port}, outside the routed ports "
        f"{ports['first']}-{ports['last']}; if it runs in cluster mode, remove spark.driver.port "
        "from the application's settings, or executors get 'Connection refused'"
    )
    return f"\necho {quoted(text)} >&2"
