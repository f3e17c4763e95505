"""Which kinds there are, and how people write them: ``po``, ``Pod``, ``deployments.apps``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pytest_selfrep.clusters.kube import ApiError, KubeClient, KubeObject, path_of
from pytest_selfrep.tools.kubectl.errors import fault


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind as discovery describes it (meta/v1 APIResource)."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """``deployments.apps``, ``pods``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular_resource(self) -> str:
        """As kubectl prints it before a slash: ``deployment.apps``, ``pod``."""
        return f"{self.singular}.{self.group}" if self.group else self.singular

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The API path; the namespace is left out where the kind has none.

        Raises:
            Complaint: a name that cannot be part of a path.
        """
        for segment in (namespace, name):
            _check_segment(segment)
        return path_of(
            self.group, self.version, self.plural, namespace if self.namespaced else "", name, subresource
        )


_NOT_IN_PATHS = re.compile(r"[/%?#\s\x00-\x1f\x7f]")


def _check_segment(name: str) -> None:
    if name in (".", ".."):
        raise fault(f"invalid resource name \"{name}\": [may not be '{name}']")
    found = _NOT_IN_PATHS.search(name)
    if found:
        raise fault(f"invalid resource name \"{name}\": [may not contain '{found[0]}']")


def _kind(api_version: str, kind: str, plural: str, short: str = "", *, namespaced: bool = True) -> Kind:
    group, _, version = api_version.rpartition("/")
    return Kind(group, version, kind, plural, kind.lower(), namespaced, tuple(short.split()))


NAMESPACE = _kind("v1", "Namespace", "namespaces", "ns", namespaced=False)
NODE = _kind("v1", "Node", "nodes", "no", namespaced=False)
POD = _kind("v1", "Pod", "pods", "po")
SERVICE = _kind("v1", "Service", "services", "svc")
EVENT = _kind("v1", "Event", "events", "ev")
CONFIG_MAP = _kind("v1", "ConfigMap", "configmaps", "cm")
SECRET = _kind("v1", "Secret", "secrets")
SERVICE_ACCOUNT = _kind("v1", "ServiceAccount", "serviceaccounts", "sa")
RESOURCE_QUOTA = _kind("v1", "ResourceQuota", "resourcequotas", "quota")
LIMIT_RANGE = _kind("v1", "LimitRange", "limitranges", "limits")
DEPLOYMENT = _kind("apps/v1", "Deployment", "deployments", "deploy")
REPLICA_SET = _kind("apps/v1", "ReplicaSet", "replicasets", "rs")
STATEFUL_SET = _kind("apps/v1", "StatefulSet", "statefulsets", "sts")
DAEMON_SET = _kind("apps/v1", "DaemonSet", "daemonsets", "ds")
JOB = _kind("batch/v1", "Job", "jobs")
LEASE = _kind("coordination.k8s.io/v1", "Lease", "leases")
ROLE = _kind("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDING = _kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE = _kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = _kind(
    "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)

EVERYWHERE: tuple[Kind, ...] = (
    POD,
    NODE,
    NAMESPACE,
    SERVICE,
    EVENT,
    CONFIG_MAP,
    SECRET,
    SERVICE_ACCOUNT,
    RESOURCE_QUOTA,
    LIMIT_RANGE,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
    DAEMON_SET,
    JOB,
    LEASE,
    ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
)
"""Kinds that every cluster serves in these versions, so that nobody need ask it."""


def _spellings(kind: Kind) -> Iterator[str]:
    for word in (kind.plural, kind.singular, *kind.short):
        yield word
        if kind.group:
            yield f"{word}.{kind.group}"
            yield f"{word}.{kind.version}.{kind.group}"
        else:
            yield f"{word}.{kind.version}."


def _index(kinds: Iterable[Kind]) -> dict[str, Kind]:
    index: dict[str, Kind] = {}
    for kind in kinds:
        for spelling in _spellings(kind):
            index.setdefault(spelling, kind)
    return index


def _discovery_path(group_version: str) -> str:
    return f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"


_WELL_KNOWN = _index(EVERYWHERE)
_WELL_KNOWN_KINDS = {(kind.api_version, kind.kind): kind for kind in EVERYWHERE}


@dataclass(slots=True)
class Discovery:
    """Looks kinds up, and asks the server only for those that are not known everywhere; asks once."""

    client: KubeClient
    _served: tuple[Kind, ...] | None = field(default=None, init=False)
    _index: dict[str, Kind] = field(default_factory=dict, init=False)

    def by_word(self, word: str) -> Kind:
        """The kind that a user means. Raises Complaint if the server has none by that name."""
        kind = self.find_word(word)
        if kind is None:
            raise fault(f'the server doesn\'t have a resource type "{word}"')
        return kind

    def find_word(self, word: str) -> Kind | None:
        """The kind that a user means, or None."""
        word = word.lower()
        kind = _WELL_KNOWN.get(word)
        if kind is None:
            self.served()
            kind = self._index.get(word)
        return kind

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        """The kind that a manifest means, or None if the server does not serve it."""
        found = _WELL_KNOWN_KINDS.get((api_version, kind))
        if found is None:
            found = next((k for k in self.served() if (k.api_version, k.kind) == (api_version, kind)), None)
        return found

    def preferred(self, group: str, plural: str) -> Kind | None:
        """The version of a kind that the server prefers, or None."""
        return next((k for k in self.served() if (k.group, k.plural) == (group, plural)), None)

    def in_category(self, category: str) -> list[Kind]:
        """The kinds of a category such as ``all``, in the server's order."""
        return [kind for kind in self.served() if category in kind.categories]

    def served(self) -> tuple[Kind, ...]:
        """Every kind that the server lists, each in the first version that its group prefers."""
        if self._served is None:
            served: dict[tuple[str, str], Kind] = {}
            for version in ["v1", *self._versions()]:
                for kind in self._resources(version):
                    served.setdefault((kind.group, kind.plural), kind)
            self._served = tuple(served.values())
            self._index = _index(self._served)
        return self._served

    def subresources(self, group_version: str) -> frozenset[str]:
        """What a group's version lists below its resources: ``deployments/scale``. Raises ApiError."""
        listed = self.client.get(_discovery_path(group_version)).get("resources", [])
        return frozenset(resource["name"] for resource in listed if "/" in resource["name"])

    def group_versions(self) -> list[str]:
        """Every ``group/version`` that the server serves, ``v1`` included, sorted."""
        groups = self.client.get("/apis").get("groups", [])
        listed = [version["groupVersion"] for group in groups for version in group["versions"]]
        return sorted([*self.client.get("/api").get("versions", []), *listed])

    def _versions(self) -> Iterator[str]:
        for group in self.client.get("/apis").get("groups", []):
            preferred = group["preferredVersion"]["groupVersion"]
            yield preferred
            yield from (v["groupVersion"] for v in group["versions"] if v["groupVersion"] != preferred)

    def _resources(self, group_version: str) -> Iterator[Kind]:
        try:
            listed: list[KubeObject] = self.client.get(_discovery_path(group_version)).get("resources", [])
        except ApiError:
            return  # An aggregated API that is down takes nothing from the others.
        group, _, version = group_version.rpartition("/")
        for resource in listed:
            if "/" not in resource["name"]:
                yield Kind(
                    group=group,
                    version=version,
                    kind=resource["kind"],
                    plural=resource["name"],
                    singular=resource.get("singularName") or resource["kind"].lower(),
                    namespaced=resource["namespaced"],
                    short=tuple(resource.get("shortNames") or ()),
                    categories=tuple(resource.get("categories") or ()),
                    verbs=tuple(resource.get("verbs") or ()),
                )
