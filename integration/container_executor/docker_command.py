"""docker command lines from the NodeManager's command files, checked against container-executor.cfg.

A command file is one section [docker-command-execution]; the NodeManager fills it from what applications
ask for, so everything in it is checked here.
"""

import re
import sys
from collections.abc import Callable

from integration.container_executor.configuration import Configuration, parse, split
from integration.container_executor.errors import Code, Refusal
from integration.container_executor.mounts import mount_arguments

SECTION = "docker-command-execution"
CONTAINER_ID = re.compile(r"container_(e\d+_)?\d{10,}_\d{4,}_\d{2,}_\d{6,}")
INSPECT_FORMATS = (
    "{{.State.Status}}",
    "{{range(.NetworkSettings.Networks)}}{{.IPAddress}},{{end}}{{.Config.Hostname}}",
    "{{json .NetworkSettings.Ports}}",
    "{{.State.Status}},{{.Config.StopSignal}}",
)
_IMAGE = re.compile(r"(([a-zA-Z0-9.-]+)(:[0-9]+)?/)?([a-z0-9_./-]+)(:[a-zA-Z0-9_.-]+)?(@sha256:[a-f0-9]{64})?")

Values = dict[str, str]


class DockerCommand:
    """One command file: what was asked for, and the argv to execute."""

    def __init__(self, path: str, text: str, configuration: Configuration) -> None:
        try:
            self.values: Values = parse(text)[SECTION]
        except (KeyError, ValueError) as error:
            raise Refusal(Code.INVALID_DOCKER_COMMAND_FILE, f"Invalid conf file provided: {path}") from error
        build = _BUILDERS.get(self.values.get("docker-command", ""))
        if build is None:
            raise Refusal(Code.UNKNOWN_DOCKER_COMMAND)
        client = [configuration.docker_binary]
        if "docker-config" in self.values:
            client.append(f"--config={self.values['docker-config']}")
        self.argv = [*client, *build(self.values, configuration)]

    @property
    def entry_point(self) -> bool:
        """Does the image decide what runs?  Then docker stays in the foreground."""
        return self.values.get("use-entry-point", "").lower() == "true"


def validated_container(name: str | None) -> str:
    """A YARN container id; nothing else may be named to docker."""
    if name is None or not CONTAINER_ID.fullmatch(name):
        raise Refusal(Code.INVALID_DOCKER_CONTAINER_NAME, f"Specified container_id={name} is invalid")
    return name


def _inspect(values: Values, _: Configuration) -> list[str]:
    name, format_ = validated_container(values.get("name")), values.get("format")
    if format_ not in INSPECT_FORMATS:
        raise Refusal(Code.INVALID_DOCKER_INSPECT_FORMAT, f"Invalid format option '{format_}' not permitted")
    return ["inspect", f"--format={format_}", name]


def _kill(values: Values, _: Configuration) -> list[str]:
    name, signal = validated_container(values.get("name")), values.get("signal", "SIGKILL")
    if not re.fullmatch(r"[A-Z0-9+]+", signal):
        message = f"Value for signal contains non-uppercase characters '{signal}'"
        raise Refusal(Code.INVALID_DOCKER_KILL_COMMAND, message)
    return ["kill", f"--signal={signal}", name]


def _remove(values: Values, _: Configuration) -> list[str]:
    return ["rm", validated_container(values.get("name"))]


def _run(values: Values, configuration: Configuration) -> list[str]:
    name = validated_container(values.get("name"))
    image = values.get("image", "")
    if not _IMAGE.fullmatch(image):
        raise Refusal(Code.INVALID_DOCKER_IMAGE_NAME)
    if "user" not in values:
        raise Refusal(Code.INVALID_DOCKER_USER_NAME)
    if values.get("privileged", "false").lower() != "false":
        _privileged(configuration)
    trusted = _trusted(image, configuration)
    return [
        "run",
        f"--name={name}",
        f"--user={values['user']}",
        *_no_new_privileges(configuration),
        *_flag(values, "detach", "-d"),
        *_option(values, "workdir"),
        *_network(values, configuration),
        *_pid_namespace(values),
        *(mount_arguments(split(values.get("mounts")), configuration) if trusted else []),
        *_option(values, "cgroup-parent"),
        "--cap-drop=ALL",
        *(_capabilities(values, configuration) if trusted else []),
        *_runtime(values, configuration),
        *_option(values, "hostname"),
        *(word for group in split(values.get("group-add")) for word in ("--group-add", group)),
        *_devices(values, configuration, trusted),
        *(["--env-file", values["environ"]] if "environ" in values else []),
        image,
        *split(values.get("launch-command")),
    ]


def _privileged(configuration: Configuration) -> None:
    """Where the genuine one would go on to ask sudo about the user, this one stops: the cluster has none."""
    enabled = configuration.enabled("docker.privileged-containers.enabled", "docker")
    state = "not supported here" if enabled else "disabled"
    message = f"Privileged containers are {state}"
    raise Refusal(Code.PRIVILEGED_DOCKER_CONTAINERS_DISABLED, message)


def _trusted(image: str, configuration: Configuration) -> bool:
    """An image of no trusted registry runs without mounts and capabilities."""
    trusted = any(image.startswith(f"{name.rstrip('/')}/") for name in configuration.docker("trusted.registries"))
    trusted = trusted or ("/" not in image and "library" in configuration.docker("trusted.registries"))
    if not trusted:
        _complain(f"image: {image} is not trusted.")
        _complain("Disable mount volume for untrusted image")
    return trusted


def _network(values: Values, configuration: Configuration) -> list[str]:
    network = values.get("net")
    if network is None:
        return []
    if network not in configuration.docker("allowed.networks"):
        _complain(f"Invalid param '{network}' requested")
        raise Refusal(Code.INVALID_DOCKER_NETWORK, "Could not find requested network in allowed networks")
    if network != "bridge":
        return [f"--net={network}"]
    published = [f"-p={ports}" for ports in split(values.get("ports-mapping"))] or ["-P"]
    return [f"--net={network}", *published]


def _capabilities(values: Values, configuration: Configuration) -> list[str]:
    allowed = configuration.docker("allowed.capabilities")
    for capability in split(values.get("cap-add")):
        if capability not in allowed:
            _complain(f"Invalid param '{capability}' requested")
            raise Refusal(Code.INVALID_DOCKER_CAPABILITY, "Invalid docker capability requested")
    return [f"--cap-add={capability}" for capability in split(values.get("cap-add"))]


def _runtime(values: Values, configuration: Configuration) -> list[str]:
    runtime = values.get("runtime")
    if runtime is None:
        return []
    if runtime not in configuration.docker("allowed.runtimes"):
        _complain(f"Invalid param '{runtime}' requested")
        raise Refusal(Code.INVALID_DOCKER_RUNTIME, "Invalid docker runtime requested")
    return [f"--runtime={runtime}"]


def _devices(values: Values, configuration: Configuration, trusted: bool) -> list[str]:
    allowed = configuration.docker("allowed.devices")
    for device in split(values.get("devices")):
        if not trusted or not any(device.split(":")[0] == name.split(":")[0] for name in allowed):
            _complain(f"Invalid param '{device}' requested")
            raise Refusal(Code.INVALID_DOCKER_DEVICE, "Invalid docker device requested")
    return [f"--device={device}" for device in split(values.get("devices"))]


def _pid_namespace(values: Values) -> list[str]:
    if "pid" in values:
        raise Refusal(Code.DOCKER_PID_HOST_DISABLED, "Host pid namespace is disabled")
    return []


def _no_new_privileges(configuration: Configuration) -> list[str]:
    on = (configuration.value("docker.no-new-privileges.enabled", "docker") or "").lower() == "true"
    return ["--security-opt=no-new-privileges"] if on else []


def _flag(values: Values, key: str, argument: str) -> list[str]:
    return [argument] if values.get(key) == "true" else []


def _option(values: Values, key: str) -> list[str]:
    return [f"--{key}={values[key]}"] if key in values else []


def _complain(message: str) -> None:
    print(message, file=sys.stderr)


_BUILDERS: dict[str, Callable[[Values, Configuration], list[str]]] = {
    "inspect": _inspect,
    "kill": _kill,
    "rm": _remove,
    "run": _run,
}
