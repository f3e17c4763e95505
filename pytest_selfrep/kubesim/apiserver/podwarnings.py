"""What clients are warned of when they write pods, or what makes pods: allowed, but hardly meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from operator import attrgetter
from typing import NamedTuple

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.kinds import (
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    POD,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    Kind,
)
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.validation.fieldchecks import dns_label

_TEMPLATES: Mapping[Kind, Sequence[str]] = {
    POD: (),
    REPLICATION_CONTROLLER: ("spec", "template"),
    REPLICA_SET: ("spec", "template"),
    DEPLOYMENT: ("spec", "template"),
    STATEFUL_SET: ("spec", "template"),
    DAEMON_SET: ("spec", "template"),
    JOB: ("spec", "template"),
    CRON_JOB: ("spec", "jobTemplate", "spec", "template"),
}
"""Where the pods are that a kind makes."""
_NAMED = {
    POD: "the Pod's hostname",
    **dict.fromkeys(
        (REPLICATION_CONTROLLER, REPLICA_SET, DEPLOYMENT, JOB, CRON_JOB), "Pod names and hostnames"
    ),
}
"""What becomes of the name of a kind's objects."""
_OLD_LABELS = {
    "beta.kubernetes.io/arch": ("1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/instance-type": ("1.17", "node.kubernetes.io/instance-type"),
    "beta.kubernetes.io/os": ("1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("1.17", "topology.kubernetes.io/zone"),
}
_LISTED = (("hostAliases", "ip"), ("imagePullSecrets", "name"))
"""Lists, and what tells their items apart."""
_BYTES = ("memory", "ephemeral-storage")


def creation_warnings(kind: Kind, obj: Object) -> Iterator[str]:
    """Of an object as it is stored."""
    if kind not in _TEMPLATES:
        return
    why = dns_label(obj["metadata"]["name"]) if kind in _NAMED else ""
    if why:
        used = f"this is used in {_NAMED[kind]}, which can result in surprising behavior"
        yield f"metadata.name: {used}; a DNS label is recommended: [{why}]"
    yield from _template_warnings(kind, obj)


def update_warnings(kind: Kind, obj: Object, generation: int | None) -> Iterator[str]:
    """Of an object as it is stored, if it is no longer of that generation; pods change too often for it."""
    if kind in _TEMPLATES and kind is not POD and obj["metadata"].get("generation") != generation:
        yield from _template_warnings(kind, obj)


def _template_warnings(kind: Kind, obj: Object) -> Iterator[str]:
    template = obj
    for field in _TEMPLATES[kind]:
        template = template.get(field) or {}
    spec = template.get("spec") or {}
    at = ".".join((*_TEMPLATES[kind], "spec"))
    for key in spec.get("nodeSelector") or ():
        if key in _OLD_LABELS:
            version, better = _OLD_LABELS[key]
            yield f'{at}.nodeSelector[{key}]: deprecated since v{version}; use "{better}" instead'
    for field, key in _LISTED:
        if len(spec.get(field) or ()) > 1:
            yield from _repeated(spec[field], f"{at}.{field}", key)
    for index, each in enumerate(spec.get("imagePullSecrets") or ()):
        if not each.get("name"):
            yield f'{at}.imagePullSecrets[{index}].name: invalid empty name ""'
    placed = list(_placed(spec, at))
    for path, container in placed:
        if container.get("resources"):
            yield from _resource_warnings(container["resources"], f"{path}.resources")
        if len(container.get("env") or ()) > 1:
            yield from _environment_warnings(container["env"], f"{path}.env")
    if sum(len(container.get("ports") or ()) for _, container in placed) > 1:
        yield from _port_warnings(placed)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{at}.terminationGracePeriodSeconds: {why}"


def _placed(spec: Object, at: str) -> Iterator[tuple[str, Object]]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield f"{at}.{field}[{index}]", container


def _repeated(items: Sequence[Object], at: str, key: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, each in enumerate(items):
        value = each.get(key) or ""
        if value in seen:
            yield f'{at}[{index}].{key}: duplicate {key} "{value}"'
        seen.add(value)


def _resource_warnings(resources: Object, at: str) -> Iterator[str]:
    for which in ("limits", "requests"):
        amounts = resources.get(which) or {}
        for name in _BYTES:
            text = amounts.get(name)
            # Only these may be fractions, as quantities are written.
            if text is not None and text.endswith("m") and quantity.parse(text).denominator != 1:
                why = f'fractional byte value "{text}" is invalid, must be an integer'
                yield f"{at}.{which}[{name}]: {why}"


def _environment_warnings(variables: Sequence[Object], at: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, each in enumerate(variables):
        name, value = each["name"], each.get("value") or ""
        if name in seen:
            reference = f"$({name})"
            if each.get("valueFrom") is not None or value == reference or reference not in value:
                why = f'hides previous definition of "{name}", which may be dropped when using apply'
                yield f"{at}[{index}]: {why}"
        seen.add(name)


class _Ports:
    """Ports so far of one number and protocol. None is compared with those that it leaves alone."""

    def __init__(self) -> None:
        self._all: list[_Seen] = []
        self._inside: list[_Seen] = []
        """Those without a port of the host."""
        self._by_address: dict[tuple[int, bool], list[_Seen]] = {}
        self._same: dict[tuple[int, str], list[_Seen]] = {}

    def overlaps(self, port: int, address: str) -> Iterator[tuple[str, str]]:
        """How a port of the host goes with earlier ones, and where they are."""
        same = self._same.get((port, address), [])
        if port:
            mixed = self._by_address.get((port, not address), [])
            others = merge(self._inside, same, mixed, key=attrgetter("number"))
        else:
            others = (each for each in self._all)
        for each in others:
            if (each.port, each.address) == (port, address):
                yield "duplicate", each.at
            else:
                yield "overlapping" if not port or not each.port else "dangerously ambiguous", each.at

    def add(self, at: str, port: int, address: str) -> None:
        seen = _Seen(len(self._all), at, port, address)
        self._all.append(seen)
        if not port:
            self._inside.append(seen)
            return
        self._by_address.setdefault((port, bool(address)), []).append(seen)
        self._same.setdefault((port, address), []).append(seen)


class _Seen(NamedTuple):
    number: int
    at: str
    port: int
    """Of the host; 0 if it has none."""
    address: str


def _port_warnings(placed: Sequence[tuple[str, Object]]) -> Iterator[str]:
    """Ports that containers of one pod have in common."""
    known: dict[tuple[int, str], _Ports] = {}
    for path, container in placed:
        for index, each in enumerate(container.get("ports") or ()):
            at = f"{path}.ports[{index}]"
            ports = known.setdefault((each["containerPort"], each["protocol"]), _Ports())
            port, address = each.get("hostPort") or 0, each.get("hostIP") or ""
            for how, other in ports.overlaps(port, address):
                yield f"{at}: {how} port definition with {other}"
            ports.add(at, port, address)
