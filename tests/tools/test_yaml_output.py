"""YAML as kubectl writes it."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfrep.tools.kubectl.yamlout import dump, scalar

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_what_is_written_reads_back_the_same(value: object) -> None:
    assert yaml.load(dump(value), Loader=yaml.SafeLoader) == value


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("web", "web"),
        ("busybox:1.36", "busybox:1.36"),
        ("25%", "25%"),
        ("y", '"y"'),
        ("1", '"1"'),
        ("1e3", '"1e3"'),
        ("2026-11-21T07:44:57Z", '"2026-11-21T07:44:57Z"'),
        ("", '""'),
        ("* * * * *", "'* * * * *'"),
        ("a: b", "'a: b'"),
        ("a #b", "'a #b'"),
        ("null", '"null"'),
    ],
)
def test_strings_are_quoted_as_go_quotes_them(text: str, written: str) -> None:
    assert scalar(text) == written


def test_long_texts_are_broken_as_go_breaks_them() -> None:
    text = "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    assert dump({"pod": {"metadata": {"annotations": {"kubernetes.io/limit-ranger": text}}}}) == (
        "pod:\n  metadata:\n    annotations:\n"
        "      kubernetes.io/limit-ranger: 'LimitRanger plugin set: cpu request for container\n"
        "        c; cpu limit for container c'\n"
    )


def test_lists_stand_as_far_left_as_their_key() -> None:
    value = {"b": [{"x": 1, "y": [1]}, []], "a": "one\ntwo\n"}
    assert dump(value) == 'a: |\n  one\n  two\nb:\n- x: 1\n  "y":\n  - 1\n- []\n'
