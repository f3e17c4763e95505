"""The table of kinds that the API server knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_selfrep.kubesim.customresources.version import CustomVersion

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: every read and write looks kinds up
class Kind:
    """One kind of object, as discovery describes it."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_generation: bool = False
    """Whether changes of the spec count up ``metadata.generation``."""
    custom: CustomVersion | None = None
    """What the definition of a custom resource says of it; None for kinds of Kubernetes' own."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored(self) -> Kind:
        """The kind as which its objects are stored: itself, or a custom resource's storage version."""
        return self if self.custom is None else self.custom.storage or self

    @property
    def resource(self) -> str:
        """As messages name it: ``deployments.apps``, ``pods``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _kind(
    api_version: str,
    kind: str,
    plural: str,
    short: str = "",
    subresources: str = "",
    *,
    namespaced: bool = True,
    all_: bool = False,
    generation: bool = False,
) -> Kind:
    group, _, version = api_version.rpartition("/")
    return Kind(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        namespaced=namespaced,
        short=tuple(short.split()),
        subresources=tuple(subresources.split()),
        categories=("all",) if all_ else (),
        has_generation=generation,
    )


ANY_CUSTOM = _kind("", "", "*")
"""Stands for every kind that CustomResourceDefinitions add, where controllers say what they watch."""

NAMESPACE = _kind("v1", "Namespace", "namespaces", "ns", "status finalize", namespaced=False)
NODE = _kind("v1", "Node", "nodes", "no", "status", namespaced=False)
POD = _kind(
    "v1",
    "Pod",
    "pods",
    "po",
    "status ephemeralcontainers log eviction binding exec attach portforward proxy",
    all_=True,
)
SERVICE = _kind("v1", "Service", "services", "svc", "status proxy", all_=True)
ENDPOINTS = _kind("v1", "Endpoints", "endpoints", "ep")
CONFIG_MAP = _kind("v1", "ConfigMap", "configmaps", "cm")
SECRET = _kind("v1", "Secret", "secrets")
SERVICE_ACCOUNT = _kind("v1", "ServiceAccount", "serviceaccounts", "sa", "token")
EVENT = _kind("v1", "Event", "events", "ev")
RESOURCE_QUOTA = _kind("v1", "ResourceQuota", "resourcequotas", "quota", "status")
LIMIT_RANGE = _kind("v1", "LimitRange", "limitranges", "limits")
PERSISTENT_VOLUME = _kind("v1", "PersistentVolume", "persistentvolumes", "pv", "status", namespaced=False)
PERSISTENT_VOLUME_CLAIM = _kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", "status")
REPLICATION_CONTROLLER = _kind(
    "v1",
    "ReplicationController",
    "replicationcontrollers",
    "rc",
    "status scale",
    all_=True,
    generation=True,
)
DEPLOYMENT = _kind(
    "apps/v1", "Deployment", "deployments", "deploy", "status scale", all_=True, generation=True
)
REPLICA_SET = _kind("apps/v1", "ReplicaSet", "replicasets", "rs", "status scale", all_=True, generation=True)
STATEFUL_SET = _kind(
    "apps/v1", "StatefulSet", "statefulsets", "sts", "status scale", all_=True, generation=True
)
DAEMON_SET = _kind("apps/v1", "DaemonSet", "daemonsets", "ds", "status", all_=True, generation=True)
CONTROLLER_REVISION = _kind("apps/v1", "ControllerRevision", "controllerrevisions")
JOB = _kind("batch/v1", "Job", "jobs", "", "status", all_=True, generation=True)
CRON_JOB = _kind("batch/v1", "CronJob", "cronjobs", "cj", "status", all_=True, generation=True)
HORIZONTAL_POD_AUTOSCALER = _kind(
    "autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", "status", all_=True
)
POD_DISRUPTION_BUDGET = _kind(
    "policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", "status", generation=True
)
LEASE = _kind("coordination.k8s.io/v1", "Lease", "leases")
ENDPOINT_SLICE = _kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", generation=True)
INGRESS = _kind("networking.k8s.io/v1", "Ingress", "ingresses", "ing", "status", generation=True)
INGRESS_CLASS = _kind(
    "networking.k8s.io/v1", "IngressClass", "ingressclasses", namespaced=False, generation=True
)
NETWORK_POLICY = _kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", "netpol", generation=True)
PRIORITY_CLASS = _kind(
    "scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "pc", namespaced=False, generation=True
)
STORAGE_CLASS = _kind("storage.k8s.io/v1", "StorageClass", "storageclasses", "sc", namespaced=False)
ROLE = _kind("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDING = _kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE = _kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = _kind(
    "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)

CUSTOM_RESOURCE_DEFINITION = _kind(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    "crd crds",
    "status",
    namespaced=False,
    generation=True,
)

KINDS: tuple[Kind, ...] = (
    NAMESPACE,
    NODE,
    POD,
    SERVICE,
    ENDPOINTS,
    CONFIG_MAP,
    SECRET,
    SERVICE_ACCOUNT,
    EVENT,
    RESOURCE_QUOTA,
    LIMIT_RANGE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    REPLICATION_CONTROLLER,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
    DAEMON_SET,
    CONTROLLER_REVISION,
    JOB,
    CRON_JOB,
    HORIZONTAL_POD_AUTOSCALER,
    POD_DISRUPTION_BUDGET,
    LEASE,
    ENDPOINT_SLICE,
    INGRESS,
    INGRESS_CLASS,
    NETWORK_POLICY,
    PRIORITY_CLASS,
    STORAGE_CLASS,
    ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CUSTOM_RESOURCE_DEFINITION,
)

BY_RESOURCE: Mapping[tuple[str, str, str], Kind] = {
    (kind.group, kind.version, kind.plural): kind for kind in KINDS
}
"""(group, version, plural) to kind, as a request's path names it."""

BY_KIND: Mapping[tuple[str, str], Kind] = {(kind.api_version, kind.kind): kind for kind in KINDS}
"""(apiVersion, kind) to kind, as an object or owner reference names it."""
