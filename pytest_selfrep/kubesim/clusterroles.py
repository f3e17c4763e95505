"""The ClusterRoles and bindings that every cluster starts with."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from pytest_selfrep.kubesim.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, Kind
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.rbac import RBAC_GROUP

_READ = "get list watch"
_WRITE = "create delete deletecollection patch update"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}

# Verbs, API group, resources.
_VIEW = (
    (
        _READ,
        "",
        "configmaps endpoints events limitranges namespaces namespaces/status pods pods/log pods/status resourcequotas "
        "resourcequotas/status serviceaccounts services services/status",
    ),
    (
        _READ,
        "apps",
        "daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets "
        "replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
    ),
    (_READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    (_READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    (_READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    (_READ, "discovery.k8s.io", "endpointslices"),
    (_READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    (_READ, "metrics.k8s.io", "pods nodes"),
)
_EDIT = (
    (_READ, "", "secrets"),
    (_WRITE, "", "configmaps events pods secrets serviceaccounts services"),
    ("create", "", "pods/eviction serviceaccounts/token"),
    ("impersonate", "", "serviceaccounts"),
    (
        _WRITE,
        "apps",
        "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets "
        "statefulsets/scale",
    ),
    (_WRITE, "batch", "cronjobs jobs"),
    (_WRITE, "autoscaling", "horizontalpodautoscalers"),
    (_WRITE, "policy", "poddisruptionbudgets"),
    (_WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    (f"{_WRITE} {_READ}", "coordination.k8s.io", "leases"),
)
_ADMIN = (
    (f"{_WRITE} {_READ}", RBAC_GROUP, "rolebindings roles"),
    ("create", "authorization.k8s.io", "localsubjectaccessreviews"),
)
_BASIC = (
    ("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
    ("create", "authentication.k8s.io", "selfsubjectreviews"),
)
_DISCOVERY = "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"
_PUBLIC = "/healthz /livez /readyz /version /version/"


@cache
def initial_objects() -> tuple[tuple[Kind, Object], ...]:
    """Roles, then bindings, to be created in this order. All clusters share their rules."""
    return tuple(_initial_objects())


def _initial_objects() -> Iterator[tuple[Kind, Object]]:
    everything = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, _paths("*", "*")]
    yield _role("cluster-admin", everything)
    yield _role("admin", [*_rules(_VIEW), *_rules(_EDIT), *_rules(_ADMIN)])
    yield _role("edit", [*_rules(_VIEW), *_rules(_EDIT)])
    yield _role("view", list(_rules(_VIEW)))
    yield _role("system:basic-user", list(_rules(_BASIC)))
    yield _role("system:discovery", [_paths("get", _DISCOVERY)])
    yield _role("system:public-info-viewer", [_paths("get", _PUBLIC)])
    yield _binding("cluster-admin", "system:masters")
    for name in ("system:basic-user", "system:discovery"):
        yield _binding(name, "system:authenticated")
    yield _binding("system:public-info-viewer", "system:authenticated", "system:unauthenticated")


def _rules(table: tuple[tuple[str, str, str], ...]) -> Iterator[Object]:
    for verbs, group, resources in table:
        yield {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}


def _paths(verb: str, paths: str) -> Object:
    return {"verbs": [verb], "nonResourceURLs": paths.split()}


def _role(name: str, rules: list[Object]) -> tuple[Kind, Object]:
    return CLUSTER_ROLE, {"metadata": {"name": name, "labels": _LABELS}, "rules": rules}


def _binding(name: str, *groups: str) -> tuple[Kind, Object]:
    return CLUSTER_ROLE_BINDING, {
        "metadata": {"name": name, "labels": _LABELS},
        "subjects": [{"kind": "Group", "apiGroup": RBAC_GROUP, "name": group} for group in groups],
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": name},
    }
