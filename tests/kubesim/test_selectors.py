"""Label and field selectors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kube_driver import PODS, Kube
from workloads import DEPLOYMENTS, JOBS

from pytest_selfrep.kubesim.kinds import POD
from pytest_selfrep.kubesim.selectors import format_labels, label_selector, parse_fields, parse_labels
from pytest_selfrep.kubesim.status import StatusError

WEB = {"app": "web", "tier": "front", "size": "10"}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("owner!=me", True),
        ("app in (web, db)", True),
        ("app in (db)", False),
        ("app notin (db)", True),
        ("owner notin (me)", True),
        ("app", True),
        ("owner", False),
        ("!owner", True),
        ("!app", False),
        ("size>9", True),
        ("size<10", False),
        ("app>1", False),
        ("app=web,tier=front", True),
        ("app=web,tier=back", False),
        ("app in (web,db),tier notin (back),!owner", True),
        ("acme.io/app=web", False),
        ("app=", False),
    ],
)
def test_label_selectors_match_as_documented(selector: str, matches: bool) -> None:
    assert parse_labels(selector).matches(WEB) is matches


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("a in (x", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a==>b", "unable to parse requirement: found '>', expected: identifier"),
        ("!!a", "unable to parse requirement: found '!', expected: identifier"),
        ("=b", "found '=', expected: !, identifier, or 'end of string'"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a=b!", "found '!', expected: ',' or 'end of string'"),
        ("a=b,,c", "found ',', expected: identifier after ','"),
        ("a=b,", "found '', expected: identifier after ','"),
        (
            "a>b",
            'unable to parse requirement: values[0]: Invalid value: "b": '
            "for 'Gt', 'Lt' operators, the value must be an integer",
        ),
    ],
)
def test_a_malformed_label_selector_is_refused_in_the_words_of_the_parser(selector: str, why: str) -> None:
    with pytest.raises(StatusError) as refused:
        parse_labels(selector)
    assert (refused.value.code, refused.value.message) == (400, why)


@pytest.mark.parametrize(
    ("selector", "where"),
    [
        ("-a=b", '<nil>: Invalid value: "-a": name part must'),
        ("a=b_", 'values[0][a]: Invalid value: "b_": a valid'),
    ],
)
def test_keys_and_values_that_no_label_can_have_are_refused(selector: str, where: str) -> None:
    with pytest.raises(StatusError) as refused:
        parse_labels(selector)
    assert refused.value.message.startswith(f"unable to parse requirement: {where}")


@pytest.mark.parametrize(
    "selector", ["app in (,web)", "app in (web,,db)", " app = web ", "app in(web)", "in=web"]
)
def test_odd_but_valid_label_selectors_are_understood(selector: str) -> None:
    assert parse_labels(selector).matches({"app": "web", "in": "web"})


@given(st.text(max_size=20))
def test_any_text_is_a_selector_or_a_bad_request(text: str) -> None:
    assert outcome(parse_labels, text) in (200, 400)
    assert outcome(lambda given: parse_fields(POD, given), text) in (200, 400)


def outcome(parse: Callable[[str], object], text: str) -> int:
    try:
        parse(text)
    except StatusError as refused:
        return refused.code
    return 200


labels = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["1", "2", "3"]))
expressions = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from(["1", "2", "3"]), min_size=1, max_size=3, unique=True),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
)


@given(labels, st.lists(expressions, max_size=3), labels)
def test_a_selector_of_an_object_means_the_same_once_it_is_spelled_out(
    equal: dict[str, str], written: list[dict[str, object]], of: dict[str, str]
) -> None:
    selector = {"matchLabels": equal, "matchExpressions": written}
    assert parse_labels(format_labels(selector)).matches(of) is label_selector(selector).matches(of)


def test_lists_are_narrowed_by_labels_and_fields_at_once(kube: Kube) -> None:
    kube.add_pod("a", labels={"app": "web"})
    kube.add_pod("b", labels={"app": "db"})
    kube.add_pod("c", labels={"app": "web"}, nodeName="worker-9")

    def names(**query: str) -> list[str]:
        return [item["metadata"]["name"] for item in kube.get(PODS, **query)["items"]]

    assert names(labelSelector="app=web") == ["a", "c"]
    assert names(fieldSelector="spec.nodeName=worker-9") == ["c"]
    assert names(fieldSelector="spec.nodeName=") == ["a", "b"]
    assert names(fieldSelector="metadata.name!=a,status.phase=Pending") == ["b", "c"]
    assert names(labelSelector="app=web", fieldSelector="metadata.name=c") == ["c"]
    assert names(fieldSelector="spec.hostNetwork=false,metadata.namespace=default") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("path", "selector", "why"),
    [
        (PODS, "spec.colour=red", "field label not supported: spec.colour"),
        (PODS, "a=b!=c", "field label not supported: a"),
        (
            PODS,
            "foo,status.phase=Running",
            "invalid selector: 'foo,status.phase=Running'; can't understand 'foo'",
        ),
        (JOBS, "foo=bar", 'field label "foo" not supported for Job'),
        (
            DEPLOYMENTS,
            "foo=bar",
            '"foo" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
def test_a_field_that_a_kind_does_not_select_by_is_named_in_the_refusal(
    kube: Kube, path: str, selector: str, why: str
) -> None:
    refused = kube.refusal("GET", path, query={"fieldSelector": selector})
    assert (refused["code"], refused["message"]) == (400, why)
