"""CustomResourceDefinitions of every shape, and custom resources, for hypothesis."""

from __future__ import annotations

from typing import Any

from definitions import DEFINITIONS, NAME, SHIRTS, definition, version
from hypothesis import strategies as st
from kube_driver import Object
from request_shapes import written
from request_values import Sent, accepts, junk, names, users

APPLY = "application/apply-patch+yaml"
HATS = SHIRTS.replace("shirts", "hats")

types = st.sampled_from(["object", "object", "array", "string", "integer", "number", "boolean", "null", ""])
patterns = st.sampled_from(["^a+$", "(a*)*b", "[", "(?i)A", r"\pL", "a{1000}", "(?=a)", "\\", "^(a|b|ab)*c$"])
flags = {
    f"x-kubernetes-{name}": st.booleans()
    for name in ("preserve-unknown-fields", "int-or-string", "embedded-resource")
}


def _schema(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A schema around others; seldom a structural one, sometimes one that nobody has thought of."""
    said = {
        "properties": st.dictionaries(
            st.sampled_from(["color", "replicas", "a", "metadata", ""]), inner, max_size=3
        ),
        "items": inner,
        "additionalProperties": inner | st.booleans(),
        "allOf": st.lists(inner, max_size=2),
        "oneOf": st.lists(inner, max_size=2),
        "not": inner,
        "required": st.lists(st.sampled_from(["color", "a"]), max_size=2),
        "x-kubernetes-list-type": st.sampled_from(["map", "set", "atomic", "x"]),
        "x-kubernetes-list-map-keys": st.sampled_from([["a"], ["a", "a"], [], ["none"]]),
        "x-kubernetes-map-type": st.sampled_from(["atomic", "granular", "x"]),
        **flags,
    }
    return st.fixed_dictionaries({"type": types}, optional=said)


leaves = st.fixed_dictionaries(
    {"type": types},
    optional={
        "default": junk,
        "enum": st.lists(junk, max_size=3) | st.just([f"v{number}" for number in range(1000)]),
        "pattern": patterns,
        "format": st.sampled_from(["date-time", "int32", "ipv4", "quantity", "byte", "password", "x"]),
        "minimum": st.integers(-5, 5) | junk,
        "maxLength": st.integers(-1, 5),
        "minItems": st.integers(-1, 2),
        "multipleOf": st.sampled_from([0, 2, 0.1, -1]),
        "nullable": st.booleans(),
        "uniqueItems": st.booleans(),
        "$ref": st.just("#"),
        "x-kubernetes-validations": st.just([{"rule": "self.a > 0"}]),
        **flags,
    },
)
schemas = st.recursive(leaves, _schema, max_leaves=6)


@st.composite
def columns(draw: st.DrawFn) -> Any:
    path = draw(
        st.sampled_from([".spec.color", ".metadata.creationTimestamp", ".spec[0]", "spec", ".a[?(@.b)]", ""])
    )
    kind = draw(st.sampled_from(["string", "integer", "number", "boolean", "date", "x"]))
    return {"name": draw(st.sampled_from(["Color", "Age", ""])), "type": kind, "jsonPath": path}


@st.composite
def defined(draw: st.DrawFn) -> Sent:
    """A CustomResourceDefinition: a good one, one with any schema, or one that is spoiled."""
    plural, kind = draw(
        st.sampled_from([("shirts", "Shirt"), ("hats", "Hat"), ("hats", "Shirt"), ("", "hat")])
    )
    said: Object = {"additionalPrinterColumns": draw(st.lists(columns(), max_size=2))}
    if draw(st.booleans()):
        said["subresources"] = draw(
            st.sampled_from([{"status": {}}, {"scale": {}}, {"scale": {"a": 1}}, {"x": {}}])
        )
    made = version(spec={"color": draw(schemas), "a": draw(schemas)}, **said)
    if draw(st.integers(0, 2)) == 0:
        made["schema"]["openAPIV3Schema"] = draw(schemas)
    versions = [made, version("v2", storage=draw(st.integers(0, 5)) == 0)][: draw(st.integers(1, 2))]
    scope = draw(st.sampled_from(["Namespaced", "Namespaced", "Cluster", "x"]))
    body = definition(plural, kind, *versions, scope=scope, shortNames=draw(st.lists(names, max_size=1)))
    if draw(st.integers(0, 7)) == 0:
        body["spec"][draw(st.sampled_from(sorted(body["spec"])))] = draw(junk)
    headers = {"content-type": "application/json"}
    method, place = draw(st.sampled_from([("POST", DEFINITIONS), ("PUT", f"{DEFINITIONS}/{NAME}")]))
    if draw(st.integers(0, 3)) == 0:
        body = {"spec": body["spec"]}
        method, place, headers = (
            "PATCH",
            f"{DEFINITIONS}/{NAME}",
            {"content-type": "application/merge-patch+json"},
        )
    return Sent(method, place, {}, headers, written(body), False, draw(st.sampled_from([0, 0, 5])))


@st.composite
def custom(draw: st.DrawFn) -> Sent:
    """A custom resource whose parts may be anything."""
    spec = st.dictionaries(
        st.sampled_from(["color", "replicas", "a"]), junk | st.sampled_from([*"ab", 1]), max_size=3
    )
    body: Object = {"metadata": {"name": draw(names)}, "spec": draw(spec | junk)}
    path = draw(st.sampled_from([SHIRTS, SHIRTS, HATS, SHIRTS.replace("/v1/", "/v2/")]))
    method, place, content_type = draw(
        st.sampled_from(
            [
                ("POST", path, "application/json"),
                ("PUT", f"{path}/a", "application/json"),
                ("PATCH", f"{path}/a", "application/merge-patch+json"),
                ("PATCH", f"{path}/a", "application/strategic-merge-patch+json"),
                ("PATCH", f"{path}/a", APPLY),
                ("PATCH", f"{path}/a/status", "application/merge-patch+json"),
                ("PUT", f"{path}/a/scale", "application/json"),
                ("GET", path, ""),
                ("GET", f"{path}/a/scale", ""),
            ]
        )
    )
    if draw(st.booleans()):
        body |= {"apiVersion": "stable.acme.io/v1", "kind": draw(st.sampled_from(["Shirt", "Hat", "Scale"]))}
    query = draw(st.sampled_from([{}, {"fieldManager": "one"}, {"fieldValidation": "Strict"}]))
    headers = {"content-type": content_type, "accept": draw(accepts)}
    return Sent(method, place, query, headers, b"" if method == "GET" else written(body), draw(users), 0)
