"""What the caller typed: `yarn-kata-runtime [global options] verb [options] words`."""

from __future__ import annotations

from yarn_kata_runtime.errors import Refused

# Options of the verbs that are read here, with a value; every other option is a flag.
# Sources: the manuals of runc 1.1, crun 1.8 and runsc.
_WITH_VALUE = {
    "additional-gids",
    "apparmor",
    "b",
    "bundle",
    "c",
    "cap",
    "cgroup",
    "config",
    "console-socket",
    "cwd",
    "e",
    "env",
    "f",
    "format",
    "g",
    "internal-pid-file",
    "p",
    "pid-file",
    "preserve-fds",
    "process",
    "process-label",
    "u",
    "user",
    "user-log",
}
_FLAGS_OF_DELETE = {"f"}  # a file's name elsewhere


class Call:
    """One invocation of a verb.

    `argv` is everything behind the command's name, `verb` stands at `argv[at]`; `before` are the global
    options, `options` maps a verb option's bare name to its last value ("" for flags), `spans` has each
    time that one was given as (name, from, to) in `argv`, `words` are the rest in order, the container's
    id first.
    """

    __slots__ = ("argv", "at", "before", "options", "spans", "verb", "words")

    def __init__(self, argv: list[str], at: int) -> None:
        self.argv = argv
        self.at = at
        self.before = argv[:at]
        self.verb = argv[at]
        self.options: dict[str, str] = {}
        self.spans: list[tuple[str, int, int]] = []
        self.words: list[str] = []
        self._parse()

    def _parse(self) -> None:
        with_value = _WITH_VALUE - _FLAGS_OF_DELETE if self.verb == "delete" else _WITH_VALUE
        at = self.at + 1
        while at < len(self.argv):
            word = self.argv[at]
            if word == "--" or not word.startswith("-") or word == "-":
                self.words = self.argv[at + (word == "--") :]
                return
            name, equals, value = word.lstrip("-").partition("=")
            end = at + 1
            if not equals and name in with_value and end < len(self.argv):
                value = self.argv[end]
                end += 1
            self.options[name] = value
            self.spans.append((name, at, end))
            at = end

    def option(self, *names: str) -> str | None:
        """Return the value of the one of the names that was given last, None if none was."""
        return next((self.options[name] for name, _, _ in reversed(self.spans) if name in names), None)

    def global_option(self, name: str) -> str:
        """Return a global option's last value, "" if it was not given; one dash is as good as two."""
        value = ""
        for index, word in enumerate(self.before):
            if word in (f"--{name}", f"-{name}") and index + 1 < len(self.before):
                value = self.before[index + 1]
            elif word.startswith((f"--{name}=", f"-{name}=")):
                value = word.partition("=")[2]
        return value

    def container_id(self) -> str:
        """Return the id the verb is about; Refused if it is missing or could name something else."""
        if not self.words:
            raise Refused(f"{self.verb} needs a container id; see yarn-kata-runtime --help")
        return valid_id(self.words[0])

    def asking(self, verb: str, *words: str) -> list[str]:
        """Return arguments for another verb with the same global options."""
        return [*self.before, verb, *words]


def valid_id(oci_id: str) -> str:
    """Return `oci_id` if it is a name and no path; the rule is runc's (libcontainer/factory_linux.go)."""
    plain = oci_id.isascii() and all(c.isalnum() or c in "_+-." for c in oci_id)
    if not plain or oci_id in ("", ".", "..") or len(oci_id) > 200:
        shown = ascii(oci_id if len(oci_id) <= 80 else oci_id[:77] + "...")
        raise Refused(f"{shown} is no container id; use letters, digits, _ + - and . only, 200 at most")
    return oci_id
