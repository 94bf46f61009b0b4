"""Plain JSON against the standard library's, which it stands in for."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.container.specs import CONTAINERS, GOLDEN
from yarn_kata_runtime import plainjson

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class TestRoundTrip:
    @settings(max_examples=300)
    @given(values)
    def test_what_is_written_is_read(self, value: Any) -> None:
        text = plainjson.dumps(value)
        assert text.isascii()
        assert plainjson.loads(text) == value
        assert json.loads(text) == value

    @settings(max_examples=300)
    @given(values, st.sampled_from([None, 1, "\t"]), st.booleans())
    def test_what_others_write_is_read(self, value: Any, indent: int | str | None, ascii_only: bool) -> None:
        text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
        assert plainjson.loads(b" \r\n\t" + text + b"\n ") == json.loads(text)

    @given(values)
    def test_the_very_bytes_of_the_standard_library(self, value: Any) -> None:
        assert plainjson.dumps(value) == json.dumps(value, separators=(",", ":")).encode()

    @pytest.mark.parametrize("name", [*CONTAINERS, "config.v2"])
    def test_golden_files(self, name: str) -> None:
        text = (GOLDEN / f"{name}.json").read_bytes()
        assert plainjson.load_object(text) == json.loads(text)
        assert plainjson.loads(plainjson.dumps(json.loads(text))) == json.loads(text)

    def test_numbers_keep_their_kind(self) -> None:
        found = plainjson.loads(b"[1, 1.0, 1e2, -0, 18446744073709551615]")
        assert [type(number) for number in found] == [int, float, float, int, int]
        assert found[4] == 2**64 - 1


GARBAGE = [
    b"",
    b" ",
    b"{",
    b"[1,]",
    b'{"a"}',
    b'{"a":1,}',
    b"{1:2}",
    b"nul",
    b"NaN",
    b"[Infinity]",
    b"-Infinity",
    b"'a'",
    b'"\x00"',
    b'"a',
    b'"\\x"',
    b'"\\u12"',
    b"\xff",
    b'"\xff"',
    b"\xef\xbb\xbf{}",
    b"{}{}",
    b"{} x",
    b"1 2",
    b"01",
    b".5",
    b"+1",
    b"\x00",
    b"1" * 5000,
    "{}".encode("utf-16"),
]


class TestGarbage:
    @pytest.mark.parametrize("text", GARBAGE)
    def test_known_garbage(self, text: bytes) -> None:
        with pytest.raises(ValueError, match="."):
            plainjson.loads(text)

    @pytest.mark.parametrize("text", [b"", b"[1,]", b'{\n "a": nul}', b'["a]', b'{"a" 1}'])
    def test_where_it_is_wrong(self, text: bytes) -> None:
        with pytest.raises(json.JSONDecodeError) as theirs:
            json.loads(text)
        with pytest.raises(ValueError, match=r"line \d+ column \d+") as ours:
            plainjson.loads(text)
        assert str(ours.value) == str(theirs.value)

    @settings(max_examples=500)
    @given(st.binary() | st.text(' \n"\\{}[]:,.0123456789eE+-truefalsnuINtyx', max_size=30).map(str.encode))
    @example(b"[" * 100)
    def test_any_bytes_are_a_value_or_a_value_error(self, text: bytes) -> None:
        try:
            found = plainjson.loads(text)
        except ValueError as error:
            assert str(error)
            return
        assert json.loads(text) == found

    @settings(max_examples=200)
    @given(values, st.data())
    def test_truncated(self, value: Any, data: st.DataObject) -> None:
        text = plainjson.dumps({"a": value})
        cut = data.draw(st.integers(0, len(text) - 1))
        with pytest.raises(ValueError, match="."):
            plainjson.loads(text[:cut])

    @pytest.mark.parametrize("opening", [b"[", b'{"a":'])
    def test_any_depth(self, opening: bytes) -> None:
        """Near the interpreter's limit the complaint itself may run out of frames."""
        for depth in [*range(900, 1010), 5000, 200_000]:
            with pytest.raises(ValueError, match="."):
                plainjson.loads(opening * depth)
            with pytest.raises(ValueError, match="."):
                plainjson.loads(opening * depth + b"x")

    @pytest.mark.parametrize("text", [b"[]", b'"x"', b"1", b"null", b"true"])
    def test_an_object_is_wanted(self, text: bytes) -> None:
        with pytest.raises(ValueError, match="a JSON object is expected, not"):
            plainjson.load_object(text)


class TestDumps:
    @pytest.mark.parametrize(
        "value", [float("nan"), float("inf"), -float("inf"), b"x", {1, 2}, object(), {"a": [{b""}]}]
    )
    def test_what_is_no_json(self, value: object) -> None:
        with pytest.raises(ValueError, match="JSON"):
            plainjson.dumps(value)

    def test_too_deep(self) -> None:
        deep: list[Any] = []
        for _ in range(200_000):
            deep = [deep]
        with pytest.raises(ValueError, match="nested too deeply"):
            plainjson.dumps(deep)
        circle: list[Any] = []
        circle.append(circle)
        with pytest.raises(ValueError, match="nested too deeply"):
            plainjson.dumps(circle)


def test_neither_json_nor_re_is_imported_for_it() -> None:
    """Each verb is a new process: that is what this module is for."""
    program = (
        "import sys; from yarn_kata_runtime import plainjson; "
        "plainjson.loads(plainjson.dumps({'a': [1, 2.5, 'x', None]})); "
        "print(sorted({'json', 're', 'enum', 'json.decoder'} & set(sys.modules)))"
    )
    root = str(GOLDEN.parent.parent)
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
