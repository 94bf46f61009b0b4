"""Command lines in every form that runc's callers use, taken apart."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yarn_kata_runtime.errors import Refused
from yarn_kata_runtime.runtime.call import Call, valid_id

WITH_VALUE = ["bundle", "pid-file", "console-socket", "preserve-fds", "process", "user", "cap", "env", "cwd"]
FLAGS = ["force", "no-pivot", "no-new-keyring", "detach", "tty", "all"]
VERBS = ["create", "run", "start", "exec", "delete", "kill", "state"]

ids = st.text("abcXYZ019_+-.", min_size=1, max_size=200).filter(lambda text: text[0] != "-" and text.strip("."))
values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
given_options = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(WITH_VALUE), values, st.booleans(), st.booleans()),
        st.tuples(st.sampled_from(FLAGS), st.none(), st.just(False), st.booleans()),
    ),
    max_size=8,
)


def _words(options: list[tuple[str, str | None, bool, bool]]) -> list[str]:
    """Return options as a caller writes them: --name value or --name=value, with one dash or two."""
    words = []
    for name, value, joined, two_dashes in options:
        option = "--" * two_dashes + "-" * (not two_dashes) + name
        if value is None:
            words.append(option)
        else:
            words += [f"{option}={value}"] if joined else [option, value]
    return words


@given(
    verb=st.sampled_from(VERBS),
    before=st.lists(values, max_size=4),
    options=given_options,
    oci_id=ids,
    after=st.lists(values, max_size=4),
    dashes=st.booleans(),
)
def test_every_form(
    verb: str,
    before: list[str],
    options: list[tuple[str, str | None, bool, bool]],
    oci_id: str,
    after: list[str],
    dashes: bool,
) -> None:
    argv = [*before, verb, *_words(options), *(["--"] if dashes else []), oci_id, *after]
    call = Call(argv, len(before))
    assert call.options == {name: value or "" for name, value, _, _ in options}
    assert call.words == [oci_id, *after]
    assert call.container_id() == oci_id
    assert [name for name, _, _ in call.spans] == [name for name, _, _, _ in options]
    spanned = [word for _, start, end in call.spans for word in argv[start:end]]
    assert spanned == _words(options)
    assert call.asking("state", oci_id) == [*before, "state", oci_id]


@given(argv=st.lists(st.text(), min_size=1, max_size=8), at=st.integers(0, 7))
def test_any_words_are_taken_apart_or_refused(argv: list[str], at: int) -> None:
    call = Call(argv, at % len(argv))
    assert all(0 <= start < end <= len(argv) for _, start, end in call.spans)
    assert call.words == argv[len(argv) - len(call.words) :]
    try:
        oci_id = call.container_id()
    except Refused:
        return
    assert oci_id == call.words[0]
    assert "/" not in oci_id and "\0" not in oci_id and oci_id not in ("", ".", "..")


@pytest.mark.parametrize(
    ("before", "root"),
    [
        ([], ""),
        (["--root", "/run/a"], "/run/a"),
        (["--root=/run/a"], "/run/a"),
        (["--root", "/run/a", "--root=/run/b"], "/run/b"),
        (["-root", "/run/a"], "/run/a"),
        (["-root=/run/a"], "/run/a"),
        (["--rootless", "auto"], ""),
    ],
)
def test_global_options(before: list[str], root: str) -> None:
    assert Call([*before, "state", "c"], len(before)).global_option("root") == root


def test_an_option_at_the_end_has_no_value() -> None:
    call = Call(["create", "--bundle"], 0)
    assert call.options == {"bundle": ""}
    with pytest.raises(Refused, match="create needs a container id"):
        call.container_id()


def test_of_two_forms_of_an_option_the_last_counts() -> None:
    assert Call(["exec", "-p", "a", "--process=b", "c"], 0).option("process", "p") == "b"
    assert Call(["exec", "--process=b", "-p", "a", "c"], 0).option("process", "p") == "a"
    assert Call(["exec", "--tty", "c"], 0).option("process", "p") is None


def test_f_is_a_flag_of_delete_and_a_file_elsewhere() -> None:
    assert Call(["delete", "-f", "c"], 0).words == ["c"]
    assert Call(["list", "-f", "json"], 0).options == {"f": "json"}


@given(text=st.text(max_size=300))
@example("a" * 200)
@example("a" * 201)
@example("..")
@example("../../etc")
@example("a/b")
@example("a\0b")
@example("a\nb")
@example("²")
@example("é")
def test_ids_are_names_and_no_paths(text: str) -> None:
    good = (
        0 < len(text) <= 200
        and text not in (".", "..")
        and not set(text) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")
    )
    if good:
        assert valid_id(text) == text
        return
    with pytest.raises(Refused) as refusal:
        valid_id(text)
    assert str(refusal.value).isascii() and len(str(refusal.value)) < 1000
