"""``kubectl top``: use of nodes and pods, from metrics.k8s.io."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from pytest_selfrep.clusters.kube import ApiError, KubeObject, path_of
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl import quantity
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import fault
from pytest_selfrep.tools.kubectl.kinds import NODE
from pytest_selfrep.tools.kubectl.text import table

_UNAVAILABLE = "Metrics API not available"
_MEBIBYTE = 1024 * 1024


def _metrics(command: Command, plural: str, namespace: str, name: str) -> list[KubeObject]:
    """PodMetrics or NodeMetrics. Raises Complaint where the cluster has no metrics server."""
    path = path_of("metrics.k8s.io", "v1beta1", plural, namespace, name)
    query = {"labelSelector": command.text("selector")} if command.text("selector") else {}
    try:
        answer = command.client.get(path, query=query)
    except ApiError as error:
        if error.code == 404 and not (error.status.get("details") or {}).get("name"):
            raise fault(_UNAVAILABLE) from None
        raise
    return list(answer["items"]) if "items" in answer else [answer]


def _one_or_none(command: Command, what: str) -> str:
    if len(command.arguments) > 1:
        raise command.usage(f"{what} [NAME | -l label]")
    if command.arguments and command.text("selector"):
        raise fault("only one of NAME or selector can be provided")
    if command.text("sort-by") not in ("", "cpu", "memory"):
        raise fault("--sort-by accepts only cpu or memory")
    return command.arguments[0] if command.arguments else ""


def _usage(usage: Mapping[str, str]) -> dict[str, Fraction]:
    return {name: quantity.parse(usage.get(name, "0")) for name in ("cpu", "memory")}


def _cpu(amount: Fraction) -> str:
    return f"{_rounded(amount * 1000)}m"


def _rounded(amount: Fraction) -> int:
    return -(-amount // 1)


def _memory(amount: Fraction) -> str:
    return f"{amount // _MEBIBYTE}Mi"


def _order(command: Command, rows: list[tuple[dict[str, Fraction], list[str]]]) -> list[list[str]]:
    """By name, or the largest user first, as far as whole thousandths tell."""
    key = command.text("sort-by")
    ordered = sorted(rows, key=lambda row: (-_rounded(row[0][key] * 1000) if key else 0, row[1]))
    return [cells for _, cells in ordered]


def _show(rows: list[list[str]]) -> str:
    """A table whose last column is padded too, as only ``top`` prints it."""
    return table([[*row, ""] for row in rows])


def top_nodes(command: Command) -> None:
    name = _one_or_none(command, "node")
    metrics = _metrics(command, "nodes", "", name)
    if name:
        nodes = [command.client.get(NODE.path("", name))]
    else:
        nodes = command.client.get(NODE.path()).get("items") or []
    room = {node["metadata"]["name"]: node["status"].get("allocatable") or {} for node in nodes}
    rows = []
    for metric in metrics:
        node, usage = metric["metadata"]["name"], _usage(metric["usage"])
        cells = [node]
        for resource, show in (("cpu", _cpu), ("memory", _memory)):
            total = quantity.parse((room.get(node) or {}).get(resource, "0"))
            cells += [show(usage[resource]), f"{quantity.share(usage[resource], total)}%"]
        rows.append((usage, cells))
    header = (
        []
        if command.switched("no-headers")
        else [["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]]
    )
    command.write(_show([*header, *_order(command, rows)]))


def top_pods(command: Command) -> None:
    name = _one_or_none(command, "pod")
    everywhere = command.switched("all-namespaces")
    metrics = _metrics(command, "pods", "" if everywhere else command.namespace, name)
    rows: list[tuple[dict[str, Fraction], list[str]]] = []
    for metric in metrics:
        meta = metric["metadata"]
        place = [meta["namespace"]] if everywhere else []
        used = [
            (container["name"], _usage(container["usage"])) for container in metric.get("containers") or []
        ]
        if command.switched("containers"):
            rows += [
                (usage, [*place, meta["name"], container, _cpu(usage["cpu"]), _memory(usage["memory"])])
                for container, usage in used
            ]
            continue
        total = {key: sum((usage[key] for _, usage in used), Fraction(0)) for key in ("cpu", "memory")}
        rows.append((total, [*place, meta["name"], _cpu(total["cpu"]), _memory(total["memory"])]))
    if not rows:
        where = "" if everywhere else f" in {command.namespace} namespace."
        command.remark(f"No resources found{where}")
        return
    place = ["NAMESPACE"] if everywhere else []
    names = ["POD", "NAME"] if command.switched("containers") else ["NAME"]
    header = [] if command.switched("no-headers") else [[*place, *names, "CPU(cores)", "MEMORY(bytes)"]]
    command.write(_show([*header, *_order(command, rows)]))


_FLAGS = (f.SELECTOR, f.NO_HEADERS, f.Flag("sort-by", f.TEXT))

VERBS = (
    Verb(
        "top node",
        top_nodes,
        _FLAGS,
        "top node [NAME | -l label] [options]",
        "Display resource (CPU/memory) usage of nodes",
        aliases=("nodes", "no"),
    ),
    Verb(
        "top pod",
        top_pods,
        (*_FLAGS, f.ALL_NAMESPACES, f.Flag("containers", f.BOOL)),
        "top pod [NAME | -l label] [options]",
        "Display resource (CPU/memory) usage of pods",
        aliases=("pods", "po"),
    ),
)
