"""Before anything runs on the cluster of a team: is it the one that is meant, and do we have the rights?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import yaml

from pytest_selfrep.clusters.access import allowed
from pytest_selfrep.clusters.claims import lease_in
from pytest_selfrep.clusters.discovery import Discovery
from pytest_selfrep.clusters.inventory import Inventory
from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of
from pytest_selfrep.clusters.manifests import account_of
from pytest_selfrep.clusters.vacancy import require_unclaimed, require_vacant
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeObject

_PRODUCTION = re.compile(
    # A word of its own, or prod at the beginning or end of one, but of none like product or nonprod.
    r"(?<![a-z])(?<!non[-_.])(?:prd|live)(?![a-z])|(?<![a-z])(?<!non[-_.])prod(?:uction|(?!uc|ukt))"
    r"|(?<!re)(?<!non)(?<!non[-_.])prod(?:uction)?(?![a-z])",
    re.IGNORECASE,
)
_ALL = ("create", "delete", "get", "list", "patch", "update", "watch")
_RBAC = "rbac.authorization.k8s.io"
_NAME = "platform-provisioner"
"""Of roles that we ask for. Agents may see those in the namespaces that they are given."""
_LEASES = "coordination.k8s.io"

NEEDED: Mapping[tuple[str, str], Sequence[str]] = {
    ("", "namespaces"): ("create", "delete", "get", "list"),
    ("", "nodes"): ("get", "list"),
    ("", "pods"): (*_ALL, "deletecollection"),
    ("", "pods/exec"): ("create", "get"),
    ("", "pods/log"): ("get",),
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
    (_LEASES, "leases"): ("create", "delete", "get", "list", "patch", "update"),
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

_OF_THE_CLUSTER = frozenset(
    {("", "nodes"), ("", "endpoints"), (_RBAC, "clusterroles"), (_RBAC, "clusterrolebindings")}
)
_SWEPT = ("delete", "get", "list")
NEEDED_IF_GIVEN: Mapping[tuple[str, str], Sequence[str]] = {
    **{place: verbs for place, verbs in NEEDED.items() if place not in _OF_THE_CLUSTER},
    ("", "namespaces"): ("get",),
    ("", "events"): (*_SWEPT, "watch"),
    ("", "secrets"): ("create", *_SWEPT),
    ("", "persistentvolumeclaims"): ("create", *_SWEPT),
    ("", "pods/log"): ("get",),
    ("", "replicationcontrollers"): (*_SWEPT, "watch"),
    ("autoscaling", "horizontalpodautoscalers"): (*_SWEPT, "watch"),
}
"""The same in a namespace that was given: what an agent makes there is to be removed, kind by kind."""

SAFE = ("restricted", "baseline")
"""Pod Security levels under which pods cannot get at their node."""
_ENFORCE = "pod-security.kubernetes.io/enforce"
_AT_ONCE = 8
"""Questions to the API server."""


def require_meant(context: str, server: str, allowed: str, cluster: str = "") -> None:
    """ClusterError if a context looks like production and was not allowed by its name.

    ``cluster``: the name of its cluster in the kubeconfig.
    """
    found = next(filter(None, map(_PRODUCTION.search, (context, server, cluster))), None)
    if found and allowed != context:
        raise ClusterError(
            f"context {context} at {server} looks like production ({found.string!r}); agents under test do "
            f"not belong there. If it is none, say --selfrep-allow-context {context}"
        )


def require_rights(admin: KubeClient) -> None:
    """ClusterError, with a ready-made ClusterRole of what is missing, unless all is allowed."""
    rules = _missing(admin, NEEDED, "")
    if rules:
        raise ClusterError(
            "the kubeconfig's user lacks rights on this cluster that trials need. Have an administrator "
            f"apply this, and bind it to the user:\n{_yaml([_role('ClusterRole', {}, rules)])}"
        )


def require_given(admin: KubeClient, namespaces: Sequence[str]) -> None:
    """ClusterError unless trials can take turns in these namespaces.

    It has a ready-made Role and RoleBinding for each namespace in which rights are missing.
    """
    objects: list[KubeObject] = []
    for namespace in namespaces:
        rules = _missing(admin, NEEDED_IF_GIVEN, namespace)
        if rules:
            where = {"namespace": namespace}
            objects += [_role("Role", where, rules), _binding(where, _subject(admin))]
    if objects:
        raise ClusterError(
            "the kubeconfig's user lacks rights in the namespaces that trials need. Have an administrator "
            f"apply this:\n{_yaml(objects)}"
        )
    discovery = Discovery(admin)
    for namespace in namespaces:
        _require_contained(admin, namespace)
        inventory = Inventory(admin, discovery, namespace)
        lease = lease_in(admin, namespace)
        if lease is None:
            require_vacant(admin, namespace, inventory.things(), namespaces)
        else:
            # Another run is at work, and trials wait for it; or one died, and they tidy up.
            require_unclaimed(inventory, namespace, lease)


def _require_contained(admin: KubeClient, namespace: str) -> None:
    """Whoever may create pods could mount a node's file system, where nothing forbids it."""
    try:
        metadata = admin.get(path_of("", "v1", "namespaces", name=namespace))["metadata"]
    except ApiError as error:
        raise ClusterError(f"--selfrep-namespaces: {error.message}") from error
    if (metadata.get("labels") or {}).get(_ENFORCE) not in SAFE:
        raise ClusterError(
            f"namespace {namespace} lets any pod in, and an agent that may create pods could get out of it; "
            f"have an administrator say: kubectl label namespace {namespace} {_ENFORCE}={SAFE[0]}"
        )


def _missing(
    admin: KubeClient, needed: Mapping[tuple[str, str], Sequence[str]], namespace: str
) -> list[KubeObject]:
    """Rules for what is not allowed."""
    if allowed(admin, namespace, "*", "*", "*"):
        return []
    asked = [(group, resource, verb) for (group, resource), verbs in needed.items() for verb in verbs]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        answers = list(threads.map(lambda each: allowed(admin, namespace, *each), asked))
    denied = {each for each, answer in zip(asked, answers, strict=True) if not answer}
    return [
        {"apiGroups": [group], "resources": [resource], "verbs": lacking}
        for (group, resource), verbs in needed.items()
        if (lacking := [verb for verb in verbs if (group, resource, verb) in denied])
    ]


def _role(kind: str, where: Mapping[str, str], rules: Sequence[KubeObject]) -> KubeObject:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": {"name": _NAME, **where},
        "rules": list(rules),
    }


def _binding(where: Mapping[str, str], subject: KubeObject) -> KubeObject:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": _NAME, **where},
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": _NAME},
        "subjects": [subject],
    }


def _subject(admin: KubeClient) -> KubeObject:
    """The kubeconfig's user, as far as the server says who that is (from Kubernetes 1.28 on)."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = admin.create(path_of("authentication.k8s.io", "v1", "selfsubjectreviews"), review)
        user = str(answer["status"]["userInfo"]["username"])
    except ApiError:
        user = "THE-USER-OF-THE-KUBECONFIG"
    account = account_of(user)
    if account is not None:
        return {"kind": "ServiceAccount", "namespace": account[0], "name": account[1]}
    return {"apiGroup": _RBAC, "kind": "User", "name": user}


def _yaml(objects: Sequence[KubeObject]) -> str:
    return yaml.safe_dump_all(objects, sort_keys=False, default_flow_style=None)
