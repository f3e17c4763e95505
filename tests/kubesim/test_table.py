"""Tables, as kubectl asks for them."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import PODS, Kube, deployment, pod

from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.kinds import KINDS
from pytest_selfrep.kubesim.tables.durations import human

TABLE = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,"
    "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIAL_LIST = PARTIAL.replace("Metadata;", "MetadataList;")


def ask(kube: Kube, path: str, accept: str = TABLE, **query: str) -> Any:
    headers = {"authorization": f"Bearer {kube.cluster.token_for()}", "accept": accept}
    return kube.cluster.handle(Request("GET", path, query, headers)).body


def shown(kube: Kube, path: str) -> list[dict[str, Any]]:
    """Rows by the words that head their columns."""
    table = ask(kube, path)
    names = [column["name"] for column in table["columnDefinitions"]]
    return [dict(zip(names, row["cells"], strict=True)) for row in table["rows"]]


HEADS = {
    "/api/v1/pods": "Name Ready Status Restarts Age | IP Node Nominated-Node Readiness-Gates",
    "/api/v1/namespaces": "Name Status Age",
    "/api/v1/nodes": "Name Status Roles Age Version | "
    "Internal-IP External-IP OS-Image Kernel-Version Container-Runtime",
    "/api/v1/services": "Name Type Cluster-IP External-IP Port(s) Age | Selector",
    "/api/v1/endpoints": "Name Endpoints Age",
    "/api/v1/configmaps": "Name Data Age",
    "/api/v1/secrets": "Name Type Data Age",
    "/api/v1/serviceaccounts": "Name Secrets Age",
    "/api/v1/events": "Last-Seen Type Reason Object Message | Subobject Source First-Seen Count Name",
    "/api/v1/resourcequotas": "Name Request Limit Age",
    "/api/v1/limitranges": "Name Created-At",
    "/apis/apps/v1/deployments": "Name Ready Up-to-date Available Age | Containers Images Selector",
    "/apis/apps/v1/replicasets": "Name Desired Current Ready Age | Containers Images Selector",
    "/apis/apps/v1/statefulsets": "Name Ready Age | Containers Images",
    "/apis/apps/v1/daemonsets": "Name Desired Current Ready Up-to-date Available Node-Selector Age | "
    "Containers Images Selector",
    "/apis/apps/v1/controllerrevisions": "Name Controller Revision Age",
    "/apis/batch/v1/jobs": "Name Status Completions Duration Age | Containers Images Selector",
    "/apis/batch/v1/cronjobs": "Name Schedule Timezone Suspend Active Last-Schedule Age | "
    "Containers Images Selector",
    "/apis/autoscaling/v2/horizontalpodautoscalers": "Name Reference Targets MinPods MaxPods Replicas Age",
    "/apis/policy/v1/poddisruptionbudgets": "Name Min-Available Max-Unavailable Allowed-Disruptions Age",
    "/apis/coordination.k8s.io/v1/leases": "Name Holder Age",
    "/apis/discovery.k8s.io/v1/endpointslices": "Name AddressType Ports Endpoints Age",
    "/apis/networking.k8s.io/v1/ingresses": "Name Class Hosts Address Ports Age",
    "/apis/networking.k8s.io/v1/ingressclasses": "Name Controller Parameters Age",
    "/apis/networking.k8s.io/v1/networkpolicies": "Name Pod-Selector Age",
    "/apis/scheduling.k8s.io/v1/priorityclasses": "Name Value Global-Default Age PreemptionPolicy",
    "/apis/rbac.authorization.k8s.io/v1/roles": "Name Created-At",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings": "Name Role Age | Users Groups ServiceAccounts",
}


@pytest.mark.parametrize(("path", "heads"), HEADS.items())
def test_columns_are_kubectls(kube: Kube, path: str, heads: str) -> None:
    columns = ask(kube, path)["columnDefinitions"]
    narrow, wide = (
        " ".join(column["name"].replace(" ", "-") for column in columns if column["priority"] == priority)
        for priority in (0, 1)
    )
    assert (f"{narrow} | {wide}" if wide else narrow) == heads


def test_every_kind_can_be_shown(kube: Kube) -> None:
    for kind in KINDS:
        path = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        table = ask(kube, f"{path}/{kind.plural}")
        assert table["kind"] == "Table"
        assert all(len(row["cells"]) == len(table["columnDefinitions"]) for row in table["rows"])


def test_a_table_has_a_row_for_each_object_with_its_metadata(kube: Kube) -> None:
    kube.add_pod("a")
    kube.add_pod("b")
    table = ask(kube, PODS, limit="1")
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert table["metadata"]["resourceVersion"] == str(kube.cluster.store.revision)
    assert table["metadata"]["continue"]
    (row,) = table["rows"]
    assert row["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": kube.pod("a")["metadata"],
    }


def test_rows_carry_as_much_of_the_object_as_was_asked_for(kube: Kube) -> None:
    kube.add_pod("a")
    (row,) = ask(kube, PODS, includeObject="Object")["rows"]
    assert row["object"] == kube.pod("a")
    (row,) = ask(kube, PODS, includeObject="None")["rows"]
    assert "object" not in row


def test_one_object_is_a_table_of_one_row(kube: Kube) -> None:
    kube.add_pod("a")
    assert [row["Name"] for row in shown(kube, f"{PODS}/a")] == ["a"]


def test_a_failure_is_a_status_and_no_table(kube: Kube) -> None:
    assert ask(kube, f"{PODS}/gone")["kind"] == "Status"


def test_metadata_alone_can_be_asked_for(kube: Kube) -> None:
    kube.add_pod("a")
    assert ask(kube, f"{PODS}/a", PARTIAL)["metadata"] == kube.pod("a")["metadata"]
    listed = ask(kube, PODS, PARTIAL_LIST)
    assert listed["kind"] == "PartialObjectMetadataList"
    assert set(listed["items"][0]) == {"kind", "apiVersion", "metadata"}


def test_a_sidecar_counts_as_a_container_once_it_has_started(kube: Kube) -> None:
    kube.add_node("worker-1")
    slow = {"exec": {"command": ["true"]}, "initialDelaySeconds": 15}
    kube.add_pod("a", initContainers=[
        {"name": "proxy", "image": "envoy:1.30", "restartPolicy": "Always", "startupProbe": slow},
    ])  # fmt: skip
    seen = []
    for _ in range(30):
        kube.advance(2)
        cells = ask(kube, PODS, TABLE)["rows"][0]["cells"][1:4]
        seen += [cells] if cells not in seen else []
    assert seen[-1] == ["2/2", "Running", "0"]
    assert ["0/2", "Init:0/1", "0"] in seen


def test_what_the_server_cannot_write_is_not_acceptable(kube: Kube) -> None:
    assert ask(kube, PODS, "application/vnd.kubernetes.protobuf")["reason"] == "NotAcceptable"
    both = "application/vnd.kubernetes.protobuf,application/json"
    assert ask(kube, PODS, both)["kind"] == "PodList"


@pytest.mark.parametrize("view", ["as=None;v=v1", "as=table;v=v1", "as=;v=v1", "as=Table;v=v2", "as=Table"])
def test_a_view_that_is_not_there_is_not_acceptable(kube: Kube, view: str) -> None:
    refused = ask(kube, PODS, f"application/json;g=meta.k8s.io;{view}")
    assert (refused["code"], refused["reason"]) == (406, "NotAcceptable")


def test_objects_are_not_seen_as_lists_nor_lists_as_objects(kube: Kube) -> None:
    kube.add_pod("a")
    asked = "you requested PartialObjectMetadata"
    assert (
        ask(kube, PODS, PARTIAL)["message"] == f"{asked}, but the requested object is a list (*core.PodList)"
    )
    refused = ask(kube, f"{PODS}/a", PARTIAL_LIST)
    assert refused["message"] == f"{asked}List, but the requested object is not a list (*core.Pod)"
    custom_resources = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert "(*apiextensions.CustomResource" in ask(kube, custom_resources, PARTIAL)["message"]


def test_the_older_version_of_tables_is_there_too(kube: Kube) -> None:
    kube.add_pod("a")
    table = ask(kube, PODS, TABLE.split(",")[1])
    (row,) = table["rows"]
    assert (table["apiVersion"], row["object"]["apiVersion"]) == (
        "meta.k8s.io/v1beta1",
        "meta.k8s.io/v1beta1",
    )


def test_the_tables_of_a_watch_say_how_new_they_are(kube: Kube) -> None:
    kube.add_pod("a")
    headers = {"authorization": f"Bearer {kube.cluster.token_for()}", "accept": TABLE}
    stream = kube.cluster.handle(Request("GET", PODS, {"watch": "1"}, headers)).stream
    assert stream is not None
    (event,) = stream.poll()
    version = kube.pod("a")["metadata"]["resourceVersion"]
    assert event["object"]["metadata"] == {"resourceVersion": version}


def test_a_pod_is_shown_from_pending_to_terminating(three_nodes: Kube) -> None:
    three_nodes.add_pod("a")
    (row,) = shown(three_nodes, PODS)
    assert (row["Ready"], row["Status"], row["Restarts"], row["Age"]) == (
        "0/1",
        "ContainerCreating",
        "0",
        "0s",
    )
    three_nodes.advance(30)
    (row,) = shown(three_nodes, PODS)
    assert (row["Ready"], row["Status"], row["Age"]) == ("1/1", "Running", "30s")
    assert row["Node"].startswith("worker-")
    assert row["IP"] == three_nodes.pod("a")["status"]["podIP"]
    three_nodes.delete(f"{PODS}/a")
    (row,) = shown(three_nodes, PODS)
    assert row["Status"] == "Terminating"


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def ended(code: int, **fields: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, **fields}}


RUNNING: dict[str, Any] = {"running": {}}


@pytest.mark.parametrize(
    ("phase", "states", "status"),
    [
        ("Pending", [], "Pending"),
        ("Pending", [waiting("ImagePullBackOff")], "ImagePullBackOff"),
        ("Running", [waiting("CrashLoopBackOff")], "CrashLoopBackOff"),
        ("Running", [RUNNING, waiting("ErrImagePull")], "ErrImagePull"),
        ("Succeeded", [ended(0, reason="Completed")], "Completed"),
        ("Failed", [ended(1, reason="Error")], "Error"),
        ("Failed", [ended(137, reason="OOMKilled")], "OOMKilled"),
        ("Failed", [ended(3)], "ExitCode:3"),
        ("Failed", [ended(0, signal=9)], "Signal:9"),
        ("Running", [ended(0, reason="Completed"), RUNNING], "NotReady"),
    ],
)
def test_a_pods_status_is_worked_out_from_its_containers(
    kube: Kube, phase: str, states: list[dict[str, Any]], status: str
) -> None:
    kube.add_pod("a")
    statuses = [
        {"name": "web", "ready": "running" in state, "restartCount": 0, "image": "x", "state": state}
        for state in states
    ]
    kube.merge(f"{PODS}/a/status", {"status": {"phase": phase, "containerStatuses": statuses}})
    assert shown(kube, PODS)[0]["Status"] == status


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ([RUNNING, waiting("PodInitializing")], "Init:0/2"),
        ([ended(0), RUNNING], "Init:1/2"),
        ([ended(2, reason="Error"), waiting("PodInitializing")], "Init:Error"),
        ([ended(2), waiting("PodInitializing")], "Init:ExitCode:2"),
        ([waiting("ImagePullBackOff"), waiting("PodInitializing")], "Init:ImagePullBackOff"),
    ],
)
def test_init_containers_are_counted_until_they_are_done(
    kube: Kube, states: list[dict[str, Any]], status: str
) -> None:
    made = pod("a")
    made["spec"]["initContainers"] = [{"name": f"i{n}", "image": "busybox:1"} for n in (0, 1)]
    kube.create(PODS, made)
    statuses = [{"name": f"i{n}", "state": state} for n, state in enumerate(states)]
    kube.merge(f"{PODS}/a/status", {"status": {"phase": "Pending", "initContainerStatuses": statuses}})
    assert shown(kube, PODS)[0]["Status"] == status


def test_restarts_say_when_the_last_one_was(kube: Kube) -> None:
    kube.add_pod("a")
    then = kube.cluster.clock.timestamp()
    state = {"state": RUNNING, "lastState": ended(1, finishedAt=then)}
    statuses = [{"name": "web", "ready": True, "restartCount": 3, "image": "x", **state}]
    kube.merge(f"{PODS}/a/status", {"status": {"phase": "Running", "containerStatuses": statuses}})
    kube.advance(200)
    assert shown(kube, PODS)[0]["Restarts"] == "3 (3m20s ago)"


def test_workloads_show_their_replicas(three_nodes: Kube) -> None:
    three_nodes.create("/apis/apps/v1/namespaces/default/deployments", deployment("web", 2))
    three_nodes.advance(130)
    (row,) = shown(three_nodes, "/apis/apps/v1/deployments")
    assert row == {
        "Name": "web",
        "Ready": "2/2",
        "Up-to-date": 2,
        "Available": 2,
        "Age": "2m10s",
        "Containers": "web",
        "Images": "registry.acme.io/web:1.4",
        "Selector": "app=web",
    }
    (row,) = shown(three_nodes, "/apis/apps/v1/replicasets")
    assert (row["Desired"], row["Current"], row["Ready"]) == (2, 2, 2)


def test_a_revision_shows_whose_it_is(three_nodes: Kube) -> None:
    wanted = {**deployment("web", 1), "kind": "StatefulSet"}
    three_nodes.create("/apis/apps/v1/namespaces/default/statefulsets", wanted)
    (row,) = shown(three_nodes, "/apis/apps/v1/controllerrevisions")
    assert (row["Controller"], row["Revision"]) == ("statefulset.apps/web", 1)


def test_nodes_show_whether_they_are_ready_and_may_be_used(three_nodes: Kube) -> None:
    three_nodes.merge("/api/v1/nodes/worker-1", {"spec": {"unschedulable": True}})
    three_nodes.merge("/api/v1/nodes/worker-2", {"metadata": {"labels": {"node-role.kubernetes.io/gpu": ""}}})
    rows = shown(three_nodes, "/api/v1/nodes")
    assert [row["Status"] for row in rows] == ["Ready,SchedulingDisabled", "Ready", "Ready"]
    assert [row["Roles"] for row in rows] == ["<none>", "gpu", "<none>"]
    assert all(row["Internal-IP"].count(".") == 3 and row["External-IP"] == "<none>" for row in rows)


def test_services_show_addresses_and_ports(kube: Kube) -> None:
    spec = {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "nodePort": 30080}]}
    kube.create("/api/v1/namespaces/default/services", {"metadata": {"name": "web"}, "spec": spec})
    rows = {row["Name"]: row for row in shown(kube, "/api/v1/namespaces/default/services")}
    assert rows["web"]["Port(s)"] == "80:30080/TCP"
    assert rows["web"]["Selector"] == "app=web"
    assert rows["kubernetes"]["Port(s)"] == "443/TCP"
    assert rows["kubernetes"]["Selector"] == rows["kubernetes"]["External-IP"] == "<none>"


def test_events_show_what_happened_to_what_and_how_long_ago(kube: Kube) -> None:
    made = kube.add_pod("a")
    writer = kube.cluster.writer("system:kube-scheduler")
    writer.record(made, "Warning", "Shaken", "the pod was shaken")
    kube.advance(20)
    row = next(row for row in shown(kube, "/api/v1/events") if row["Reason"] == "Shaken")
    assert (row["Last Seen"], row["Type"], row["Object"]) == ("20s", "Warning", "pod/a")
    assert (row["Message"], row["Source"], row["Count"]) == ("the pod was shaken", "default-scheduler", 1)


def test_a_quota_shows_used_and_hard_with_limits_apart(kube: Kube) -> None:
    hard = {"pods": "4", "requests.cpu": "2", "limits.cpu": "3"}
    kube.create(
        "/api/v1/namespaces/default/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard}}
    )
    kube.advance(5)
    (row,) = shown(kube, "/api/v1/resourcequotas")
    assert row["Request"] == "pods: 0/4, requests.cpu: 0/2"
    assert row["Limit"] == "limits.cpu: 0/3"


def test_bindings_show_their_role_and_subjects(kube: Kube) -> None:
    rows = shown(kube, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings")
    row = next(row for row in rows if row["Name"] == "cluster-admin")
    assert (row["Role"], row["Groups"], row["Users"]) == ("ClusterRole/cluster-admin", "system:masters", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-0.5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (130, "2m10s"),
        (599, "9m59s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (11100, "3h5m"),
        (28800, "8h"),
        (172799, "47h"),
        (172800, "2d"),
        (180000, "2d2h"),
        (691200, "8d"),
        (63072000, "2y"),
        (63072000 + 86400, "2y1d"),
        (8 * 365 * 86400, "8y"),
    ],
)
def test_durations_read_as_kubectl_writes_them(seconds: float, text: str) -> None:
    assert human(seconds) == text
