"""What a server serves: its resources, each a kind at a path, with the verbs and subresources it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from pytest_selfrep.kubesim.apiserver.extensions import SUBRESOURCES, VIRTUAL
from pytest_selfrep.kubesim.kinds import KINDS, NAMESPACE, VERBS, Kind
from pytest_selfrep.kubesim.objects import Object

# These are kinds of other groups than the resource they belong to, or not the kind of the resource.
_FOREIGN: Mapping[str, tuple[str, str, str]] = {
    "scale": ("autoscaling", "v1", "Scale"),
    "eviction": ("policy", "v1", "Eviction"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
    "binding": ("", "v1", "Binding"),
    "exec": ("", "v1", "PodExecOptions"),
    "attach": ("", "v1", "PodAttachOptions"),
    "portforward": ("", "v1", "PodPortForwardOptions"),
}
_PROXIED: Mapping[str, tuple[str, str, str]] = {
    "pods": ("", "v1", "PodProxyOptions"),
    "services": ("", "v1", "ServiceProxyOptions"),
}
# Nobody can empty a cluster with one request.
_NAMESPACE_VERBS = tuple(verb for verb in VERBS if verb != "deletecollection")

_CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
"""The same as of other kinds, in an order of their own."""


@dataclass(frozen=True, slots=True)
class Subresource:
    """What lies below an object's path, and the kind that it speaks."""

    name: str
    verbs: tuple[str, ...]
    group: str
    version: str
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """A kind at its path."""

    kind: Kind
    verbs: tuple[str, ...]
    subresources: tuple[Subresource, ...] = ()
    list_kind: str = ""
    schema: Object | None = None
    """``openAPIV3Schema`` of a custom resource; None for what ``schema.struct_of`` knows."""

    @property
    def group_version(self) -> tuple[str, str]:
        return self.kind.group, self.kind.version


@cache
def builtin() -> tuple[Resource, ...]:
    """What every server has: the kinds of Kubernetes' own, in the order of their plurals."""
    stored = (resource(kind) for kind in KINDS)
    computed = (
        Resource(virtual.kind, tuple(sorted(virtual.handlers)), (), f"{virtual.kind.kind}List")
        for virtual in VIRTUAL.values()
    )
    return tuple(sorted((*stored, *computed), key=lambda each: each.kind.plural))


@lru_cache(maxsize=8)
def served(custom: tuple[Kind, ...]) -> tuple[Resource, ...]:
    """What a server has whose CustomResourceDefinitions add these kinds."""
    added = (
        resource(kind, kind.custom.list_kind, kind.custom.schema)
        for kind in custom
        if kind.custom is not None
    )
    return tuple(sorted((*builtin(), *added), key=lambda each: each.kind.plural)) if custom else builtin()


def resource(kind: Kind, list_kind: str = "", schema: Object | None = None) -> Resource:
    """A kind that is in the store; ``schema`` is the ``openAPIV3Schema`` of a custom one."""
    names = sorted(kind.subresources) if kind.custom is None else kind.subresources
    below = tuple(_subresource(kind, name) for name in names)
    return Resource(kind, verbs_of(kind), below, list_kind or f"{kind.kind}List", schema)


def verbs_of(kind: Kind) -> tuple[str, ...]:
    """What is done to objects of a kind that is in the store."""
    if kind.custom is not None:
        return _CUSTOM_VERBS
    return _NAMESPACE_VERBS if kind is NAMESPACE else VERBS


def _subresource(kind: Kind, name: str) -> Subresource:
    verbs = sorted(verb for plural, sub, verb in SUBRESOURCES if sub == name and plural in ("*", kind.plural))
    own = (kind.group, kind.version, kind.kind)
    spoken = _PROXIED[kind.plural] if name == "proxy" else _FOREIGN.get(name, own)
    return Subresource(name, tuple(verbs), *spoken)
