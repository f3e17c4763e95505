"""kubectl logs, events and top: what goes on in a cluster."""

from __future__ import annotations

import json
import re

from kubectl_driver import Kubectl
from kubectl_objects import Object, container, deployment, job, pod


def first_of(image: str) -> Object:
    """A pod ``a`` of an image that no other test uses, so that no node has it yet."""
    made = pod("a")
    made["spec"]["containers"] = [container("main", image=image)]
    return made


def test_logs_of_pods_and_of_those_of_a_workload(kubectl: Kubectl) -> None:
    both = pod("both", {"app": "both"})
    both["spec"]["containers"] = [
        container("one", "echo first; echo second; sleep infinity"),
        container("two", "echo other; sleep infinity"),
    ]
    talking = deployment("web")
    talking["spec"]["template"]["spec"]["containers"] = [container("main", "echo hello; sleep infinity")]
    kubectl.site.make(kubectl.namespace, both, talking, job("count", "echo counted"))
    kubectl.let_pass(20)
    assert kubectl("logs both -c two") == "other\n"
    done = kubectl.run("logs both")
    assert done.out == "first\nsecond\n"
    assert done.err == 'Defaulted container "one" out of: one, two\n'
    assert sorted(kubectl("logs both --all-containers").split()) == ["first", "other", "second"]
    # kubectl asks for them in no order of its own.
    prefixed = kubectl("logs -l app=both --all-containers --prefix --tail=1")
    assert sorted(prefixed.splitlines()) == ["[pod/both/one] second", "[pod/both/two] other"]
    assert kubectl("logs both -c one --tail=1") == "second\n"
    assert kubectl("logs both -c one --limit-bytes=5") == "first"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z other\n", kubectl("logs both -c two --timestamps"))
    assert kubectl("logs deploy/web") == "hello\n"
    assert kubectl("logs job/count") == "counted\n"
    kubectl.let_pass(60)
    assert kubectl("logs both -c one --since=10s") == ""
    assert kubectl("logs both -c one --since=5m") == "first\nsecond\n"


def test_logs_are_followed_until_the_container_ends(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, job("slow", "echo begin; sleep 5; echo end"))
    kubectl.let_pass(4)
    done = kubectl.meanwhile("logs -f job/slow")
    assert (done.code, done.out) == (0, "begin\nend\n")


def test_logs_of_the_container_before(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, pod("a", command="echo started; sleep 5; exit 1"))
    kubectl.let_pass(5)
    assert kubectl.fails("logs a --previous") == (
        'Error from server (BadRequest): previous terminated container "main" in pod "a" not found\n'
    )
    kubectl.let_pass(30)
    assert kubectl("logs a --previous") == "started\n"


def test_logs_that_are_not_there(kubectl: Kubectl) -> None:
    broken = pod("broken")
    broken["spec"]["containers"][0]["image"] = "none.invalid/x:1"
    kubectl.site.make(kubectl.namespace, pod("a"), broken)
    kubectl.let_pass(20)
    assert kubectl.fails("logs none") == (
        f'error: error from server (NotFound): pods "none" not found in namespace "{kubectl.namespace}"\n'
    )
    assert kubectl.fails("logs a -c none") == "error: container none is not valid for pod a\n"
    assert re.fullmatch(
        r'Error from server \(BadRequest\): container "main" in pod "broken" is waiting to start: .*\n',
        kubectl.fails("logs broken"),
    )


def test_events_are_listed_for_one_object_and_by_type(kubectl: Kubectl) -> None:
    broken = pod("broken")
    broken["spec"]["containers"][0]["image"] = "none.invalid/x:1"
    kubectl.site.make(kubectl.namespace, first_of("busybox:1.35"), broken)
    kubectl.let_pass(30)
    heading, *lines = kubectl("events --for pod/a").splitlines()
    assert heading.split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert [re.split(r"\s{2,}", line)[2] for line in lines] == [
        "Scheduled",
        "Pulling",
        "Pulled",
        "Created",
        "Started",
    ]
    warnings = kubectl("events --types=Warning --no-headers").splitlines()
    assert {re.split(r"\s{2,}", line)[2] for line in warnings} == {"Failed"}
    fields = kubectl.json("get events --field-selector involvedObject.name=a,reason=Started")["items"][0]
    assert fields["involvedObject"]["fieldPath"] == "spec.containers{main}"
    assert "pod/a" in kubectl("get events --sort-by=.metadata.creationTimestamp")
    assert kubectl.run("events -n default --for pod/none").err == "No events found in default namespace.\n"


def test_events_are_watched(kubectl: Kubectl) -> None:
    begun = kubectl.site.cluster.audit.length
    with kubectl.start("events --watch --for pod/a") as watching:
        kubectl.await_streams(begun)
        kubectl.site.make(kubectl.namespace, first_of("busybox:1.34"))
        assert watching.stdout is not None
        lines = [watching.stdout.readline() for _ in range(3)]
        watching.terminate()
    assert [re.split(r"\s{2,}", line)[2] for line in lines] == ["REASON", "Scheduled", "Pulling"]


def test_usage_of_pods_and_nodes(kubectl: Kubectl) -> None:
    both = pod("both", {"app": "both"})
    both["spec"]["containers"] = [container("one"), container("two")]
    kubectl.site.make(kubectl.namespace, both, pod("busy", {"app": "busy"}))
    kubectl.let_pass(60)
    kubectl.site.cluster.set_cpu(kubectl.namespace, "app=busy", 1.5)
    heading, *rows = kubectl("top pods").splitlines()
    assert heading.split() == ["NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert [row.split()[0] for row in rows] == ["both", "busy"]
    assert re.fullmatch(r"busy +15\d\dm +\d+Mi +", rows[1])
    assert kubectl("top pods --sort-by=cpu --no-headers").split()[0] == "busy"
    assert [line.split()[:2] for line in kubectl("top pod both --containers").splitlines()] == [
        ["POD", "NAME"],
        ["both", "one"],
        ["both", "two"],
    ]
    assert kubectl("top pods --sum").splitlines()[-2].split() == ["________", "________"]
    assert kubectl("top pods -l app=both --no-headers").split()[0] == "both"
    heading, *rows = kubectl("top nodes").splitlines()
    assert heading.split() == ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
    assert [row.split()[0] for row in rows] == ["worker-1", "worker-2", "worker-3"]
    assert kubectl.fails("top pod none").endswith(
        f'podmetrics.metrics.k8s.io "{kubectl.namespace}/none" not found\n'
    )


def test_a_whole_cluster_is_dumped_into_files(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, pod("a", command="echo hello; sleep infinity"))
    kubectl.let_pass(20)
    said = kubectl(f"cluster-info dump --output-directory=dump --namespaces={kubectl.namespace}")
    assert said.endswith("Cluster info dumped to dump\n")
    dumped = kubectl.home / "dump" / kubectl.namespace
    assert [each["metadata"]["name"] for each in json.loads((dumped / "pods.json").read_text())["items"]] == [
        "a"
    ]
    assert "hello\n" in (dumped / "a" / "logs.txt").read_text()
    assert len(json.loads((kubectl.home / "dump" / "nodes.json").read_text())["items"]) == 3
