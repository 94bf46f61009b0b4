"""Files of `key=value` lines in `[sections]`: container-executor.cfg and the NodeManager's command files."""

import os
import stat

from integration.container_executor.errors import Code, Refusal

Sections = dict[str, dict[str, str]]


def parse(text: str) -> Sections:
    """Section to key to value; keys before the first section are in section "".

    Raises ValueError at a line that is neither.
    """
    sections: Sections = {"": {}}
    current = sections[""]
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if words.startswith("[") and words.endswith("]"):
            current = sections.setdefault(words[1:-1], {})
            continue
        key, equals, value = words.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"line {number} is no key=value: {words}")
        current[key.strip()] = value.strip()
    return sections


class Configuration:
    """container-executor.cfg."""

    def __init__(self, path: str) -> None:
        _only_root_may_write(path)
        self.path = path
        with open(path, encoding="utf-8") as file:
            try:
                self._sections = parse(file.read())
            except ValueError as error:
                raise Refusal(Code.INVALID_CONFIG_FILE, f"Invalid conf file {path}: {error}") from error

    def value(self, key: str, section: str = "") -> str | None:
        return self._sections.get(section, {}).get(key)

    def values(self, key: str, section: str = "") -> list[str]:
        """A comma-separated value; empty if it is not set."""
        return split(self.value(key, section))

    def enabled(self, key: str, section: str) -> bool:
        return (self.value(key, section) or "").lower() in ("1", "true")

    def docker(self, key: str) -> list[str]:
        """A list of the [docker] section."""
        return self.values(f"docker.{key}", "docker")

    @property
    def docker_binary(self) -> str:
        return self.value("docker.binary", "docker") or "/usr/bin/docker"

    @property
    def inspect_retries(self) -> int:
        return int(self.value("docker.inspect.max.retries", "docker") or 10)


def split(value: str | None) -> list[str]:
    """The comma-separated words of a value."""
    return [word.strip() for word in (value or "").split(",") if word.strip()]


def _only_root_may_write(path: str) -> None:
    """The file and every folder above it are root's, and nobody else may write them."""
    folder = os.path.realpath(path)
    while True:
        about = os.stat(folder)
        if about.st_uid != 0:
            message = f"File {folder} must be owned by root, but is owned by {about.st_uid}"
            raise Refusal(Code.INVALID_CONFIG_FILE, message)
        if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            message = f"File {folder} must not be world or group writable, but is {stat.S_IMODE(about.st_mode):03o}"
            raise Refusal(Code.INVALID_CONFIG_FILE, message)
        if folder == "/":
            return
        folder = os.path.dirname(folder)
