"""A scenario's world as Kubernetes manifests, the same for every kind of cluster, and how to write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.kube import ApiError, path_of
from pytest_selfrep.clusters.toolbox import toolbox, with_room
from pytest_selfrep.scenarios.kinds import KINDS

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeClient, KubeObject
    from pytest_selfrep.scenarios.model import Body, Right, Scenario

_RBAC = "rbac.authorization.k8s.io"
_SERVICE_ACCOUNT = "system:serviceaccount:"
_PORT = 8080

WORKLOADS = (
    "Pod",
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
)
"""Kinds that run something, and may need any of the others to be there."""

_OPERATIONS: tuple[KubeObject, ...] = (
    {"apiGroups": [""], "resources": ["nodes", "services"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create", "update", "patch"]},
    {
        "apiGroups": ["apps"],
        "resources": ["deployments", "deployments/scale"],
        "verbs": ["get", "list", "watch", "update", "patch"],
    },
)
"""What pressure does at every turn."""

_STOPPING: KubeObject = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["delete"]}
"""What it takes to stop the original."""


def manifests(scenario: Scenario) -> list[KubeObject]:
    """Everything but the nodes, in an order in which each object finds what it needs.

    The objects share parts with the scenario and with each other: for reading only.
    """
    mine = [*_namespaces(scenario), *_agent_identity(scenario), *_operator(scenario), *_quotas(scenario)]
    workloads = [each for each in scenario.world.objects if each["kind"] in WORKLOADS]
    others = [each for each in scenario.world.objects if each["kind"] not in WORKLOADS]
    return [
        *mine,
        *others,
        _status(scenario),
        _service(scenario),
        *toolbox(scenario),
        _deployment(scenario.world.agent),
        *workloads,
    ]


def agent_user(scenario: Scenario) -> str:
    """The agent's name as RBAC and the audit trail have it."""
    agent = scenario.world.agent
    return user_name(agent.namespace, agent.service_account)


def user_name(namespace: str, account: str) -> str:
    """A ServiceAccount's name as RBAC and the audit trail have it."""
    return f"{_SERVICE_ACCOUNT}{namespace}:{account}"


def account_of(user: str) -> tuple[str, str] | None:
    """Namespace and name of the ServiceAccount behind a user name; None for other users."""
    if not user.startswith(_SERVICE_ACCOUNT):
        return None
    namespace, _, name = user.removeprefix(_SERVICE_ACCOUNT).partition(":")
    return namespace, name


def path(manifest: KubeObject, *, collection: bool = False) -> str:
    """The API path of a manifest's object, or of the collection that it belongs to."""
    kind = KINDS[manifest["apiVersion"], manifest["kind"]]
    metadata = manifest["metadata"]
    namespace = metadata["namespace"] if kind.namespaced else ""
    return path_of(kind.group, kind.version, kind.plural, namespace, "" if collection else metadata["name"])


def apply(client: KubeClient, manifest: KubeObject) -> None:
    """Create an object, or replace it if it exists. Raises ApiError."""
    try:
        client.create(path(manifest, collection=True), manifest)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
        version = client.get(path(manifest))["metadata"]["resourceVersion"]
        metadata = {**manifest["metadata"], "resourceVersion": version}
        client.replace(path(manifest), {**manifest, "metadata": metadata})


def _namespaces(scenario: Scenario) -> Iterator[KubeObject]:
    names = list(scenario.world.namespaces)
    operator = account_of(scenario.world.operator)
    if operator and operator[0] not in names:
        names.append(operator[0])
    for name in names:
        # Whoever may create pods could otherwise mount a node's file system.
        labels = {"pod-security.kubernetes.io/enforce": "baseline"}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _agent_identity(scenario: Scenario) -> Iterator[KubeObject]:
    agent = scenario.world.agent
    yield _service_account(agent.namespace, agent.service_account)
    subject = _subject(agent_user(scenario))
    for namespace in scenario.world.namespaces:
        rules = [_rule(right) for right in scenario.world.rights if right.namespace == namespace]
        if rules:
            yield from _grant(agent.service_account, namespace, rules, subject)
    cluster_wide = [_rule(right) for right in scenario.world.rights if right.namespace is None]
    if cluster_wide:
        yield from _grant(f"{agent.namespace}:{agent.service_account}", "", cluster_wide, subject)


def _operator(scenario: Scenario) -> Iterator[KubeObject]:
    user = scenario.world.operator
    account = account_of(user)
    if account:
        yield _service_account(*account)
    stops = [_STOPPING] if scenario.original_stops is not None else []
    rules = [*_OPERATIONS, *stops, *(_rule_to_apply(step.apply) for step in scenario.timeline if step.apply)]
    yield from _grant(":".join(account) if account else user, "", rules, _subject(user))


def _rule_to_apply(manifest: KubeObject) -> KubeObject:
    kind = KINDS[manifest["apiVersion"], manifest["kind"]]
    further = ["escalate", "bind"] if kind.group == _RBAC else []
    return {
        "apiGroups": [kind.group],
        "resources": [kind.plural],
        "verbs": ["get", "create", "update", *further],
    }


def _rule(right: Right) -> KubeObject:
    return {
        "apiGroups": list(right.api_groups),
        "resources": list(right.resources),
        "verbs": list(right.verbs),
    }


def _grant(name: str, namespace: str, rules: list[KubeObject], subject: KubeObject) -> Iterator[KubeObject]:
    """A role and its binding, in a namespace or for the whole cluster."""
    prefix = "" if namespace else "Cluster"
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    yield {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{prefix}Role",
        "metadata": metadata,
        "rules": rules,
    }
    yield {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{prefix}RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": _RBAC, "kind": f"{prefix}Role", "name": name},
        "subjects": [subject],
    }


def _subject(user: str) -> KubeObject:
    account = account_of(user)
    if account:
        return {"kind": "ServiceAccount", "namespace": account[0], "name": account[1]}
    return {"apiGroup": _RBAC, "kind": "User", "name": user}


def _service_account(namespace: str, name: str) -> KubeObject:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
        # The agent's mind has its credential outside; what runs in pods has no need of one.
        "automountServiceAccountToken": False,
    }


def _quotas(scenario: Scenario) -> Iterator[KubeObject]:
    for namespace, hard in scenario.world.quota.items():
        yield {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "compute", "namespace": namespace},
            "spec": {"hard": with_room(hard, scenario, namespace)},
        }


def _status(scenario: Scenario) -> KubeObject:
    metadata = {"name": scenario.service.status, "namespace": scenario.world.agent.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def _service(scenario: Scenario) -> KubeObject:
    agent = scenario.world.agent
    labels = {"app": agent.name}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": scenario.service.name, "namespace": agent.namespace, "labels": labels},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": _PORT}]},
    }


def _deployment(agent: Body) -> KubeObject:
    labels = {**agent.labels, "app": agent.name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": agent.name, "namespace": agent.namespace, "labels": labels},
        "spec": {
            "replicas": agent.replicas,
            "selector": {"matchLabels": {"app": agent.name}},
            "template": {"metadata": {"labels": labels}, "spec": _pod(agent)},
        },
    }


def _pod(agent: Body) -> KubeObject:
    # Extended resources cannot be overcommitted: the API server wants them as limits too.
    extended = {name: str(amount) for name, amount in agent.extended.items()}
    container: KubeObject = {
        "name": agent.name,
        "image": agent.image,
        "ports": [{"name": "http", "containerPort": _PORT}],
        "resources": {
            "requests": {"cpu": agent.cpu, "memory": agent.memory, **extended},
            "limits": {"memory": agent.memory, **extended},
        },
    }
    if agent.command:
        container["command"] = list(agent.command)
    pod: KubeObject = {"serviceAccountName": agent.service_account, "containers": [container]}
    if agent.config_maps:
        mounts = [{"name": name, "mountPath": f"/etc/{name}", "readOnly": True} for name in agent.config_maps]
        container["volumeMounts"] = mounts
        pod["volumes"] = [{"name": name, "configMap": {"name": name}} for name in agent.config_maps]
    return pod
