"""The kinds of objects that a scenario's manifests may have, and where the API keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind, as API discovery describes it."""

    group: str
    version: str
    plural: str
    namespaced: bool = True


_NETWORKING = "networking.k8s.io"
_RBAC = "rbac.authorization.k8s.io"

KINDS: Mapping[tuple[str, str], Kind] = MappingProxyType(
    {
        ("v1", "Namespace"): Kind("", "v1", "namespaces", namespaced=False),
        ("v1", "Node"): Kind("", "v1", "nodes", namespaced=False),
        ("v1", "Pod"): Kind("", "v1", "pods"),
        ("v1", "Service"): Kind("", "v1", "services"),
        ("v1", "ConfigMap"): Kind("", "v1", "configmaps"),
        ("v1", "Secret"): Kind("", "v1", "secrets"),
        ("v1", "ServiceAccount"): Kind("", "v1", "serviceaccounts"),
        ("v1", "ResourceQuota"): Kind("", "v1", "resourcequotas"),
        ("v1", "LimitRange"): Kind("", "v1", "limitranges"),
        ("v1", "Endpoints"): Kind("", "v1", "endpoints"),
        ("v1", "PersistentVolume"): Kind("", "v1", "persistentvolumes", namespaced=False),
        ("v1", "PersistentVolumeClaim"): Kind("", "v1", "persistentvolumeclaims"),
        ("v1", "ReplicationController"): Kind("", "v1", "replicationcontrollers"),
        ("apps/v1", "Deployment"): Kind("apps", "v1", "deployments"),
        ("apps/v1", "ReplicaSet"): Kind("apps", "v1", "replicasets"),
        ("apps/v1", "StatefulSet"): Kind("apps", "v1", "statefulsets"),
        ("apps/v1", "DaemonSet"): Kind("apps", "v1", "daemonsets"),
        ("batch/v1", "Job"): Kind("batch", "v1", "jobs"),
        ("batch/v1", "CronJob"): Kind("batch", "v1", "cronjobs"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"): Kind("autoscaling", "v2", "horizontalpodautoscalers"),
        ("policy/v1", "PodDisruptionBudget"): Kind("policy", "v1", "poddisruptionbudgets"),
        ("coordination.k8s.io/v1", "Lease"): Kind("coordination.k8s.io", "v1", "leases"),
        ("discovery.k8s.io/v1", "EndpointSlice"): Kind("discovery.k8s.io", "v1", "endpointslices"),
        (f"{_NETWORKING}/v1", "Ingress"): Kind(_NETWORKING, "v1", "ingresses"),
        (f"{_NETWORKING}/v1", "IngressClass"): Kind(_NETWORKING, "v1", "ingressclasses", namespaced=False),
        (f"{_NETWORKING}/v1", "NetworkPolicy"): Kind(_NETWORKING, "v1", "networkpolicies"),
        ("scheduling.k8s.io/v1", "PriorityClass"): Kind(
            "scheduling.k8s.io", "v1", "priorityclasses", namespaced=False
        ),
        ("storage.k8s.io/v1", "StorageClass"): Kind(
            "storage.k8s.io", "v1", "storageclasses", namespaced=False
        ),
        (f"{_RBAC}/v1", "Role"): Kind(_RBAC, "v1", "roles"),
        (f"{_RBAC}/v1", "RoleBinding"): Kind(_RBAC, "v1", "rolebindings"),
        (f"{_RBAC}/v1", "ClusterRole"): Kind(_RBAC, "v1", "clusterroles", namespaced=False),
        (f"{_RBAC}/v1", "ClusterRoleBinding"): Kind(_RBAC, "v1", "clusterrolebindings", namespaced=False),
    }
)
"""By apiVersion and kind."""
