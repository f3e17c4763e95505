"""What a request asks to be allowed to do, read from its method, path and query as Kubernetes reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from kube_driver import Object

SELF_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_METHODS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_OF_MANY = {"get": "list", "delete": "deletecollection"}
_OF_NAMESPACES = ("status", "finalize")


class Asked(NamedTuple):
    """One question: about a path, or about a resource."""

    verb: str
    path: str
    resource: Object | None

    def review(self) -> Object:
        """The SelfSubjectAccessReview that asks it."""
        if self.resource is None:
            spec: Object = {"nonResourceAttributes": {"verb": self.verb, "path": self.path}}
        else:
            spec = {"resourceAttributes": {"verb": self.verb, **self.resource}}
        return {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": spec}

    def __str__(self) -> str:
        """As refusals name it."""
        if self.resource is None:
            return f'{self.verb} path "{self.path}"'
        parts = (self.resource["resource"], self.resource["subresource"])
        return f'{self.verb} resource "{"/".join(part for part in parts if part)}"'


def asked_by(method: str, path: str, query: Mapping[str, str]) -> Asked:
    path = path.encode(errors="surrogateescape").decode(errors="replace")
    root, _, rest = path.strip("/").partition("/")
    group, segments = "", rest.split("/")
    if root == "apis":
        group, *segments = segments
    if root not in ("api", "apis") or len(segments) < 2:
        return Asked(method.lower(), path, None)
    version, *segments = segments
    namespace = ""
    if segments[0] == "namespaces" and len(segments) > 1:
        namespace = segments[1]
        if len(segments) > 2 and segments[2] not in _OF_NAMESPACES:
            segments = segments[2:]
    resource, name, subresource, *_ = [*segments, "", "", ""]
    if not resource or not version or (root == "apis" and not group):
        return Asked(method.lower(), path, None)
    verb = _METHODS.get(method, "")
    if not name:
        verb = _OF_MANY.get(verb, verb)
    if verb == "list":
        verb = "list" if query.get("watch", "0").lower() in ("0", "false") else "watch"
        name = _only_name(query)
    where = {"resource": resource, "subresource": subresource, "namespace": namespace, "name": name}
    return Asked(verb, path, {"group": group, "version": version, **where})


def _only_name(query: Mapping[str, str]) -> str:
    """The one name that a list or a watch is about, if it is about one and the query can be read."""
    numbers = [query[key] for key in ("limit", "timeoutSeconds") if key in query]
    if not all(re.fullmatch("[+-]?[0-9]+", number) and abs(int(number)) < 1 << 63 for number in numbers):
        return ""
    for term in query.get("fieldSelector", "").split(","):
        field, equals, value = term.partition("=")
        if field == "metadata.name" and equals and "%" not in value and "/" not in value:
            return value.removeprefix("=")
    return ""
