"""Requests of every shape, for hypothesis: what clients do all day, and anything at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from good_objects import GOOD
from hypothesis import strategies as st
from kube_driver import PODS

WORKLOADS = [path for path in GOOD if "/apps/" in path or "/batch/" in path]
OTHER_PATHS = [
    "/api/v1/nodes",
    "/api/v1/namespaces",
    "/api/v1/pods",
    "/apis/apps/v1/deployments",
    "/apis/metrics.k8s.io/v1beta1/pods",
    "/api/v1/namespaces/gone/pods",
    "/apis/none/v9/things",
    "/api",
    "/apis",
    "/version",
    "/openapi/v3",
    "/api/v1",
    "/nothing",
    "/",
    "/api/v1/namespaces/default",
]
SUBRESOURCES = [
    "/status",
    "/scale",
    "/log",
    "/eviction",
    "/token",
    "/finalize",
    "/binding",
    "/exec",
    "/none/more",
]
PARAMETERS = [
    "labelSelector",
    "fieldSelector",
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "dryRun",
    "fieldManager",
    "force",
    "fieldValidation",
    "propagationPolicy",
    "gracePeriodSeconds",
    "timeoutSeconds",
    "watch",
    "allowWatchBookmarks",
    "sendInitialEvents",
    "tailLines",
    "container",
]
VALUES = [
    "app=a",
    "!app",
    "a=b,c!=d",
    "metadata.name=a",
    "status.phase!=Running",
    "All",
    "true",
    "0",
    "1",
    "-1",
    "5",
    "999999999999",
    "Strict",
    "Warn",
    "fuzz",
    "Background",
    "Foreground",
    "Orphan",
]
CONTENT_TYPES = [
    "application/json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/cbor",
    "text/plain",
    "a/b;charset=é",
]
ACCEPTS = [
    "*/*",
    "application/json",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/yaml",
    "x",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/vnd.kubernetes.protobuf",
]
HELD_BY = "acme.io/hold"
"""A finalizer that nobody but a request removes."""
MALFORMED = (b"", b"null", b"[]", b"{", b"k8s\x00", b"k8s\x00\n\x80", b"[" * 500, b"a: b", b"\xff\xfe")


class Sent(NamedTuple):
    """One request to come."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    by_user: bool
    """By a user of limited rights instead of the administrator."""
    seconds: int
    """That pass before."""


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["a", "a", "a", "b", "c", "default", "worker-1", "A_", "%00", "..", "x" * 300])
collections = st.sampled_from([*GOOD, *GOOD, *OTHER_PATHS])
subresources = st.just("") | st.sampled_from(SUBRESOURCES)
texts = st.text(max_size=12) | st.sampled_from([*VALUES, "app in (a,b)", ""])
queries = st.dictionaries(st.sampled_from(PARAMETERS), texts, max_size=2)
users = st.sampled_from([False, False, True])
content_types = st.just("application/json") | st.sampled_from([*CONTENT_TYPES, ""])
accepts = st.sampled_from([*ACCEPTS, ""])


@st.composite
def objects(draw: st.DrawFn, path: str) -> Any:
    """A good object for a path, mostly; often with a part of it replaced by something else."""
    found: Any = orjson.loads(orjson.dumps(GOOD.get(path, {"metadata": {"name": "a"}})))
    if "name" in found.get("metadata", {}):
        found["metadata"]["name"] = draw(names)
    for _ in range(draw(st.integers(0, 2))):
        place: Any = found
        while isinstance(place, dict | list) and place:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], dict | list) or draw(st.integers(0, 3)) == 0:
                place[key] = draw(junk)
                break
            place = place[key]
    return found


@st.composite
def bodies(draw: st.DrawFn, path: str, content_type: str) -> bytes:
    shape = draw(st.integers(0, 9))
    if shape == 0:
        return draw(st.binary(max_size=60))
    if shape == 1:
        return draw(st.sampled_from(MALFORMED))
    value: Any = draw(objects(path))
    if "json-patch" in content_type:
        spot = draw(st.sampled_from(["/spec/replicas", "/metadata/labels/app", "/spec/-", "/a/b", "", "x"]))
        verb = draw(st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "none"]))
        value = [{"op": verb, "path": spot, "from": spot, "value": draw(junk)}]
    elif "patch" in content_type and shape < 8:
        value = {"spec": {"replicas": draw(st.integers(-1, 4))}, "metadata": {"labels": {"app": draw(names)}}}
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):  # numbers and texts that JSON cannot hold
        return repr(value).encode(errors="replace")


@st.composite
def wild(draw: st.DrawFn) -> Sent:
    """Anything at all."""
    path = draw(collections)
    method = draw(st.sampled_from(["GET", "POST", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD", "BREW"]))
    content_type = draw(content_types)
    body = b"" if method in ("GET", "HEAD") else draw(bodies(path, content_type))
    if method == "DELETE" and draw(st.booleans()):
        body = b""
    if method != "POST" or draw(st.integers(0, 3)) == 0:
        path += "/" + draw(names) + draw(subresources)
    headers = {"content-type": content_type, "accept": draw(accepts), "user-agent": draw(texts)}
    return Sent(method, path, draw(queries), headers, body, draw(users), 0)


@st.composite
def tame(draw: st.DrawFn) -> Sent:
    """What clients do all day to objects that are there, or were."""
    path = draw(st.sampled_from(sorted(GOOD) + WORKLOADS * 4))
    name = draw(st.sampled_from("aab"))
    what = draw(
        st.sampled_from(["create", "delete", "patch", "finalize", "own", "get", "list", "evict", "empty"])
    )
    method, place, query, content_type, body = (
        "PATCH",
        f"{path}/{name}",
        {},
        "application/merge-patch+json",
        None,
    )
    if what == "create":
        good = GOOD[path]
        method, place, content_type = "POST", path, "application/json"
        body = {**good, "metadata": {**good["metadata"], "name": name}}
    elif what == "delete":
        policy = draw(st.sampled_from(["Background", "Foreground", "Orphan"]))
        method, query = "DELETE", {"propagationPolicy": policy}
    elif what == "patch":
        replicas = draw(st.integers(0, 4))
        body = {
            "spec": {"replicas": replicas, "template": {"metadata": {"annotations": {"at": f"{replicas}"}}}}
        }
    elif what == "finalize":
        body = {"metadata": {"finalizers": draw(st.sampled_from([[HELD_BY], [], ["foregroundDeletion"]]))}}
    elif what == "own":
        body = {"metadata": {"labels": {"app": draw(st.sampled_from("ab"))}, "ownerReferences": None}}
    elif what in ("get", "list"):
        method, place = "GET", place if what == "get" else path
    elif what == "evict":
        pod = draw(st.sampled_from("ab"))
        method, place, content_type = "POST", f"{PODS}/{pod}/eviction", "application/json"
        body = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": pod}}
    else:
        method, place, query = "DELETE", path, {"labelSelector": "app=a"}
    sent = b"" if body is None else orjson.dumps(body)
    headers = {"content-type": content_type}
    return Sent(method, place, query, headers, sent, draw(users), draw(st.sampled_from([0, 0, 1, 5, 40])))
