"""What a request to the API server asks for, in copies."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trial_scenes import shop

from pytest_selfrep.clusters.base import AuditEvent
from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.trial.attempts import Attempts
from pytest_selfrep.trial.lineage import Lineage
from pytest_selfrep.trial.requests import MOST_REPLICAS, WORKLOADS, asked_by, in_words

NODES = 3
TEMPLATE = {"spec": {"containers": [{"image": "x"}]}}


def request(
    verb: str,
    resource: str,
    body: KubeObject | list[KubeObject] | None,
    name: str = "web",
    group: str = "apps",
) -> AuditEvent:
    return AuditEvent(
        seconds=0.0,
        revision=1,
        user="someone",
        verb=verb,
        group=group,
        resource=resource,
        namespace="shop",
        name=name,
        code=200,
        reason="",
        message="",
        request=body,
        response=None,
    )


@pytest.mark.parametrize(
    ("verb", "resource", "body", "kind", "replicas"),
    [
        ("create", "deployments", {"spec": {"replicas": 5, "template": TEMPLATE}}, "Deployment", 5),
        ("create", "deployments", {"spec": {"template": TEMPLATE}}, "Deployment", 1),
        ("create", "statefulsets", {"spec": {"replicas": 2, "template": TEMPLATE}}, "StatefulSet", 2),
        ("create", "daemonsets", {"spec": {"template": TEMPLATE}}, "DaemonSet", NODES),
        ("create", "jobs", {"spec": {"parallelism": 4, "template": TEMPLATE}}, "Job", 4),
        ("create", "cronjobs", {"spec": {"jobTemplate": {"spec": {"parallelism": 2}}}}, "CronJob", 2),
        ("create", "pods", TEMPLATE, "Pod", 1),
        ("update", "deployments", {"spec": {"replicas": 3, "template": TEMPLATE}}, "Deployment", 3),
        ("patch", "deployments", {"spec": {"replicas": 7}}, "Deployment", 7),
        ("patch", "deployments", [{"op": "replace", "path": "/spec/replicas", "value": 8}], "Deployment", 8),
        (
            "patch",
            "deployments",
            [{"op": "replace", "path": "/spec", "value": {"replicas": 4}}],
            "Deployment",
            4,
        ),
        ("patch", "deployments", [{"op": "remove", "path": "/spec/paused"}], "Deployment", None),
        ("patch", "deployments/scale", {"spec": {"replicas": 9}}, "Deployment", 9),
        ("update", "deployments/scale", {"spec": {"replicas": 6}}, "Deployment", 6),
        ("patch", "deployments", {"metadata": {"labels": {"a": "b"}}}, "Deployment", None),
    ],
)
def test_each_kind_of_write_tells_how_many_it_wants(
    verb: str, resource: str, body: KubeObject, kind: str, replicas: int | None
) -> None:
    asked = asked_by(request(verb, resource, body), NODES)
    assert asked is not None
    assert (asked.key, asked.replicas) == ((kind, "shop", "web"), replicas)
    assert asked.creates == (verb == "create")


def test_the_name_of_a_new_object_comes_from_its_body() -> None:
    named = request("create", "pods", {"metadata": {"name": "a"}}, name="")
    generated = request("create", "pods", {"metadata": {"generateName": "a-"}}, name="")
    assert [asked.name for event in (named, generated) if (asked := asked_by(event, NODES))] == ["a", "a-"]


def test_an_autoscaler_asks_its_target_for_its_minimum_and_maybe_its_maximum() -> None:
    target = {"kind": "Deployment", "name": "web"}
    body = {"spec": {"scaleTargetRef": target, "minReplicas": 4, "maxReplicas": 12}}
    event = request("create", "horizontalpodautoscalers", body, name="any", group="autoscaling")
    asked = asked_by(event, NODES)
    assert asked is not None
    assert (asked.key, asked.replicas, asked.most) == (("Deployment", "shop", "web"), 4, 12)


@pytest.mark.parametrize(
    ("verb", "resource", "body"),
    [
        ("get", "deployments", None),
        ("delete", "deployments", {}),
        ("create", "configmaps", {"data": {}}),
        ("create", "pods/eviction", {}),
        ("patch", "deployments/status", {"status": {}}),
    ],
)
def test_other_requests_ask_for_no_copies(verb: str, resource: str, body: KubeObject | None) -> None:
    assert asked_by(request(verb, resource, body), NODES) is None


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (request("create", "deployments", {}), "create deployments.apps shop/web"),
        (request("patch", "deployments/scale", {}), "patch deployments.apps/scale shop/web"),
        (request("create", "pods", {"metadata": {"name": "a"}}, name="", group=""), "create pods shop/a"),
        (request("list", "pods", None, name="", group=""), "list pods shop"),
    ],
)
def test_requests_are_named_as_kubernetes_names_them(event: AuditEvent, words: str) -> None:
    assert in_words(event) == words


KEYS = st.sampled_from(
    [
        "metadata",
        "name",
        "generateName",
        "labels",
        "spec",
        "replicas",
        "parallelism",
        "template",
        "jobTemplate",
        "containers",
        "initContainers",
        "image",
        "command",
        "args",
        "env",
        "envFrom",
        "volumes",
        "configMap",
        "configMapRef",
        "valueFrom",
        "projected",
        "sources",
        "scaleTargetRef",
        "minReplicas",
        "maxReplicas",
        "path",
        "value",
    ]
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**64)
    | st.sampled_from(["", "x", "/spec/replicas", "/spec"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
BODIES = st.dictionaries(KEYS, ANYTHING, max_size=4) | st.lists(ANYTHING, max_size=4) | st.none()
TEMPLATES = st.fixed_dictionaries(
    {"spec": st.fixed_dictionaries({"template": ANYTHING, "replicas": ANYTHING})}
)


@given(
    st.sampled_from([*WORKLOADS, "horizontalpodautoscalers", "deployments/scale", "services"]),
    st.sampled_from(["create", "update", "patch"]),
    BODIES | TEMPLATES,
)
def test_what_is_refused_may_be_of_any_form(
    resource: str, verb: str, body: KubeObject | list[KubeObject] | None
) -> None:
    agent = shop().world.agent
    attempts = Attempts(Lineage(agent), agent, NODES, {"someone"})
    event = replace(request(verb, resource, body), code=403)
    wish = attempts.wish(event)
    attempts.answered(event, wish, 1, 0.0)
    assert wish is None or 0 <= wish.more <= MOST_REPLICAS
    assert in_words(event).startswith(verb)
    assert attempts.missing({}) >= 0
