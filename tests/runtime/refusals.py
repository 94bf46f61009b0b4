"""Calls that must be refused, and how they must be."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.harness import Bundle, PrivateNode


class Refusals:
    """Calls that must be refused: exit code, and one sentence, in the log of either form and on stderr."""

    def __init__(self, node: PrivateNode) -> None:
        self._node = node

    def call(self, *words: str, says: Sequence[str]) -> str:
        """Let a call be refused twice, with either form of log; return the sentence."""
        messages = []
        for log_format, message_of in (("json", _message_in_json), ("text", _message_in_text)):
            self._node.log.unlink(missing_ok=True)
            done = self._node.runtime(*words, check=False, log_format=log_format)
            assert done.returncode != 0
            (line,) = self._node.log.read_text().splitlines()
            messages.append(message_of(line))
            assert f"yarn-kata-runtime: {messages[-1]}\n" in done.stderr
        assert messages[0] == messages[1]
        for part in says:
            assert part in messages[0]
        assert "internal error" not in messages[0]
        return messages[0]

    def create(self, bundle: Bundle, *says: str, verb: str = "create") -> str:
        """Let the bundle be refused: nothing is held, and its spec is as it was."""
        content = bundle.config.read_bytes() if bundle.config.is_file() else None
        message = self.create_unread(bundle, *says, verb=verb)
        if content is not None:
            assert bundle.config.read_bytes() == content
        return message

    def create_unread(self, bundle: Bundle, *says: str, verb: str = "create") -> str:
        """The same without a look at the spec."""
        held = self._node.leftovers()
        message = self.call(verb, *bundle.words(), says=says)
        assert self._node.leftovers() == held
        assert not bundle.pid_file.exists()
        return message


def _message_in_json(line: str) -> str:
    entry = json.loads(line)
    assert set(entry) == {"level", "msg", "time"} and entry["level"] == "error"
    message: str = entry["msg"]
    return message


def _message_in_text(line: str) -> str:
    time, level, message = line.split(" ", 2)
    assert time.startswith('time="') and level == "level=error"
    text: str = json.loads(message.removeprefix("msg="))
    return text
