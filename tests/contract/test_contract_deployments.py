"""A Deployment's life: what its status, conditions and events say, and what it does to its pods."""

from __future__ import annotations

import re

from api_client import Kube, Object, until
from manifests import container, workload

WEB = "deployments.apps/web"
NO_SUCH_IMAGE = "registry.invalid/web:1"


def deploy(kube: Kube, replicas: int = 1, **spec: object) -> Object:
    kube.create("deployments.apps", workload("web", replicas=replicas, **spec))
    ready: Object = kube.eventually(WEB, lambda web: web["status"].get("readyReplicas") == replicas)
    return ready


def rolled_out(web: Object) -> bool:
    status = web["status"]
    counts = {status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    return (
        counts == {web["spec"]["replicas"]} and status["observedGeneration"] == web["metadata"]["generation"]
    )


def image(name: str) -> Object:
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": name}]}}}}


def change(kube: Kube, text: str) -> None:
    """A new template: the containers sleep as before, with another variable."""
    environment = [{"name": "TEXT", "value": text}]
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "env": environment}]}}}}
    kube.patch(WEB, patch, "strategic")


def replica_sets(kube: Kube) -> list[Object]:
    """By revision."""
    found = kube.get("replicasets.apps")["items"]
    return sorted(
        found, key=lambda each: int(each["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
    )


def test_one_that_is_rolled_out_says_so(kube: Kube) -> None:
    deploy(kube, 2)
    web = kube.eventually(
        WEB, lambda web: kube.conditions(WEB)["Progressing"]["reason"] == "NewReplicaSetAvailable"
    )
    (replica_set,) = replica_sets(kube)
    name = replica_set["metadata"]["name"]
    conditions = kube.conditions(WEB)

    assert {key: value for key, value in web["status"].items() if key != "conditions"} == {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
    }
    assert {key: (each["status"], each["reason"], each["message"]) for key, each in conditions.items()} == {
        "Available": ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        "Progressing": (
            "True",
            "NewReplicaSetAvailable",
            f'ReplicaSet "{name}" has successfully progressed.',
        ),
    }
    assert web["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
    assert web["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (web["spec"]["revisionHistoryLimit"], web["spec"]["progressDeadlineSeconds"]) == (10, 600)


def test_it_owns_a_replica_set_which_owns_the_pods(kube: Kube) -> None:
    web = deploy(kube)
    (replica_set,), (pod,) = replica_sets(kube), kube.get("pods")["items"]
    template_hash = replica_set["metadata"]["labels"]["pod-template-hash"]

    assert replica_set["metadata"]["name"] == f"web-{template_hash}"
    assert pod["metadata"]["name"].startswith(f"web-{template_hash}-")
    assert pod["metadata"]["labels"] == {"app": "web", "pod-template-hash": template_hash}
    assert replica_set["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    assert replica_set["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "web",
            "uid": web["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert [each["kind"] for each in pod["metadata"]["ownerReferences"]] == ["ReplicaSet"]
    assert replica_set["metadata"]["annotations"] == {
        "deployment.kubernetes.io/desired-replicas": "1",
        "deployment.kubernetes.io/max-replicas": "2",
        "deployment.kubernetes.io/revision": "1",
    }


def test_it_is_scaled_by_its_scale(kube: Kube) -> None:
    deploy(kube)
    scale = kube.get(f"{WEB}/scale")
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 1, "selector": "app=web"}

    kube.ok("PUT", f"{WEB}/scale", {**scale, "spec": {"replicas": 3}})
    web = kube.eventually(WEB, rolled_out)
    assert web["metadata"]["generation"] == 2
    kube.patch(f"{WEB}/scale", {"spec": {"replicas": 0}})
    until(lambda: kube.names("pods"), lambda names: names == [])

    (replica_set,) = replica_sets(kube)
    name = replica_set["metadata"]["name"]
    said = until(lambda: kube.events("web"), lambda said: len(said) == 3)
    assert [(reason, re.sub("( from [0-9])? to [0-9]", "", message)) for _, reason, message in said] == [
        ("ScalingReplicaSet", f"Scaled up replica set {name}"),
        ("ScalingReplicaSet", f"Scaled up replica set {name}"),
        ("ScalingReplicaSet", f"Scaled down replica set {name}"),
    ]


def test_a_rollout_leaves_a_history_that_can_be_gone_back_to(kube: Kube) -> None:
    deploy(kube)
    change(kube, "second")
    kube.eventually(WEB, rolled_out)
    kube.patch(WEB, image(NO_SUCH_IMAGE), "strategic")

    kube.eventually("pods", lambda pods: any(pulling(pod) for pod in pods["items"]))
    web = kube.get(WEB)
    assert web["status"]["unavailableReplicas"] == 1
    assert web["status"]["availableReplicas"] == 1
    assert [each["spec"]["replicas"] for each in replica_sets(kube)] == [0, 1, 1]
    assert kube.kubectl("rollout history deployment/web") == (
        "deployment.apps/web \n"
        "REVISION  CHANGE-CAUSE\n"
        "1         <none>\n"
        "2         <none>\n"
        "3         <none>\n\n"
    )
    assert kube.kubectl("rollout undo deployment/web") == "deployment.apps/web rolled back\n"
    assert kube.kubectl("rollout status deployment/web").endswith(
        'deployment "web" successfully rolled out\n'
    )
    assert kube.get(WEB)["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "4"}
    assert [each["spec"]["replicas"] for each in replica_sets(kube)] == [0, 0, 1]
    assert kube.kubectl("rollout undo deployment/web --to-revision=1") == "deployment.apps/web rolled back\n"
    assert "TEXT" not in kube.kubectl("rollout history deployment/web --revision=5")
    assert kube.kubectl("rollout undo deployment/web --to-revision=9", fails=True) == (
        "error: unable to find specified revision 9 in history\n"
    )


def pulling(pod: Object) -> bool:
    """Whether an image is refused, or waited for after that."""
    states = [each["state"] for each in pod["status"].get("containerStatuses", ())]
    return any(
        state.get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff") for state in states
    )


def test_one_that_is_paused_takes_changes_without_rolling_them_out(kube: Kube) -> None:
    deploy(kube)
    assert kube.kubectl("rollout pause deployment/web") == "deployment.apps/web paused\n"
    change(kube, "later")
    kube.eventually(WEB, lambda web: web["status"]["observedGeneration"] == web["metadata"]["generation"])
    paused = kube.eventually(
        WEB, lambda _: kube.conditions(WEB)["Progressing"]["reason"] == "DeploymentPaused"
    )

    assert len(replica_sets(kube)) == 1
    assert kube.conditions(WEB)["Progressing"]["status"] == "Unknown"
    assert kube.conditions(WEB)["Progressing"]["message"] == "Deployment is paused"
    assert "updatedReplicas" not in paused["status"]
    assert kube.kubectl("rollout pause deployment/web", fails=True) == (
        'error: deployments.apps "web" is already paused\n'
    )
    assert kube.kubectl("rollout resume deployment/web") == "deployment.apps/web resumed\n"
    kube.eventually(WEB, rolled_out)
    assert len(replica_sets(kube)) == 2


def test_pods_over_the_quota_are_refused_and_it_says_so(kube: Kube) -> None:
    kube.create("resourcequotas", {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}})
    kube.eventually("resourcequotas/few", lambda quota: quota.get("status", {}).get("hard"))
    kube.create("deployments.apps", workload("web", replicas=2))
    kube.eventually(WEB, lambda web: "ReplicaFailure" in kube.conditions(WEB))
    failure = kube.conditions(WEB)["ReplicaFailure"]

    assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
    name = replica_sets(kube)[0]["metadata"]["name"]
    words = failure["message"].replace(failure["message"].split('"')[1], f"{name}-?")
    assert words == (
        f'pods "{name}-?" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1'
    )
    assert ("Warning", "FailedCreate") in {each[:2] for each in kube.events(name)}


def test_recreation_leaves_no_old_pod_beside_a_new_one(kube: Kube) -> None:
    deploy(kube, strategy={"type": "Recreate"})
    before = kube.names("pods")
    change(kube, "new")
    kube.eventually(WEB, rolled_out)

    assert kube.names("pods") != before
    assert [each["spec"]["replicas"] for each in replica_sets(kube)] == [0, 1]


def test_what_it_made_goes_with_it(kube: Kube) -> None:
    deploy(kube)
    answer = kube.delete(WEB)

    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    assert answer["details"]["name"] == "web"
    assert (answer["details"]["group"], answer["details"]["kind"]) == ("apps", "deployments")
    kube.gone(WEB)
    until(lambda: kube.names("replicasets.apps") + kube.names("pods"), lambda names: names == [])


def test_another_selector_is_refused(kube: Kube) -> None:
    kube.create("deployments.apps", workload("web", replicas=0))

    code, reason, message = kube.refusal(
        "PATCH",
        WEB,
        [{"op": "add", "path": "/spec/selector/matchLabels/tier", "value": "front"}],
        content_type="application/json-patch+json",
    )

    assert (code, reason) == (422, "Invalid")
    assert "`selector` does not match template `labels`" in message
    assert message.endswith(": field is immutable]")


def test_an_update_of_what_has_changed_meanwhile_is_a_conflict(kube: Kube) -> None:
    web = kube.create("deployments.apps", workload("web", replicas=0))
    kube.patch(WEB, {"metadata": {"labels": {"tier": "front"}}})

    assert kube.refusal("PUT", WEB, web) == (
        409,
        "Conflict",
        'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; '
        "please apply your changes to the latest version and try again",
    )


def test_its_containers_are_told_apart_by_name(kube: Kube) -> None:
    kube.create("deployments.apps", workload("web", replicas=0))
    kube.patch(WEB, {"spec": {"template": {"spec": {"containers": [container(name="side")]}}}}, "strategic")

    assert [each["name"] for each in kube.get(WEB)["spec"]["template"]["spec"]["containers"]] == [
        "side",
        "web",
    ]
