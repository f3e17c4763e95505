"""``kubectl create role|clusterrole|rolebinding|clusterrolebinding``."""

from __future__ import annotations

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.create import create_object
from pytest_selfrep.tools.kubectl.errors import Complaint, fault
from pytest_selfrep.tools.kubectl.generators import obj

_GROUP = "rbac.authorization.k8s.io"
_RESOURCE_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "*")
_SPECIAL_VERBS = ("use", "bind", "escalate", "impersonate", "proxy", "approve", "sign")


def _rules(command: Command) -> list[KubeObject]:
    verbs = list(dict.fromkeys(command.listed("verb")))
    urls = command.listed("non-resource-url")
    if not verbs:
        raise fault("at least one verb must be specified")
    if urls:
        return [{"nonResourceURLs": urls, "verbs": verbs}]
    for verb in verbs:
        if verb not in (*_RESOURCE_VERBS, *_SPECIAL_VERBS):
            command.say(f"Warning: '{verb}' is not a standard resource verb")
    if not command.listed("resource"):
        raise fault("at least one resource must be specified")
    by_group: dict[str, list[str]] = {}
    for word in command.listed("resource"):
        resource, slash, subresource = word.partition("/")
        group, plural = _resolve(command, resource)
        by_group.setdefault(group, []).append(f"{plural}/{subresource}" if slash else plural)
    names = {"resourceNames": command.listed("resource-name")} if command.listed("resource-name") else {}
    return [
        {"apiGroups": [group], "resources": resources, "verbs": verbs, **names}
        for group, resources in by_group.items()
    ]


def _resolve(command: Command, word: str) -> tuple[str, str]:
    if word == "*":
        return "*", "*"
    kind = command.discovery.find_word(word)
    if kind is None:
        raise Complaint(f'the server doesn\'t have a resource type "{word}"')
    return kind.group, kind.plural


def role(command: Command) -> KubeObject:
    return obj(f"{_GROUP}/v1", "Role", command.one_name(), rules=_rules(command))


def cluster_role(command: Command) -> KubeObject:
    return obj(f"{_GROUP}/v1", "ClusterRole", command.one_name(), rules=_rules(command))


def _subjects(command: Command) -> list[KubeObject]:
    subjects: list[KubeObject] = []
    for kind, flag in (("User", "user"), ("Group", "group")):
        subjects += [{"apiGroup": _GROUP, "kind": kind, "name": name} for name in command.listed(flag)]
    for word in command.listed("serviceaccount"):
        namespace, colon, name = word.partition(":")
        if not colon or not namespace or not name:
            raise fault("serviceaccount must be <namespace>:<name>")
        subjects.append({"kind": "ServiceAccount", "name": name, "namespace": namespace})
    return subjects


def role_binding(command: Command) -> KubeObject:
    name, of_role, of_cluster_role = command.one_name(), command.text("role"), command.text("clusterrole")
    if bool(of_role) == bool(of_cluster_role):
        raise fault("exactly one of clusterrole or role must be specified")
    kind = "Role" if of_role else "ClusterRole"
    reference = {"apiGroup": _GROUP, "kind": kind, "name": of_role or of_cluster_role}
    return obj(f"{_GROUP}/v1", "RoleBinding", name, roleRef=reference, subjects=_subjects(command) or None)


def cluster_role_binding(command: Command) -> KubeObject:
    reference = {"apiGroup": _GROUP, "kind": "ClusterRole", "name": command.text("clusterrole")}
    subjects = _subjects(command) or None
    return obj(f"{_GROUP}/v1", "ClusterRoleBinding", command.one_name(), roleRef=reference, subjects=subjects)


def _create_role(command: Command) -> None:
    create_object(command, role, "")


def _create_cluster_role(command: Command) -> None:
    create_object(command, cluster_role, "")


def _create_role_binding(command: Command) -> None:
    create_object(command, role_binding, "failed to create rolebinding: ")


def _create_cluster_role_binding(command: Command) -> None:
    create_object(command, cluster_role_binding, "failed to create clusterrolebinding: ")


_RULES = (
    *f.WRITE,
    f.Flag("verb", f.LIST),
    f.Flag("resource", f.LIST),
    f.Flag("resource-name", f.LIST),
)
_SUBJECTS = (
    *f.WRITE,
    f.Flag("clusterrole", f.TEXT),
    f.Flag("serviceaccount", f.LIST),
    f.Flag("user", f.LIST),
    f.Flag("group", f.LIST),
)

VERBS = (
    Verb(
        "create role",
        _create_role,
        _RULES,
        "create role NAME --verb=verb --resource=resource.group/subresource [--resource-name=name] [options]",
        "Create a role with single rule",
    ),
    Verb(
        "create clusterrole",
        _create_cluster_role,
        (*_RULES, f.Flag("non-resource-url", f.LIST)),
        "create clusterrole NAME --verb=verb --resource=resource.group [--non-resource-url=url] [options]",
        "Create a cluster role",
    ),
    Verb(
        "create rolebinding",
        _create_role_binding,
        (*_SUBJECTS, f.Flag("role", f.TEXT)),
        "create rolebinding NAME --clusterrole=NAME|--role=NAME [--user=username] "
        "[--serviceaccount=namespace:serviceaccountname] [options]",
        "Create a role binding for a particular role or cluster role",
    ),
    Verb(
        "create clusterrolebinding",
        _create_cluster_role_binding,
        _SUBJECTS,
        "create clusterrolebinding NAME --clusterrole=NAME [--user=username] "
        "[--serviceaccount=namespace:serviceaccountname] [options]",
        "Create a cluster role binding for a particular cluster role",
        required=("clusterrole",),
    ),
)
