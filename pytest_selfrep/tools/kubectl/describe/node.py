"""The page of a Node: conditions, room, and what runs on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from pytest_selfrep.clusters.kube import TABLE, ApiError, KubeObject
from pytest_selfrep.tools.kubectl import quantity
from pytest_selfrep.tools.kubectl.describe.page import Page
from pytest_selfrep.tools.kubectl.kinds import LEASE, POD
from pytest_selfrep.tools.kubectl.text import long_time

_ROLE = "node-role.kubernetes.io/"
_INFO: Mapping[str, str] = {
    "Machine ID": "machineID",
    "System UUID": "systemUUID",
    "Boot ID": "bootID",
    "Kernel Version": "kernelVersion",
    "OS Image": "osImage",
    "Operating System": "operatingSystem",
    "Architecture": "architecture",
    "Container Runtime Version": "containerRuntimeVersion",
    "Kubelet Version": "kubeletVersion",
    "Kube-Proxy Version": "kubeProxyVersion",
}
_CONDITIONS = ("Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message")
_PODS = ("Namespace", "Name", "CPU Requests", "CPU Limits", "Memory Requests", "Memory Limits", "Age")
_STANDARD = ("cpu", "memory", "ephemeral-storage")

Amounts = Mapping[str, Fraction]


def describe_node(page: Page, node: KubeObject) -> None:
    meta, spec, status = node["metadata"], node.get("spec", {}), node.get("status", {})
    page.put(f"Name:\t{meta['name']}\nRoles:\t{_roles(meta.get('labels') or {})}")
    page.pairs("Labels", meta.get("labels"))
    page.annotations(meta.get("annotations"))
    page.put(f"CreationTimestamp:\t{long_time(meta.get('creationTimestamp'))}")
    taints = [_taint(taint) for taint in spec.get("taints") or []] or ["<none>"]
    for index, taint in enumerate(taints):
        page.put(f"{'' if index else 'Taints:'}\t{taint}")
    page.put(f"Unschedulable:\t{str(bool(spec.get('unschedulable'))).lower()}")
    _put_lease(page, meta["name"])
    rows = [
        [
            condition["type"],
            condition["status"],
            long_time(condition.get("lastHeartbeatTime")),
            long_time(condition.get("lastTransitionTime")),
            condition.get("reason", ""),
            condition.get("message", ""),
        ]
        for condition in status.get("conditions") or []
    ]
    page.table(
        "Conditions:",
        _CONDITIONS,
        [[f"{row[0]} ", f"{row[1]} ", *(f"{c} " for c in row[2:5]), row[5]] for row in rows],
    )
    page.put("Addresses:")
    for address in status.get("addresses") or []:
        page.put(f"{address['type']}:\t{address['address']}", 1)
    for title in ("capacity", "allocatable"):
        page.put(f"{title.capitalize()}:")
        for name in sorted(status.get(title) or {}):
            page.put(f"{name}:\t{status[title][name]}", 1)
    page.put("System Info:")
    info = status.get("nodeInfo") or {}
    for name, key in _INFO.items():
        if key != "kubeProxyVersion" or info.get(key):
            page.put(f"{name}:\t{info.get(key, '')}", 1)
    if spec.get("podCIDR"):
        page.put(f"PodCIDR:\t{spec['podCIDR']}\nPodCIDRs:\t{','.join(spec.get('podCIDRs') or [])}")
    if spec.get("providerID"):
        page.put(f"ProviderID:\t{spec['providerID']}")
    _put_pods(page, node)
    page.events(node)


def _roles(labels: Mapping[str, str]) -> str:
    return ",".join(sorted(key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE))) or "<none>"


def _taint(taint: KubeObject) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def _put_lease(page: Page, name: str) -> None:
    try:
        spec = page.command.client.get(LEASE.path("kube-node-lease", name)).get("spec", {})
    except ApiError as error:
        page.put(f"Lease:\tFailed to get lease: {error.message}")
        return
    page.put("Lease:")
    page.put(f"HolderIdentity:\t{spec.get('holderIdentity', '<unset>')}", 1)
    page.put(f"AcquireTime:\t{long_time(spec.get('acquireTime'))}", 1)
    page.put(f"RenewTime:\t{long_time(spec.get('renewTime'))}", 1)


def _put_pods(page: Page, node: KubeObject) -> None:
    name = node["metadata"]["name"]
    fields = f"spec.nodeName={name},status.phase!=Failed,status.phase!=Succeeded"
    query = {"fieldSelector": fields, "includeObject": "Object", "limit": "500"}
    try:
        answer = page.command.client.get(POD.path(), query=query, accept=TABLE)
    except ApiError:
        page.put("Pods:\tnot authorized")
        return
    total = {k: quantity.parse(v) for k, v in (node["status"].get("allocatable") or {}).items()}
    age = [column["name"] for column in answer["columnDefinitions"]].index("Age")
    pods = [(row["object"], str(row["cells"][age])) for row in answer.get("rows") or []]
    page.put(f"Non-terminated Pods:\t({len(pods)} in total)")
    page.put(_pod_row(_PODS), 1)
    page.put(_pod_row(["-" * len(title) for title in _PODS]), 1)
    requests: defaultdict[str, Fraction] = defaultdict(Fraction)
    limits: defaultdict[str, Fraction] = defaultdict(Fraction)
    for pod, pod_age in pods:
        asked, capped = _amounts(pod, "requests"), _amounts(pod, "limits")
        for sums, amounts in ((requests, asked), (limits, capped)):
            for resource, amount in amounts.items():
                sums[resource] += amount
        cells = [
            _cell(amounts, resource, total) for resource in ("cpu", "memory") for amounts in (asked, capped)
        ]
        meta = pod["metadata"]
        page.put(_pod_row([meta["namespace"], meta["name"], *cells, pod_age]), 1)
    page.put("Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)")
    page.put("Resource\tRequests\tLimits\n--------\t--------\t------", 1)
    for line in _allocated(requests, limits, total):
        page.put(line, 1)


def _pod_row(cells: Sequence[str]) -> str:
    """kubectl leaves an empty column after the name."""
    return "\t".join([*cells[:2], "", *cells[2:]])


def _amounts(pod: KubeObject, which: str) -> dict[str, Fraction]:
    """What the containers of a pod ask for together, or an init container alone if that is more."""
    sums: defaultdict[str, Fraction] = defaultdict(Fraction)
    for container in pod["spec"]["containers"]:
        for name, amount in _amounts_of(container, which):
            sums[name] += amount
    for container in pod["spec"].get("initContainers") or []:
        for name, amount in _amounts_of(container, which):
            sums[name] = max(sums[name], amount)
    return dict(sums)


def _amounts_of(container: KubeObject, which: str) -> Iterator[tuple[str, Fraction]]:
    for name, text in ((container.get("resources") or {}).get(which) or {}).items():
        yield name, quantity.parse(text)


def _cell(amounts: Amounts, resource: str, total: Amounts) -> str:
    amount = amounts.get(resource, Fraction(0))
    text = quantity.cores(amount) if resource == "cpu" else quantity.size(amount)
    return f"{text} ({quantity.share(amount, total.get(resource, Fraction(0)))}%)"


def _allocated(requests: Amounts, limits: Amounts, total: Amounts) -> Iterator[str]:
    huge = sorted(name for name in total if name.startswith("hugepages-"))
    for resource in (*_STANDARD, *huge):
        yield f"{resource}\t{_cell(requests, resource, total)}\t{_cell(limits, resource, total)}"
    for resource in sorted(total.keys() - {*_STANDARD, *huge, "pods"}):
        asked, capped = requests.get(resource, Fraction(0)), limits.get(resource, Fraction(0))
        yield f"{resource}\t{quantity.size(asked)}\t{quantity.size(capped)}"
