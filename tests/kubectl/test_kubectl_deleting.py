"""kubectl delete: what goes with an object, how long it takes, and how it is chosen."""

from __future__ import annotations

import json

from kubectl_driver import Kubectl
from kubectl_objects import config_map, deployment, job, pod, service


def test_deletion_waits_until_the_object_is_gone(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, pod("a"), pod("b"))
    kubectl.let_pass(20)
    done = kubectl.meanwhile("delete pod a", seconds=0.2)
    assert (done.code, done.out) == (0, 'pod "a" deleted\n')
    assert kubectl.fails("get pod a") == 'Error from server (NotFound): pods "a" not found\n'
    assert kubectl("delete pod b --wait=false") == 'pod "b" deleted\n'
    assert kubectl("get pod b --no-headers").split()[2] == "Terminating"
    kubectl.let_pass(40)
    assert kubectl("get pod b --ignore-not-found") == ""


def test_deletion_gives_up_waiting_in_time(kubectl: Kubectl) -> None:
    held = config_map("held")
    held["metadata"]["finalizers"] = ["acme.io/hold"]
    kubectl.site.make(kubectl.namespace, held)
    done = kubectl.run("delete cm held --timeout=1s")
    assert (done.code, done.out) == (1, 'configmap "held" deleted\n')
    assert done.err == "error: timed out waiting for the condition on configmaps/held\n"
    assert kubectl.json("get cm held")["metadata"]["deletionTimestamp"]


def test_deletion_by_force_is_at_once(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, pod("a"), pod("b"), pod("c"))
    kubectl.let_pass(20)
    done = kubectl.run("delete pod a --grace-period=0 --force")
    assert done.out == 'pod "a" force deleted\n'
    assert done.err == (
        "Warning: Immediate deletion does not wait for confirmation that the running resource has been "
        "terminated. The resource may continue to run on the cluster indefinitely.\n"
    )
    assert kubectl.run("delete pod b --now --wait=false").out == 'pod "b" deleted\n'
    assert kubectl.json("get pod b")["metadata"]["deletionGracePeriodSeconds"] == 1
    assert kubectl("delete pod c --grace-period=5 --wait=false -o name") == "pod/c\n"
    assert kubectl.json("get pod c")["metadata"]["deletionGracePeriodSeconds"] == 5
    assert kubectl.fails("delete pod c --grace-period=0 --now") == (
        "error: --now and --grace-period cannot be specified together\n"
    )


def test_dependents_go_stay_or_go_first(kubectl: Kubectl) -> None:
    kubectl.site.make(
        kubectl.namespace, deployment("gone"), deployment("kept"), deployment("last"), job("count")
    )
    kubectl.let_pass(20)
    kubectl("delete deploy gone")
    assert kubectl("get rs -l app=gone -o name") == ""
    kubectl("delete deploy kept --cascade=orphan")
    (left,) = kubectl.json("get rs -l app=kept")["items"]
    assert "ownerReferences" not in left["metadata"]
    assert kubectl("delete deploy last --cascade=foreground --wait=false") == (
        'deployment.apps "last" deleted\n'
    )
    assert kubectl.json("get deploy last")["metadata"]["finalizers"] == ["foregroundDeletion"]
    kubectl.let_pass(60)
    assert kubectl("get deploy,rs -l app=last -o name") == ""
    kubectl("delete job count")
    kubectl.let_pass(40)
    assert kubectl("get pods -l job-name=count -o name") == ""
    assert kubectl.fails("delete deploy x --cascade=some").startswith("error: invalid cascade value (some)")


def test_objects_are_chosen_by_label_kind_and_file(kubectl: Kubectl) -> None:
    kubectl.site.make(
        kubectl.namespace,
        *(config_map(name, {"team": team}) for name, team in zip("abcde", "xxyyz", strict=True)),
    )
    assert kubectl("delete cm -l team=x") == 'configmap "a" deleted\nconfigmap "b" deleted\n'
    assert kubectl("delete cm --field-selector metadata.name=c") == 'configmap "c" deleted\n'
    assert kubectl("delete cm/d secret/none --ignore-not-found") == 'configmap "d" deleted\n'
    kubectl.write("e.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: e}\n")
    assert kubectl("delete -f e.yaml --dry-run=server") == 'configmap "e" deleted (server dry run)\n'
    assert kubectl("delete -f e.yaml --dry-run=client") == 'configmap "e" deleted (dry run)\n'
    assert kubectl("delete -f e.yaml") == 'configmap "e" deleted\n'
    assert kubectl.fails("delete -f e.yaml") == (
        'Error from server (NotFound): error when deleting "e.yaml": configmaps "e" not found\n'
    )
    assert kubectl("delete cm --all") == 'configmap "kube-root-ca.crt" deleted\n'
    assert kubectl.run("delete cm -l team=x").out == "No resources found\n"
    assert kubectl.fails("delete cm none") == 'Error from server (NotFound): configmaps "none" not found\n'
    assert kubectl.fails("delete cm") == "error: resource(s) were provided, but no name was specified\n"


def test_a_namespace_goes_with_all_that_is_in_it(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, deployment("web", 2))
    kubectl.let_pass(20)
    done = kubectl.meanwhile(f"delete namespace {kubectl.namespace} -n default")
    assert done.out == f'namespace "{kubectl.namespace}" deleted\n'
    assert kubectl("get pods -A -l app=web -o name") == ""
    assert kubectl.fails("delete ns kube-system -n default").endswith(
        'namespaces "kube-system" is forbidden: this namespace may not be deleted\n'
    )


def test_a_namespace_and_what_is_in_it_are_deleted_by_one_file(kubectl: Kubectl) -> None:
    manifest = "\n---\n".join(
        json.dumps({**each, "metadata": {**each["metadata"], "namespace": "mine"}})
        for each in (config_map("settings"), deployment("web"), service("web"))
    )
    kubectl.write("all.yaml", f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: mine}}\n---\n{manifest}")
    kubectl("create -f all.yaml")
    kubectl.let_pass(20)
    done = kubectl.meanwhile("delete -f all.yaml")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        'namespace "mine" deleted',
        'configmap "settings" deleted',
        'deployment.apps "web" deleted',
        'service "web" deleted',
    ]
    assert kubectl("get ns mine --ignore-not-found") == ""
