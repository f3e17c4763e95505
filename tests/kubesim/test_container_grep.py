"""``grep`` in containers: POSIX expressions, and matching that cannot be made to take for ever."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kube_driver import Kube
from shell_driver import execute

from pytest_selfrep.kubesim.containers.programs.regex import BadRegex, Regex


@pytest.fixture
def kube(one_pod: Kube) -> Kube:
    return one_pod


def regex(text: str, *, extended: bool = True, fold: bool = False) -> Regex:
    return Regex(text, extended=extended, fold=fold, spend=lambda count: None)


_EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$", r"\b", r"\w"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("(%s|%s)".__mod__),
        st.tuples(inner, st.sampled_from("*+?")).map(lambda each: f"({each[0]}){each[1]}"),
        inner.map("({}){{1,3}}".format),
    ),
    max_leaves=8,
)


@given(_EXPRESSIONS, st.text("ab ", max_size=8))
def test_lines_match_as_with_any_other_engine(expression: str, line: str) -> None:
    assert regex(expression).found(line) is (re.search(expression, line) is not None)


@pytest.mark.parametrize(
    ("expression", "line", "parts"),
    [
        ("a|ab", "abab", ["ab", "ab"]),
        ("[[:digit:]]+", "a12b3", ["12", "3"]),
        ("x*", "axxa", ["xx"]),
        (r"\<b", "b ab b", ["b", "b"]),
        ("[]a]+", "x]a", ["]a"]),
    ],
)
def test_the_longest_part_is_taken(expression: str, line: str, parts: list[str]) -> None:
    assert list(regex(expression).spans(line)) == parts


@pytest.mark.parametrize(
    ("expression", "line", "matches"),
    [
        ("a+", "a+", True),
        ("a+", "aa", False),
        (r"\(ab\)\{2\}", "abab", True),
        (r"a\|b", "b", True),
        ("*a", "*a", True),
        ("a^b$c", "a^b$c", True),
    ],
)
def test_basic_expressions_escape_their_operators(expression: str, line: str, matches: bool) -> None:
    assert regex(expression, extended=False).found(line) is matches


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("(a", "Unmatched ( or \\("),
        ("a)", "Unmatched ) or \\)"),
        ("[a", "Unmatched [, [^, [:, [., or [="),
        ("*a", "Invalid preceding regular expression"),
        ("a{2,1}", "Invalid content of \\{\\}"),
        ("((a{1,999}){1,999}){1,999}", "Regular expression too big"),
        ("(" * 999, "Regular expression too big"),
        ("(a)\\1", "Invalid back reference"),
    ],
)
def test_bad_expressions_are_refused(expression: str, why: str) -> None:
    with pytest.raises(BadRegex) as caught:
        regex(expression)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    "expression",
    ["(a+)+$", "(a|aa)*c", "a*a*a*a*a*a*a*a*c", "(x|a*)(x|a*)(x|a*)c", "(a?){30}a{30}b$", "(.*.*)*b"],
)
def test_no_expression_takes_for_ever(kube: Kube, expression: str) -> None:
    ran = execute(kube, "grep", "-E", expression, stdin=b"a" * 4000 + b"!\n")
    assert ran.code == 1


def test_letters_may_be_folded_and_lines_inverted(kube: Kube) -> None:
    assert execute(kube, "grep", "-iv", "B", stdin=b"a\nb\nB\n").out == "a\n"
    assert execute(kube, "grep", "-w", "ab", stdin=b"abc\nx ab\n").out == "x ab\n"
    assert execute(kube, "grep", "-Fn", "a.b", stdin=b"axb\na.b\n").out == "2:a.b\n"
    assert execute(kube, "grep", "-x", "a.", stdin=b"ab\nabc\n").out == "ab\n"
