"""What becomes of a pod on its node."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import NODES, PODS, Kube, Object, pod

from pytest_selfrep.kubesim.nodes.machines import node

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
SECRETS = "/api/v1/namespaces/default/secrets"


@pytest.fixture
def kube(kube: Kube) -> Kube:
    """A cluster with one node."""
    kube.add_node("worker-1")
    return kube


def container(kube: Kube, name: str = "a") -> Any:
    return kube.pod(name)["status"]["containerStatuses"][0]


def reasons(kube: Kube, name: str = "a") -> list[str]:
    return [reason for reason, _ in kube.events(name)]


def test_a_pod_takes_time_to_start(kube: Kube) -> None:
    kube.add_pod("a")
    created = kube.pod("a")["status"]
    assert created["phase"] == "Pending"
    assert created["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    kube.advance(0.9)
    assert kube.pod("a")["status"]["phase"] == "Pending"
    kube.advance(3.1)
    assert kube.pod("a")["status"]["phase"] == "Running"


def test_a_running_pod_has_the_status_that_a_kubelet_writes(kube: Kube) -> None:
    kube.add_pod("a", image="nginx:1.27")
    kube.advance(5)
    status = kube.pod("a")["status"]
    assert {each["type"]: each["status"] for each in status["conditions"]} == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    assert status["startTime"]
    assert status["hostIP"] == kube.get(f"{NODES}/worker-1")["status"]["addresses"][0]["address"]
    assert status["podIPs"] == [{"ip": status["podIP"]}]
    only = status["containerStatuses"][0]
    assert only["image"] == "docker.io/library/nginx:1.27"
    assert only["imageID"].startswith("docker.io/library/nginx@sha256:")
    assert only["containerID"].startswith("containerd://")
    assert (only["ready"], only["started"], only["restartCount"], only["lastState"]) == (True, True, 0, {})
    assert "startedAt" in only["state"]["running"]


def test_events_tell_the_story_of_a_start(kube: Kube) -> None:
    kube.add_pod("a", image="nginx:1.27")
    kube.advance(5)
    told = kube.events("a")
    assert [reason for reason, _ in told] == ["Scheduled", "Pulling", "Pulled", "Created", "Started"]
    assert told[1][1] == 'Pulling image "nginx:1.27"'
    assert told[2][1].startswith('Successfully pulled image "nginx:1.27" in ')
    assert told[3][1] == "Created container: web"
    assert told[4][1] == "Started container web"


def test_events_name_the_kubelet_and_its_node(kube: Kube) -> None:
    kube.add_pod("a")
    kube.advance(5)
    events = kube.get("/api/v1/namespaces/default/events", fieldSelector="reason=Started")["items"]
    assert events[0]["source"] == {"component": "kubelet", "host": "worker-1"}


def test_an_image_is_pulled_once_per_node(kube: Kube) -> None:
    kube.add_pod("first", image="nginx:1.27")
    kube.advance(5)
    kube.add_pod("a", image="nginx:1.27")
    kube.advance(5)
    assert ("Pulled", 'Container image "nginx:1.27" already present on machine') in kube.events("a")
    assert "Pulling" not in reasons(kube)


def test_images_that_everybody_knows_have_their_own_size(kube: Kube) -> None:
    kube.add_pod("a", image="busybox:1.36", command=["sleep", "9000"])
    kube.advance(30)
    assert "Image size: 2156519 bytes." in dict(kube.events("a"))["Pulled"]


def test_the_latest_image_is_pulled_every_time(kube: Kube) -> None:
    kube.add_pod("first", image="nginx")
    kube.advance(5)
    kube.add_pod("a", image="nginx")
    kube.advance(5)
    assert "Pulling" in reasons(kube)


def test_an_image_that_may_not_be_pulled_must_be_there(kube: Kube) -> None:
    kube.add_pod("a", imagePullPolicy="Never")
    kube.advance(5)
    assert container(kube)["state"]["waiting"]["reason"] == "ErrImageNeverPull"


def test_a_registry_that_cannot_exist_ends_in_image_pull_back_off(kube: Kube) -> None:
    kube.add_pod("a", image="registry.invalid/agent:2")
    while (waiting := container(kube)["state"]["waiting"])["reason"] == "ContainerCreating":
        kube.advance(0.1)
    assert waiting["reason"] == "ErrImagePull"
    kube.advance(5)
    waiting = container(kube)["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert waiting["message"].startswith('Back-off pulling image "registry.invalid/agent:2": ErrImagePull: ')
    assert kube.pod("a")["status"]["phase"] == "Pending"
    assert ("Failed", "Error: ErrImagePull") in kube.events("a")
    assert ("BackOff", 'Back-off pulling image "registry.invalid/agent:2"') in kube.events("a")


def test_a_malformed_image_name_is_not_even_tried(kube: Kube) -> None:
    kube.add_pod("a", image="Not An Image")
    waiting = container(kube)["state"]["waiting"]
    assert waiting["reason"] == "InvalidImageName"
    assert "invalid reference format" in waiting["message"]


def test_a_readiness_probe_delays_readiness_only(kube: Kube) -> None:
    kube.add_pod("a", readinessProbe={"httpGet": {"port": 80}, "initialDelaySeconds": 20})
    kube.advance(10)
    assert kube.pod("a")["status"]["phase"] == "Running"
    ready = kube.condition("a", "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [web]"
    kube.advance(20)
    assert kube.condition("a", "Ready")["status"] == "True"


def test_a_container_that_fails_is_restarted_with_growing_delays(kube: Kube) -> None:
    kube.add_pod("a", command=["sh", "-c", "exit 3"])
    kube.advance(9)
    failed = container(kube)
    assert failed["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert failed["state"]["waiting"]["message"].startswith(
        "back-off 10s restarting failed container=web pod=a_default("
    )
    assert failed["lastState"]["terminated"]["exitCode"] == 3
    assert failed["lastState"]["terminated"]["reason"] == "Error"
    assert not failed["ready"]
    kube.advance(11)
    assert container(kube)["state"]["waiting"]["message"].startswith("back-off 20s ")
    kube.advance(3600)
    assert container(kube)["state"]["waiting"]["message"].startswith("back-off 5m0s ")
    assert 12 <= container(kube)["restartCount"] <= 20
    assert "BackOff" in reasons(kube)


def test_a_container_that_ran_long_starts_again_at_once(kube: Kube) -> None:
    kube.add_pod("a", command=["sleep", "15m"])
    kube.advance(15 * 60 * 2 + 10)
    assert container(kube)["restartCount"] == 2
    assert "running" in container(kube)["state"]


@pytest.mark.parametrize(
    ("command", "policy", "phase"),
    [
        (["true"], "Never", "Succeeded"),
        (["sh", "-c", "echo done"], "OnFailure", "Succeeded"),
        (["sh", "-c", "sleep 3; exit 2"], "Never", "Failed"),
        (["python", "serve.py"], "Never", "Running"),
        (["sh", "-c", "exit 1"], "OnFailure", "Running"),
        (["sleep", "infinity"], "Never", "Running"),
        (["sh", "-c", "while true; do sleep 1; done"], "Always", "Running"),
    ],
)
def test_how_a_pod_ends_follows_from_command_and_restart_policy(
    kube: Kube, command: list[str], policy: str, phase: str
) -> None:
    kube.add_pod("a", command=command, restartPolicy=policy)
    kube.advance(60)
    assert kube.pod("a")["status"]["phase"] == phase


def test_a_jobs_pod_works_for_a_while_and_succeeds(kube: Kube) -> None:
    containers = [{"name": "work", "image": "registry.acme.io/report:3", "command": ["python", "report.py"]}]
    template = {"spec": {"restartPolicy": "Never", "containers": containers}}
    kube.create(
        "/apis/batch/v1/namespaces/default/jobs", {"metadata": {"name": "a"}, "spec": {"template": template}}
    )
    kube.advance(8)
    assert [each["status"]["phase"] for each in kube.pods()] == ["Running"]
    kube.advance(8)
    assert [each["status"]["phase"] for each in kube.pods()] == ["Succeeded"]


def test_a_pod_that_succeeded_says_so_everywhere(kube: Kube) -> None:
    kube.add_pod("a", command=["sleep", "5"], restartPolicy="Never")
    kube.advance(30)
    ended = container(kube)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    assert kube.condition("a", "Ready")["reason"] == "PodCompleted"
    assert kube.condition("a", "PodReadyToStartContainers")["status"] == "False"


def test_init_containers_run_first_and_one_after_the_other(kube: Kube) -> None:
    init = [
        {"name": name, "image": "busybox:1.36", "command": ["sleep", "10"]} for name in ("fetch", "migrate")
    ]
    kube.add_pod("a", initContainers=init)
    kube.advance(8)
    status = kube.pod("a")["status"]
    assert ["running" in each["state"] for each in status["initContainerStatuses"]] == [True, False]
    assert container(kube)["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert kube.condition("a", "Initialized")["message"] == (
        "containers with incomplete status: [fetch migrate]"
    )
    kube.advance(30)
    assert kube.pod("a")["status"]["phase"] == "Running"
    assert kube.condition("a", "Initialized")["status"] == "True"


def test_an_init_container_that_fails_for_good_fails_the_pod(kube: Kube) -> None:
    init = [{"name": "check", "image": "busybox:1.36", "command": ["false"]}]
    kube.add_pod("a", initContainers=init, restartPolicy="Never")
    kube.advance(20)
    assert kube.pod("a")["status"]["phase"] == "Failed"


def test_a_sidecar_runs_beside_the_containers(kube: Kube) -> None:
    init = [{"name": "proxy", "image": "envoy:1.30", "restartPolicy": "Always"}]
    kube.add_pod("a", initContainers=init)
    kube.advance(20)
    assert "running" in kube.pod("a")["status"]["initContainerStatuses"][0]["state"]
    assert kube.condition("a", "Ready")["status"] == "True"


def test_a_volume_waits_for_its_config_map(kube: Kube) -> None:
    kube.add_pod("a", volumes=[{"name": "settings", "configMap": {"name": "model"}}])
    kube.advance(30)
    assert container(kube)["state"] == {"waiting": {"reason": "ContainerCreating"}}
    complaint = 'MountVolume.SetUp failed for volume "settings" : configmap "model" not found'
    assert ("FailedMount", complaint) in kube.events("a")
    kube.create(CONFIG_MAPS, {"metadata": {"name": "model"}, "data": {"weights": "v1"}})
    kube.advance(5)
    assert kube.pod("a")["status"]["phase"] == "Running"


@pytest.mark.parametrize("namespace", ["default", "other"])
def test_only_objects_of_the_pods_own_namespace_count(kube: Kube, namespace: str) -> None:
    kube.create("/api/v1/namespaces", {"metadata": {"name": "other"}})
    kube.create(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "model"}})
    kube.add_pod("a", volumes=[{"name": "settings", "configMap": {"name": "model"}}])
    kube.advance(5)
    expected = "Running" if namespace == "default" else "Pending"
    assert kube.pod("a")["status"]["phase"] == expected


def test_an_environment_waits_for_its_secret(kube: Kube) -> None:
    reference = {"secretKeyRef": {"name": "api", "key": "token"}}
    kube.add_pod("a", env=[{"name": "TOKEN", "valueFrom": reference}])
    kube.advance(10)
    waiting = container(kube)["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'secret "api" not found'}
    kube.create(SECRETS, {"metadata": {"name": "api"}, "data": {"other": "eA=="}})
    assert "couldn't find key token" in container(kube)["state"]["waiting"]["message"]
    kube.merge(f"{SECRETS}/api", {"data": {"token": "eA=="}})
    assert kube.pod("a")["status"]["phase"] == "Running"


def test_what_is_optional_need_not_be_there(kube: Kube) -> None:
    kube.add_pod("a", volumes=[{"name": "settings", "configMap": {"name": "model", "optional": True}}])
    kube.advance(5)
    assert kube.pod("a")["status"]["phase"] == "Running"


def test_a_deleted_pod_stops_within_its_grace_period_and_then_is_gone(kube: Kube) -> None:
    kube.add_pod("a")
    kube.advance(5)
    answer = kube.delete(f"{PODS}/a")
    assert answer["metadata"]["deletionGracePeriodSeconds"] == 30
    assert ("Killing", "Stopping container web") in kube.events("a")
    kube.advance(0.2)
    assert kube.exists(f"{PODS}/a")
    kube.advance(2)
    assert not kube.exists(f"{PODS}/a")


def test_a_pre_stop_sleep_uses_up_the_grace_period(kube: Kube) -> None:
    slow: Object = pod("a", terminationGracePeriodSeconds=60)
    slow["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 60}}}
    kube.create(PODS, slow)
    kube.advance(5)
    kube.delete(f"{PODS}/a", {"gracePeriodSeconds": 8})
    kube.advance(7.5)
    assert kube.exists(f"{PODS}/a")
    kube.advance(1)
    assert not kube.exists(f"{PODS}/a")


def test_a_pod_that_is_deleted_by_force_is_gone_at_once(kube: Kube) -> None:
    kube.add_pod("a")
    kube.advance(5)
    kube.delete(f"{PODS}/a", {"gracePeriodSeconds": 0})
    assert not kube.exists(f"{PODS}/a")
    kube.advance(100)
    assert kube.pods() == []


def test_a_pod_deleted_while_it_starts_never_runs(kube: Kube) -> None:
    kube.add_pod("a")
    kube.delete(f"{PODS}/a")
    kube.advance(10)
    assert not kube.exists(f"{PODS}/a")
    assert "Started" not in reasons(kube)


def test_a_new_pod_of_the_same_name_is_another_pod(kube: Kube) -> None:
    kube.add_pod("a", command=["sleep", "20"])
    kube.advance(5)
    kube.delete(f"{PODS}/a", {"gracePeriodSeconds": 0})
    kube.add_pod("a")
    kube.advance(60)
    assert container(kube)["restartCount"] == 0
    assert "running" in container(kube)["state"]


def test_a_deadline_ends_a_pod(kube: Kube) -> None:
    kube.add_pod("a", activeDeadlineSeconds=60)
    kube.advance(59)
    assert kube.pod("a")["status"]["phase"] == "Running"
    kube.advance(2)
    status = kube.pod("a")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")


def test_pods_have_addresses_of_their_own_from_their_nodes_range(kube: Kube) -> None:
    for name in "abc":
        kube.add_pod(name)
    kube.advance(5)
    addresses = [each["status"]["podIP"] for each in kube.pods()]
    assert len(set(addresses)) == 3
    prefix = kube.get(f"{NODES}/worker-1")["spec"]["podCIDR"].removesuffix("0/24")
    assert all(address.startswith(prefix) for address in addresses)


def test_a_pod_waits_for_an_address_when_the_nodes_range_is_used_up(kube: Kube) -> None:
    kube.delete(f"{NODES}/worker-1")
    small = node("tiny", now=kube.cluster.clock.timestamp())
    small["spec"] = {"podCIDR": "10.9.0.0/30"}
    kube.create(NODES, small)
    kube.add_pod("first")
    kube.add_pod("a")
    kube.advance(30)
    assert kube.pod("first")["status"]["podIP"] == "10.9.0.2"
    assert container(kube)["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert "FailedCreatePodSandBox" in reasons(kube)
    kube.delete(f"{PODS}/first")
    kube.advance(30)
    assert kube.pod("a")["status"]["podIP"] == "10.9.0.2"


@pytest.mark.parametrize("spec", [{}, {"podCIDR": "nonsense"}])
def test_a_node_without_a_usable_range_gets_one(kube: Kube, spec: Object) -> None:
    kube.delete(f"{NODES}/worker-1")
    for name in ("x", "y"):
        kube.create(NODES, {**node(name, now=kube.cluster.clock.timestamp()), "spec": spec})
    for name in "ab":
        kube.add_pod(name)
    kube.advance(5)
    addresses = [each["status"]["podIP"] for each in kube.pods()]
    assert len(set(addresses)) == 2


def test_a_pod_on_the_host_network_has_the_nodes_address(kube: Kube) -> None:
    kube.add_pod("a", hostNetwork=True)
    kube.advance(5)
    status = kube.pod("a")["status"]
    assert status["podIP"] == status["hostIP"]


def test_a_pod_bound_past_the_scheduler_to_a_full_node_is_rejected(kube: Kube) -> None:
    kube.add_pod("a", cpu="9", nodeName="worker-1")
    status = kube.pod("a")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "OutOfcpu")
    assert status["message"] == (
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 9000, used: 0, capacity: 4000"
    )


def test_a_new_image_restarts_the_container_alone(kube: Kube) -> None:
    kube.add_pod("a", image="nginx:1.27")
    kube.advance(5)
    before = kube.pod("a")
    strategic = "application/strategic-merge-patch+json"
    patch = {"spec": {"containers": [{"name": "web", "image": "nginx:1.28"}]}}
    assert kube.send("PATCH", f"{PODS}/a", patch, content_type=strategic).status == 200
    assert ("Killing", "Container web definition changed, will be restarted") in kube.events("a")
    kube.advance(5)
    after = kube.pod("a")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert container(kube)["image"] == "docker.io/library/nginx:1.28"
    assert container(kube)["restartCount"] == 1
    assert "running" in container(kube)["state"]


def test_the_same_seed_gives_the_same_pods_to_the_second() -> None:
    def story() -> Any:
        from pytest_selfrep.kubesim.cluster import Cluster

        cluster = Cluster(seed=7)
        kube = Kube(cluster, cluster.token_for())
        kube.add_node("worker-1")
        for name in "abc":
            kube.add_pod(name, command=["sh", "-c", "sleep 20; exit 1"])
        kube.advance(100)
        return kube.pods(), kube.get("/api/v1/events")["items"]

    assert story() == story()


def test_a_pod_is_ready_once_its_readiness_gates_are_open(kube: Kube) -> None:
    gates = [{"conditionType": "acme.io/open"}, {"conditionType": "acme.io/lit"}]
    kube.add_pod("a", readinessGates=gates)
    kube.advance(10)
    ready, containers = kube.condition("a", "Ready"), kube.condition("a", "ContainersReady")
    assert (containers["status"], ready["status"], ready["reason"], ready["message"]) == (
        "True",
        "False",
        "ReadinessGatesNotReady",
        'corresponding condition of pod readiness gate "acme.io/open" does not exist., '
        'corresponding condition of pod readiness gate "acme.io/lit" does not exist.',
    )

    set_gates(kube, open="True", lit="False")
    assert kube.condition("a", "Ready")["message"] == (
        'the status of pod readiness gate "acme.io/lit" is not "True", but False'
    )
    set_gates(kube, open="True", lit="True")
    assert kube.condition("a", "Ready")["status"] == "True"
    set_gates(kube, open="Unknown", lit="True")
    assert kube.condition("a", "Ready")["status"] == "False"
    assert kube.condition("a", "acme.io/open")["status"] == "Unknown"


def set_gates(kube: Kube, **statuses: str) -> None:
    """As the controller does that the gates belong to."""
    named = [{"type": f"acme.io/{name}", "status": status} for name, status in statuses.items()]
    content_type = "application/strategic-merge-patch+json"
    patch = {"status": {"conditions": named}}
    assert kube.send("PATCH", f"{PODS}/a/status", patch, content_type=content_type).status == 200
