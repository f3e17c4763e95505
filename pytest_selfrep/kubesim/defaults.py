"""The defaults that the API server fills in when it reads an object from a client."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Iterator, Mapping

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.customresources import values
from pytest_selfrep.kubesim.customresources.definition import fill_in as fill_in_definition
from pytest_selfrep.kubesim.kinds import (
    CLUSTER_ROLE_BINDING,
    CRON_JOB,
    CUSTOM_RESOURCE_DEFINITION,
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    HORIZONTAL_POD_AUTOSCALER,
    INGRESS_CLASS,
    JOB,
    LIMIT_RANGE,
    NETWORK_POLICY,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    PRIORITY_CLASS,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    STORAGE_CLASS,
    Kind,
)
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import bad_request

POD_SPEC: Object = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
}
CONTAINER: Object = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
PROBE: Object = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
DEFAULT_MODE = 0o644
SCALING_RULES: Mapping[str, Object] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ],
    },
    "scaleDown": {
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    },
}
"""What an autoscaler that says something of its behavior leaves open."""
MODED_VOLUMES = ("secret", "configMap", "downwardAPI", "projected")


def apply(kind: Kind, obj: Object) -> None:
    """Fill in what is not said, in place; quantities are rewritten in canonical form.

    Raises StatusError 400 for what the server could not even read, such as a malformed quantity.
    """
    if kind.custom is not None and kind.stored is not kind:
        values.fill_in(kind.custom.schema, obj)
    fill = DEFAULTS.get(kind)
    if fill is None:
        return
    try:
        fill(obj)
    except quantity.InvalidQuantity as error:
        raise bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {error}'
        ) from None


def _fill(target: Object, values: Object) -> None:
    for name, value in values.items():
        if target.get(name) is None:
            target[name] = value


def _within(target: Object, name: str) -> Object:
    """The object under ``name``, made if there is none."""
    found = target.get(name)
    if found is None:
        found = target[name] = {}
    return found


def canonicalise(resources: Object | None) -> None:
    """Rewrite a map of quantities."""
    if resources:
        resources.update({name: quantity.canonical(text) for name, text in resources.items()})


def containers_of(spec: Object) -> Iterator[Object]:
    """Init containers, then containers, then ephemeral ones, of a pod spec."""
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()
    yield from spec.get("ephemeralContainers") or ()


def pull_policy(image: str) -> str:
    """``Always`` for images without a tag or tagged ``latest``."""
    _, _, last = image.rpartition("/")
    if "@" in last:
        return "IfNotPresent"
    _, _, tag = last.partition(":")
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _handler(handler: Object) -> None:
    if handler.get("httpGet") is not None:
        _fill(handler["httpGet"], {"path": "/", "scheme": "HTTP"})
    if handler.get("grpc") is not None:
        _fill(handler["grpc"], {"service": ""})


def _container(container: Object) -> None:
    _fill(container, CONTAINER)
    if container.get("imagePullPolicy") is None:
        container["imagePullPolicy"] = pull_policy(container.get("image") or "")
    resources = _within(container, "resources")
    resources.pop("claims", None)
    canonicalise(resources.get("limits"))
    canonicalise(resources.get("requests"))
    for port in container.get("ports") or ():
        _fill(port, {"protocol": "TCP"})
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            _fill(probe, PROBE)
            _handler(probe)
    lifecycle = container.get("lifecycle")
    if lifecycle is not None:
        for name in ("postStart", "preStop"):
            _handler(lifecycle.get(name) or {})
    for env in container.get("env") or ():
        reference = (env.get("valueFrom") or {}).get("fieldRef")
        if reference:
            _fill(reference, {"apiVersion": "v1"})


def _volume(volume: Object) -> None:
    for name in MODED_VOLUMES:
        if volume.get(name) is not None:
            _fill(volume[name], {"defaultMode": DEFAULT_MODE})
    if volume.get("hostPath") is not None:
        _fill(volume["hostPath"], {"type": ""})
    if len(volume) == 1:
        volume["emptyDir"] = {}


def _pod_spec(spec: Object) -> None:
    _fill(spec, POD_SPEC)
    # Claims are dropped where resources are not allocated dynamically: by default, up to Kubernetes 1.33.
    spec.pop("resourceClaims", None)
    _within(spec, "securityContext")
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in containers_of(spec):
        _container(container)
    for volume in spec.get("volumes") or ():
        _volume(volume)
    canonicalise(spec.get("overhead"))


def _pod(pod: Object) -> None:
    spec = _within(pod, "spec")
    _pod_spec(spec)
    _fill(spec, {"enableServiceLinks": True})
    for container in containers_of(spec):
        limits = container["resources"].get("limits")
        if limits:
            _fill(_within(container["resources"], "requests"), limits)
    if spec.get("hostNetwork"):
        _host_ports(spec)


def _host_ports(spec: Object) -> None:
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for port in container.get("ports") or ():
            if not port.get("hostPort") and port.get("containerPort"):
                port["hostPort"] = port["containerPort"]


def _template(spec: Object, restart_policy: str | None = None) -> None:
    template = _within(spec, "template")
    meta = _within(template, "metadata")
    meta.setdefault("creationTimestamp", None)
    pod_spec = _within(template, "spec")
    if restart_policy:
        _fill(pod_spec, {"restartPolicy": restart_policy})
    _pod_spec(pod_spec)


def _deployment(deployment: Object) -> None:
    spec = _within(deployment, "spec")
    _fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})
    strategy = _within(spec, "strategy")
    _fill(strategy, {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        _fill(_within(strategy, "rollingUpdate"), {"maxUnavailable": "25%", "maxSurge": "25%"})
    _template(spec)


def _replica_set(replica_set: Object) -> None:
    spec = _within(replica_set, "spec")
    _fill(spec, {"replicas": 1})
    if spec.get("template") is not None:
        _template(spec)


def _replication_controller(controller: Object) -> None:
    spec = _within(controller, "spec")
    _fill(spec, {"replicas": 1})
    if spec.get("template") is None:
        return
    _template(spec)
    labels = spec["template"]["metadata"].get("labels")
    for target, name in ((spec, "selector"), (controller["metadata"], "labels")):
        if labels and not target.get(name):
            target[name] = dict(labels)


def _volume_claim(claim: Object) -> None:
    spec = _within(claim, "spec")
    _fill(spec, {"volumeMode": "Filesystem"})
    resources = _within(spec, "resources")
    canonicalise(resources.get("requests"))
    canonicalise(resources.get("limits"))
    _fill(_within(claim, "status"), {"phase": "Pending"})


def _persistent_volume(volume: Object) -> None:
    spec = _within(volume, "spec")
    _fill(spec, {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"})
    canonicalise(spec.get("capacity"))
    if spec.get("hostPath") is not None:
        _fill(spec["hostPath"], {"type": ""})


def _storage_class(storage_class: Object) -> None:
    _fill(storage_class, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})


def _stateful_set(stateful_set: Object) -> None:
    spec = _within(stateful_set, "spec")
    _fill(spec, {"replicas": 1, "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10})
    strategy = _within(spec, "updateStrategy")
    _fill(strategy, {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        _fill(_within(strategy, "rollingUpdate"), {"partition": 0})
    _fill(
        _within(spec, "persistentVolumeClaimRetentionPolicy"),
        {"whenDeleted": "Retain", "whenScaled": "Retain"},
    )
    for claim in spec.get("volumeClaimTemplates") or ():
        _fill(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
        _within(claim, "metadata").setdefault("creationTimestamp", None)
        _volume_claim(claim)
    _template(spec)


def _daemon_set(daemon_set: Object) -> None:
    spec = _within(daemon_set, "spec")
    _fill(spec, {"revisionHistoryLimit": 10})
    strategy = _within(spec, "updateStrategy")
    _fill(strategy, {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        _fill(_within(strategy, "rollingUpdate"), {"maxSurge": 0, "maxUnavailable": 1})
    _template(spec)


def _job_spec(spec: Object) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        _fill(spec, {"completions": 1, "parallelism": 1})
    _fill(
        spec,
        {"parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}
        | {"manualSelector": False, "podReplacementPolicy": "TerminatingOrFailed"},
    )
    _template(spec)


def _job(job: Object) -> None:
    spec = _within(job, "spec")
    _job_spec(spec)
    _identify(job, spec)
    meta, template = job["metadata"], spec["template"]["metadata"]
    if not meta.get("labels") and template.get("labels"):
        meta["labels"] = dict(template["labels"])


def _identify(job: Object, spec: Object) -> None:
    uid, name = job["metadata"].get("uid"), job["metadata"].get("name")
    selector = spec.get("selector") or {}
    chosen = selector.get("matchLabels") or {}
    if spec["manualSelector"] or "batch.kubernetes.io/controller-uid" in chosen or not uid:
        return
    # A Job's pods are told apart by its uid, whatever their other labels.
    spec["selector"] = {**selector, "matchLabels": {**chosen, "batch.kubernetes.io/controller-uid": uid}}
    meta = spec["template"]["metadata"]
    meta["labels"] = {
        **(meta.get("labels") or {}),
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }


def _cron_job(cron_job: Object) -> None:
    spec = _within(cron_job, "spec")
    _fill(
        spec,
        {"concurrencyPolicy": "Allow", "suspend": False}
        | {"successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1},
    )
    template = _within(spec, "jobTemplate")
    _within(template, "metadata").setdefault("creationTimestamp", None)
    job_spec = _within(template, "spec")
    pod_template = _within(job_spec, "template")
    _within(pod_template, "metadata").setdefault("creationTimestamp", None)
    _pod_spec(_within(pod_template, "spec"))


def _service(service: Object) -> None:
    spec = _within(service, "spec")
    _fill(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        _fill(_within(_within(spec, "sessionAffinityConfig"), "clientIP"), {"timeoutSeconds": 10800})
    kind = spec["type"]
    if kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs")):
        _fill(spec, {"externalTrafficPolicy": "Cluster"})
    if kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        _fill(spec, {"internalTrafficPolicy": "Cluster"})
    if kind == "LoadBalancer":
        _fill(spec, {"allocateLoadBalancerNodePorts": True})
    for port in spec.get("ports") or ():
        _fill(port, {"protocol": "TCP"})
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port")


def _secret(secret: Object) -> None:
    _fill(secret, {"type": "Opaque"})
    # Plain text is only ever written; it is read back as data.
    plain = secret.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        secret["data"] = {**(secret.get("data") or {}), **encoded}


def _quota(quota: Object) -> None:
    canonicalise(_within(quota, "spec").get("hard"))


def _limit_range(limit_range: Object) -> None:
    for item in _within(limit_range, "spec").get("limits") or ():
        for name in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            canonicalise(item.get(name))
        if item.get("type") == "Container":
            _fill(_within(item, "default"), item.get("max") or {})
            _fill(_within(item, "defaultRequest"), item["default"])
            _fill(item["defaultRequest"], item.get("min") or {})


def _binding(binding: Object) -> None:
    _fill(_within(binding, "roleRef"), {"apiGroup": "rbac.authorization.k8s.io"})
    for subject in binding.get("subjects") or ():
        group = "" if subject.get("kind") == "ServiceAccount" else "rbac.authorization.k8s.io"
        if group:
            _fill(subject, {"apiGroup": group})


def _autoscaler(autoscaler: Object) -> None:
    spec = _within(autoscaler, "spec")
    _fill(spec, {"minReplicas": 1})
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        for direction, rules in SCALING_RULES.items():
            _fill(_within(behavior, direction), copy.deepcopy(rules))


def _budget(budget: Object) -> None:
    _within(budget, "spec")


def _endpoints(endpoints: Object) -> None:
    for subset in endpoints.get("subsets") or ():
        for port in subset.get("ports") or ():
            _fill(port, {"protocol": "TCP"})


def _endpoint_slice(endpoint_slice: Object) -> None:
    for port in endpoint_slice.get("ports") or ():
        _fill(port, {"name": "", "protocol": "TCP"})


def _ingress_class(ingress_class: Object) -> None:
    parameters = _within(ingress_class, "spec").get("parameters")
    if parameters is not None:
        _fill(parameters, {"scope": "Cluster"})


def _network_policy(policy: Object) -> None:
    spec = _within(policy, "spec")
    _within(spec, "podSelector")
    for rule in (*(spec.get("ingress") or ()), *(spec.get("egress") or ())):
        for port in rule.get("ports") or ():
            _fill(port, {"protocol": "TCP"})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _priority_class(priority_class: Object) -> None:
    # A number without a pointer in Go: left out, it is zero.
    _fill(priority_class, {"value": 0, "preemptionPolicy": "PreemptLowerPriority"})


DEFAULTS: Mapping[Kind, Callable[[Object], None]] = {
    POD: _pod,
    SERVICE: _service,
    SECRET: _secret,
    RESOURCE_QUOTA: _quota,
    LIMIT_RANGE: _limit_range,
    DEPLOYMENT: _deployment,
    REPLICA_SET: _replica_set,
    REPLICATION_CONTROLLER: _replication_controller,
    PERSISTENT_VOLUME: _persistent_volume,
    PERSISTENT_VOLUME_CLAIM: _volume_claim,
    STORAGE_CLASS: _storage_class,
    STATEFUL_SET: _stateful_set,
    DAEMON_SET: _daemon_set,
    JOB: _job,
    CRON_JOB: _cron_job,
    HORIZONTAL_POD_AUTOSCALER: _autoscaler,
    POD_DISRUPTION_BUDGET: _budget,
    ENDPOINTS: _endpoints,
    ENDPOINT_SLICE: _endpoint_slice,
    INGRESS_CLASS: _ingress_class,
    NETWORK_POLICY: _network_policy,
    PRIORITY_CLASS: _priority_class,
    ROLE_BINDING: _binding,
    CLUSTER_ROLE_BINDING: _binding,
    CUSTOM_RESOURCE_DEFINITION: fill_in_definition,
}
