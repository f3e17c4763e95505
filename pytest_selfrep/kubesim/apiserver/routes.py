"""From a request's path and method to what it asks for (apiserver's RequestInfo)."""

from __future__ import annotations

from typing import NamedTuple

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
# Below /namespaces/{name} these are subresources of the namespace; all else is a resource within it.
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


class Target(NamedTuple):
    """What a path names. Anything but API objects is a non-resource path, with an empty ``resource``."""

    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    """For namespaces themselves their own name, as RBAC has it."""
    name: str = ""
    below: str = ""
    """Of a proxy the path that is asked of what lies behind it, from its slash on."""

    @property
    def full_resource(self) -> str:
        """``deployments/scale``, ``pods``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def parse(path: str) -> Target:
    """What ``path`` names."""
    if "//" in path.partition("/proxy/")[0]:
        return Target(path)
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return Target(path)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 2:
        namespace = rest[1]
        if len(rest) >= 3 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    name = rest[1] if len(rest) >= 2 else ""
    if rest[2:3] == ["proxy"]:
        below = path.partition(f"/{rest[0]}/{name}/proxy")[2]
        return Target(path, group, version, rest[0], "proxy", namespace, name, below)
    return Target(path, group, version, rest[0], "/".join(rest[2:]), namespace, name)


def verb_of(method: str, target: Target, watching: bool) -> str:
    """The verb that RBAC knows a request by."""
    if not target.resource:
        return method.lower()
    if method in ("GET", "HEAD"):
        if watching:
            return "watch"
        return "get" if target.name else "list"
    if method == "DELETE":
        return "delete" if target.name else "deletecollection"
    return _VERBS.get(method, method.lower())
