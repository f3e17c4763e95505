"""Whatever a client sends is answered: no part missing or of another type breaks the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kube_driver import PODS, Kube, Object, pod
from workloads import (
    BUDGETS,
    CORE,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    REPLICA_SETS,
    STATEFUL_SETS,
    workload,
)

RBAC = "rbac.authorization.k8s.io"
ROLES = f"/apis/{RBAC}/v1/namespaces/default/roles"
BINDINGS = f"/apis/{RBAC}/v1/namespaces/default/rolebindings"
AUTOSCALERS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
NETWORKING = "/apis/networking.k8s.io/v1"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
PRIORITY_CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"

GONE = object()
REPLACEMENTS: tuple[Any, ...] = (GONE, None, {}, [], "", "x", 0, -1, True, [None], [{}], {"x": None})
EXPRESSIONS = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}
SELECTOR = {"matchLabels": {"app": "web"}, **EXPRESSIONS}


def rich_pod() -> Object:
    result = pod(
        "p",
        cpu="1",
        readinessProbe={"httpGet": {"port": 80}},
        ports=[{"containerPort": 80, "hostPort": 80}],
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        volumes=[{"name": "v", "configMap": {"name": "c"}}],
        tolerations=[{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}],
        nodeSelector={"kubernetes.io/os": "linux"},
        affinity={
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [EXPRESSIONS]},
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": EXPRESSIONS}],
            },
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"labelSelector": EXPRESSIONS, "topologyKey": "kubernetes.io/hostname"}
                ]
            },
        },
        topologySpreadConstraints=[
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": EXPRESSIONS,
            }
        ],
        initContainers=[{"name": "i", "image": "x:1", "restartPolicy": "Always"}],
        securityContext={"runAsNonRoot": True, "sysctls": [{"name": "a", "value": "b"}]},
    )
    (container,) = result["spec"]["containers"]
    container["securityContext"] = {
        "capabilities": {"add": ["CHOWN"], "drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container["volumeMounts"] = [{"name": "v", "mountPath": "/x"}]
    result["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": "1"}
    return result


def named(name: str, **fields: Any) -> Object:
    return {"metadata": {"name": name}, **fields}


def owner(kind: str, **spec: Any) -> Object:
    return workload(kind, **{"selector": SELECTOR, **spec})


TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x:1"}]}}
JOB_SPEC = {
    "template": TEMPLATE,
    "completions": 2,
    "parallelism": 1,
    "completionMode": "Indexed",
    "backoffLimit": 1,
    "activeDeadlineSeconds": 50,
    "ttlSecondsAfterFinished": 1,
}
SURGING = {"maxSurge": 1, "maxUnavailable": "25%"}
CPU = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
MANIFESTS = {
    PODS: rich_pod(),
    DEPLOYMENTS: owner("Deployment", replicas=2, minReadySeconds=1, strategy={"rollingUpdate": SURGING}),
    REPLICA_SETS: owner("ReplicaSet", replicas=1, minReadySeconds=2),
    STATEFUL_SETS: owner(
        "StatefulSet",
        replicas=1,
        serviceName="web",
        updateStrategy={"rollingUpdate": {"partition": 1}},
        ordinals={"start": 1},
        volumeClaimTemplates=[{"metadata": {"name": "data"}}],
    ),
    DAEMON_SETS: owner("DaemonSet", updateStrategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
    JOBS: named("sum", spec=JOB_SPEC),
    CRON_JOBS: named(
        "backup",
        spec={
            "schedule": "* * * * *",
            "timeZone": "UTC",
            "startingDeadlineSeconds": 5,
            "successfulJobsHistoryLimit": 1,
            "jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": JOB_SPEC},
        },
    ),
    BUDGETS: named("web", spec={"minAvailable": 1, "selector": SELECTOR}),
    f"{CORE}/resourcequotas": named(
        "compute",
        spec={
            "hard": {"pods": "9", "requests.cpu": "9"},
            "scopes": ["NotTerminating"],
            "scopeSelector": {
                "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["a"]}]
            },
        },
    ),
    f"{CORE}/limitranges": named(
        "bounds",
        spec={
            "limits": [
                {
                    "type": "Container",
                    "max": {"cpu": "2"},
                    "min": {"cpu": "1m"},
                    "default": {"cpu": "1"},
                    "defaultRequest": {"cpu": "10m"},
                    "maxLimitRequestRatio": {"cpu": "1000"},
                }
            ]
        },
    ),
    f"{CORE}/services": named(
        "web",
        spec={
            "type": "NodePort",
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}],
        },
    ),
    f"{CORE}/configmaps": named("settings", data={"a": "b"}, binaryData={"c": "YQ=="}, immutable=True),
    f"{CORE}/secrets": named("key", data={"a": "YQ=="}, stringData={"b": "c"}, type="Opaque"),
    ROLES: named("r", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
    BINDINGS: named(
        "b",
        roleRef={"apiGroup": RBAC, "kind": "Role", "name": "r"},
        subjects=[{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    ),
    AUTOSCALERS: named(
        "web",
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": CPU}],
        },
    ),
    NAMESPACES: named("shop", spec={"finalizers": ["kubernetes"]}),
    f"{CORE}/endpoints": named(
        "own",
        subsets=[
            {
                "addresses": [{"ip": "10.1.2.3", "nodeName": "n", "targetRef": {"kind": "Pod", "name": "p"}}],
                "notReadyAddresses": [{"ip": "10.1.2.4"}],
                "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
            }
        ],
    ),
    SLICES: named(
        "own",
        addressType="IPv4",
        endpoints=[
            {
                "addresses": ["10.1.2.3"],
                "conditions": {"ready": True},
                "zone": "a",
                "hints": {"forZones": [{"name": "a"}]},
            }
        ],
        ports=[{"name": "http", "port": 80, "protocol": "TCP"}],
    ),
    f"{NETWORKING}/namespaces/default/ingresses": named(
        "web",
        spec={
            "ingressClassName": "own",
            "defaultBackend": {"resource": {"apiGroup": "acme.io", "kind": "Bucket", "name": "b"}},
            "tls": [{"hosts": ["web.acme.io"], "secretName": "key"}],
            "rules": [
                {
                    "host": "web.acme.io",
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "web", "port": {"number": 80}}},
                            }
                        ]
                    },
                }
            ],
        },
    ),
    f"{NETWORKING}/ingressclasses": named(
        "own",
        spec={
            "controller": "acme.io/ingress",
            "parameters": {
                "apiGroup": "acme.io",
                "kind": "Bucket",
                "name": "b",
                "scope": "Namespace",
                "namespace": "default",
            },
        },
    ),
    f"{NETWORKING}/namespaces/default/networkpolicies": named(
        "web",
        spec={
            "podSelector": SELECTOR,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [{"namespaceSelector": SELECTOR, "podSelector": SELECTOR}],
                    "ports": [{"protocol": "TCP", "port": 80, "endPort": 90}],
                }
            ],
            "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}],
        },
    ),
    PRIORITY_CLASSES: named(
        "high", value=5, preemptionPolicy="Never", description="first", globalDefault=False
    ),
}


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """To every part of a manifest but the whole."""
    if path:
        yield path
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield from paths(value[key], (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copied = value.copy()
    changed = replaced(value[path[0]], path[1:], new)
    if changed is GONE:
        del copied[path[0]]
    else:
        copied[path[0]] = changed
    return copied


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.rpartition("/")[2])
def test_every_mutilation_is_accepted_or_refused(three_nodes: Kube, path: str) -> None:
    kube, manifest = three_nodes, MANIFESTS[path]
    made = kube.create(path, manifest)["metadata"]["name"]
    kube.advance(3)
    for where in paths(manifest):
        for new in REPLACEMENTS:
            sent = replaced(manifest, where, new)
            assert kube.send("PUT", f"{path}/{made}", sent).status < 500, (where, new)
            created = kube.send("POST", path, _renamed(sent))
            assert created.status < 500, (where, new)
            kube.advance(1)
            if created.status < 400:
                kube.send("DELETE", f"{path}/other", {"propagationPolicy": "Background"})


def _renamed(sent: Object) -> Object:
    """The same under another name, where it has one."""
    meta = sent.get("metadata")
    named_well = isinstance(meta, dict) and isinstance(meta.get("name"), str) and meta["name"]
    return {**sent, "metadata": {**(meta or {}), "name": "other"}} if named_well else sent
