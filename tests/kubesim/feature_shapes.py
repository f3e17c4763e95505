"""Requests that go deep into one feature each, for hypothesis: apply, protobuf, watches, streams."""

from __future__ import annotations

from typing import Any

import yaml
from custom_shapes import APPLY, custom, defined
from definitions import DEFINITIONS, SHIRTS
from good_objects import GOOD
from hypothesis import strategies as st
from kube_driver import PODS, Object
from protobuf_encoder import encode
from request_shapes import objects, written
from request_values import ALL, Sent, accepts, identities, names, texts, users

from pytest_selfrep.kubesim.kinds import KINDS

PROTOBUF = "application/vnd.kubernetes.protobuf"
FIELDS = [
    {},
    {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:replicas": {}}},
    {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {".": {}, "f:image": {}}}}}}},
    {"f:metadata": {"f:finalizers": {'v:"acme.io/hold"': {}, "v:": {}, "k:{": {}, "i:-1": {}, "x": {}}}},
    {"f:spec": None, "f:metadata": 1},
    {"": {}},
    None,
    "x",
]
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "manager": st.sampled_from(["", "one", "fuzz", "x" * 200, 1]),
        "operation": st.sampled_from(["Apply", "Update", "Delete", ""]),
        "apiVersion": st.sampled_from(["v1", "apps/v1", "none/v9", "a/b/c", ""]),
        "time": st.sampled_from(["2025-05-06T08:00:00Z", "yesterday", None]),
        "fieldsType": st.sampled_from(["FieldsV1", "FieldsV2", ""]),
        "fieldsV1": st.sampled_from(FIELDS),
        "subresource": st.sampled_from(["", "status", "scale", "none"]),
    },
)
MANAGED: st.SearchStrategy[Any] = st.lists(ENTRY, max_size=3) | st.sampled_from([[{}], [], None, "x", [None]])


KIND_OF = {kind.plural: kind.kind for kind in KINDS}


def _versioned(path: str) -> Object:
    """The good object of a path as clients write it down, with its kind."""
    segments = path.split("/")
    group = segments[2] if segments[1] == "apis" else ""
    api_version = f"{group}/{segments[3]}" if group else segments[2]
    if path == SHIRTS:
        return ALL[path]
    return {**ALL[path], "apiVersion": api_version, "kind": KIND_OF[segments[-1]]}


CONFIGURATIONS = {path: _versioned(path) for path in ALL}
# Definitions hold JSON of any type, which has a spelling of its own in protobuf.
BINARY = {path: encode(CONFIGURATIONS[path]) for path in GOOD if path != DEFINITIONS}


@st.composite
def applied(draw: st.DrawFn) -> Sent:
    """A part of an object, applied by one of several managers, who may claim what they like."""
    path = draw(st.sampled_from(sorted(ALL)))
    config: Any = CONFIGURATIONS[path]
    if draw(st.booleans()):
        config = {**draw(objects(path)), "apiVersion": config["apiVersion"], "kind": config["kind"]}
    kept = draw(st.sets(st.sampled_from(sorted(config))))
    config = {key: value for key, value in config.items() if key in kept | {"apiVersion", "kind", "metadata"}}
    name = draw(st.sampled_from(["a", "a", "b"]) | names)
    if isinstance(config["metadata"], dict):
        config["metadata"] = {**config["metadata"], "name": name}
        if draw(st.integers(0, 3)) == 0:
            config["metadata"]["managedFields"] = draw(MANAGED)
    query = {"fieldManager": draw(st.sampled_from(["one", "two", "two"]) | texts)}
    query |= draw(st.sampled_from([{}, {"force": "true"}, {"force": "x"}, {"dryRun": "All"}]))
    below = draw(st.sampled_from(["", "", "", "/status", "/scale"]))
    body = written(config)
    if draw(st.integers(0, 7)) == 0:
        body = draw(st.sampled_from([b"!!x", b"--- a\n--- b", b"a: &a [*a]", body[:-3], b"<<: 1", b"? [a]"]))
    elif draw(st.integers(0, 3)) == 0 and name.isalnum():
        body = yaml.safe_dump(CONFIGURATIONS[path] | {"metadata": {"name": name}}).encode()
    headers = {"content-type": APPLY, "user-agent": draw(texts), **draw(identities)}
    return Sent(
        "PATCH", f"{path}/{name}{below}", query, headers, body, draw(users), draw(st.sampled_from([0, 5]))
    )


@st.composite
def claimed(draw: st.DrawFn) -> Sent:
    """A write in which a client says itself who owns which field."""
    path, name = draw(st.sampled_from(sorted(ALL))), draw(st.sampled_from("ab"))
    meta = {"name": name, "managedFields": draw(MANAGED)}
    headers = {"content-type": "application/merge-patch+json"}
    if draw(st.booleans()):
        return Sent("PATCH", f"{path}/{name}", {}, headers, written({"metadata": meta}), draw(users), 0)
    body = written({**ALL[path], "metadata": {**ALL[path]["metadata"], **meta}})
    method, place = draw(st.sampled_from([("PUT", f"{path}/{name}"), ("POST", path)]))
    return Sent(method, place, {}, {"content-type": "application/json"}, body, draw(users), 0)


@st.composite
def binary(draw: st.DrawFn) -> Sent:
    """A good object in protobuf, as it is or with bits flipped, or cut off."""
    path = draw(st.sampled_from(sorted(BINARY)))
    body = bytearray(BINARY[path])
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 5]))):
        body[draw(st.integers(4, len(body) - 1))] ^= 1 << draw(st.integers(0, 7))
    if draw(st.integers(0, 7)) == 0:
        del body[draw(st.integers(0, len(body))) :]
    headers = {"content-type": PROTOBUF, "accept": draw(accepts)}
    method, place = draw(
        st.sampled_from([("POST", path), ("POST", path), ("PUT", f"{path}/a"), ("DELETE", f"{path}/a")])
    )
    return Sent(method, place, {}, headers, bytes(body), draw(users), 0)


WATCHED = [
    "allowWatchBookmarks",
    "sendInitialEvents",
    "resourceVersion",
    "resourceVersionMatch",
    "timeoutSeconds",
]


@st.composite
def watched(draw: st.DrawFn) -> Sent:
    """A list or a watch with strange parameters, seen in one way or another."""
    path = draw(st.sampled_from([*ALL, *([PODS, SHIRTS] * 4)]))
    query = draw(
        st.dictionaries(
            st.sampled_from([*WATCHED, "labelSelector", "fieldSelector", "limit"]), texts, max_size=3
        )
    )
    query["watch"] = draw(st.sampled_from(["1", "true", "", "no", "0"]))
    path += draw(st.sampled_from(["", "", "/a"]))
    return Sent("GET", path, query, {"accept": draw(accepts)}, b"", draw(users), 0)


@st.composite
def streamed(draw: st.DrawFn) -> Sent:
    """A conversation with a container, or a request to what listens there; with an upgrade or without."""
    place = draw(
        st.sampled_from(
            [
                f"{PODS}/a/exec",
                f"{PODS}/a/attach",
                f"{PODS}/a/portforward",
                f"{PODS}/a:80/proxy/healthz",
                f"{PODS}/http:a:x/proxy/",
                f"{PODS}/a/proxy",
                f"{PODS}/a:99999999/proxy/a",
                f"{PODS}/a/log",
                f"{PODS.replace('pods', 'services')}/a:80/proxy/",
                f"{PODS.replace('pods', 'services')}/a:http/proxy/%2e%2e/a",
                f"{PODS.replace('pods', 'services')}/:/proxy/",
                f"{PODS}/a/ephemeralcontainers",
            ]
        )
    )
    names_ = [
        "command",
        "container",
        "stdin",
        "stdout",
        "tty",
        "ports",
        "follow",
        "tailLines",
        "path",
        "previous",
    ]
    said = st.sampled_from(["true", "1", "web", "none", "80", "0", "x", "echo a", "sleep 1", "70000", ""])
    query = draw(st.dictionaries(st.sampled_from(names_), said, max_size=4))
    headers = {"accept": draw(accepts)}
    if draw(st.booleans()):
        protocol = draw(st.sampled_from(["v5.channel.k8s.io", "v4.channel.k8s.io", "x", ""]))
        headers |= {"connection": "Upgrade", "sec-websocket-protocol": protocol}
        headers["upgrade"] = draw(st.sampled_from(["websocket", "SPDY/3.1", "x"]))
    method = draw(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]))
    return Sent(
        method,
        place,
        query,
        headers,
        draw(st.sampled_from([b"", b"{}", b"x"])),
        draw(users),
        draw(st.sampled_from([0, 40])),
    )


def featured() -> st.SearchStrategy[Sent]:
    return st.one_of(applied(), claimed(), binary(), defined(), custom(), watched(), streamed())
