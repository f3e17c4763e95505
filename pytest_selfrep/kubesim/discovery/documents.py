"""What the server tells of itself: groups, versions and resources, in the old and the aggregated form."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import orjson

from pytest_selfrep.kubesim.addresses import API_SERVER
from pytest_selfrep.kubesim.discovery.priorities import sorted_groups, sorted_versions
from pytest_selfrep.kubesim.discovery.resources import Resource, Subresource
from pytest_selfrep.kubesim.objects import Object

_AGGREGATED: Final = ("v2", "v2beta1")
_REMEMBERED = 64
"""Documents that are kept, over all clusters of the process."""


@lru_cache(maxsize=_REMEMBERED)
def document(path: str, resources: tuple[Resource, ...]) -> Object | None:
    """The answer at a path below ``/api`` or ``/apis``, in the form of before aggregated discovery."""
    parts = path.strip("/").split("/")
    if parts == ["api"]:
        return {
            "kind": "APIVersions",
            "versions": sorted_versions("", (each.kind.version for each in resources if not each.kind.group)),
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": API_SERVER}],
        }
    if parts == ["apis"]:
        groups = [_group(group, resources) for group in _groups(resources)]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    group, version = ("", parts[-1]) if parts[0] == "api" else (parts[1], parts[-1])
    chosen = [each for each in resources if each.kind.group == group]
    if parts[0] == "apis" and len(parts) == 2 and chosen:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, resources)}
    chosen = [each for each in chosen if each.kind.version == version]
    expected = 2 if parts[0] == "api" else 3
    return _resource_list(group, version, chosen) if chosen and len(parts) == expected else None


def accepted(accept: str) -> str:
    """The version of aggregated discovery that a client prefers to the old form; empty for none."""
    for media in accept.split(","):
        kind, *parameters = (part.strip() for part in media.split(";"))
        said = dict(parameter.partition("=")[::2] for parameter in parameters)
        if kind not in ("application/json", "application/*", "*/*"):
            continue
        if said.get("as") != "APIGroupDiscoveryList":
            return ""
        if said.get("g") == "apidiscovery.k8s.io" and said.get("v") in _AGGREGATED:
            return said["v"]
    return ""


def media_type(version: str) -> str:
    """The content type of aggregated discovery."""
    return f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"


@lru_cache(maxsize=_REMEMBERED)
def aggregated(resources: tuple[Resource, ...], version: str, core: bool) -> tuple[Object, str]:
    """All groups with all their resources, and the hash of that; the core group has a document of its own."""
    groups = [""] if core else _groups(resources)
    content = {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [_aggregated_group(group, resources) for group in groups],
    }
    return content, hashlib.sha512(orjson.dumps(content)).hexdigest().upper()


def _groups(resources: Sequence[Resource]) -> list[str]:
    return sorted_groups(each.kind.group for each in resources if each.kind.group)


def _versions(group: str, resources: Sequence[Resource]) -> list[str]:
    return sorted_versions(group, (each.kind.version for each in resources if each.kind.group == group))


def _group(group: str, resources: Sequence[Resource]) -> Object:
    versions = [
        {"groupVersion": f"{group}/{version}", "version": version} for version in _versions(group, resources)
    ]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resource_list(group: str, version: str, resources: Sequence[Resource]) -> Object:
    found: list[Object] = []
    for each in sorted(resources, key=lambda each: each.kind.plural):
        found.append(_resource(each))
        found.extend(_part(each, below) for below in each.subresources)
    # The core group's list says its kind and no apiVersion.
    typed = {"kind": "APIResourceList", "apiVersion": "v1"} if group else {"kind": "APIResourceList"}
    return {**typed, "groupVersion": f"{group}/{version}" if group else version, "resources": found}


def _resource(resource: Resource) -> Object:
    kind = resource.kind
    found: Object = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(resource.verbs),
    }
    found |= _names(resource)
    if "watch" in resource.verbs:
        found["storageVersionHash"] = _storage_hash(resource)
    return found


def _names(resource: Resource) -> Object:
    kind = resource.kind
    found: Object = {"shortNames": list(kind.short)} if kind.short else {}
    if kind.categories:
        found["categories"] = list(kind.categories)
    return found


def _storage_hash(resource: Resource) -> str:
    """What tells in which version objects are stored, for clients that move them to another one."""
    kind = resource.kind
    # Autoscalers are stored as v2, whatever version they are asked for in.
    version = "v2" if (kind.group, kind.kind) == ("autoscaling", "HorizontalPodAutoscaler") else kind.version
    digest = hashlib.sha256(f"{kind.group}/{version}/{kind.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _part(resource: Resource, below: Subresource) -> Object:
    kind = resource.kind
    found: Object = {
        "name": f"{kind.plural}/{below.name}",
        "singularName": "",
        "namespaced": kind.namespaced,
    }
    if (below.group, below.version) != resource.group_version:
        found |= {"group": below.group, "version": below.version}
    return {**found, "kind": below.kind, "verbs": list(below.verbs)}


def _aggregated_group(group: str, resources: Sequence[Resource]) -> Object:
    versions = [
        {
            "version": version,
            "resources": [
                _aggregated_resource(each)
                for each in sorted(resources, key=lambda each: each.kind.plural)
                if each.group_version == (group, version)
            ],
            "freshness": "Current",
        }
        for version in _versions(group, resources)
    ]
    named = {"name": group} if group else {}
    return {"metadata": {**named, "creationTimestamp": None}, "versions": versions}


def _aggregated_resource(resource: Resource) -> Object:
    kind = resource.kind
    found: Object = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(resource.verbs),
        **_names(resource),
    }
    below = [
        {
            "subresource": each.name,
            "responseKind": {"group": each.group, "version": each.version, "kind": each.kind},
            "verbs": list(each.verbs),
        }
        for each in resource.subresources
    ]
    if below:
        found["subresources"] = below
    return found
