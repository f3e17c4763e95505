"""What the server tells of itself: version, groups, resources, health."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pytest_selfrep.kubesim.extensions import SUBRESOURCES, VIRTUAL
from pytest_selfrep.kubesim.http import JSON, TEXT, Request, Response
from pytest_selfrep.kubesim.kinds import KINDS, VERBS, Kind
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import StatusError

VERSION: Object = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.4",
    "gitCommit": "59526cd4867447956156ae3a602fcbac10a2c335",
    "gitTreeState": "clean",
    "buildDate": "2025-04-22T15:59:07Z",
    "goVersion": "go1.23.6",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
# Scale and Eviction are kinds of other groups than the resource they belong to.
_FOREIGN: Mapping[str, tuple[str, str, str]] = {
    "scale": ("autoscaling", "v1", "Scale"),
    "eviction": ("policy", "v1", "Eviction"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
    "binding": ("", "v1", "Binding"),
    "exec": ("", "v1", "PodExecOptions"),
    "attach": ("", "v1", "PodAttachOptions"),
    "portforward": ("", "v1", "PodPortForwardOptions"),
}


def answer(request: Request) -> Response:
    """A path that is no resource. Raises StatusError 404."""
    path = request.path.rstrip("/") or "/"
    if path in ("/healthz", "/livez", "/readyz"):
        return Response(200, "ok", TEXT)
    if path in ("/api", "/apis") and "apidiscovery.k8s.io" in request.headers.get("accept", ""):
        return Response(200, _aggregated(path == "/api"), _AGGREGATED)
    found = _documents().get(path)
    if found is None:
        raise StatusError(404, "NotFound", "the server could not find the requested resource")
    return Response(200, found, JSON)


@cache
def _documents() -> Mapping[str, Object]:
    """Path to document, in the form of before aggregated discovery."""
    groups = sorted({kind.group for kind in _kinds() if kind.group})
    documents: dict[str, Object] = {
        "/": {"paths": ["/api", "/api/v1", "/apis", *(f"/apis/{group}" for group in groups), "/version"]},
        "/version": VERSION,
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(group) for group in groups]},
    }
    for group in groups:
        documents[f"/apis/{group}"] = {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
    for group, version in dict.fromkeys((kind.group, kind.version) for kind in _kinds()):
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        documents[path] = _resource_list(group, version)
    return documents


def _kinds() -> tuple[Kind, ...]:
    return (*KINDS, *(virtual.kind for virtual in VIRTUAL.values()))


def _versions(group: str) -> list[str]:
    return list(dict.fromkeys(kind.version for kind in _kinds() if kind.group == group))


def _group(group: str) -> Object:
    versions = [{"groupVersion": f"{group}/{version}", "version": version} for version in _versions(group)]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _verbs(kind: Kind) -> list[str]:
    virtual = VIRTUAL.get((kind.group, kind.version, kind.plural))
    return sorted(virtual.handlers) if virtual else list(VERBS)


def _subresources(kind: Kind) -> list[tuple[str, list[str], tuple[str, str, str]]]:
    """Name, verbs and kind of every subresource."""
    found = []
    for name in sorted(kind.subresources):
        verbs = sorted(
            verb for plural, sub, verb in SUBRESOURCES if sub == name and plural in ("*", kind.plural)
        )
        found.append((name, verbs, _FOREIGN.get(name, (kind.group, kind.version, kind.kind))))
    return found


def _resource_list(group: str, version: str) -> Object:
    resources: list[Object] = []
    for kind in sorted(_kinds(), key=lambda each: each.plural):
        if (kind.group, kind.version) != (group, version):
            continue
        resource: Object = {
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": _verbs(kind),
        }
        if kind.short:
            resource["shortNames"] = list(kind.short)
        if kind.categories:
            resource["categories"] = list(kind.categories)
        resources.append(resource)
        for name, verbs, (sub_group, sub_version, sub_kind) in _subresources(kind):
            part: Object = {
                "name": f"{kind.plural}/{name}",
                "singularName": "",
                "namespaced": kind.namespaced,
            }
            if (sub_group, sub_version) != (group, version):
                part |= {"group": sub_group, "version": sub_version}
            resources.append({**part, "kind": sub_kind, "verbs": verbs})
    group_version = f"{group}/{version}" if group else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }


@cache
def _aggregated(core: bool) -> Object:
    """apidiscovery.k8s.io/v2: all groups with all their resources in one document."""
    groups = [""] if core else sorted({kind.group for kind in _kinds() if kind.group})
    items = []
    for group in groups:
        versions = [
            {"version": version, "resources": _aggregated_resources(group, version), "freshness": "Current"}
            for version in _versions(group)
        ]
        meta = {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None}
        items.append({"metadata": meta, "versions": versions})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _aggregated_resources(group: str, version: str) -> list[Object]:
    resources = []
    for kind in sorted(_kinds(), key=lambda each: each.plural):
        if (kind.group, kind.version) != (group, version):
            continue
        resource: Object = {
            "resource": kind.plural,
            "responseKind": {"group": group, "version": version, "kind": kind.kind},
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "singularResource": kind.singular,
            "verbs": _verbs(kind),
        }
        if kind.short:
            resource["shortNames"] = list(kind.short)
        if kind.categories:
            resource["categories"] = list(kind.categories)
        parts = [
            {
                "subresource": name,
                "responseKind": {"group": of[0], "version": of[1], "kind": of[2]},
                "verbs": verbs,
            }
            for name, verbs, of in _subresources(kind)
        ]
        if parts:
            resource["subresources"] = parts
        resources.append(resource)
    return resources
