"""An object of most kinds, rich in fields, by the path at which it is created."""

from __future__ import annotations

from typing import Any

from kube_driver import PODS, Object, deployment, pod

from pytest_selfrep.kubesim.nodes.machines import node

_NS = "namespaces/default"
_SELECTOR = {
    "matchLabels": {"app": "a"},
    "matchExpressions": [{"key": "b", "operator": "In", "values": ["c"]}],
}
_TEMPLATE = {
    "metadata": {"labels": {"app": "a"}},
    "spec": {**pod("a", cpu="1")["spec"], "restartPolicy": "Never"},
}
_NODE_TERM = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def _workload(kind: str, **spec: Any) -> Object:
    made = deployment("a", 1, cpu="1", memory="1Gi")
    return {**made, "kind": kind, "spec": {**made["spec"], **spec}}


GOOD: dict[str, Object] = {
    PODS: pod(
        "a",
        cpu="1",
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        ports=[{"containerPort": 80, "name": "http"}],
        readinessProbe={"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5},
        tolerations=[{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
        volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "w", "configMap": {"name": "w"}}],
        securityContext={"runAsNonRoot": True},
        nodeSelector={"kubernetes.io/os": "linux"},
        affinity={
            "nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": [_NODE_TERM]}},
            "podAntiAffinity": {
                _REQUIRED: [{"labelSelector": _SELECTOR, "topologyKey": "kubernetes.io/hostname"}]
            },
        },
        topologySpreadConstraints=[
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": _SELECTOR,
            }
        ],
    ),
    f"/apis/apps/v1/{_NS}/deployments": _workload(
        "Deployment", strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
    ),
    f"/apis/apps/v1/{_NS}/replicasets": _workload("ReplicaSet"),
    f"/apis/apps/v1/{_NS}/statefulsets": _workload("StatefulSet", serviceName="a"),
    f"/apis/apps/v1/{_NS}/daemonsets": _workload("DaemonSet"),
    f"/apis/batch/v1/{_NS}/jobs": {
        "metadata": {"name": "a"},
        "spec": {"template": _TEMPLATE, "backoffLimit": 1, "completions": 2, "parallelism": 1},
    },
    f"/apis/batch/v1/{_NS}/cronjobs": {
        "metadata": {"name": "a"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": _TEMPLATE}}},
    },
    f"/apis/autoscaling/v2/{_NS}/horizontalpodautoscalers": {
        "metadata": {"name": "a"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "b"},
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
                }
            ],
            "behavior": {
                "scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]},
                "scaleDown": {"stabilizationWindowSeconds": 60},
            },
        },
    },
    f"/apis/policy/v1/{_NS}/poddisruptionbudgets": {
        "metadata": {"name": "a"},
        "spec": {"minAvailable": "50%", "selector": _SELECTOR},
    },
    f"/api/v1/{_NS}/services": {
        "metadata": {"name": "a"},
        "spec": {"type": "NodePort", "selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": "http"}]},
    },
    f"/api/v1/{_NS}/resourcequotas": {
        "metadata": {"name": "a"},
        "spec": {"hard": {"pods": "4", "requests.cpu": "2"}},
    },
    f"/api/v1/{_NS}/limitranges": {
        "metadata": {"name": "a"},
        "spec": {
            "limits": [
                {
                    "type": "Container",
                    "default": {"cpu": "1"},
                    "defaultRequest": {"cpu": "500m"},
                    "max": {"cpu": "2"},
                    "min": {"cpu": "100m"},
                }
            ]
        },
    },
    f"/apis/rbac.authorization.k8s.io/v1/{_NS}/roles": {
        "metadata": {"name": "a"},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
    },
    f"/apis/rbac.authorization.k8s.io/v1/{_NS}/rolebindings": {
        "metadata": {"name": "a"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"},
    },
    "/api/v1/nodes": node("worker-2", now="2025-05-06T08:00:00Z", number=2),
    f"/api/v1/{_NS}/secrets": {"metadata": {"name": "a"}, "stringData": {"a": "b"}, "type": "Opaque"},
    f"/api/v1/{_NS}/serviceaccounts": {"metadata": {"name": "a"}, "secrets": [{"name": "a"}]},
    f"/api/v1/{_NS}/events": {
        "metadata": {"name": "a"},
        "involvedObject": {"kind": "Pod", "name": "a", "namespace": "default"},
        "lastTimestamp": "2025-05-06T08:00:00Z",
    },
}
