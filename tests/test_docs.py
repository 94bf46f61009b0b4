"""The documents keep up with the code: every error text has an entry, every link leads somewhere."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPO = Path(__file__).resolve().parent.parent
PACKAGE = REPO / "yarn_kata_runtime"
ERRORS = REPO / "docs" / "errors.md"
DOCUMENTS = sorted([REPO / "README.md", *(REPO / "docs").glob("*.md"), *REPO.glob("*/README.md")])

# Exceptions whose text reaches a person.
ERRORS_FOR_PEOPLE = {"Refused", "Damaged", "UnsafeFile", "IdmapUnsupported", "Invalid", "TimeoutError"}

# What else takes such a text in one module or another. Any other ValueError is a reason within a text.
ALSO = {
    "config/model.py": {"ValueError"},
    "config/compile.py": {"_sentence"},
    "cli/check.py": {"append"},
    "runtime/main.py": {"message"},
}

ANY = ".+"  # in place of a value
LETTERS = 8  # a text with fewer written out says nothing by itself


class Text(NamedTuple):
    """An error text of the code as a regular expression, and where it stands."""

    pattern: str
    place: str


def _pattern(node: ast.expr) -> str:
    """The expression as a regular expression: what is not written out may be anything."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_pattern(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _pattern(node.left) + _pattern(node.right)
    return ANY


def _python_texts(path: Path) -> Iterator[Text]:
    takers = ERRORS_FOR_PEOPLE | ALSO.get(str(path.relative_to(PACKAGE)), set())
    for taker in ast.walk(ast.parse(path.read_text())):
        for node in _given(taker, takers):
            pattern = _pattern(node)
            if sum(map(str.isalpha, pattern)) >= LETTERS:
                yield Text(pattern, f"{path.relative_to(REPO)}:{node.lineno}")


def _given(node: ast.AST, takers: set[str]) -> list[ast.expr]:
    """The arguments of a call, the value of an assignment or what a function returns, if a taker is named so."""
    match node:
        case ast.Call() if ast.unparse(node.func).rpartition(".")[2] in takers:
            return node.args
        case ast.Assign() if ast.unparse(node.targets[0]) in takers:
            return [node.value]
        case ast.FunctionDef() if node.name in takers:
            return [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value]
    return []


def _c_texts(path: Path) -> Iterator[Text]:
    """The formats of die(), and what init's require() and fail() put together."""
    source = path.read_text()
    for call in re.finditer(r'\bdie\("((?:[^"\\]|\\.)*)"', source):
        yield Text(re.sub(r"%\w+", ANY, re.escape(call[1])), path.name)
    for call in re.finditer(r'\b(?:require|fail)\([^;{]*?"([^"]+)", ("([^"]*)"|[^;"]+)\);', source):
        which = re.escape(call[3]) if call[3] is not None else ANY
        yield Text(f"yarn\\-kata\\-init: {re.escape(call[1])} {which}: {ANY}", path.name)


@functools.cache
def texts() -> list[Text]:
    """Every error text of the package, people's commands and C programs included."""
    python = [text for path in sorted(PACKAGE.rglob("*.py")) for text in _python_texts(path)]
    return python + [text for path in sorted(PACKAGE.rglob("*.c")) for text in _c_texts(path)]


@functools.cache
def documented() -> list[str]:
    """The texts in docs/errors.md: lines of the form "> `text`"."""
    return re.findall(r"^> `(.+)`$", ERRORS.read_text(), re.MULTILINE)


@pytest.mark.parametrize("text", texts(), ids=lambda text: text.place)
def test_every_error_text_is_documented(text: Text) -> None:
    assert any(re.fullmatch(text.pattern, entry) for entry in documented()), (
        f"{text.place} has an error text without an entry in {ERRORS.name}: {text.pattern}"
    )


@pytest.mark.parametrize("entry", documented())
def test_every_documented_text_is_the_codes(entry: str) -> None:
    assert any(re.fullmatch(text.pattern, entry) for text in texts()), f"no code says: {entry}"


def test_every_documented_text_is_explained() -> None:
    """What follows an error's text, or the last of several, is a paragraph and not the next heading."""
    unexplained = re.findall(r"^> `(.+)`\n+(?:#|\Z)", ERRORS.read_text(), re.MULTILINE)
    assert unexplained == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_of_the_project(document: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []
