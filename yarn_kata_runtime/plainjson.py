"""JSON by the interpreter's C scanner alone: `json` would import `re` and `enum`, 11 ms of CPU a verb."""

from __future__ import annotations

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Object = dict[str, Any]

_BLANK = " \t\r\n"
_TOO_DEEP = "nested too deeply"


def _not_json(value: object) -> object:
    raise ValueError(f"{type(value).__name__} is not JSON")


class _Decoding:
    """What the C scanner asks of its context."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> None:
        raise ValueError(f"{name} is not JSON")


_scan = _json.make_scanner(_Decoding())  # type: ignore[arg-type]  # what json.decoder passes, ducks
_encode = _json.make_encoder(
    None,  # no check for circles, as json.dumps(check_circular=False)
    _not_json,
    _json.encode_basestring_ascii,
    None,
    ":",
    ",",
    False,
    False,
    False,
)


def loads(text: bytes) -> Any:
    """Return the value that `text` (UTF-8) holds; raise ValueError saying what is wrong with it."""
    document = text.decode()
    start = len(document) - len(document.lstrip(_BLANK))
    try:
        value, end = _scan(document, start)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except (StopIteration, SystemError):  # the scanner leaves its errors to json.decoder
        raise ValueError(_complaint(document)) from None
    if document[end:].strip(_BLANK):
        raise ValueError(f"something follows the JSON value at character {end}")
    return value


def _complaint(document: str) -> str:
    import json

    try:
        json.loads(document)
    except ValueError as error:
        return str(error)
    except RecursionError:
        return _TOO_DEEP
    return "not JSON"


def load_object(text: bytes) -> Object:
    """Return the JSON object that `text` holds; raise ValueError for anything else."""
    value = loads(text)
    if type(value) is not dict:
        raise ValueError(f"a JSON object is expected, not {type(value).__name__}")
    return value


def dumps(value: object) -> bytes:
    """Return `value` as compact ASCII JSON; raise ValueError where it is too deep or no JSON."""
    try:
        return "".join(_encode(value, 0)).encode("ascii")
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
