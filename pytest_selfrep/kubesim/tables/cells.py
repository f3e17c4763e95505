"""What the cells of tables say, where it is more than one field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.objects import Json, Object, condition, controller_of, is_terminating, labels_of
from pytest_selfrep.kubesim.selectors import format_labels
from pytest_selfrep.kubesim.storage import claims
from pytest_selfrep.kubesim.tables.durations import human

_NONE, _UNKNOWN, _UNSET = "<none>", "<unknown>", "<unset>"
_ROLE = "node-role.kubernetes.io/"


def since(timestamp: str, clock: Clock) -> str:
    """How long ago; empty without a time."""
    return human(clock.now - clock.seconds_at(timestamp)) if timestamp else ""


def labels(found: Mapping[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((found or {}).items())) or _NONE


def selector(found: Object | None) -> str:
    return format_labels(found) or _NONE


def container_names(template: Object) -> str:
    return ",".join(each["name"] for each in template["spec"].get("containers") or ())


def container_images(template: Object) -> str:
    return ",".join(each.get("image", "") for each in template["spec"].get("containers") or ())


def job_spec(cron_job: Object) -> Object:
    found: Object = cron_job["spec"]["jobTemplate"]["spec"]
    return found


def job_template(cron_job: Object) -> Object:
    found: Object = job_spec(cron_job)["template"]
    return found


def or_na(value: Json) -> str:
    return "N/A" if value is None else str(value)


def _status_of(obj: Object) -> Object:
    return obj.get("status") or {}


# Pods


def _statuses(pod: Object, name: str = "containerStatuses") -> list[Object]:
    return _status_of(pod).get(name) or []


def pod_ready(pod: Object) -> str:
    statuses, sidecars = _statuses(pod), _sidecars(pod)
    ready = sum(bool(each.get("ready") and "running" in each.get("state", {})) for each in statuses)
    ready += sum(bool(each.get("ready") and each.get("started")) for each in _of(sidecars, pod))
    return f"{ready}/{len(pod['spec'].get('containers') or ()) + len(sidecars)}"


def pod_restarts(pod: Object, clock: Clock) -> str:
    statuses = [*_statuses(pod), *_of(_sidecars(pod), pod)]
    if _starting(pod) and not _is_initialized(pod):
        statuses = _statuses(pod, "initContainerStatuses")
    count = sum(each.get("restartCount", 0) for each in statuses)
    ended = [each.get("lastState", {}).get("terminated", {}).get("finishedAt") for each in statuses]
    last = max((time for time in ended if time), default="")
    return f"{count} ({since(last, clock)} ago)" if count and last else str(count)


def pod_status(pod: Object) -> str:
    """The one word for a pod's state, which is worked out from its containers."""
    status = _status_of(pod)
    reason: str = status.get("reason") or status.get("phase") or "Unknown"
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    starting = _starting(pod)
    if starting:
        reason = starting
    if not starting or _is_initialized(pod):
        reason = _containers_say(pod, reason)
    if is_terminating(pod):
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if status.get("phase") not in ("Succeeded", "Failed"):
            return "Terminating"
    return reason


def _starting(pod: Object) -> str:
    """What init containers keep a pod from starting; empty if none does."""
    statuses, sidecars = _statuses(pod, "initContainerStatuses"), _sidecars(pod)
    for index, each in enumerate(statuses):
        state = each.get("state", {})
        ended, waiting = state.get("terminated"), state.get("waiting", {})
        if ended is not None and not ended.get("exitCode"):
            continue
        if each["name"] in sidecars and each.get("started"):
            continue
        if ended is not None:
            return f"Init:{_ended(ended)}"
        if waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(pod['spec'].get('initContainers') or ())}"
    return ""


def _sidecars(pod: Object) -> frozenset[str]:
    """Names of init containers that run on beside the others."""
    init = pod["spec"].get("initContainers") or ()
    return frozenset(each["name"] for each in init if each.get("restartPolicy") == "Always")


def _of(names: frozenset[str], pod: Object) -> list[Object]:
    """Their statuses."""
    return [each for each in _statuses(pod, "initContainerStatuses") if each["name"] in names]


def _is_initialized(pod: Object) -> bool:
    found = condition(pod, "Initialized")
    return found is not None and found["status"] == "True"


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _containers_say(pod: Object, reason: str) -> str:
    running = False
    for each in reversed(_statuses(pod)):
        state = each.get("state", {})
        if state.get("waiting", {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif "terminated" in state:
            reason = _ended(state["terminated"])
        elif each.get("ready") and "running" in state:
            running = True
    if reason == "Completed" and running:
        ready = condition(pod, "Ready")
        return "Running" if ready is not None and ready["status"] == "True" else "NotReady"
    return reason


# Nodes


def node_status(node: Object) -> str:
    ready = condition(node, "Ready")
    said = "Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"
    return f"{said},SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else said


def node_roles(node: Object) -> str:
    roles = {key.removeprefix(_ROLE) for key in labels_of(node) if key.startswith(_ROLE)}
    if labels_of(node).get("kubernetes.io/role"):
        roles.add(labels_of(node)["kubernetes.io/role"])
    return ",".join(sorted(role for role in roles if role)) or _NONE


def node_address(node: Object, kind: str) -> str:
    found = _status_of(node).get("addresses") or ()
    return next((each["address"] for each in found if each["type"] == kind), _NONE)


# Services


def external_ip(service: Object) -> str:
    spec = service["spec"]
    match spec.get("type"):
        case "ExternalName":
            return str(spec.get("externalName", ""))
        case "LoadBalancer":
            ingress = (_status_of(service).get("loadBalancer") or {}).get("ingress") or ()
            found = [each.get("ip") or each.get("hostname", "") for each in ingress]
            return ",".join([*found, *(spec.get("externalIPs") or ())]) or "<pending>"
    return ",".join(spec.get("externalIPs") or ()) or _NONE


def service_ports(service: Object) -> str:
    shown = []
    for port in service["spec"].get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port['port']}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or _NONE


# Networking


def endpoints(obj: Object) -> str:
    """The first three of the ready addresses with each of their ports."""
    shown: list[str] = []
    for subset in obj.get("subsets") or ():
        ready = [each["ip"] for each in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        shown += [f"{ip}:{port['port']}" for port in ports for ip in ready] if ports else ready
    return _listed(shown, 3, " + {} more...") or _NONE


def slice_ports(endpoint_slice: Object) -> str:
    ports = endpoint_slice.get("ports") or ()
    shown = [str(port["port"]) if port.get("port") is not None else port.get("name") or "*" for port in ports]
    return _listed(shown, 3, " + {} more...") or _UNSET


def slice_endpoints(endpoint_slice: Object) -> str:
    endpoints = endpoint_slice.get("endpoints") or ()
    shown = [address for each in endpoints for address in each.get("addresses") or ()]
    return _listed(shown, 3, " + {} more...") or _UNSET


def _listed(shown: list[str], most: int, more: str) -> str:
    left = len(shown) - most
    return ",".join(shown[:most]) + (more.format(left) if left > 0 else "")


def ingress_hosts(ingress: Object) -> str:
    rules = ingress["spec"].get("rules") or ()
    return _listed([each["host"] for each in rules if each.get("host")], 3, " + {} more...") or "*"


def ingress_ports(ingress: Object) -> str:
    return "80, 443" if ingress["spec"].get("tls") else "80"


def ingress_address(ingress: Object) -> str:
    found = (_status_of(ingress).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(each.get("ip") or each.get("hostname", "") for each in found)


def class_parameters(ingress_class: Object) -> str:
    found = ingress_class["spec"].get("parameters")
    if found is None:
        return _NONE
    group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
    return f"{found['kind']}{group}/{found['name']}"


def readiness_gates(pod: Object) -> str:
    """How many of a pod's gates are open."""
    gates = pod["spec"].get("readinessGates") or ()
    open_ = [gate for gate in gates if (condition(pod, gate["conditionType"]) or {}).get("status") == "True"]
    return f"{len(open_)}/{len(gates)}" if gates else _NONE


def data_count(config_map: Object) -> int:
    return len(config_map.get("data") or ()) + len(config_map.get("binaryData") or ())


# Storage

_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def access_modes(modes: Sequence[str] | None) -> str:
    return ",".join(short for mode, short in _MODES.items() if mode in (modes or ()))


def phase(obj: Object) -> str:
    return "Terminating" if is_terminating(obj) else _status_of(obj).get("phase", "")


def claim_capacity(claim: Object) -> str:
    """Of the volume; zero for one that is named and not bound."""
    if not claim["spec"].get("volumeName"):
        return ""
    return str((_status_of(claim).get("capacity") or {}).get("storage", "0"))


def claim_access_modes(claim: Object) -> str:
    return access_modes(_status_of(claim).get("accessModes")) if claim["spec"].get("volumeName") else ""


def storage_class(obj: Object) -> str:
    return claims.class_of(obj)


def volume_claim(volume: Object) -> str:
    ref = volume["spec"].get("claimRef")
    return f"{ref.get('namespace', '')}/{ref.get('name', '')}" if ref else ""


def storage_class_name(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return f"{name} (default)" if claims.is_default(obj) else name


# Events


def last_seen(event: Object, clock: Clock) -> str:
    return since(event.get("lastTimestamp") or first_time(event), clock) or _UNKNOWN


def first_seen(event: Object, clock: Clock) -> str:
    return since(first_time(event), clock) or _UNKNOWN


def first_time(event: Object) -> str:
    return event.get("firstTimestamp") or event.get("eventTime") or ""


def involved(event: Object) -> str:
    about = event.get("involvedObject") or {}
    kind, name = about.get("kind", "").lower(), about.get("name", "")
    return f"{kind}/{name}" if name else kind


def event_source(event: Object) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {host}" if host else str(component)


# Workloads


def ready_replicas(obj: Object) -> str:
    return f"{_status_of(obj).get('readyReplicas', 0)}/{obj['spec'].get('replicas', 0)}"


def controller(obj: Object) -> str:
    """The controlling owner, with its group where it has one."""
    owner = controller_of(obj)
    if owner is None:
        return _NONE
    group, slash, _ = owner["apiVersion"].partition("/")
    return f"{owner['kind'].lower()}{'.' + group if slash else ''}/{owner['name']}"


def job_status(job: Object) -> str:
    if is_terminating(job):
        return "Terminating"
    for kind, said in (("Complete", "Complete"), ("Failed", "Failed"), ("Suspended", "Suspended")):
        found = condition(job, kind)
        if found is not None and found["status"] == "True":
            return said
    failing = condition(job, "FailureTarget")
    return "FailureTarget" if failing is not None and failing["status"] == "True" else "Running"


def job_completions(job: Object) -> str:
    spec, succeeded = job["spec"], _status_of(job).get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism", 0)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def job_duration(job: Object, clock: Clock) -> str:
    status = _status_of(job)
    if not status.get("startTime"):
        return ""
    begun, ended = clock.seconds_at(status["startTime"]), status.get("completionTime")
    return human((clock.seconds_at(ended) if ended else clock.now) - begun)


def quota(obj: Object, *, limits: bool) -> str:
    """``used/hard`` of every resource, those that limit limits apart from the others."""
    status = _status_of(obj)
    hard, used = status.get("hard") or {}, status.get("used") or {}
    shown = [
        f"{name}: {used.get(name, '0')}/{hard[name]}"
        for name in sorted(hard)
        if name.startswith("limits") is limits
    ]
    return ", ".join(shown)


def scale_target(hpa: Object) -> str:
    ref = hpa["spec"]["scaleTargetRef"]
    return f"{ref['kind']}/{ref['name']}"


def scaling_targets(hpa: Object) -> str:
    """``cpu: 12%/80%`` for every metric, the current value first."""
    current = {
        each["resource"]["name"]: each["resource"].get("current") or {}
        for each in _status_of(hpa).get("currentMetrics") or ()
        if "resource" in each
    }
    shown = [
        f"{metric['resource']['name']}: {_scaling_target(metric['resource'], current)}"
        for metric in hpa["spec"].get("metrics") or ()
        if "resource" in metric
    ]
    if len(shown) > 2:
        shown = [*shown[:2], f"{len(shown) - 2} more..."]
    return ", ".join(shown) or _NONE


def _scaling_target(metric: Object, current: Mapping[str, Object]) -> str:
    target, now = metric.get("target") or {}, current.get(metric["name"], {})
    if target.get("averageValue") is not None:
        return f"{now.get('averageValue', _UNKNOWN)}/{target['averageValue']}"
    share = now.get("averageUtilization")
    return f"{_UNKNOWN if share is None else f'{share}%'}/{target.get('averageUtilization')}%"


def subjects(binding: Object, kind: str) -> str:
    found = [each for each in binding.get("subjects") or () if each["kind"] == kind]
    return ", ".join(
        f"{each['namespace']}/{each['name']}" if each.get("namespace") else each["name"] for each in found
    )


def metric_sum(pod_metrics: Object, resource: str) -> str:
    return quantity.total(*(each["usage"].get(resource, "0") for each in pod_metrics.get("containers") or ()))


def api_service_server(api_service: Object) -> str:
    """Who serves a group and version: the API server itself, or a Service."""
    service = api_service["spec"].get("service")
    return f"{service['namespace']}/{service['name']}" if service else "Local"


def component_health(component: Object) -> Object:
    """Its condition, with its status in kubectl's words."""
    found: Object = next((each for each in component["conditions"] if each["type"] == "Healthy"), {})
    words = {"True": "Healthy", "False": "Unhealthy"}
    return {**found, "status": words.get(found.get("status", ""), _UNKNOWN)}


def api_service_available(api_service: Object) -> str:
    found = condition(api_service, "Available")
    if found is None:
        return _UNKNOWN
    status: str = found["status"]
    return status if status == "True" else f"{status} ({found.get('reason', '')})"
