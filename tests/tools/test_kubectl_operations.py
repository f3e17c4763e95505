"""Rollouts, nodes, logs, metrics, rights, waiting and what the server is."""

from __future__ import annotations

import re

import pytest
from tools_driver import Terminal


def test_a_rollout_is_followed_to_its_end(kubectl: Terminal) -> None:
    kubectl("set image deploy/web web=registry.local/web:2")
    lines = kubectl("rollout status deploy/web").splitlines()
    assert (
        lines[0]
        == 'Waiting for deployment "web" rollout to finish: 1 out of 2 new replicas have been updated...'
    )
    assert lines[-1] == 'deployment "web" successfully rolled out'


def test_a_rollout_that_takes_too_long(kubectl: Terminal) -> None:
    kubectl("create quota q --hard=pods=2")
    kubectl("scale deploy web --replicas=5")
    assert kubectl("rollout status deploy/web --timeout=3s").endswith(
        "error: timed out waiting for the condition\n"
    )


def test_history_and_undo(kubectl: Terminal) -> None:
    assert kubectl("rollout undo deploy/web") == 'error: no rollout history found for deployment "web"\n'
    kubectl("set image deploy/web web=registry.local/web:2")
    kubectl("rollout status deploy/web")
    assert kubectl("rollout history deploy/web") == (
        "deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n\n"
    )
    assert (
        kubectl("rollout undo deploy/web --to-revision=9")
        == "error: unable to find specified revision 9 in history\n"
    )
    assert kubectl("rollout undo deploy/web") == "deployment.apps/web rolled back\n"
    assert kubectl("get deploy web -o jsonpath='{..image}'") == "registry.local/web:1"
    assert (
        kubectl("rollout history deploy/web --revision=9") == "error: unable to find the specified revision\n"
    )


def test_restart_replaces_the_pods(kubectl: Terminal) -> None:
    before = kubectl("get pods -o name")
    assert kubectl("rollout restart deploy/web") == "deployment.apps/web restarted\n"
    kubectl("rollout status deploy/web")
    kubectl.let_pass(60)
    assert not set(before.split()) & set(kubectl("get pods -o name").split())
    assert kubectl("rollout restart deploy/web") == "deployment.apps/web restarted\n"


def test_pause_and_resume(kubectl: Terminal) -> None:
    assert kubectl("rollout pause deploy/web") == "deployment.apps/web paused\n"
    assert kubectl("rollout pause deploy/web") == 'error: deployments.apps "web" is already paused\n'
    assert kubectl("rollout restart deploy/web") == (
        'error: deployments.apps "web" can\'t restart paused deployment (run rollout resume first)\n'
    )
    assert kubectl("rollout resume deploy/web") == "deployment.apps/web resumed\n"
    assert kubectl("rollout resume deploy/web") == 'error: deployments.apps "web" is not paused\n'
    assert kubectl("rollout status") == "error: required resource not specified\n"


def test_cordon_and_uncordon(kubectl: Terminal) -> None:
    assert kubectl("cordon node-1 --dry-run=client") == "node/node-1 cordoned (dry run)\n"
    assert kubectl("cordon node-1") == "node/node-1 cordoned\n"
    assert kubectl("cordon node-1") == "node/node-1 already cordoned\n"
    assert kubectl("uncordon node-1") == "node/node-1 uncordoned\n"
    assert kubectl("cordon nope") == 'Error from server (NotFound): nodes "nope" not found\n'
    assert (
        kubectl("cordon")
        == "error: USAGE: cordon NODE [flags]\nSee 'kubectl cordon -h' for help and examples\n"
    )


def test_drain_evicts_what_may_be_evicted(kubectl: Terminal) -> None:
    pod = kubectl("get pods --field-selector=spec.nodeName=node-1 -o jsonpath='{..metadata.name}'").split()[0]
    assert kubectl("drain node-1 --dry-run=client") == (
        f"node/node-1 cordoned (dry run)\nevicting pod shop/{pod} (dry run)\nnode/node-1 drained (dry run)\n"
    )
    assert kubectl("drain node-1") == (
        f"node/node-1 cordoned\nevicting pod shop/{pod}\npod/{pod} evicted\nnode/node-1 drained\n"
    )


def test_drain_leaves_bare_pods_unless_forced(kubectl: Terminal) -> None:
    kubectl('run solo --image=x --overrides=\'{"spec":{"nodeName":"node-1"}}\'')
    kubectl.let_pass(20)
    answer = kubectl("drain node-1")
    words = "cannot delete cannot delete Pods that declare no controller (use --force to override): shop/solo"
    assert f'error: unable to drain node "node-1" due to error: {words}, continuing command...\n' in answer
    assert "Warning: deleting Pods that declare no controller: shop/solo\n" in kubectl("drain node-1 --force")


def test_taints(kubectl: Terminal) -> None:
    assert kubectl("taint nodes node-1 k=v:NoSchedule") == "node/node-1 tainted\n"
    assert kubectl("taint nodes node-1 k=v:NoSchedule") == (
        "error: node node-1 already has k taint(s) with same effect(s) and --overwrite is false\n"
    )
    assert kubectl("taint nodes node-1 k:NoSchedule-") == "node/node-1 untainted\n"
    assert kubectl("taint nodes node-1 k:NoSchedule-") == 'error: taint "k:NoSchedule" not found\n'
    assert kubectl("taint nodes node-1 k=v:NoSchedule --overwrite") == "node/node-1 modified\n"
    assert kubectl("taint nodes node-1 k:NoSchedule- j:NoExecute") == "node/node-1 modified\n"
    see = "See 'kubectl taint -h' for help and examples\n"
    unsupported = f"error: invalid taint effect: Foo, unsupported taint effect\n{see}"
    assert kubectl("taint nodes node-1 k=v:Foo") == unsupported
    assert kubectl("taint nodes node-1 k=v").startswith(
        "error: invalid taint spec: k=v, name part must consist"
    )
    assert kubectl("taint pods x k=v:Foo") == (
        "error: invalid resource type pods, only node types are supported\n"
    )


def test_logs(kubectl: Terminal) -> None:
    lines = kubectl("logs deploy/web --tail=2").splitlines()
    assert re.fullmatch(r"Found 2 pods, using pod/web-\S+", lines[0])
    assert len(lines) == 3
    pod = lines[0].rpartition("/")[2]
    assert kubectl(f"logs {pod} web --tail=2").splitlines() == lines[1:]
    assert kubectl("logs -l app=web --tail=1 --prefix").startswith("[pod/web-")
    assert kubectl(f"logs {pod} -c nope") == f"error: container nope is not valid for pod {pod}\n"
    assert (
        kubectl("logs nope")
        == 'error: error from server (NotFound): pods "nope" not found in namespace "shop"\n'
    )
    assert kubectl("logs") == (
        "error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required "
        "argument "
        "for the logs command\nSee 'kubectl logs -h' for help and examples\n"
    )


def test_top(kubectl: Terminal) -> None:
    nodes = kubectl("top nodes").splitlines()
    assert nodes[0] == "NAME     CPU(cores)   CPU(%)   MEMORY(bytes)   MEMORY(%)   "
    assert re.fullmatch(r"node-1   \d+m +\d+% +\d+Mi +\d+% {10}", nodes[1])
    pods = kubectl("top pods --containers").splitlines()
    assert pods[0].split() == ["POD", "NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert kubectl("top pods -n empty") == "No resources found in empty namespace.\n"
    assert kubectl("top pods --sort-by=x") == "error: --sort-by accepts only cpu or memory\n"
    assert kubectl("top pod x").startswith("Error from server (NotFound): ")
    assert kubectl("top pod x -l a=b") == "error: only one of NAME or selector can be provided\n"


def test_the_logs_of_a_workload_are_those_of_the_pod_that_has_been_ready_longest(kubectl: Terminal) -> None:
    kubectl("scale deployment web --replicas=6")
    kubectl.let_pass(60)
    times = "jsonpath='{.items[*].status.conditions[?(@.type==\"Ready\")].lastTransitionTime}'"
    names = kubectl("get pods -l app=web -o jsonpath='{.items[*].metadata.name}'").split()
    _, longest = min(zip(kubectl(f"get pods -l app=web -o {times}").split(), names, strict=True))
    assert kubectl("logs deploy/web --tail=0") == f"Found 6 pods, using pod/{longest}\n"


def test_a_page_of_a_node_tells_its_provider_and_the_events_of_both_its_uids(kubectl: Terminal) -> None:
    kubectl('patch node node-1 -p \'{"spec":{"providerID":"k3s://node-1"}}\'')
    node = kubectl.hands.client.get("/api/v1/nodes/node-1")
    for reason, uid in (("Registered", node["metadata"]["uid"]), ("Rebooted", "node-1")):
        about = {"kind": "Node", "name": "node-1", "uid": uid}
        event = {"metadata": {"generateName": "node-1."}, "involvedObject": about, "reason": reason}
        kubectl.hands.client.create("/api/v1/namespaces/default/events", {**event, "type": "Normal"})
    page = kubectl("describe node node-1")
    assert re.search(r"^ProviderID: +k3s://node-1$", page, re.MULTILINE)
    assert re.search(r"Normal +Registered ", page)
    assert re.search(r"Normal +Rebooted ", page)


def test_rights(agent: Terminal) -> None:
    assert agent("auth can-i create deployments") == "yes\n"
    assert agent("auth can-i create deployments -n other") == "no\n"
    assert agent("auth can-i create nodes") == "Warning: resource 'nodes' is not namespace scoped\n\nno\n"
    assert agent("auth can-i frob pods") == "Warning: verb 'frob' is not a known verb\n\nno\n"
    assert agent("auth can-i get foo") == "Warning: the server doesn't have a resource type 'foo'\n\nno\n"
    listed = agent("auth can-i --list").splitlines()
    assert listed[0].split("   ")[0] == "Resources"
    assert any(
        re.fullmatch(r"deployments.apps +\[\] +\[\] +\[get list create patch update\]", line)
        for line in listed
    )
    assert agent("auth can-i").startswith("error: you must specify two arguments: verb resource or ")
    assert "system:serviceaccount:shop:agent" in agent("auth whoami")


def test_waiting_for_a_condition(empty: Terminal) -> None:
    empty("create deployment web --image=registry.local/web:1 --replicas=2")
    assert (
        empty("wait --for=condition=Available deploy/web --timeout=60s")
        == "deployment.apps/web condition met\n"
    )
    assert (
        empty("wait --for=jsonpath='{.status.readyReplicas}'=2 deploy/web")
        == "deployment.apps/web condition met\n"
    )
    assert empty("wait --for=condition=Ready pods -l app=web").count(" condition met\n") == 2


def test_waiting_ends_and_costs_the_clusters_time(kubectl: Terminal) -> None:
    before = kubectl.hands.clock.now()
    assert kubectl("wait --for=condition=Nope deploy/web --timeout=7s") == (
        "error: timed out waiting for the condition on deployments/web\n"
    )
    assert kubectl.hands.clock.now() - before == pytest.approx(7)


def test_waiting_for_an_end_and_a_beginning(kubectl: Terminal) -> None:
    assert kubectl("wait --for=delete pod/nope") == ""
    kubectl("delete pods --all --wait=false")
    assert kubectl("wait --for=delete pods --all --timeout=60s").count(" condition met\n") in (2, 4)
    assert kubectl("wait --for=create deploy/web") == "deployment.apps/web condition met\n"
    assert (
        kubectl("wait --for=create deploy/nope --timeout=2s")
        == "error: timed out waiting for the condition\n"
    )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("wait --for=foo pod/x", 'error: unrecognized condition: "foo"\n'),
        ("wait --for=condition=Ready pod/nope", 'Error from server (NotFound): pods "nope" not found\n'),
        ("wait --for=condition=Ready pods -l nope=1", "error: no matching resources found\n"),
        ("wait --for=condition=Ready pod", "error: resource(s) were provided, but no name was specified\n"),
    ],
)
def test_what_cannot_be_waited_for(kubectl: Terminal, command: str, expected: str) -> None:
    assert kubectl(command) == expected


def test_events_are_listed_oldest_first(kubectl: Terminal) -> None:
    lines = kubectl("events").splitlines()
    assert lines[0].split("   ")[0] == "LAST SEEN"
    assert any(re.search(r"Normal +ScalingReplicaSet +Deployment/web +Scaled up", line) for line in lines)
    assert kubectl("events --for=deploy/web").count("\n") == 2
    assert kubectl("events --types=Warning") == "No events found in shop namespace.\n"
    assert kubectl("events --types=Odd") == "error: valid --types are Normal or Warning\n"


def test_the_server_and_the_session(agent: Terminal) -> None:
    assert agent("api-resources --api-group=apps --verbs=create -o name").split()[-3:] == [
        "deployments.apps",
        "replicasets.apps",
        "statefulsets.apps",
    ]
    assert agent("api-resources --api-group=batch") == (
        "NAME       SHORTNAMES   APIVERSION   NAMESPACED   KIND\n"
        "cronjobs   cj           batch/v1     true         CronJob\n"
        "jobs                    batch/v1     true         Job\n"
    )
    assert "apps/v1\n" in agent("api-versions")
    assert agent("version").startswith(
        "Client Version: v1.32.4\nKustomize Version: v5.5.0\nServer Version: v1."
    )
    assert agent("config current-context") == "agent@kubernetes\n"
    assert "token: REDACTED\n" in agent("config view")
    assert agent("cluster-info").startswith(
        "Kubernetes control plane is running at https://kubernetes.default.svc\n"
    )
    assert agent("config use-context x").startswith('error: unknown command "use-context"\n')
    assert agent("version -o odd") == "error: --output must be 'yaml' or 'json'\n"
