"""Pods: phases, conditions and states over their lives, and what is reported of them."""

from __future__ import annotations

from api_client import Kube, Object, until
from manifests import container, idle_pod, pod


def phase(kube: Kube, name: str, wanted: str) -> Object:
    found: Object = kube.eventually(f"pods/{name}", lambda each: each["status"].get("phase") == wanted)
    return found


def conditions(pod: Object) -> dict[str, str]:
    return {each["type"]: each["status"] for each in pod["status"]["conditions"]}


def state(pod: Object) -> Object:
    (status,) = pod["status"].get("containerStatuses") or [{"state": {}}]
    found: Object = status["state"]
    return found


def test_one_that_runs(kube: Kube) -> None:
    kube.create("pods", pod("web"))
    running = phase(kube, "web", "Running")
    (status,) = running["status"]["containerStatuses"]

    expected = {"Initialized", "Ready", "ContainersReady", "PodScheduled"}
    assert {kind for kind, holds in conditions(running).items() if holds == "True"} >= expected
    assert (status["ready"], status["started"], status["restartCount"]) == (True, True, 0)
    assert list(status["state"]) == ["running"]
    assert running["status"]["qosClass"] == "BestEffort"
    assert running["status"]["podIPs"] == [{"ip": running["status"]["podIP"]}]
    assert running["spec"]["nodeName"] in kube.names("/api/v1/nodes")
    until(lambda: {reason for _, reason, _ in kube.events("web")}, lambda said: "Started" in said)
    reasons = [reason for _, reason, _ in kube.events("web")]
    assert reasons[0] == "Scheduled"
    assert [each for each in reasons if each in ("Created", "Started")] == ["Created", "Started"]
    said = {reason: message for _, reason, message in kube.events("web")}
    assert said["Scheduled"].startswith("Successfully assigned <namespace>/web to ")
    assert said["Started"] == "Started container web"


def test_what_is_not_said_about_a_pod_is_filled_in(kube: Kube) -> None:
    spec = kube.create("pods", idle_pod("web"))["spec"]
    (web,) = spec["containers"]

    assert (spec["restartPolicy"], spec["dnsPolicy"]) == ("Always", "ClusterFirst")
    assert (spec["schedulerName"], spec["serviceAccountName"]) == ("default-scheduler", "default")
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert (spec["enableServiceLinks"], spec["securityContext"]) == (True, {})
    assert (web["imagePullPolicy"], web["resources"]) == ("IfNotPresent", {})
    assert web["terminationMessagePath"] == "/dev/termination-log"
    assert web["terminationMessagePolicy"] == "File"
    assert [(each["key"], each["effect"], each["tolerationSeconds"]) for each in spec["tolerations"]] == [
        ("node.kubernetes.io/not-ready", "NoExecute", 300),
        ("node.kubernetes.io/unreachable", "NoExecute", 300),
    ]


def test_one_that_fits_nowhere_is_pending(kube: Kube) -> None:
    kube.create("pods", idle_pod("web"))
    kube.eventually("pods/web", lambda each: "conditions" in each["status"])
    web = kube.get("pods/web")
    (condition,) = web["status"]["conditions"]

    assert web["status"]["phase"] == "Pending"
    assert (condition["type"], condition["status"]) == ("PodScheduled", "False")
    assert condition["reason"] == "Unschedulable"
    assert condition["message"].startswith("0/1 nodes are available: 1 node(s) didn't match ")
    until(lambda: kube.events("web"), bool)
    assert kube.events("web")[0][:2] == ("Warning", "FailedScheduling")


def test_one_that_asks_for_too_much_is_pending(kube: Kube) -> None:
    big = pod("web")
    big["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "900", "memory": "9000Gi"}}
    kube.create("pods", big)
    kube.eventually("pods/web", lambda each: "conditions" in each["status"])
    message = kube.get("pods/web")["status"]["conditions"][0]["message"]

    assert message.startswith("0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.")


def test_one_that_is_done(kube: Kube) -> None:
    kube.create("pods", pod("web", "sh", "-c", "echo done; exit 0", restartPolicy="Never"))
    done = phase(kube, "web", "Succeeded")
    ended = state(done)["terminated"]

    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    assert {
        kind: holds for kind, holds in conditions(done).items() if kind != "PodReadyToStartContainers"
    } == {
        "Initialized": "True",
        "Ready": "False",
        "ContainersReady": "False",
        "PodScheduled": "True",
    }
    ready = next(each for each in done["status"]["conditions"] if each["type"] == "Ready")
    assert ready["reason"] == "PodCompleted"
    assert kube.send("GET", "pods/web/log").body == "done\n"
    assert kube.kubectl("logs web") == "done\n"


def test_one_that_failed(kube: Kube) -> None:
    kube.create("pods", pod("web", "sh", "-c", "echo no >&2; exit 3", restartPolicy="Never"))
    ended = state(phase(kube, "web", "Failed"))["terminated"]

    assert (ended["exitCode"], ended["reason"]) == (3, "Error")


def test_one_that_fails_again_and_again(kube: Kube) -> None:
    kube.create("pods", pod("web", "sh", "-c", "exit 1"))
    looping = kube.eventually(
        "pods/web", lambda each: state(each).get("waiting", {}).get("reason") == "CrashLoopBackOff"
    )
    (status,) = looping["status"]["containerStatuses"]

    assert looping["status"]["phase"] == "Running"
    assert status["restartCount"] >= 1
    assert (status["ready"], status["lastState"]["terminated"]["exitCode"]) == (False, 1)
    assert state(looping)["waiting"]["message"].startswith(
        "back-off 10s restarting failed container=web pod=web_"
    )
    until(lambda: {each[:2] for each in kube.events("web")}, lambda said: ("Warning", "BackOff") in said)


def test_one_whose_image_is_not_there(kube: Kube) -> None:
    bad = pod("web")
    bad["spec"]["containers"][0]["image"] = "registry.invalid/web:1"
    kube.create("pods", bad)
    refused = ("ErrImagePull", "ImagePullBackOff")
    kube.eventually("pods/web", lambda each: state(each).get("waiting", {}).get("reason") in refused)
    kube.eventually(
        "pods/web", lambda each: state(each).get("waiting", {}).get("reason") == "ImagePullBackOff"
    )
    web = kube.get("pods/web")

    assert web["status"]["phase"] == "Pending"
    until(lambda: len(kube.events("web")), lambda count: count >= 5)
    assert {("Normal", "Pulling"), ("Warning", "Failed"), ("Normal", "BackOff")} <= {
        each[:2] for each in kube.events("web")
    }
    assert ("Warning", "Failed", "Error: ErrImagePull") in kube.events("web")
    assert ("Warning", "Failed", "Error: ImagePullBackOff") in kube.events("web")
    assert ("Normal", "BackOff", 'Back-off pulling image "registry.invalid/web:1"') in [
        (kind, reason, message.partition(":1")[0] + ':1"') for kind, reason, message in kube.events("web")
    ]


def test_one_whose_settings_are_not_there_waits_for_them(kube: Kube) -> None:
    waiting = pod("web")
    source = {"configMapRef": {"name": "settings"}}
    waiting["spec"]["containers"][0]["envFrom"] = [source]
    kube.create("pods", waiting)
    stopped = kube.eventually(
        "pods/web", lambda each: state(each).get("waiting", {}).get("reason") == "CreateContainerConfigError"
    )
    assert state(stopped)["waiting"]["message"] == 'configmap "settings" not found'

    kube.create("configmaps", {"metadata": {"name": "settings"}, "data": {"a": "1"}})
    phase(kube, "web", "Running")


def test_one_that_is_deleted_terminates_first(kube: Kube) -> None:
    kube.create("pods", pod("web", terminationGracePeriodSeconds=3))
    phase(kube, "web", "Running")
    answer = kube.delete("pods/web")

    assert (answer["kind"], answer["metadata"]["name"]) == ("Pod", "web")
    assert answer["metadata"]["deletionGracePeriodSeconds"] == 3
    assert "deletionTimestamp" in answer["metadata"]
    kube.gone("pods/web")
    assert ("Normal", "Killing", "Stopping container web") in kube.events("web")


def test_one_without_a_node_is_gone_at_once(kube: Kube) -> None:
    kube.create("pods", idle_pod("web"))
    kube.delete("pods/web")

    assert kube.send("GET", "pods/web").code == 404


def test_one_that_runs_is_gone_at_once_if_there_is_no_grace(kube: Kube) -> None:
    kube.create("pods", pod("web"))
    phase(kube, "web", "Running")
    kube.delete("pods/web", gracePeriodSeconds=0)

    assert kube.send("GET", "pods/web").code == 404


def test_its_init_containers_come_first(kube: Kube) -> None:
    first = container("sh", "-c", "exit 0", name="first")
    kube.create("pods", pod("web", initContainers=[first]))
    running = phase(kube, "web", "Running")

    (done,) = running["status"]["initContainerStatuses"]
    assert (done["state"]["terminated"]["reason"], done["ready"]) == ("Completed", True)


def test_most_of_its_spec_is_fixed(kube: Kube) -> None:
    kube.create("pods", idle_pod("web"))

    code, reason, message = kube.refusal(
        "PATCH",
        "pods/web",
        {"spec": {"hostname": "other"}},
        content_type="application/merge-patch+json",
    )

    assert (code, reason) == (422, "Invalid")
    assert message.startswith(
        'Pod "web" is invalid: spec: Forbidden: pod updates may not change fields other than '
    )
    kube.patch("pods/web", {"spec": {"activeDeadlineSeconds": 900}})
    kube.patch("pods/web", {"spec": {"containers": [{"name": "web", "image": "busybox:1.36"}]}}, "strategic")
