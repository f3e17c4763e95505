"""ReplicationControllers: what ReplicaSets do, for plain labels as a selector."""

from __future__ import annotations

import pytest
from kube_driver import Kube, Object, pod
from workloads import BUDGETS, CORE, SETTLED, condition, live_pods, names, quota

CONTROLLERS = f"{CORE}/replicationcontrollers"
WEB = f"{CONTROLLERS}/web"


@pytest.fixture
def kube(three_nodes: Kube) -> Kube:
    return three_nodes


def controller(replicas: int = 2, labels: Object | None = None, **spec: object) -> Object:
    template = {
        "metadata": {"labels": labels or {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "registry.acme.io/web:1.4"}]},
    }
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "template": template, **spec},
    }


def complaint(kube: Kube, obj: Object) -> str:
    return str(kube.refusal("POST", CONTROLLERS, obj)["message"])


def test_selector_and_labels_are_those_of_the_template_unless_said(kube: Kube) -> None:
    made = kube.create(CONTROLLERS, controller())
    assert made["spec"]["selector"] == {"app": "web"}
    assert made["metadata"]["labels"] == {"app": "web"}
    assert made["metadata"]["generation"] == 1


def test_its_pods_are_kept_at_the_number_that_is_wanted(kube: Kube) -> None:
    kube.create(CONTROLLERS, controller(2))
    kube.advance(SETTLED)
    found = live_pods(kube, app="web")
    assert [each["metadata"]["ownerReferences"][0]["kind"] for each in found] == ["ReplicationController"] * 2
    kube.delete(f"{CORE}/pods/{names(found)[0]}")
    kube.advance(SETTLED)
    assert len(live_pods(kube, app="web")) == 2
    assert kube.get(WEB)["status"] == {
        "replicas": 2,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "observedGeneration": 1,
    }


def test_events_come_from_its_own_controller(kube: Kube) -> None:
    kube.create(CONTROLLERS, controller(1))
    (name,) = names(live_pods(kube))
    assert kube.events("web") == [("SuccessfulCreate", f"Created pod: {name}")]
    (event,) = kube.get(f"{CORE}/events", fieldSelector="involvedObject.name=web")["items"]
    assert event["source"] == {"component": "replication-controller"}


def test_it_has_a_scale(kube: Kube) -> None:
    kube.create(CONTROLLERS, controller(2))
    scale = kube.get(f"{WEB}/scale")
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["status"] == {"replicas": 2, "selector": "app=web"}
    kube.merge(f"{WEB}/scale", {"spec": {"replicas": 5}})
    assert len(live_pods(kube, app="web")) == 5


def test_matching_pods_are_adopted_and_relabelled_ones_let_go(kube: Kube) -> None:
    kube.create(f"{CORE}/pods", pod("stray", labels={"app": "web"}))
    kube.create(CONTROLLERS, controller(1))
    assert names(live_pods(kube, app="web")) == ["stray"]
    kube.merge(f"{CORE}/pods/stray", {"metadata": {"labels": {"app": "other"}}})
    assert "ownerReferences" not in kube.pod("stray")["metadata"]
    assert len(live_pods(kube, app="web")) == 1


def test_what_it_may_not_create_is_a_condition(kube: Kube) -> None:
    kube.create(f"{CORE}/resourcequotas", quota(pods="0"))
    kube.create(CONTROLLERS, controller(1))
    found = condition(kube.get(WEB), "ReplicaFailure")
    assert (found["status"], found["reason"]) == ("True", "FailedCreate")


def test_its_pods_go_with_it(kube: Kube) -> None:
    kube.create(CONTROLLERS, controller(2))
    kube.advance(SETTLED)
    kube.delete(WEB)
    kube.advance(SETTLED)
    assert live_pods(kube) == []


def test_budgets_count_by_its_size(kube: Kube) -> None:
    kube.create(CONTROLLERS, controller(4))
    spec = {"maxUnavailable": "25%", "selector": {"matchLabels": {"app": "web"}}}
    kube.create(BUDGETS, {"metadata": {"name": "web"}, "spec": spec})
    kube.advance(SETTLED)
    status = kube.get(f"{BUDGETS}/web")["status"]
    assert (status["expectedPods"], status["disruptionsAllowed"]) == (4, 1)


def test_wrong_ones_are_refused_in_the_words_of_the_api_server(kube: Kube) -> None:
    mismatch = complaint(kube, controller(-1, {"c": "d"}, selector={"a": "b"}))
    assert mismatch == (
        'ReplicationController "web" is invalid: [spec.replicas: Invalid value: -1: must be greater than or '
        'equal to 0, spec.template.metadata.labels: Invalid value: map[string]string{"c":"d"}: `selector` '
        "does not match template `labels`]"
    )
    bare = controller()
    del bare["spec"]["template"]["metadata"]
    assert complaint(kube, bare) == 'ReplicationController "web" is invalid: spec.selector: Required value'
    empty = controller(selector={"a": "b"}, template=None)
    assert complaint(kube, empty) == 'ReplicationController "web" is invalid: spec.template: Required value'
