"""kubectl on claims, volumes, storage classes and ReplicationControllers, and what prunes them."""

from __future__ import annotations

import json
from dataclasses import replace

from kubectl_driver import Kubectl
from kubectl_objects import config_map, deployment

SETTLED = 60.0


def claim(name: str = "data", **spec: object) -> dict[str, object]:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": {"app": "x"}},
        "spec": asked,
    }


def user(name: str = "p", claim_name: str = "data") -> dict[str, object]:
    """A pod that mounts a claim."""
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": claim_name}}
    containers = [{"name": "c", "image": "registry.acme.io/web:1.4"}]
    spec = {"containers": containers, "volumes": [volume]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def controller(replicas: int = 2) -> dict[str, object]:
    containers = [{"name": "c", "image": "registry.acme.io/web:1.4", "ports": [{"containerPort": 80}]}]
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}}
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "template": template},
    }


def prunable(*objects: dict[str, object]) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}


def test_a_claim_and_its_volume_are_listed_and_described(kubectl: Kubectl) -> None:
    kubectl("apply -f -", claim())
    assert kubectl.rows("get pvc") == [
        [
            "NAME",
            "STATUS",
            "VOLUME",
            "CAPACITY",
            "ACCESS MODES",
            "STORAGECLASS",
            "VOLUMEATTRIBUTESCLASS",
            "AGE",
        ],
        ["data", "Pending", "standard", "<unset>", "0s"],
    ]
    kubectl("apply -f -", user())
    kubectl.site.cluster.advance(SETTLED)
    name = kubectl("get pvc data -o jsonpath={.spec.volumeName}")
    assert kubectl.rows("get pvc -o wide")[1] == [
        "data", "Bound", name, "1Gi", "RWO", "standard", "<unset>", "60s", "Filesystem",
    ]  # fmt: skip
    age = kubectl.rows(f"get pv {name}")[1][-1]
    assert kubectl.rows(f"get pv {name} -o wide") == [
        ["NAME", "CAPACITY", "ACCESS MODES", "RECLAIM POLICY", "STATUS", "CLAIM", "STORAGECLASS",
         "VOLUMEATTRIBUTESCLASS", "REASON", "AGE", "VOLUMEMODE"],
        [name, "1Gi", "RWO", "Delete", "Bound", f"{kubectl.namespace}/data", "standard", "<unset>", age,
         "Filesystem"],
    ]  # fmt: skip
    described = kubectl("describe pvc data")
    assert "Used By:       p\n" in described
    assert "Successfully provisioned volume" in described
    volume = kubectl(f"describe pv {name}")
    assert (
        "Node Affinity:     \n  Required Terms:  \n    Term 0:        kubernetes.io/hostname in [" in volume
    )
    assert "Type:          HostPath (bare host directory volume)" in volume


def test_the_default_class_is_listed_and_described(kubectl: Kubectl) -> None:
    assert kubectl.rows("get sc") == [
        ["NAME", "PROVISIONER", "RECLAIMPOLICY", "VOLUMEBINDINGMODE", "ALLOWVOLUMEEXPANSION", "AGE"],
        ["standard (default)", "rancher.io/local-path", "Delete", "WaitForFirstConsumer", "false",
         kubectl.rows("get sc")[1][-1]],
    ]  # fmt: skip
    described = kubectl("describe sc standard")
    assert "IsDefaultClass:        Yes" in described
    assert "VolumeBindingMode:     WaitForFirstConsumer" in described


def test_a_claim_in_use_is_shown_as_terminating_until_its_pod_goes(kubectl: Kubectl) -> None:
    kubectl("apply -f -", prunable(claim(), user()))
    kubectl.site.cluster.advance(SETTLED)
    assert kubectl("delete pvc data --wait=false") == 'persistentvolumeclaim "data" deleted\n'
    assert kubectl.rows("get pvc data")[1][1] == "Terminating"
    kubectl("delete pod p --now --wait=false")
    assert kubectl.meanwhile("wait --for=delete pvc/data --timeout=60s").code == 0


def test_a_replication_controller_is_handled_like_other_workloads(kubectl: Kubectl) -> None:
    assert kubectl("create -f -", controller()) == "replicationcontroller/web created\n"
    kubectl.site.cluster.advance(SETTLED)
    assert kubectl.rows("get rc -o wide") == [
        ["NAME", "DESIRED", "CURRENT", "READY", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"],
        ["web", "2", "2", "2", "60s", "c", "registry.acme.io/web:1.4", "app=web"],
    ]
    assert kubectl("scale rc web --replicas=3") == "replicationcontroller/web scaled\n"
    assert kubectl("expose rc web --port=80") == "service/web exposed\n"
    assert kubectl.json("get svc web")["spec"]["selector"] == {"app": "web"}
    described = kubectl("describe rc web")
    assert "Replicas:     3 current / 3 desired\n" in described
    assert "replication-controller  Created pod: web-" in described
    assert "replicationcontroller/web" in kubectl("get all")
    refused = kubectl.fails("rollout status rc/web")
    assert refused == "error: no status viewer has been implemented for ReplicationController\n"
    assert kubectl("autoscale rc web --max=5") == "horizontalpodautoscaler.autoscaling/web autoscaled\n"
    assert kubectl("delete rc web") == 'replicationcontroller "web" deleted\n'


def test_prune_without_an_allowlist_looks_at_every_kind_it_knows(kubectl: Kubectl) -> None:
    labelled = {"app": "x"}
    kept, gone = config_map("kept", labelled, k="v"), config_map("gone", labelled, k="v")
    web = deployment("web")
    web["metadata"]["labels"] = labelled
    kubectl.write("all/a.json", json.dumps(prunable(kept, gone, claim(), web)))
    kubectl("apply --prune -l app=x -f all")
    kubectl.write("all/a.json", json.dumps(prunable(kept)))
    done = kubectl.run("apply --prune -l app=x -f all")
    assert done.code == 0, done.err
    assert sorted(done.out.splitlines()) == [
        "configmap/gone pruned",
        "configmap/kept unchanged",
        "deployment.apps/web pruned",
        "persistentvolumeclaim/data pruned",
    ]


def test_an_applyset_prunes_what_it_no_longer_has(kubectl: Kubectl) -> None:
    alpha = replace(kubectl, extra={**kubectl.extra, "KUBECTL_APPLYSET": "true"})
    command = f"apply --prune --applyset=configmaps/set -n {kubectl.namespace} -f -"
    alpha(command, prunable(config_map("kept", k="v"), claim()))
    parent = alpha.json("get cm set")["metadata"]
    assert parent["annotations"]["applyset.kubernetes.io/contains-group-kinds"] == (
        "ConfigMap,PersistentVolumeClaim"
    )
    done = alpha.run(command, prunable(config_map("kept", k="v")))
    assert done.code == 0, done.err
    assert "persistentvolumeclaim/data pruned" in done.out
    assert alpha("get pvc") == ""
