"""Ephemeral containers: how they join a pod, what may not be asked of them, and how they end."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from kube_driver import Kube, deployment, pod

POD = "/api/v1/namespaces/default/pods/a"
PART = f"{POD}/ephemeralcontainers"


def debugger(name: str = "looker", **fields: Any) -> Any:
    return {"name": name, "image": "busybox:1.36.1", "command": ["sleep", "60"], **fields}


def added(*containers: Any) -> Any:
    return {"spec": {"ephemeralContainers": list(containers)}}


def refused(kube: Kube, path: str, patch: Any) -> Any:
    response = kube.send("PATCH", path, patch, content_type="application/merge-patch+json")
    assert response.status >= 400, response.body
    return response.body


def causes(kube: Kube, *containers: Any) -> list[tuple[str, str]]:
    answer = refused(kube, PART, added(*containers))
    assert answer["code"] == 422
    return [(each["field"], each["message"]) for each in answer["details"]["causes"]]


def test_it_starts_with_the_defaults_of_containers_and_is_never_ready(one_pod: Kube) -> None:
    answer = one_pod.merge(PART, added(debugger()))
    assert answer["spec"]["ephemeralContainers"] == [
        debugger(
            imagePullPolicy="IfNotPresent",
            resources={},
            terminationMessagePath="/dev/termination-log",
            terminationMessagePolicy="File",
        )
    ]
    (waiting,) = one_pod.get(POD)["status"]["ephemeralContainerStatuses"]
    assert waiting["state"] == {"waiting": {"reason": "ContainerCreating"}}
    one_pod.advance(5)
    found = one_pod.get(POD)["status"]
    (status,) = found["ephemeralContainerStatuses"]
    assert "running" in status["state"]
    assert status["ready"] is False
    assert "started" not in status
    assert all(each["status"] == "True" for each in found["conditions"])
    assert ("Started", "Started container looker") in one_pod.events("a")


def test_it_is_not_restarted_and_its_pod_goes_on(one_pod: Kube) -> None:
    one_pod.merge(PART, added(debugger(command=["sh", "-c", "exit 3"])))
    one_pod.advance(600)
    status = one_pod.get(POD)["status"]
    (ended,) = status["ephemeralContainerStatuses"]
    assert ended["state"]["terminated"]["exitCode"] == 3
    assert ended["restartCount"] == 0
    assert status["phase"] == "Running"


def test_it_is_killed_when_its_pod_is_over(three_nodes: Kube) -> None:
    kube = three_nodes
    kube.add_pod("a", restartPolicy="Never", command=["sleep", "60"])
    kube.advance(10)
    kube.merge(PART, added(debugger(command=["sleep", "600"])))
    kube.advance(90)
    status = kube.get(POD)["status"]
    assert status["phase"] == "Succeeded"
    assert status["ephemeralContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


def test_it_waits_for_its_pod_to_get_its_place(three_nodes: Kube) -> None:
    kube = three_nodes
    kube.add_pod("a", nodeSelector={"disk": "fast"})
    kube.merge(PART, added(debugger()))
    kube.advance(10)
    assert "ephemeralContainerStatuses" not in kube.get(POD)["status"]
    kube.merge("/api/v1/nodes/worker-1", {"metadata": {"labels": {"disk": "fast"}}})
    kube.advance(20)
    assert "running" in kube.get(POD)["status"]["ephemeralContainerStatuses"][0]["state"]


def test_all_else_that_is_sent_is_left_alone(one_pod: Kube) -> None:
    sent = copy.deepcopy(one_pod.get(PART))
    sent["metadata"]["labels"] = {"app": "other"}
    sent["spec"]["containers"][0]["image"] = "other:1"
    sent["spec"]["ephemeralContainers"] = [debugger()]
    answer = one_pod.ok("PUT", PART, sent)
    assert answer["metadata"]["labels"] == {"app": "web"}
    assert answer["spec"]["containers"] == one_pod.get(POD)["spec"]["containers"]
    assert answer["spec"]["ephemeralContainers"][0]["name"] == "looker"


def test_none_goes_or_changes(one_pod: Kube) -> None:
    one_pod.merge(PART, added(debugger()))
    message = 'Forbidden: existing ephemeral containers "looker" may not be removed\n'
    assert causes(one_pod) == [("spec.ephemeralContainers", message)]
    message = 'Forbidden: existing ephemeral containers "looker" may not be changed\n'
    assert causes(one_pod, debugger(image="other:1")) == [("spec.ephemeralContainers", message)]
    assert len(one_pod.merge(PART, added(debugger(), debugger("second")))["spec"]["ephemeralContainers"]) == 2


@pytest.mark.parametrize(
    ("fields", "at", "message"),
    [
        ({"name": "web"}, "name", 'Duplicate value: "web"'),
        ({"targetContainerName": "none"}, "targetContainerName", 'Not found: "none"'),
        (
            {"ports": [{"containerPort": 80}]},
            "ports",
            "Forbidden: cannot be set for an Ephemeral Container",
        ),
        (
            {"resources": {"limits": {"cpu": "1"}}},
            "resources",
            "Forbidden: cannot be set for an Ephemeral Container",
        ),
        (
            {"livenessProbe": {"exec": {"command": ["true"]}}},
            "livenessProbe",
            "Forbidden: cannot be set for an Ephemeral Container",
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "x"}]},
            "volumeMounts[0].subPath",
            "Forbidden: cannot be set for an Ephemeral Container",
        ),
    ],
)
def test_what_is_not_for_ephemeral_containers_is_refused(
    one_pod: Kube, fields: Any, at: str, message: str
) -> None:
    assert (f"spec.ephemeralContainers[0].{at}", message) in causes(one_pod, debugger(**fields))


def test_they_come_by_their_subresource_alone(one_pod: Kube) -> None:
    new = pod("b")
    new["spec"]["ephemeralContainers"] = [debugger()]
    refusal = one_pod.refusal("POST", "/api/v1/namespaces/default/pods", new)
    assert refusal["message"].endswith("spec.ephemeralContainers: Forbidden: cannot be set on create")
    refusal = refused(one_pod, POD, added(debugger()))
    assert "pod updates may not change fields other than" in refusal["message"]
    template = deployment("web", 1)
    template["spec"]["template"]["spec"]["ephemeralContainers"] = [debugger()]
    refusal = one_pod.refusal("POST", "/apis/apps/v1/namespaces/default/deployments", template)
    assert refusal["message"].endswith(
        "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template"
    )


def test_the_rights_to_a_pod_are_none_to_its_ephemeral_containers(one_pod: Kube) -> None:
    one_pod.create(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
        {
            "metadata": {"name": "ann"},
            "subjects": [{"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {"kind": "ClusterRole", "name": "edit", "apiGroup": "rbac.authorization.k8s.io"},
        },
    )
    ann = Kube(one_pod.cluster, one_pod.cluster.token_for("ann"))
    refusal = refused(ann, PART, added(debugger()))
    assert refusal["message"] == (
        'pods "a" is forbidden: User "ann" cannot patch resource "pods/ephemeralcontainers" '
        'in API group "" in the namespace "default"'
    )


def test_pod_security_looks_at_them(one_pod: Kube) -> None:
    label = {"pod-security.kubernetes.io/enforce": "baseline"}
    one_pod.merge("/api/v1/namespaces/default", {"metadata": {"labels": label}})
    refusal = refused(one_pod, PART, added(debugger(securityContext={"privileged": True})))
    assert refusal["code"] == 403
    assert 'container "looker" must not set securityContext.privileged=true' in refusal["message"]
