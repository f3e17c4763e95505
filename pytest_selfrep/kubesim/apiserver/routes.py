"""From a request's path and method to what it asks for (apiserver's RequestInfo)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_LONG = 512
"""Characters of a path that is not worth remembering."""
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
    """What follows a subresource, from its slash on: of a proxy the path that is asked of its end."""
    has_gap: bool = False
    """Whether nothing stands where a subresource is named, so that there is nothing by this path."""

    @property
    def full_resource(self) -> str:
        """``deployments/scale``, ``pods``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def parse(path: str) -> Target:
    """What ``path`` names. Paths come again and again, but one may have a megabyte."""
    return _remembered(path) if len(path) < _LONG else _parse(path)


def _parse(path: str) -> Target:
    parts = path.removeprefix("/").rstrip("/").split("/")
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
    if "" in (*parts[:3], rest[0]):
        return Target(path)
    name, subresource, *_ = [*rest[1:], "", ""]
    below = "/".join(("", *rest[3:]))
    if subresource == "proxy" and path.endswith("/"):
        below += "/"
    has_gap = rest[2:3] == [""]
    return Target(path, group, version, rest[0], subresource, namespace, name, below, has_gap)


_remembered = lru_cache(maxsize=1024)(_parse)


def watched(path: str) -> str:
    """What a path of the old kind watches, ``/api/v1/pods`` for ``/api/v1/watch/pods``; empty for others."""
    parts = path.split("/")
    place = 3 if path.startswith("/api/") else 4
    if len(parts) < place + 2 or parts[place] != "watch":
        return ""
    return "/".join((*parts[:place], *parts[place + 1 :]))


def verb_of(method: str, target: Target, watching: bool) -> str:
    """The verb that RBAC knows a request by; empty for methods that resources do not have."""
    if not target.resource:
        return method.lower()
    if method in ("GET", "HEAD"):
        if target.name:
            return "get"
        return "watch" if watching else "list"
    if method == "DELETE":
        return "delete" if target.name else "deletecollection"
    return _VERBS.get(method, "")
