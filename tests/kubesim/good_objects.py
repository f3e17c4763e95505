"""An object of most kinds, rich in fields, by the path at which it is created."""

from __future__ import annotations

from typing import Any

from definitions import DEFINITIONS, SCALE, SHIRTS, definition, shirt, version
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
_INGRESS_PATH = {
    "path": "/a",
    "pathType": "Prefix",
    "backend": {"service": {"name": "a", "port": {"number": 80}}},
}
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
        "spec": {"schedule": "*/3 * * * *", "jobTemplate": {"spec": {"template": _TEMPLATE}}},
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
    f"/api/v1/{_NS}/configmaps": {"metadata": {"name": "a"}, "data": {"a": "b"}, "binaryData": {"c": "ZA=="}},
    f"/api/v1/{_NS}/replicationcontrollers": {
        "metadata": {"name": "a"},
        "spec": {
            "replicas": 1,
            "selector": {"app": "a"},
            "template": {**_TEMPLATE, "spec": {**_TEMPLATE["spec"], "restartPolicy": "Always"}},
        },
    },
    f"/api/v1/{_NS}/persistentvolumeclaims": {
        "metadata": {"name": "a"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "a",
        },
    },
    "/api/v1/persistentvolumes": {
        "metadata": {"name": "a"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "2Gi"},
            "storageClassName": "a",
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": "/tmp/a"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [_NODE_TERM]}},
        },
    },
    "/apis/storage.k8s.io/v1/storageclasses": {
        "metadata": {"name": "a"},
        "provisioner": "rancher.io/local-path",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
        "mountOptions": ["ro"],
    },
    "/apis/scheduling.k8s.io/v1/priorityclasses": {
        "metadata": {"name": "a"},
        "value": 1000,
        "preemptionPolicy": "Never",
        "description": "a",
    },
    f"/apis/networking.k8s.io/v1/{_NS}/ingresses": {
        "metadata": {"name": "a"},
        "spec": {
            "ingressClassName": "a",
            "tls": [{"hosts": ["acme.io"], "secretName": "a"}],
            "rules": [{"host": "acme.io", "http": {"paths": [_INGRESS_PATH]}}],
        },
    },
    f"/apis/networking.k8s.io/v1/{_NS}/networkpolicies": {
        "metadata": {"name": "a"},
        "spec": {
            "podSelector": _SELECTOR,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [
                        {"podSelector": {}},
                        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
                    ],
                    "ports": [{"port": 80, "endPort": 90, "protocol": "TCP"}],
                }
            ],
            "egress": [{"to": [{"namespaceSelector": _SELECTOR}]}],
        },
    },
    f"/api/v1/{_NS}/endpoints": {
        "metadata": {"name": "b"},
        "subsets": [{"addresses": [{"ip": "10.9.8.7"}], "ports": [{"port": 80, "name": "http"}]}],
    },
    f"/apis/discovery.k8s.io/v1/{_NS}/endpointslices": {
        "metadata": {"name": "b", "labels": {"kubernetes.io/service-name": "b"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.9.8.7"], "conditions": {"ready": True}, "zone": "a"}],
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
    },
    f"/apis/autoscaling/v1/{_NS}/horizontalpodautoscalers": {
        "metadata": {"name": "b"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "v1", "kind": "ReplicationController", "name": "a"},
            "maxReplicas": 2,
            "targetCPUUtilizationPercentage": 50,
        },
    },
    f"/apis/coordination.k8s.io/v1/{_NS}/leases": {
        "metadata": {"name": "a"},
        "spec": {
            "holderIdentity": "a",
            "leaseDurationSeconds": 40,
            "renewTime": "2025-05-06T08:00:00.000001Z",
        },
    },
    f"/apis/apps/v1/{_NS}/controllerrevisions": {
        "metadata": {"name": "a"},
        "revision": 1,
        "data": {"spec": {"template": _TEMPLATE}},
    },
    DEFINITIONS: definition("shirts", "Shirt", version(subresources={"status": {}, "scale": SCALE})),
}

CUSTOM: dict[str, Object] = {SHIRTS: shirt("a", color="red", replicas=1)}
"""Those that are there once the CustomResourceDefinition is."""
