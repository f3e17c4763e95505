"""JSONPath templates: the part of the language that people use, and kubectl's words for the rest."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfrep.tools.kubectl.errors import Complaint
from pytest_selfrep.tools.kubectl.jsonpath import find, render

PODS = {
    "items": [
        {"metadata": {"name": "a", "labels": {"x.y/z": "1"}}, "spec": {"ready": True, "n": 3}},
        {"metadata": {"name": "b"}, "spec": {"ready": False, "n": 1}},
    ]
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{.items[*].metadata.name}", "a b"),
        ('{range .items[*]}{.metadata.name}{"\\t"}{.spec.n}{"\\n"}{end}', "a\t3\nb\t1\n"),
        ("{.items[0].metadata.labels}", '{"x.y/z":"1"}'),
        ("{.items[0].metadata.labels.x\\.y/z}", "1"),
        ("{.items[0].metadata.labels['x.y/z']}", "1"),
        ("{.items[-1].metadata.name}", "b"),
        ("{.items[0:1].metadata.name}", "a"),
        ('{.items[?(@.metadata.name=="b")].spec.n}', "1"),
        ("{.items[?(@.spec.n>1)].metadata.name}", "a"),
        ("{.items[?(@.spec.ready==true)].metadata.name}", "a"),
        ("{.items[?(@.metadata.labels)].metadata.name}", "a"),
        ("{..name}", "a b"),
        ("{.items[0]['metadata','spec']}", '{"labels":{"x.y/z":"1"},"name":"a"} {"n":3,"ready":true}'),
        ("{.items[0].spec.ready} and {.nothing}", "true and "),
        (".items[0]", ".items[0]"),
        ("{$.items[0].spec.n}", "3"),
    ],
)
def test_templates(template: str, expected: str) -> None:
    assert render(template, PODS) == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{.items", "error: error parsing jsonpath {.items, unclosed action"),
        ("{.items[}", "error: error parsing jsonpath {.items[}, unterminated array"),
        ("{.items[x]}", "error: error parsing jsonpath {.items[x]}, invalid array index x"),
        ("{items}", "error: error parsing jsonpath {items}, unrecognized identifier items"),
        ("{end}", "error: error parsing jsonpath {end}, not in range, nothing to end"),
        ("{.a$b}", "error: error parsing jsonpath {.a$b}, unrecognized character in action: U+0024 '$'"),
        (
            "{.items[9].spec}",
            'error: error executing jsonpath "{.items[9].spec}": Error executing template: array index '
            "out of "
            "bounds: index 9, length 2.",
        ),
    ],
)
def test_malformed_templates(template: str, message: str) -> None:
    with pytest.raises(Complaint) as caught:
        render(template, PODS)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "path", [".items[0].metadata.name", "items[0].metadata.name", "{.items[0].metadata.name}"]
)
def test_paths_may_be_written_loosely(path: str) -> None:
    assert find(path, PODS) == ["a"]


@given(st.text(alphabet="{}.[]*?()@='\"ab0:,\\ $|-!<>", max_size=40))
def test_any_text_is_rendered_or_refused(template: str) -> None:
    with suppress(Complaint):
        assert isinstance(render(template, PODS), str)
