"""Requests of every shape, for hypothesis: what clients do all day, and anything at all."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import strategies as st
from kube_driver import PODS
from request_values import (
    ALL,
    HELD_BY,
    MALFORMED,
    OTHER_PATHS,
    SUBRESOURCES,
    WORKLOADS,
    Sent,
    accepts,
    content_types,
    identities,
    junk,
    methods,
    names,
    queries,
    texts,
    users,
)

collections = st.sampled_from([*ALL, *ALL, *OTHER_PATHS])
subresources = st.just("") | st.sampled_from(SUBRESOURCES)


def written(value: Any) -> bytes:
    """As JSON, as far as it can be."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):  # numbers and texts that JSON cannot hold
        return repr(value).encode(errors="replace")


@st.composite
def objects(draw: st.DrawFn, path: str) -> Any:
    """A good object for a path, mostly; often with a part of it replaced by something else."""
    found: Any = orjson.loads(orjson.dumps(ALL.get(path, {"metadata": {"name": "a"}})))
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
    return written(value)


@st.composite
def wild(draw: st.DrawFn) -> Sent:
    """Anything at all."""
    path = draw(collections)
    method = draw(methods)
    content_type = draw(content_types)
    body = b"" if method in ("GET", "HEAD") else draw(bodies(path, content_type))
    if method == "DELETE" and draw(st.booleans()):
        body = b""
    if method != "POST" or draw(st.integers(0, 3)) == 0:
        path += "/" + draw(names) + draw(subresources)
    headers = {"content-type": content_type, "accept": draw(accepts), "user-agent": draw(texts)}
    headers |= draw(identities)
    return Sent(method, path, draw(queries), headers, body, draw(users), 0)


@st.composite
def tame(draw: st.DrawFn) -> Sent:
    """What clients do all day to objects that are there, or were."""
    path = draw(st.sampled_from(sorted(ALL) + WORKLOADS * 6))
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
        good = ALL[path]
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
