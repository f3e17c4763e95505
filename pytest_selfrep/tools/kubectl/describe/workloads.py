"""The pages of Deployment, ReplicaSet, StatefulSet, DaemonSet and HorizontalPodAutoscaler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pytest_selfrep.clusters.kube import ApiError, KubeObject
from pytest_selfrep.tools.kubectl.describe.page import Page
from pytest_selfrep.tools.kubectl.describe.pod import describe_template
from pytest_selfrep.tools.kubectl.kinds import POD, REPLICA_SET
from pytest_selfrep.tools.kubectl.selectors import format_selector
from pytest_selfrep.tools.kubectl.targets import list_objects
from pytest_selfrep.tools.kubectl.text import joined, long_time

REVISION = "deployment.kubernetes.io/revision"


def describe_deployment(page: Page, obj: KubeObject) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    page.put(f"Name:\t{meta['name']}\nNamespace:\t{meta['namespace']}")
    page.put(f"CreationTimestamp:\t{long_time(meta.get('creationTimestamp'))}")
    page.pairs("Labels", meta.get("labels"))
    page.annotations(meta.get("annotations"))
    page.put(f"Selector:\t{format_selector(spec['selector'])}")
    page.put(
        f"Replicas:\t{spec.get('replicas', 1)} desired | {status.get('updatedReplicas', 0)} updated | "
        f"{status.get('replicas', 0)} total | {status.get('availableReplicas', 0)} available | "
        f"{status.get('unavailableReplicas', 0)} unavailable"
    )
    strategy = spec.get("strategy") or {}
    page.put(f"StrategyType:\t{strategy.get('type', '')}\nMinReadySeconds:\t{spec.get('minReadySeconds', 0)}")
    if strategy.get("rollingUpdate"):
        rolling = strategy["rollingUpdate"]
        page.put(
            f"RollingUpdateStrategy:\t{rolling.get('maxUnavailable')} max unavailable, "
            f"{rolling.get('maxSurge')} max surge"
        )
    describe_template(page, spec["template"])
    if status.get("conditions"):
        rows = [[c["type"], c["status"], c.get("reason", "")] for c in status["conditions"]]
        page.table("Conditions:", ("Type", "Status", "Reason"), rows)
    _put_replica_sets(page, obj)
    page.events(obj)


def _put_replica_sets(page: Page, deployment: KubeObject) -> None:
    try:
        owned = replica_sets(page, deployment)
    except ApiError:
        return  # Who may not list ReplicaSets gets the page without them.
    current = deployment["metadata"].get("annotations", {}).get(REVISION)
    new = [rs for rs in owned if rs["metadata"].get("annotations", {}).get(REVISION) == current]
    old = [rs for rs in owned if rs not in new]
    page.put(f"OldReplicaSets:\t{_replica_set_line(old)}\nNewReplicaSet:\t{_replica_set_line(new)}")


def replica_sets(page: Page, deployment: KubeObject) -> list[KubeObject]:
    """The ReplicaSets of a Deployment. Raises ApiError."""
    labels = joined(deployment["spec"]["selector"].get("matchLabels"), empty="")
    path = REPLICA_SET.path(deployment["metadata"]["namespace"])
    items = list_objects(page.command, REPLICA_SET, {"labelSelector": labels} if labels else {}, path)
    return [item for item in items if _owned(item, deployment)]


def _owned(item: KubeObject, owner: KubeObject) -> bool:
    references = item["metadata"].get("ownerReferences", [])
    return any(reference["uid"] == owner["metadata"].get("uid") for reference in references)


def _replica_set_line(sets: Sequence[KubeObject]) -> str:
    parts = [
        f"{rs['metadata']['name']} "
        f"({rs.get('status', {}).get('replicas', 0)}/{rs['spec'].get('replicas', 1)} "
        "replicas created)"
        for rs in sets
    ]
    return ", ".join(parts) or "<none>"


def describe_replica_set(page: Page, obj: KubeObject) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    page.put(f"Name:\t{meta['name']}\nNamespace:\t{meta['namespace']}")
    page.put(f"Selector:\t{format_selector(spec['selector'])}")
    page.pairs("Labels", meta.get("labels"))
    page.annotations(meta.get("annotations"))
    page.controlled_by(obj)
    page.put(f"Replicas:\t{status.get('replicas', 0)} current / {spec.get('replicas', 1)} desired")
    put_pods_status(page, obj)
    describe_template(page, spec["template"])
    page.events(obj)


def put_pods_status(page: Page, obj: KubeObject) -> None:
    """``Pods Status:`` with the number of pods in each phase."""
    labels = joined(obj["spec"]["selector"].get("matchLabels"), empty="")
    try:
        pods = list_objects(
            page.command, POD, {"labelSelector": labels}, POD.path(obj["metadata"]["namespace"])
        )
    except ApiError as error:
        page.put(f"Pods Status:\terror in fetching pods: {error.message}")
        return
    phases = Counter(pod.get("status", {}).get("phase", "Pending") for pod in pods if _owned(pod, obj))
    page.put(
        f"Pods Status:\t{phases['Running']} Running / {phases['Pending']} Waiting / "
        f"{phases['Succeeded']} Succeeded / {phases['Failed']} Failed"
    )


def describe_stateful_set(page: Page, obj: KubeObject) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    page.put(f"Name:\t{meta['name']}\nNamespace:\t{meta['namespace']}")
    page.put(f"CreationTimestamp:\t{long_time(meta.get('creationTimestamp'))}")
    page.put(f"Selector:\t{format_selector(spec['selector'])}")
    page.pairs("Labels", meta.get("labels"))
    page.annotations(meta.get("annotations"))
    page.put(f"Replicas:\t{spec.get('replicas', 1)} desired | {status.get('replicas', 0)} total")
    strategy = spec.get("updateStrategy") or {}
    page.put(f"Update Strategy:\t{strategy.get('type', '')}")
    if "partition" in (strategy.get("rollingUpdate") or {}):
        page.put(f"Partition:\t{strategy['rollingUpdate']['partition']}", 1)
    put_pods_status(page, obj)
    describe_template(page, spec["template"])
    claims = [claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates") or []]
    page.put(f"Volume Claims:\t{', '.join(claims) or '<none>'}")
    page.events(obj)


_DAEMON_SET_COUNTS: Mapping[str, str] = {
    "Desired Number of Nodes Scheduled": "desiredNumberScheduled",
    "Current Number of Nodes Scheduled": "currentNumberScheduled",
    "Number of Nodes Scheduled with Up-to-date Pods": "updatedNumberScheduled",
    "Number of Nodes Scheduled with Available Pods": "numberAvailable",
    "Number of Nodes Misscheduled": "numberMisscheduled",
}


def describe_daemon_set(page: Page, obj: KubeObject) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    page.put(f"Name:\t{meta['name']}\nSelector:\t{format_selector(spec['selector'])}")
    page.put(f"Node-Selector:\t{joined(spec['template']['spec'].get('nodeSelector'))}")
    page.pairs("Labels", meta.get("labels"))
    page.annotations(meta.get("annotations"))
    for title, name in _DAEMON_SET_COUNTS.items():
        page.put(f"{title}: {status.get(name, 0)}")
    put_pods_status(page, obj)
    describe_template(page, spec["template"])
    page.events(obj)


def describe_disruption_budget(page: Page, obj: KubeObject) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    page.put(f"Name:\t{meta['name']}\nNamespace:\t{meta['namespace']}")
    for title, name in (("Min available", "minAvailable"), ("Max unavailable", "maxUnavailable")):
        if name in spec:
            page.put(f"{title}:\t{spec[name]}")
    page.put(f"Selector:\t{format_selector(spec.get('selector'), empty='<unset>')}\nStatus:")
    for title, name in (
        ("Allowed disruptions", "disruptionsAllowed"),
        ("Current", "currentHealthy"),
        ("Desired", "desiredHealthy"),
        ("Total", "expectedPods"),
    ):
        page.put(f"{title}:\t{status.get(name, 0)}", 2)
    page.events(obj)


def describe_autoscaler(page: Page, obj: KubeObject) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    page.head(obj)
    target = spec["scaleTargetRef"]
    page.put(f"CreationTimestamp:\t{long_time(meta.get('creationTimestamp'))}")
    page.put(f"Reference:\t{target['kind']}/{target['name']}")
    page.put("Metrics:\t( current / target )")
    current = status.get("currentMetrics") or []
    for index, metric in enumerate(spec.get("metrics") or []):
        if metric.get("type") == "Resource":
            reading = current[index]["resource"]["current"] if index < len(current) else {}
            page.put(_resource_metric(metric["resource"], reading), 1)
    page.put(f"Min replicas:\t{spec.get('minReplicas', 1)}\nMax replicas:\t{spec['maxReplicas']}")
    page.put(
        f"{target['kind']} pods:\t{status.get('currentReplicas', 0)} current / "
        f"{status.get('desiredReplicas', 0)} desired"
    )
    if status.get("conditions"):
        rows = [
            [c["type"], c["status"], c.get("reason", ""), c.get("message", "")] for c in status["conditions"]
        ]
        page.table("Conditions:", ("Type", "Status", "Reason", "Message"), rows)
    page.events(obj)


def _resource_metric(metric: KubeObject, reading: KubeObject) -> str:
    target = metric["target"]
    if target.get("averageUtilization") is not None:
        now = "<unknown>"
        if reading.get("averageUtilization") is not None:
            now = f"{reading['averageUtilization']}% ({reading.get('averageValue', '')})"
        words = "(as a percentage of request)"
        return f"resource {metric['name']} on pods  {words}:\t{now} / {target['averageUtilization']}%"
    now = reading.get("averageValue", "<unknown>")
    return f"resource {metric['name']} on pods:\t{now} / {target.get('averageValue', '<unknown>')}"
