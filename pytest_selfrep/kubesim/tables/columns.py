"""The columns of tables, kind by kind, in kubectl's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.selectors import selector_of
from pytest_selfrep.kubesim.tables import cells

NONE = "<none>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it is called, and what it says of an object."""

    name: str
    value: Callable[[Object, Clock], Json]
    type: str = "string"
    priority: int = 0
    """1 for what only ``-o wide`` shows."""
    description: str = ""
    format: str = ""


def _at(name: str, path: str, empty: Any = "", *, type_: str = "string", wide: bool = False) -> Column:
    """A column that says what stands at a dotted path, or ``empty`` where nothing does."""
    steps = tuple(path.split("."))

    def value(obj: Object, clock: Clock) -> Json:
        found: Json = obj
        for step in steps:
            found = found.get(step) if isinstance(found, dict) else None
        return empty if found is None or found == "" else found

    return Column(name, value, type_, int(wide))


def _of(name: str, value: Callable[[Object], Json], *, type_: str = "string", wide: bool = False) -> Column:
    """A column that an object's own fields determine."""
    return Column(name, lambda obj, clock: value(obj), type_, int(wide))


def _since(name: str, path: str, empty: str = "<unknown>", *, wide: bool = False) -> Column:
    """A column that says how long ago the time at a dotted path was."""
    at = _at(name, path)

    def value(obj: Object, clock: Clock) -> Json:
        return cells.since(at.value(obj, clock), clock) or empty

    return Column(name, value, priority=int(wide))


def _number(name: str, path: str) -> Column:
    return _at(name, path, 0, type_="integer")


_NAME = _at("Name", "metadata.name")
_AGE = _since("Age", "metadata.creationTimestamp")
_CREATED = _at("Created At", "metadata.creationTimestamp", type_="date")
_SELECTOR = _of("Selector", lambda obj: cells.selector(selector_of(obj)), wide=True)
_CONTAINERS = (
    _of("Containers", lambda obj: cells.container_names(obj["spec"]["template"]), wide=True),
    _of("Images", lambda obj: cells.container_images(obj["spec"]["template"]), wide=True),
)
_JOB_CONTAINERS = (
    _of("Containers", lambda obj: cells.container_names(cells.job_template(obj)), wide=True),
    _of("Images", lambda obj: cells.container_images(cells.job_template(obj)), wide=True),
)
_REPLICAS = (
    _NAME,
    _number("Desired", "spec.replicas"),
    _number("Current", "status.replicas"),
    _number("Ready", "status.readyReplicas"),
    _AGE,
    *_CONTAINERS,
    _SELECTOR,
)

DEFAULT: tuple[Column, ...] = (_NAME, _CREATED)
"""Of kinds without a table of their own."""

COLUMNS: Mapping[tuple[str, str], tuple[Column, ...]] = {
    ("v1", "Pod"): (
        _NAME,
        _of("Ready", cells.pod_ready),
        _of("Status", cells.pod_status),
        Column("Restarts", cells.pod_restarts),
        _AGE,
        _at("IP", "status.podIP", NONE, wide=True),
        _at("Node", "spec.nodeName", NONE, wide=True),
        _at("Nominated Node", "status.nominatedNodeName", NONE, wide=True),
        _of("Readiness Gates", cells.readiness_gates, wide=True),
    ),
    ("v1", "Namespace"): (_NAME, _at("Status", "status.phase"), _AGE),
    ("v1", "Node"): (
        _NAME,
        _of("Status", cells.node_status),
        _of("Roles", cells.node_roles),
        _AGE,
        _at("Version", "status.nodeInfo.kubeletVersion"),
        _of("Internal-IP", lambda obj: cells.node_address(obj, "InternalIP"), wide=True),
        _of("External-IP", lambda obj: cells.node_address(obj, "ExternalIP"), wide=True),
        _at("OS-Image", "status.nodeInfo.osImage", "<unknown>", wide=True),
        _at("Kernel-Version", "status.nodeInfo.kernelVersion", "<unknown>", wide=True),
        _at("Container-Runtime", "status.nodeInfo.containerRuntimeVersion", "<unknown>", wide=True),
    ),
    ("v1", "Service"): (
        _NAME,
        _at("Type", "spec.type"),
        _at("Cluster-IP", "spec.clusterIP", NONE),
        _of("External-IP", cells.external_ip),
        _of("Port(s)", cells.service_ports),
        _AGE,
        _of("Selector", lambda obj: cells.labels(obj["spec"].get("selector")), wide=True),
    ),
    ("v1", "Endpoints"): (_NAME, _of("Endpoints", cells.endpoints), _AGE),
    ("v1", "ConfigMap"): (_NAME, _of("Data", cells.data_count, type_="integer"), _AGE),
    ("v1", "Secret"): (
        _NAME,
        _at("Type", "type"),
        _of("Data", lambda obj: len(obj.get("data") or ()), type_="integer"),
        _AGE,
    ),
    ("v1", "ServiceAccount"): (
        _NAME,
        _of("Secrets", lambda obj: len(obj.get("secrets") or ()), type_="integer"),
        _AGE,
    ),
    ("v1", "Event"): (
        Column("Last Seen", cells.last_seen),
        _at("Type", "type"),
        _at("Reason", "reason"),
        _of("Object", cells.involved),
        _at("Subobject", "involvedObject.fieldPath", wide=True),
        _of("Source", cells.event_source, wide=True),
        _of("Message", lambda obj: (obj.get("message") or "").strip()),
        Column("First Seen", cells.first_seen, priority=1),
        _at("Count", "count", 1, type_="integer", wide=True),
        _at("Name", "metadata.name", wide=True),
    ),
    ("v1", "ResourceQuota"): (
        _NAME,
        _of("Request", lambda obj: cells.quota(obj, limits=False)),
        _of("Limit", lambda obj: cells.quota(obj, limits=True)),
        _AGE,
    ),
    ("v1", "LimitRange"): (_NAME, _CREATED),
    ("v1", "PersistentVolumeClaim"): (
        _NAME,
        _of("Status", cells.phase),
        _at("Volume", "spec.volumeName"),
        _of("Capacity", cells.claim_capacity),
        _of("Access Modes", cells.claim_access_modes),
        _of("StorageClass", cells.storage_class),
        _at("VolumeAttributesClass", "spec.volumeAttributesClassName", "<unset>"),
        _AGE,
        _at("VolumeMode", "spec.volumeMode", "<unset>", wide=True),
    ),
    ("v1", "PersistentVolume"): (
        _NAME,
        _at("Capacity", "spec.capacity.storage"),
        _of("Access Modes", lambda obj: cells.access_modes(obj["spec"].get("accessModes"))),
        _at("Reclaim Policy", "spec.persistentVolumeReclaimPolicy"),
        _of("Status", cells.phase),
        _of("Claim", cells.volume_claim),
        _of("StorageClass", cells.storage_class),
        _at("VolumeAttributesClass", "spec.volumeAttributesClassName", "<unset>"),
        _at("Reason", "status.reason"),
        _AGE,
        _at("VolumeMode", "spec.volumeMode", "<unset>", wide=True),
    ),
    ("storage.k8s.io/v1", "StorageClass"): (
        _of("Name", cells.storage_class_name),
        _at("Provisioner", "provisioner"),
        _at("ReclaimPolicy", "reclaimPolicy", "Delete"),
        _at("VolumeBindingMode", "volumeBindingMode", "Immediate"),
        _of("AllowVolumeExpansion", lambda obj: bool(obj.get("allowVolumeExpansion")), type_="boolean"),
        _AGE,
    ),
    ("v1", "ReplicationController"): _REPLICAS,
    ("apps/v1", "Deployment"): (
        _NAME,
        _of("Ready", cells.ready_replicas),
        _number("Up-to-date", "status.updatedReplicas"),
        _number("Available", "status.availableReplicas"),
        _AGE,
        *_CONTAINERS,
        _SELECTOR,
    ),
    ("apps/v1", "ReplicaSet"): _REPLICAS,
    ("apps/v1", "StatefulSet"): (_NAME, _of("Ready", cells.ready_replicas), _AGE, *_CONTAINERS),
    ("apps/v1", "DaemonSet"): (
        _NAME,
        _number("Desired", "status.desiredNumberScheduled"),
        _number("Current", "status.currentNumberScheduled"),
        _number("Ready", "status.numberReady"),
        _number("Up-to-date", "status.updatedNumberScheduled"),
        _number("Available", "status.numberAvailable"),
        _of("Node Selector", lambda obj: cells.labels(obj["spec"]["template"]["spec"].get("nodeSelector"))),
        _AGE,
        *_CONTAINERS,
        _SELECTOR,
    ),
    ("apps/v1", "ControllerRevision"): (
        _NAME,
        _of("Controller", cells.controller),
        _number("Revision", "revision"),
        _AGE,
    ),
    ("autoscaling/v1", "Scale"): (
        _NAME,
        _number("Desired", "spec.replicas"),
        _number("Available", "status.replicas"),
        _AGE,
    ),
    ("batch/v1", "Job"): (
        _NAME,
        _of("Status", cells.job_status),
        _of("Completions", cells.job_completions),
        Column("Duration", cells.job_duration),
        _AGE,
        *_CONTAINERS,
        _SELECTOR,
    ),
    ("batch/v1", "CronJob"): (
        _NAME,
        _at("Schedule", "spec.schedule"),
        _at("Timezone", "spec.timeZone", NONE),
        _of("Suspend", lambda obj: str(bool(obj["spec"].get("suspend"))), type_="boolean"),
        _of("Active", lambda obj: len((obj.get("status") or {}).get("active") or ()), type_="integer"),
        _since("Last Schedule", "status.lastScheduleTime", NONE),
        _AGE,
        *_JOB_CONTAINERS,
        _of("Selector", lambda obj: cells.selector(cells.job_spec(obj).get("selector")), wide=True),
    ),
    ("autoscaling/v2", "HorizontalPodAutoscaler"): (
        _NAME,
        _of("Reference", cells.scale_target),
        _of("Targets", cells.scaling_targets),
        _at("MinPods", "spec.minReplicas", "<unset>"),
        _number("MaxPods", "spec.maxReplicas"),
        _number("Replicas", "status.currentReplicas"),
        _AGE,
    ),
    ("v1", "ComponentStatus"): (
        _NAME,
        _of("Status", lambda obj: cells.component_health(obj)["status"]),
        _of("Message", lambda obj: cells.component_health(obj).get("message", "")),
        _of("Error", lambda obj: cells.component_health(obj).get("error", "")),
    ),
    ("apiregistration.k8s.io/v1", "APIService"): (
        _NAME,
        _of("Service", cells.api_service_server),
        _of("Available", cells.api_service_available),
        _AGE,
    ),
    ("policy/v1", "PodDisruptionBudget"): (
        _NAME,
        _of("Min Available", lambda obj: cells.or_na(obj["spec"].get("minAvailable"))),
        _of("Max Unavailable", lambda obj: cells.or_na(obj["spec"].get("maxUnavailable"))),
        _number("Allowed Disruptions", "status.disruptionsAllowed"),
        _AGE,
    ),
    ("coordination.k8s.io/v1", "Lease"): (_NAME, _at("Holder", "spec.holderIdentity"), _AGE),
    ("discovery.k8s.io/v1", "EndpointSlice"): (
        _NAME,
        _at("AddressType", "addressType"),
        _of("Ports", cells.slice_ports),
        _of("Endpoints", cells.slice_endpoints),
        _AGE,
    ),
    ("networking.k8s.io/v1", "Ingress"): (
        _NAME,
        _at("Class", "spec.ingressClassName", NONE),
        _of("Hosts", cells.ingress_hosts),
        _of("Address", cells.ingress_address),
        _of("Ports", cells.ingress_ports),
        _AGE,
    ),
    ("networking.k8s.io/v1", "IngressClass"): (
        _NAME,
        _at("Controller", "spec.controller"),
        _of("Parameters", cells.class_parameters),
        _AGE,
    ),
    ("networking.k8s.io/v1", "NetworkPolicy"): (
        _NAME,
        _of("Pod-Selector", lambda obj: cells.selector(obj["spec"].get("podSelector"))),
        _AGE,
    ),
    ("scheduling.k8s.io/v1", "PriorityClass"): (
        _NAME,
        _number("Value", "value"),
        _of("Global-Default", lambda obj: bool(obj.get("globalDefault")), type_="boolean"),
        _AGE,
        _at("PreemptionPolicy", "preemptionPolicy"),
    ),
    ("rbac.authorization.k8s.io/v1", "Role"): (_NAME, _CREATED),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): (_NAME, _CREATED),
    **{
        ("rbac.authorization.k8s.io/v1", kind): (
            _NAME,
            _of("Role", lambda obj: f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}"),
            _AGE,
            _of("Users", lambda obj: cells.subjects(obj, "User"), wide=True),
            _of("Groups", lambda obj: cells.subjects(obj, "Group"), wide=True),
            _of("ServiceAccounts", lambda obj: cells.subjects(obj, "ServiceAccount"), wide=True),
        )
        for kind in ("RoleBinding", "ClusterRoleBinding")
    },
    ("metrics.k8s.io/v1beta1", "NodeMetrics"): (
        _NAME,
        _at("cpu", "usage.cpu"),
        _at("memory", "usage.memory"),
        _at("window", "window"),
    ),
    ("metrics.k8s.io/v1beta1", "PodMetrics"): (
        _NAME,
        _of("cpu", lambda obj: cells.metric_sum(obj, "cpu")),
        _of("memory", lambda obj: cells.metric_sum(obj, "memory")),
        _at("window", "window"),
    ),
}
