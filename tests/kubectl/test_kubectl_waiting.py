"""kubectl wait, and kubectl get --watch."""

from __future__ import annotations

import re

from kubectl_driver import Kubectl
from kubectl_objects import config_map, deployment, job, pod


def test_waiting_for_a_condition(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, deployment("web"), pod("a"), job("count"))
    done = kubectl.meanwhile("wait --for=condition=Ready pod/a")
    assert (done.code, done.out) == (0, "pod/a condition met\n")
    assert (
        kubectl.meanwhile("wait --for=condition=complete job/count").out == "job.batch/count condition met\n"
    )
    assert kubectl("wait --for=condition=Available deploy --all") == "deployment.apps/web condition met\n"
    assert kubectl("wait --for=condition=Ready=True pod -l app=web").endswith(" condition met\n")


def test_waiting_for_a_value(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, pod("a"), config_map("settings", mode="fast"))
    done = kubectl.meanwhile("wait --for=jsonpath='{.status.phase}'=Running pod/a")
    assert done.out == "pod/a condition met\n"
    assert kubectl("wait --for=jsonpath='{.data.mode}' cm/settings") == "configmap/settings condition met\n"


def test_waiting_for_an_end_and_a_beginning(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, pod("a"))
    kubectl.let_pass(20)
    kubectl("delete pod a --wait=false")
    assert kubectl.meanwhile("wait --for=delete pod/a").out == "pod/a condition met\n"
    assert kubectl("wait --for=delete pod/a") == ""
    waiting = kubectl.start("wait --for=create cm/late --timeout=30s")
    kubectl.site.make(kubectl.namespace, config_map("late"))
    assert kubectl.finish(waiting).out == "configmap/late condition met\n"


def test_waiting_in_vain(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, pod("a"))
    assert kubectl.fails("wait --for=condition=Ready pod/a --timeout=1s") == (
        "error: timed out waiting for the condition on pods/a\n"
    )
    assert kubectl.fails("wait --for=condition=Ready pod/none --timeout=1s") == (
        'Error from server (NotFound): pods "none" not found\n'
    )
    assert kubectl.fails("wait --for=delete pod/a --timeout=1s") == (
        "error: timed out waiting for the condition on pods/a\n"
    )
    assert kubectl.fails("wait --for=condition=Ready pod -l app=none --timeout=1s") == (
        "error: no matching resources found\n"
    )


def test_changes_are_printed_as_they_happen(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, pod("a"))
    begun = kubectl.site.cluster.audit.length
    with kubectl.start("get pod a --watch --no-headers") as watching:
        kubectl.await_streams(begun)
        kubectl.let_pass(20)
        assert watching.stdout is not None
        lines = [watching.stdout.readline(), watching.stdout.readline()]
        watching.terminate()
    assert [line.split()[1:3] for line in lines] == [["0/1", "ContainerCreating"], ["1/1", "Running"]]


def test_watches_tell_events_and_may_leave_out_what_is_there(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, config_map("old"))
    begun = kubectl.site.cluster.audit.length
    events = kubectl.start("get cm --watch-only -o name")
    changes = kubectl.start("get cm old --watch --output-watch-events")
    assert changes.stdout is not None
    assert events.stdout is not None
    assert changes.stdout.readline().split() == ["EVENT", "NAME", "DATA", "AGE"]
    assert changes.stdout.readline().split()[:3] == ["ADDED", "old", "0"]
    kubectl.await_streams(begun, 2)
    kubectl.site.make(kubectl.namespace, config_map("new"))
    assert events.stdout.readline() == "configmap/new\n"
    kubectl('patch cm old --type=merge -p \'{"data": {"k": "v"}}\'')
    assert re.fullmatch(r"MODIFIED +old +1 +\d+s\n", changes.stdout.readline())
    assert events.stdout.readline() == "configmap/old\n"
    kubectl("delete cm old")
    assert re.fullmatch(r"DELETED +old +1 +\d+s\n", changes.stdout.readline())
    for each in (events, changes):
        each.terminate()
        kubectl.finish(each)
