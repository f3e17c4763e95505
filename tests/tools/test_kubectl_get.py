"""``kubectl get``: tables, formats, and what it says about things that are not there."""

from __future__ import annotations

import re

import pytest
from tools_driver import Terminal

PODS = r"""NAME                   READY   STATUS    RESTARTS   AGE
web-\w+-\w{5}   1/1     Running   0          20s
web-\w+-\w{5}   1/1     Running   0          20s
"""


def test_pods_are_printed_as_the_servers_table(kubectl: Terminal) -> None:
    assert re.fullmatch(PODS, kubectl("get pods"))


def test_the_leading_kubectl_may_be_written(kubectl: Terminal) -> None:
    assert kubectl("kubectl get pods") == kubectl("get pods") == kubectl("-n shop get po")


def test_a_table_costs_one_request(kubectl: Terminal) -> None:
    kubectl.transport.calls.clear()
    kubectl("get pods")
    assert [(call.method, call.path) for call in kubectl.transport.calls] == [
        ("GET", "/api/v1/namespaces/shop/pods")
    ]


def test_discovery_is_asked_once(kubectl: Terminal) -> None:
    kubectl("get hpa")
    kubectl.transport.calls.clear()
    kubectl("get hpa")
    assert len(kubectl.transport.calls) == 1


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "get deploy",
            "NAME   READY   UP-TO-DATE   AVAILABLE   AGE\nweb    2/2     2            2           20s\n",
        ),
        ("get deploy --no-headers", "web   2/2   2     2     20s\n"),
        ("get deploy -A --no-headers", "shop   web   2/2   2     2     20s\n"),
        (
            "get Deployment/web --show-labels",
            "NAME   READY   UP-TO-DATE   AVAILABLE   AGE   LABELS\n"
            "web    2/2     2            2           20s   app=web\n",
        ),
        (
            "get deployments.apps -L app",
            "NAME   READY   UP-TO-DATE   AVAILABLE   AGE   APP\nweb    2/2     2            2           20s  "
            " web\n",
        ),
        ("get deploy,svc -o name", "deployment.apps/web\n"),
        ("get deploy web -o jsonpath='{.spec.replicas} {.foo} {.metadata.labels.app}'", "2  web"),
        (
            "get deploy -o custom-columns=NAME:.metadata.name,R:.spec.replicas,X:.foo.bar",
            "NAME   R     X\nweb    2     <none>\n",
        ),
        ("get deploy -o custom-columns=L:.metadata.labels --no-headers", "map[app:web]\n"),
        (
            "get pods -o yaml -l nope=1",
            'apiVersion: v1\nitems: []\nkind: List\nmetadata:\n  resourceVersion: ""\n',
        ),
        (
            "get pods -o json -l nope=1",
            '{\n    "apiVersion": "v1",\n    "items": [],\n    "kind": "List",\n    "metadata": {\n'
            '        "resourceVersion": ""\n    }\n}\n',
        ),
        ("get pods -n empty", "No resources found in empty namespace.\n"),
        ("get pods -A -l nope=1", "No resources found\n"),
        ("get pod x --ignore-not-found", ""),
        (
            "get pods x y",
            'Error from server (NotFound): pods "x" not found\nError from server (NotFound): pods "y" '
            "not found\n",
        ),
        (
            "get deploy/web svc/web",
            "NAME   READY   UP-TO-DATE   AVAILABLE   AGE\nweb    2/2     2            2           20s\n"
            'Error from server (NotFound): services "web" not found\n',
        ),
        ("get foo", 'error: the server doesn\'t have a resource type "foo"\n'),
        ("get pods,foo", 'error: the server doesn\'t have a resource type "foo"\n'),
        ("get pods web -l a=b", "error: name cannot be provided when a selector is specified\n"),
        (
            "get deploy/web rs",
            "error: there is no need to specify a resource type as a separate argument when passing "
            "arguments in "
            "resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get "
            "resource "
            "resource/<resource_name>'\n",
        ),
        (
            "get pods -o foo",
            'error: unable to match a printer suitable for the output format "foo", allowed formats are: '
            "custom-columns,json,jsonpath,jsonpath-as-json,name,wide,yaml\n",
        ),
        (
            "get pods -o jsonpath='{.items'",
            "error: error parsing jsonpath {.items, unclosed action\n",
        ),
        (
            "get pods -o custom-columns=NAME",
            "error: unexpected custom-columns spec: NAME, expected <header>:<json-path-expr>\n",
        ),
        ("get pods a%b", "error: invalid resource name \"a%b\": [may not contain '%']\n"),
    ],
)
def test_answers_word_for_word(kubectl: Terminal, command: str, expected: str) -> None:
    assert kubectl(command) == expected


def test_several_kinds_are_told_apart(kubectl: Terminal) -> None:
    assert re.fullmatch(
        r"NAME                  READY   UP-TO-DATE   AVAILABLE   AGE\n"
        r"deployment.apps/web   2/2     2            2           20s\n"
        r"\n"
        r"NAME +DESIRED   CURRENT   READY   AGE\n"
        r"replicaset.apps/web-\w+   2         2         2       20s\n",
        kubectl("get deploy,rs,svc"),
    )


def test_all_is_a_category_of_kinds(kubectl: Terminal) -> None:
    heads = [line.split("/")[0] for line in kubectl("get all --no-headers").splitlines() if line]
    assert heads == ["pod", "pod", "deployment.apps", "replicaset.apps"]


def test_rows_are_sorted_by_a_field(kubectl: Terminal) -> None:
    kubectl("create configmap b --from-literal=x=1")
    kubectl("create configmap a --from-literal=x=1")
    names = kubectl("get cm --sort-by='{.metadata.name}' -o name").split()
    assert names == sorted(names)
    created = kubectl("get cm --sort-by=.metadata.creationTimestamp --no-headers").splitlines()
    assert [line.split()[0] for line in created][-2:] == ["a", "b"]


def test_what_has_no_field_to_sort_by_is_not_shown(kubectl: Terminal) -> None:
    assert kubectl("get pods --sort-by=.foo") == "No resources found in shop namespace.\n"
    assert kubectl("get pods --sort-by=.foo -o yaml") == (
        'error: couldn\'t find any field with path "{.foo}" in the list of objects\n'
    )


def test_wide_shows_the_columns_of_lesser_priority(kubectl: Terminal) -> None:
    header = kubectl("get pods -o wide").splitlines()[0]
    assert header.endswith("   NODE     NOMINATED NODE   READINESS GATES")


def test_yaml_leaves_managed_fields_out(kubectl: Terminal) -> None:
    text = kubectl("get deploy web -o yaml")
    assert text.startswith("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  annotations:\n")
    assert "managedFields" not in text
    assert '    deployment.kubernetes.io/revision: "1"\n' in text


def test_who_manages_which_fields_is_shown_to_those_who_ask(kubectl: Terminal) -> None:
    kubectl("create configmap plan --from-literal=a=1 --field-manager=rollout")
    asked = "get cm plan --show-managed-fields -o jsonpath={.metadata.managedFields[*].manager}"
    assert kubectl(asked) == "rollout"
    assert "      f:data:\n" in kubectl("get cm plan --show-managed-fields -o yaml")
    labelled = kubectl("label cm plan tier=a --show-managed-fields -o yaml")
    assert "  - apiVersion: v1\n    fieldsType: FieldsV1\n" in labelled
    assert "    manager: kubectl-label\n" in labelled


def test_what_rbac_refuses_is_said_in_its_words(agent: Terminal) -> None:
    assert agent("get secrets") == (
        'Error from server (Forbidden): secrets is forbidden: User "system:serviceaccount:shop:agent" '
        "cannot list "
        'resource "secrets" in API group "" in the namespace "shop"\n'
    )


def test_selectors_that_the_server_cannot_take(kubectl: Terminal) -> None:
    assert kubectl("get pods --field-selector=foo=bar") == (
        'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label selector "", '
        'field selector "foo=bar": field label not supported: foo\n'
    )


def test_nothing_asked_for(kubectl: Terminal) -> None:
    assert kubectl("get") == (
        'You must specify the type of resource to get. Use "kubectl api-resources" for a complete list '
        "of supported "
        'resources.\n\nerror: Required resource not specified.\nUse "kubectl explain <resource>" for a '
        "detailed "
        "description of that resource (e.g. kubectl explain pods).\nSee 'kubectl get -h' for help and "
        "examples\n"
    )
