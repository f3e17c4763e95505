"""Manifests on stdin: ``apply``, ``create``, ``replace`` and ``delete`` with ``-f -``."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools_driver import Terminal

from pytest_selfrep.tools.kubectl.threeway import three_way

SECONDS = 3.0
"""Far more than any refusal takes, far less than anything that goes wrong without bound."""
SETTINGS = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app\ndata:\n  a: "1"\n'
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  replicas: 1
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers:
      - {name: c, image: 'r/b:1', env: [{name: A, value: a}, {name: B, value: b}]}
      - {name: side, image: 'r/s:1'}
"""
MISSING = (
    "Warning: resource configmaps/app is missing the kubectl.kubernetes.io/last-applied-configuration "
    "annotation "
    "which is required by kubectl apply. kubectl apply should only be used on resources created "
    "declaratively by "
    "either kubectl create --save-config or kubectl apply. The missing annotation will be patched "
    "automatically.\n"
)


def test_apply_creates_leaves_and_configures(empty: Terminal) -> None:
    assert empty("apply -f -", SETTINGS) == "configmap/app created\n"
    assert empty("apply -f -", SETTINGS) == "configmap/app unchanged\n"
    assert empty("apply -f -", SETTINGS.replace("  a:", "  b:")) == "configmap/app configured\n"
    assert empty("get cm app -o jsonpath='{.data}'") == '{"b":"1"}'


def test_apply_keeps_what_others_have_set(empty: Terminal) -> None:
    empty("apply -f -", DEPLOYMENT)
    empty("scale deploy d --replicas=4")
    empty("label deploy d team=core")
    without_replicas = DEPLOYMENT.replace("  replicas: 1\n", "").replace("r/b:1", "r/b:2")
    assert empty("apply -f -", DEPLOYMENT.replace("{name: B, value: b}", "{name: B, value: c}")) == (
        "deployment.apps/d configured\n"
    )
    assert empty("get deploy d -o jsonpath='{.spec.replicas} {.metadata.labels.team}'") == "1 core"
    empty("apply -f -", without_replicas)
    assert empty("get deploy d -o jsonpath='{.spec.template.spec.containers[*].image}'") == "r/b:2 r/s:1"


def test_apply_removes_items_of_keyed_lists(empty: Terminal) -> None:
    empty("apply -f -", DEPLOYMENT)
    smaller = DEPLOYMENT.replace("{name: A, value: a}, ", "").replace(
        "      - {name: side, image: 'r/s:1'}\n", ""
    )
    assert empty("apply -f -", smaller) == "deployment.apps/d configured\n"
    path = "{.spec.template.spec.containers[*].name} {.spec.template.spec.containers[0].env[*].name}"
    assert empty(f"get deploy d -o jsonpath='{path}'") == "c B"
    assert empty("apply -f -", smaller) == "deployment.apps/d unchanged\n"


def test_apply_warns_of_objects_that_it_did_not_make(empty: Terminal) -> None:
    empty("create -f -", SETTINGS)
    assert empty("apply -f -", SETTINGS) == f"{MISSING}configmap/app configured\n"
    assert empty("apply -f -", SETTINGS) == "configmap/app unchanged\n"


def test_what_create_saves_apply_knows(empty: Terminal) -> None:
    empty("create -f - --save-config", SETTINGS)
    assert empty("apply -f -", SETTINGS) == "configmap/app unchanged\n"


def test_dry_runs_change_nothing(empty: Terminal) -> None:
    assert empty("apply -f - --dry-run=client", SETTINGS) == "configmap/app created (dry run)\n"
    assert empty("apply -f - --dry-run=server", SETTINGS) == "configmap/app created (server dry run)\n"
    assert empty("get cm app") == 'Error from server (NotFound): configmaps "app" not found\n'
    empty("apply -f -", SETTINGS)
    assert empty("apply -f - --dry-run=client", SETTINGS) == "configmap/app configured (dry run)\n"
    assert empty("apply -f - --dry-run=server", SETTINGS) == "configmap/app unchanged (server dry run)\n"


def test_a_patch_that_the_server_refuses_is_shown_with_its_place(empty: Terminal) -> None:
    empty("apply -f -", SETTINGS)
    stale = SETTINGS.replace("  name: app\n", '  name: app\n  resourceVersion: "1"\n')
    shown = empty("apply -f -", stale)
    assert shown.startswith("Error from server (Conflict): error when applying patch:\n")
    assert (
        '\nto:\nResource: "/v1, Resource=configmaps", GroupVersionKind: "/v1, Kind=ConfigMap"\nName: "app", '
        in shown
    )


def test_a_patch_of_a_wrong_type_is_refused_without_its_place(empty: Terminal) -> None:
    empty("apply -f -", SETTINGS)
    shown = empty("apply -f -", f"{SETTINGS}binaryData: 7\n")
    assert shown.startswith('The request is invalid: patch: Invalid value: "map[binaryData:7 ')
    assert shown.endswith("cannot restore map from int64\n")


def test_create_replace_and_delete(empty: Terminal) -> None:
    assert empty("create -f -", SETTINGS) == "configmap/app created\n"
    assert empty("create -f -", SETTINGS) == (
        'Error from server (AlreadyExists): error when creating "STDIN": configmaps "app" already exists\n'
    )
    assert empty("replace -f -", SETTINGS) == "configmap/app replaced\n"
    assert empty("replace --force -f -", SETTINGS) == 'configmap "app" deleted\nconfigmap/app replaced\n'
    assert empty("delete -f -", SETTINGS) == 'configmap "app" deleted\n'
    assert empty("delete -f -", SETTINGS) == (
        'Error from server (NotFound): error when deleting "STDIN": configmaps "app" not found\n'
    )
    assert empty("replace -f -", SETTINGS) == (
        'Error from server (NotFound): error when replacing "STDIN": configmaps "app" not found\n'
    )


def test_documents_and_lists_are_taken_apart(empty: Terminal) -> None:
    other = SETTINGS.replace("app", "other")
    assert (
        empty("apply -f -", f"---\n{SETTINGS}---\n{other}")
        == "configmap/app created\nconfigmap/other created\n"
    )
    item = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}'
    items = f'{{"apiVersion":"v1","kind":"List","items":[{item}]}}'
    assert empty("apply -f -", items) == "configmap/x created\n"


UNSET = "if you choose to ignore these errors, turn validation off with --validate=false\n"


@pytest.mark.parametrize(
    ("stdin", "expected"),
    [
        ("", "error: no objects passed to apply\n"),
        ("# nothing", "error: no objects passed to apply\n"),
        (
            "foo: bar",
            f'error: error validating "STDIN": error validating data: [apiVersion not set, kind not set]; '
            f"{UNSET}",
        ),
        (
            "foo",
            f'error: error validating "STDIN": error validating data: invalid object to validate; {UNSET}',
        ),
        (
            "kind: ConfigMap",
            f'error: error validating "STDIN": error validating data: apiVersion not set; {UNSET}',
        ),
        (
            "a: [",
            "error: error parsing STDIN: error converting YAML to JSON: yaml: line 1: did not find expected "
            "node "
            "content\n",
        ),
        (
            "\tx: 1",
            "error: error parsing STDIN: error converting YAML to JSON: yaml: found character that cannot "
            "start any "
            "token\n",
        ),
        (
            "apiVersion: foo/v1\nkind: Foo\nmetadata: {name: x}",
            'error: resource mapping not found for name: "x" namespace: "" from "STDIN": no matches for '
            'kind "Foo" '
            'in version "foo/v1"\nensure CRDs are installed first\n',
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x}",
            "error: from x: cannot use generate name with apply\n",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: other}",
            'Error from server (NotFound): error when creating "STDIN": namespaces "other" not found\n',
        ),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said(empty: Terminal, stdin: str, expected: str) -> None:
    assert empty("apply -f -", stdin) == expected


def test_what_the_server_finds_invalid(empty: Terminal) -> None:
    manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: []}"
    assert empty("create -f -", manifest) == 'The Pod "p" is invalid: spec.containers: Required value\n'


def test_a_manifest_must_be_asked_for(empty: Terminal) -> None:
    assert empty("apply", SETTINGS) == "error: must specify one of -f and -k\n"
    assert (
        empty("apply foo", SETTINGS)
        == "error: Unexpected args: [foo]\nSee 'kubectl apply -h' for help and examples\n"
    )


def test_a_manifest_for_another_namespace_than_the_flags(empty: Terminal) -> None:
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: other}"
    assert empty("apply -f - -n shop", manifest) == (
        'error: the namespace from the provided object "other" does not match the namespace "shop". You '
        "must pass "
        "'--namespace=other' to perform this operation.\n"
    )


@pytest.mark.parametrize("opening", ["[", "- ", "? ", "{a: "])
def test_a_manifest_nested_without_end_is_refused(empty: Terminal, opening: str) -> None:
    assert empty("create -f -", opening * 200_000).endswith("yaml: exceeded max depth\n")


def growing(link: str) -> str:
    """Mappings of which each has the one before it ten times."""
    return "x0: &a0 {k: v}\n" + "".join(
        f"x{i}: &a{i} {link.format(', '.join([f'*a{i - 1}'] * 10))}\n" for i in range(1, 13)
    )


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (growing("[{}]"), "document contains excessive aliasing"),
        (growing("{{<<: [{}]}}"), "document contains excessive aliasing"),
        (f"s: &s {'x' * 10_000}\nl: [{'*s, ' * 10_000}]", "document contains excessive aliasing"),
        ("a: &a\n" + "  <<: [*a, *a]\n  k: v\n" * 40, "anchor 'a' value contains itself"),
        ("a0: &a0 []\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 200)), "exceeded max depth"),
        (f"a: 1{':11' * 300_000}", "invalid value"),
        (f"a: {'9' * 400}", "invalid value"),
    ],
    ids=["lists", "merges", "long texts", "itself", "deep", "base 60", "beyond all numbers"],
)
def test_a_manifest_that_says_much_in_few_words_is_refused_at_once(
    empty: Terminal, manifest: str, why: str
) -> None:
    began = time.monotonic()
    answer = empty("apply -f -", manifest)
    assert answer == f"error: error parsing STDIN: error converting YAML to JSON: yaml: {why}\n"
    assert time.monotonic() - began < SECONDS


def test_what_a_manifest_has_by_aliases_and_merges_it_has(empty: Terminal) -> None:
    metadata = "metadata: &m {name: a, labels: &l {x: y}}\n"
    config = f"apiVersion: v1\nkind: ConfigMap\n{metadata}data: {{<<: *l, z: w}}\n"
    assert empty("apply -f -", config) == "configmap/a created\n"
    assert empty("get cm a -o jsonpath='{.data}'") == '{"x":"y","z":"w"}'


SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b"])
OBJECTS = st.recursive(
    SCALARS, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), OBJECTS, max_size=3)


@given(MAPPINGS, MAPPINGS)
def test_applying_what_is_live_changes_nothing(original: dict[str, object], live: dict[str, object]) -> None:
    assert three_way(live, live, live) == {}
    assert three_way({}, {}, live) == {}
    assert all(patched is None for patched in three_way(original, {}, live).values())
