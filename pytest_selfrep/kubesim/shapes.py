"""The JSON types that fields must have to be read at all, kind by kind.

A shape is ``str``, ``int`` or ``bool``; ``[shape]`` for a list; ``{"": shape}`` for a map; and a dict of
field names for a struct, whose other fields are not looked at. ``QUANTITY`` is a string or a number,
``TIME`` an RFC 3339 time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pytest_selfrep.kubesim import kinds
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.status import bad_request

Shape = Json

QUANTITY = (str, int, float)
TIME = datetime
STRUCT: Shape = {}
_TEXTS: Shape = {"": str}
_QUANTITIES: Shape = {"": QUANTITY}

METADATA: Shape = {
    "name": str,
    "namespace": str,
    "generateName": str,
    "uid": str,
    "resourceVersion": str,
    "labels": _TEXTS,
    "annotations": _TEXTS,
    "finalizers": [str],
    "ownerReferences": [
        {
            "apiVersion": str,
            "kind": str,
            "name": str,
            "uid": str,
            "controller": bool,
            "blockOwnerDeletion": bool,
        }
    ],
}
_EXPRESSIONS: Shape = [{"key": str, "operator": str, "values": [str]}]
_SELECTOR: Shape = {"matchLabels": _TEXTS, "matchExpressions": _EXPRESSIONS}
_INT_OR_STRING = (str, int)
_HANDLER: Shape = {
    "exec": {"command": [str]},
    "httpGet": {"path": str, "port": _INT_OR_STRING, "host": str, "scheme": str},
    "tcpSocket": {"port": _INT_OR_STRING, "host": str},
    "grpc": {"port": int, "service": str},
}
_PROBE: Shape = {
    **_HANDLER,
    "initialDelaySeconds": int,
    "timeoutSeconds": int,
    "periodSeconds": int,
    "successThreshold": int,
    "failureThreshold": int,
}
_KEY_REF: Shape = {"name": str, "key": str, "optional": bool}
_SECURITY: Shape = {
    "privileged": bool,
    "runAsUser": int,
    "runAsGroup": int,
    "runAsNonRoot": bool,
    "allowPrivilegeEscalation": bool,
    "readOnlyRootFilesystem": bool,
    "capabilities": {"add": [str], "drop": [str]},
    "seccompProfile": {"type": str, "localhostProfile": str},
    "seLinuxOptions": _TEXTS,
    "sysctls": [{"name": str, "value": str}],
    "supplementalGroups": [int],
    "fsGroup": int,
}
_CONTAINER: Shape = {
    "name": str,
    "image": str,
    "imagePullPolicy": str,
    "command": [str],
    "args": [str],
    "workingDir": str,
    "restartPolicy": str,
    "env": [
        {
            "name": str,
            "value": str,
            "valueFrom": {
                "configMapKeyRef": _KEY_REF,
                "secretKeyRef": _KEY_REF,
                "fieldRef": {"apiVersion": str, "fieldPath": str},
                "resourceFieldRef": {"resource": str, "containerName": str, "divisor": QUANTITY},
            },
        }
    ],
    "envFrom": [{"prefix": str, "configMapRef": _KEY_REF, "secretRef": _KEY_REF}],
    "ports": [{"name": str, "containerPort": int, "hostPort": int, "hostIP": str, "protocol": str}],
    "resources": {"limits": _QUANTITIES, "requests": _QUANTITIES},
    "volumeMounts": [{"name": str, "mountPath": str, "subPath": str, "readOnly": bool}],
    "livenessProbe": _PROBE,
    "readinessProbe": _PROBE,
    "startupProbe": _PROBE,
    "lifecycle": {"postStart": _HANDLER, "preStop": {**_HANDLER, "sleep": {"seconds": int}}},
    "securityContext": _SECURITY,
    "tty": bool,
    "stdin": bool,
}
_KEY_ITEMS: Shape = [{"key": str, "path": str, "mode": int}]
_VOLUME: Shape = {
    "name": str,
    "emptyDir": {"medium": str, "sizeLimit": QUANTITY},
    "hostPath": {"path": str, "type": str},
    "configMap": {"name": str, "items": _KEY_ITEMS, "defaultMode": int},
    "secret": {"secretName": str, "items": _KEY_ITEMS, "defaultMode": int},
    "persistentVolumeClaim": {"claimName": str, "readOnly": bool},
    "projected": {"sources": [STRUCT], "defaultMode": int},
    "downwardAPI": {"items": [STRUCT], "defaultMode": int},
}
_NODE_TERM: Shape = {"matchExpressions": _EXPRESSIONS, "matchFields": _EXPRESSIONS}
_POD_TERM: Shape = {"labelSelector": _SELECTOR, "topologyKey": str, "namespaces": [str]}
_POD_AFFINITY: Shape = {
    "requiredDuringSchedulingIgnoredDuringExecution": [_POD_TERM],
    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": int, "podAffinityTerm": _POD_TERM}],
}
_AFFINITY: Shape = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_NODE_TERM]},
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": int, "preference": _NODE_TERM}],
    },
    "podAffinity": _POD_AFFINITY,
    "podAntiAffinity": _POD_AFFINITY,
}
_POD_SPEC: Shape = {
    "containers": [_CONTAINER],
    "initContainers": [_CONTAINER],
    "ephemeralContainers": [_CONTAINER],
    "volumes": [_VOLUME],
    "restartPolicy": str,
    "terminationGracePeriodSeconds": int,
    "activeDeadlineSeconds": int,
    "dnsPolicy": str,
    "nodeSelector": _TEXTS,
    "nodeName": str,
    "serviceAccountName": str,
    "serviceAccount": str,
    "automountServiceAccountToken": bool,
    "hostNetwork": bool,
    "hostPID": bool,
    "hostIPC": bool,
    "hostname": str,
    "subdomain": str,
    "securityContext": _SECURITY,
    "imagePullSecrets": [{"name": str}],
    "affinity": _AFFINITY,
    "schedulerName": str,
    "tolerations": [{"key": str, "operator": str, "value": str, "effect": str, "tolerationSeconds": int}],
    "priorityClassName": str,
    "priority": int,
    "runtimeClassName": str,
    "overhead": _QUANTITIES,
    "topologySpreadConstraints": [
        {"maxSkew": int, "topologyKey": str, "whenUnsatisfiable": str, "labelSelector": _SELECTOR}
    ],
    "schedulingGates": [{"name": str}],
}
_TEMPLATE: Shape = {"metadata": METADATA, "spec": _POD_SPEC}
_ROLLING: Shape = {"maxUnavailable": _INT_OR_STRING, "maxSurge": _INT_OR_STRING, "partition": int}
_STRATEGY: Shape = {"type": str, "rollingUpdate": _ROLLING}
_WORKLOAD: Shape = {
    "replicas": int,
    "selector": _SELECTOR,
    "template": _TEMPLATE,
    "minReadySeconds": int,
    "revisionHistoryLimit": int,
}
_JOB_SPEC: Shape = {
    "parallelism": int,
    "completions": int,
    "activeDeadlineSeconds": int,
    "backoffLimit": int,
    "ttlSecondsAfterFinished": int,
    "suspend": bool,
    "completionMode": str,
    "manualSelector": bool,
    "selector": _SELECTOR,
    "template": _TEMPLATE,
}
_RULES: Shape = [
    {"verbs": [str], "apiGroups": [str], "resources": [str], "resourceNames": [str], "nonResourceURLs": [str]}
]
_BINDING: Shape = {
    "subjects": [{"kind": str, "apiGroup": str, "name": str, "namespace": str}],
    "roleRef": {"kind": str, "apiGroup": str, "name": str},
}
_CONDITIONS: Shape = [{"type": str, "status": str, "reason": str, "message": str, "lastTransitionTime": TIME}]
_STATE: Shape = {
    "waiting": {"reason": str, "message": str},
    "running": {"startedAt": TIME},
    "terminated": {
        "exitCode": int,
        "signal": int,
        "reason": str,
        "message": str,
        "startedAt": TIME,
        "finishedAt": TIME,
    },
}
_CONTAINER_STATUSES: Shape = [
    {"name": str, "ready": bool, "restartCount": int, "image": str, "state": _STATE, "lastState": _STATE}
]
_COUNTS: Shape = dict.fromkeys(
    (
        "active",
        "availableReplicas",
        "collisionCount",
        "currentHealthy",
        "currentNumberScheduled",
        "currentReplicas",
        "desiredHealthy",
        "desiredNumberScheduled",
        "desiredReplicas",
        "disruptionsAllowed",
        "expectedPods",
        "failed",
        "fullyLabeledReplicas",
        "numberAvailable",
        "numberMisscheduled",
        "numberReady",
        "numberUnavailable",
        "observedGeneration",
        "ready",
        "readyReplicas",
        "replicas",
        "succeeded",
        "unavailableReplicas",
        "updatedNumberScheduled",
        "updatedReplicas",
    ),
    int,
)
_STATUS: Shape = {**_COUNTS, "conditions": _CONDITIONS, "phase": str, "startTime": TIME}
_METRIC: Shape = {
    "type": str,
    "resource": {
        "name": str,
        "target": {"type": str, "averageUtilization": int, "averageValue": QUANTITY, "value": QUANTITY},
    },
}
_SCALING_RULES: Shape = {
    "stabilizationWindowSeconds": int,
    "selectPolicy": str,
    "policies": [{"type": str, "value": int, "periodSeconds": int}],
}

SHAPES: Mapping[Kind, Shape] = {
    kinds.NAMESPACE: {"spec": {"finalizers": [str]}},
    kinds.NODE: {
        "spec": {"unschedulable": bool, "taints": [{"key": str, "value": str, "effect": str}]},
        "status": {
            "capacity": _QUANTITIES,
            "allocatable": _QUANTITIES,
            "conditions": _CONDITIONS,
            "addresses": [{"type": str, "address": str}],
            "nodeInfo": STRUCT,
        },
    },
    kinds.POD: {
        "spec": _POD_SPEC,
        "status": {
            **_STATUS,
            "podIP": str,
            "podIPs": [{"ip": str}],
            "containerStatuses": _CONTAINER_STATUSES,
            "initContainerStatuses": _CONTAINER_STATUSES,
        },
    },
    kinds.SERVICE: {
        "spec": {
            "type": str,
            "clusterIP": str,
            "clusterIPs": [str],
            "externalIPs": [str],
            "externalName": str,
            "selector": _TEXTS,
            "ports": [
                {"name": str, "protocol": str, "port": int, "targetPort": _INT_OR_STRING, "nodePort": int}
            ],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": str, "hostname": str}]}},
    },
    kinds.CONFIG_MAP: {"data": _TEXTS, "binaryData": _TEXTS, "immutable": bool},
    kinds.SECRET: {"data": _TEXTS, "stringData": _TEXTS, "type": str, "immutable": bool},
    kinds.SERVICE_ACCOUNT: {
        "secrets": [{"name": str}],
        "imagePullSecrets": [{"name": str}],
        "automountServiceAccountToken": bool,
    },
    kinds.EVENT: {
        "involvedObject": {"kind": str, "namespace": str, "name": str, "uid": str, "fieldPath": str},
        "source": {"component": str, "host": str},
        "reason": str,
        "message": str,
        "type": str,
        "count": int,
        "firstTimestamp": TIME,
        "lastTimestamp": TIME,
        "eventTime": TIME,
    },
    kinds.RESOURCE_QUOTA: {
        "spec": {
            "hard": _QUANTITIES,
            "scopes": [str],
            "scopeSelector": {"matchExpressions": [{"scopeName": str, "operator": str, "values": [str]}]},
        },
        "status": {"hard": _QUANTITIES, "used": _QUANTITIES},
    },
    kinds.LIMIT_RANGE: {
        "spec": {
            "limits": [
                {
                    "type": str,
                    "max": _QUANTITIES,
                    "min": _QUANTITIES,
                    "default": _QUANTITIES,
                    "defaultRequest": _QUANTITIES,
                    "maxLimitRequestRatio": _QUANTITIES,
                }
            ]
        }
    },
    kinds.DEPLOYMENT: {
        "spec": {**_WORKLOAD, "strategy": _STRATEGY, "paused": bool, "progressDeadlineSeconds": int},
        "status": _STATUS,
    },
    kinds.REPLICA_SET: {"spec": _WORKLOAD, "status": _STATUS},
    kinds.STATEFUL_SET: {
        "spec": {
            **_WORKLOAD,
            "serviceName": str,
            "podManagementPolicy": str,
            "updateStrategy": _STRATEGY,
            "ordinals": {"start": int},
            "volumeClaimTemplates": [{"metadata": METADATA, "spec": STRUCT}],
        },
        "status": {**_STATUS, "currentRevision": str, "updateRevision": str},
    },
    kinds.DAEMON_SET: {"spec": {**_WORKLOAD, "updateStrategy": _STRATEGY}, "status": _STATUS},
    kinds.JOB: {"spec": _JOB_SPEC, "status": {**_STATUS, "completionTime": TIME}},
    kinds.CRON_JOB: {
        "spec": {
            "schedule": str,
            "timeZone": str,
            "suspend": bool,
            "concurrencyPolicy": str,
            "startingDeadlineSeconds": int,
            "successfulJobsHistoryLimit": int,
            "failedJobsHistoryLimit": int,
            "jobTemplate": {"metadata": METADATA, "spec": _JOB_SPEC},
        },
        "status": {"active": [STRUCT], "lastScheduleTime": TIME, "lastSuccessfulTime": TIME},
    },
    kinds.HORIZONTAL_POD_AUTOSCALER: {
        "spec": {
            "scaleTargetRef": {"apiVersion": str, "kind": str, "name": str},
            "minReplicas": int,
            "maxReplicas": int,
            "metrics": [_METRIC],
            "behavior": {"scaleUp": _SCALING_RULES, "scaleDown": _SCALING_RULES},
        },
        "status": {**_STATUS, "currentMetrics": [STRUCT], "lastScaleTime": TIME},
    },
    kinds.POD_DISRUPTION_BUDGET: {
        "spec": {"minAvailable": _INT_OR_STRING, "maxUnavailable": _INT_OR_STRING, "selector": _SELECTOR},
        "status": {**_STATUS, "disruptedPods": _TEXTS},
    },
    kinds.LEASE: {
        "spec": {
            "holderIdentity": str,
            "leaseDurationSeconds": int,
            "leaseTransitions": int,
            "acquireTime": TIME,
            "renewTime": TIME,
        }
    },
    kinds.ROLE: {"rules": _RULES},
    kinds.CLUSTER_ROLE: {"rules": _RULES, "aggregationRule": {"clusterRoleSelectors": [_SELECTOR]}},
    kinds.ROLE_BINDING: _BINDING,
    kinds.CLUSTER_ROLE_BINDING: _BINDING,
}

_ANY_OBJECT: Shape = {"kind": str, "apiVersion": str, "metadata": METADATA, "spec": STRUCT, "status": STRUCT}
_OBJECTS: Mapping[Kind, Shape] = {kind: {**_ANY_OBJECT, **SHAPES.get(kind, {})} for kind in kinds.KINDS}

_GO_TYPES = {str: "string", int: "int32", bool: "bool"}
_JSON_TYPES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def check_object(kind: Kind, obj: Object) -> None:
    """Refuse an object whose fields have other types than its kind's. Raises StatusError 400."""
    check(obj, _OBJECTS[kind], kind.kind, kind.kind, kind.api_version)


def check(value: Json, shape: Shape, field: str, kind: str, api_version: str) -> None:
    """Compare one value, named ``field`` in the error. Raises StatusError 400."""
    try:
        _compare(value, shape)
    except _Misfit as misfit:
        version = api_version.rpartition("/")[2]
        path = ".".join((field, *reversed(misfit.path)))
        raise bad_request(
            f'{kind} in version "{version}" cannot be handled as a {kind}: {misfit.explain(path)}'
        ) from None


class _Misfit(Exception):
    """A value that has not its shape. Most have, so names of fields are gathered on the way out only."""

    def __init__(self, value: Json, shape: Shape) -> None:
        super().__init__()
        self.value = value
        self.shape = shape
        self.path: list[str] = []

    def explain(self, path: str) -> str:
        if self.shape is TIME:
            value = self.value
            return f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse "{value}" as "2006"'
        found = _JSON_TYPES.get(type(self.value), "null")
        expected = _go_type(self.shape)
        return f"json: cannot unmarshal {found} into Go struct field {path} of type {expected}"


def _compare(value: Json, shape: Shape) -> None:
    """Raises _Misfit. JSON's own types are compared, to which a bool is no int."""
    found, expected = type(value), type(shape)
    if found is dict and expected is dict:
        _compare_fields(value, shape)
    elif found is list and expected is list:
        for item in value:
            _compare(item, shape[0])
    elif not (
        found is shape or (expected is tuple and found in shape) or (shape is TIME and _is_time(value))
    ):
        raise _Misfit(value, shape)


def _compare_fields(value: Object, shape: Shape) -> None:
    """Null stands for a field that is not there."""
    every = shape.get("")
    name = ""
    try:
        for name, item in value.items():
            expected = every or shape.get(name)
            if type(item) is expected or expected is None or (item is None and not every):
                continue
            _compare(item, expected)
    except _Misfit as misfit:
        misfit.path.append(name)
        raise


def _is_time(value: Json) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None and len(value) > len("2006-01-02")
    except (TypeError, ValueError):
        return False


def _go_type(shape: Shape) -> str:
    if isinstance(shape, list):
        return f"[]{_go_type(shape[0])}"
    if isinstance(shape, dict):
        return f"map[string]{_go_type(shape[''])}" if "" in shape else "struct"
    if isinstance(shape, tuple):
        return "intstr.IntOrString" if shape == _INT_OR_STRING else "resource.Quantity"
    return _GO_TYPES[shape]
