"""``kubectl scale`` and ``kubectl autoscale``."""

from __future__ import annotations

from pytest_selfrep.clusters.kube import MERGE_PATCH, ApiError, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import fault
from pytest_selfrep.tools.kubectl.kinds import Kind
from pytest_selfrep.tools.kubectl.output import show_written
from pytest_selfrep.tools.kubectl.targets import Target, list_objects, named, object_path, selectors


def scale(command: Command) -> None:
    replicas = command.integer("replicas", -1)
    if replicas < 0:
        raise fault("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0")
    command.dry_run()
    found = named(command)
    pairs, missing = _read(command, found)
    if not pairs:
        listed = ", ".join(error.message for error in missing)
        words = f"[{listed}]" if len(missing) > 1 else listed
        raise fault(f"no objects passed to scale {words}".rstrip())
    for kind, obj in pairs:
        with command.carry_on():
            _scale_one(command, kind, obj, replicas)
    for error in missing:
        with command.carry_on():
            raise error


def _read(command: Command, found: list[Target]) -> tuple[list[tuple[Kind, KubeObject]], list[ApiError]]:
    pairs: list[tuple[Kind, KubeObject]] = []
    missing: list[ApiError] = []
    for target in found:
        try:
            if target.name:
                path = target.kind.path(command.namespace, target.name)
                pairs.append((target.kind, command.client.get(path)))
            else:
                items = list_objects(command, target.kind, selectors(command))
                pairs += [(target.kind, item) for item in items]
        except ApiError as error:
            missing.append(error)
    return pairs, missing


def _scale_one(command: Command, kind: Kind, obj: KubeObject, replicas: int) -> None:
    expected, now = command.integer("current-replicas", -1), obj.get("spec", {}).get("replicas", 0)
    if command.given("current-replicas") and expected != now:
        raise fault(f"Expected replicas to be {expected}, was {now}")
    if command.dry_run() != "client":
        command.client.request(
            "PATCH",
            object_path(command, kind, obj, "scale"),
            query=command.write_query(),
            body={"spec": {"replicas": replicas}},
            content_type=MERGE_PATCH,
        )
    if command.text("output") not in ("", "name") and command.dry_run() == "none":
        obj = command.client.get(object_path(command, kind, obj))
    show_written(command, kind, obj, "scaled")


def autoscale(command: Command) -> None:
    low, high = command.integer("min", -1), command.integer("max", -1)
    percent = command.integer("cpu-percent", -1)
    if high < 1:
        raise fault(f"--max=MAXPODS is required and must be at least 1, max: {high}")
    if high < low:
        raise fault(f"--max=MAXPODS must be larger or equal to --min=MINPODS, max: {high}, min: {low}")
    command.dry_run()
    hpa = command.discovery.preferred("autoscaling", "horizontalpodautoscalers")
    if hpa is None:
        raise fault('the server doesn\'t have a resource type "horizontalpodautoscalers"')
    pairs, missing = _read(command, named(command))
    for kind, obj in pairs:
        _check_scalable(command, kind)
        name = command.text("name") or obj["metadata"]["name"]
        target = {"apiVersion": kind.api_version, "kind": kind.kind, "name": obj["metadata"]["name"]}
        spec: KubeObject = {"maxReplicas": high, "scaleTargetRef": target}
        if low > 0:
            spec["minReplicas"] = low
        if percent >= 0 and hpa.version == "v1":
            spec["targetCPUUtilizationPercentage"] = percent
        elif percent >= 0:
            utilization = {"type": "Utilization", "averageUtilization": percent}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}]
        body = {"apiVersion": hpa.api_version, "kind": hpa.kind, "metadata": {"name": name}, "spec": spec}
        with command.carry_on():
            if command.dry_run() != "client":
                path = hpa.path(obj["metadata"].get("namespace", command.namespace))
                body = command.client.request("POST", path, query=command.write_query(), body=body)
            show_written(command, hpa, body, "autoscaled")
    for error in missing:
        with command.carry_on():
            raise error


def _check_scalable(command: Command, kind: Kind) -> None:
    """Raises Complaint for kinds without the subresource ``scale``."""
    if f"{kind.plural}/scale" not in command.discovery.subresources(kind.api_version):
        raise fault(
            f"cannot autoscale a {kind.kind}: could not find scale subresource for "
            f"{kind.group}/{kind.version}, Resource={kind.plural} in discovery information"
        )


VERBS = (
    Verb(
        "scale",
        scale,
        (
            *f.WRITE,
            f.SELECTOR,
            f.ALL,
            f.Flag("replicas", f.INT),
            f.Flag("current-replicas", f.INT),
        ),
        "scale [--current-replicas=count] --replicas=COUNT (TYPE NAME ... | TYPE/NAME ...) [options]",
        "Set a new size for a deployment, replica set, or replication controller",
        required=("replicas",),
    ),
    Verb(
        "autoscale",
        autoscale,
        (
            *f.WRITE,
            f.Flag("min", f.INT),
            f.Flag("max", f.INT),
            f.Flag("cpu-percent", f.INT),
            f.Flag("name", f.TEXT),
        ),
        "autoscale (TYPE NAME | TYPE/NAME) [--min=MINPODS] --max=MAXPODS [--cpu-percent=CPU] [options]",
        "Auto-scale a deployment, replica set, stateful set, or replication controller",
        required=("max",),
    ),
)
