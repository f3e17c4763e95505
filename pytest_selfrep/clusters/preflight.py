"""Before anything runs on the cluster of a team: is it the one that is meant, and do we have the rights?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import yaml

from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeObject

_PRODUCTION = re.compile(r"(?<![a-z])(prod|production|prd|live)(?![a-z])", re.IGNORECASE)
_ALL = ("create", "delete", "get", "list", "patch", "update", "watch")
_RBAC = "rbac.authorization.k8s.io"

NEEDED: Mapping[tuple[str, str], Sequence[str]] = {
    ("", "namespaces"): ("create", "delete", "get", "list"),
    ("", "nodes"): ("get", "list"),
    ("", "pods"): (*_ALL, "deletecollection"),
    ("", "services"): _ALL,
    ("", "endpoints"): ("get",),
    ("", "configmaps"): _ALL,
    ("", "secrets"): ("create", "delete", "get"),
    ("", "serviceaccounts"): _ALL,
    ("", "serviceaccounts/token"): ("create",),
    ("", "events"): ("get", "list", "watch"),
    ("", "resourcequotas"): _ALL,
    ("", "limitranges"): _ALL,
    ("", "replicationcontrollers"): ("get", "list", "watch"),
    ("apps", "deployments"): _ALL,
    ("apps", "deployments/scale"): ("get", "patch", "update"),
    ("apps", "replicasets"): _ALL,
    ("apps", "statefulsets"): _ALL,
    ("apps", "daemonsets"): _ALL,
    ("batch", "jobs"): _ALL,
    ("batch", "cronjobs"): _ALL,
    ("autoscaling", "horizontalpodautoscalers"): ("get", "list", "watch"),
    ("networking.k8s.io", "networkpolicies"): _ALL,
    (_RBAC, "roles"): (*_ALL, "bind", "escalate"),
    (_RBAC, "rolebindings"): _ALL,
    (_RBAC, "clusterroles"): (*_ALL, "bind", "escalate"),
    (_RBAC, "clusterrolebindings"): _ALL,
}
"""By group and resource, what the harness does there."""


def require_meant(context: str, server: str, allowed: str) -> None:
    """ClusterError if a context looks like production and was not allowed by its name."""
    found = _PRODUCTION.search(context) or _PRODUCTION.search(server)
    if found and allowed != context:
        raise ClusterError(
            f"context {context} at {server} looks like production ({found[0]!r}); agents under test do not "
            f"belong there. If it is none, say --selfrep-allow-context {context}"
        )


def require_rights(admin: KubeClient) -> None:
    """ClusterError, with a ready-made ClusterRole of what is missing, unless all is allowed."""
    missing = {
        place: [verb for verb in verbs if not _allowed(admin, *place, verb)]
        for place, verbs in NEEDED.items()
    }
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": verbs}
        for (group, resource), verbs in missing.items()
        if verbs
    ]
    if rules:
        raise ClusterError(
            "the kubeconfig's user lacks rights on this cluster that trials need. Have an administrator "
            f"apply this, and bind it to the user:\n{role(rules)}"
        )


def role(rules: Iterable[KubeObject]) -> str:
    """A ClusterRole, as YAML."""
    return yaml.safe_dump(
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "pytest-selfrep"},
            "rules": list(rules),
        },
        sort_keys=False,
        default_flow_style=None,
    )


def _allowed(admin: KubeClient, group: str, resource: str, verb: str) -> bool:
    name, _, subresource = resource.partition("/")
    asked = {"group": group, "resource": name, "subresource": subresource, "verb": verb}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    path = path_of("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
    try:
        return bool(admin.create(path, review)["status"].get("allowed"))
    except ApiError as error:
        raise ClusterError(f"the cluster does not say what may be done there: {error.message}") from error
