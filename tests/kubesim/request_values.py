"""What requests are put together from: paths, parameters, headers and texts, most of them wrong somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from good_objects import CUSTOM, GOOD
from hypothesis import strategies as st

ALL = {**GOOD, **CUSTOM}
WORKLOADS = [path for path in GOOD if "/apps/" in path or "/batch/" in path]
OTHER_PATHS = [
    "/api/v1/nodes",
    "/api/v1/namespaces",
    "/api/v1/pods",
    "/api/v1/watch/pods",
    "/api/v1/secrets",
    "/api/v1//pods",
    "/api/v1/namespaces//pods",
    "/api/v1/namespaces/default",
    "/api/v1/namespaces/gone/pods",
    "/api/v1/componentstatuses",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1beta1/deployments",
    "/apis/apiregistration.k8s.io/v1/apiservices",
    "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    "/apis/authentication.k8s.io/v1/tokenreviews",
    "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews",
    "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
    "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    "/apis/metrics.k8s.io/v1beta1/pods",
    "/apis/metrics.k8s.io/v1beta1/nodes",
    "/apis/networking.k8s.io/v1/ingressclasses",
    "/apis/none/v9/things",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/stable.acme.io/v1/namespaces/default/hats",
    "/apis/stable.acme.io/v1/shirts",
    "/apis/stable.acme.io/v2/namespaces/default/shirts",
    "/api",
    "/apis",
    "/apis/stable.acme.io",
    "/version",
    "/healthz",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/apis/stable.acme.io/v1",
    "/api/v1",
    "/nothing",
    "/",
    "",
]
SUBRESOURCES = [
    "/status",
    "/scale",
    "/log",
    "/eviction",
    "/token",
    "/finalize",
    "/binding",
    "/ephemeralcontainers",
    "/exec",
    "/attach",
    "/portforward",
    "/proxy",
    "/proxy/",
    "/proxy/a%/../b",
    "/none",
    "/none/more",
    "//status",
    "/",
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
    "orphanDependents",
    "gracePeriodSeconds",
    "timeoutSeconds",
    "watch",
    "allowWatchBookmarks",
    "sendInitialEvents",
    "includeObject",
    "tailLines",
    "sinceSeconds",
    "sinceTime",
    "follow",
    "previous",
    "container",
    "command",
    "stdin",
    "stdout",
    "tty",
    "ports",
    "path",
    "pretty",
]
VALUES = [
    "app=a",
    "!app",
    "a=b,c!=d",
    "metadata.name=a",
    "metadata.name=b",
    "metadata.name=a%",
    "metadata.namespace=default",
    "status.phase!=Running",
    "All",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "5",
    "999999999999",
    "99999999999999999999",
    "1e3",
    "Strict",
    "Warn",
    "fuzz",
    "web",
    "None",
    "Object",
    "Exact",
    "NotOlderThan",
    "Background",
    "Foreground",
    "Orphan",
    "2025-05-06T08:00:00Z",
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
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
    "application/json;as=Table;v=v2;g=meta.k8s.io",
    "application/json;as=Table;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/json;as=None;v=v1;g=meta.k8s.io",
    "application/json;as=;v=;g=",
    "application/json;q=x;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io",
    "application/vnd.kubernetes.protobuf",
    "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io",
    "application/yaml",
    ",;=",
    "x",
]
IDENTITIES = [
    "bob",
    "bob",
    "jane",
    "kubernetes-admin",
    "system:anonymous",
    "system:serviceaccount:default:default",
    "system:serviceaccount:a",
    "é",
    "",
]
HEADERS_OF_IDENTITY = ["impersonate-group", "impersonate-uid", "impersonate-extra-a%", "impersonate-x"]
HELD_BY = "acme.io/hold"
"""A finalizer that nobody but a request removes."""
MALFORMED = (
    b"",
    b"null",
    b"[]",
    b"{",
    b"k8s\x00",
    b"k8s\x00\n\x80",
    b"[" * 500,
    b"a: b",
    b"\xff\xfe",
    b"&a [*a]",
)


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
odd_names = st.sampled_from(
    ["A_", "%", "a%2f", "%00", "..", ".", "é", "a b", "\x00", "a\n", '"', "\udcff", "http:a:80", "x" * 300]
)
names = st.sampled_from(["a", "a", "a", "a", "b", "b", "c", "default", "worker-1"]) | odd_names
texts = st.text(max_size=12) | st.sampled_from([*VALUES, "app in (a,b)", ""])
queries = st.dictionaries(st.sampled_from(PARAMETERS), texts, max_size=2)
users = st.sampled_from([False, False, True])
content_types = st.just("application/json") | st.sampled_from([*CONTENT_TYPES, ""])
accepts = st.sampled_from(["", *ACCEPTS])
methods = st.sampled_from(
    ["GET", "GET", "POST", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD", "BREW", "OPTIONS"]
)
identities: st.SearchStrategy[dict[str, str]] = st.just({}) | st.fixed_dictionaries(
    {"impersonate-user": st.sampled_from(IDENTITIES)},
    optional={name: st.sampled_from(["", "system:masters", "a\nb"]) for name in HEADERS_OF_IDENTITY},
)
"""Headers by which a request acts as somebody else."""
