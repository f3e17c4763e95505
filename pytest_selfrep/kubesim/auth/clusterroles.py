"""The roles and bindings that every cluster starts with.

``clusterroles.rbac`` has them as Kubernetes 1.32 with a metrics server has them, one block a role:

    ClusterRole system:aggregate-to-view to(view)
      get,list,watch core configmaps pods
      get path /healthz
      -> Group=system:authenticated

The first line names the role (``Role NAMESPACE NAME`` one of a namespace). ``to`` says which roles it is
part of, ``from`` of which roles' parts it is made, ``by`` what its binding is called if not like the role,
and ``of`` whose it is if not the API server's own. Then follow its rules: verbs, API groups, resources and
their names, or ``path`` and paths; deeper lines go on with the one before. After ``->`` stand the subjects of
its binding.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from uuid import UUID

from pytest_selfrep.kubesim.apply.history import Author
from pytest_selfrep.kubesim.auth.aggregation import aggregated_rules
from pytest_selfrep.kubesim.auth.rbac import RBAC_GROUP
from pytest_selfrep.kubesim.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING, Kind
from pytest_selfrep.kubesim.objects import Json, Object, key_of
from pytest_selfrep.kubesim.store import Stock, stocked

_FLAG = re.compile(r" (\w+)\((\S+)\)")
_PART_OF = f"{RBAC_GROUP}/aggregate-to-"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_UPDATED = {"rbac.authorization.kubernetes.io/autoupdate": "true"}


@lru_cache(maxsize=8)
def initial_roles(created: str, revision: int, author: Author) -> Stock:
    """All of them, for the clusters that are created at that time and have come to that revision.

    Their uids are the same in every cluster.
    """
    made: Object = {"creationTimestamp": created}
    objects = [
        (
            kind,
            {
                "kind": kind.kind,
                "apiVersion": kind.api_version,
                **obj,
                "metadata": {**obj["metadata"], **made, "uid": _uid(kind, obj)},
            },
        )
        for kind, obj in _written()
    ]
    return stocked(objects, revision, author)


@cache
def _written() -> tuple[tuple[Kind, Object], ...]:
    """What the file says, by kind, aggregated roles with their rules."""
    text = files(__package__).joinpath("clusterroles.rbac").read_text(encoding="utf-8")
    found = [each for block in text.strip().split("\n\n") for each in _block(block)]
    roles = {obj["metadata"]["name"]: obj for kind, obj in found if kind is CLUSTER_ROLE}
    for name in ("view", "edit", "admin"):  # each is part of the next
        role = roles[name]
        role["rules"] = aggregated_rules(role, (roles[each] for each in sorted(roles)))
    order = (CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING)
    return tuple(sorted(found, key=lambda each: order.index(each[0])))


def _block(block: str) -> Iterator[tuple[Kind, Object]]:
    head, *lines = block.replace("\n    ", " ").splitlines()
    flags = dict(_FLAG.findall(head))
    scope, *place = _FLAG.sub("", head).split()
    *namespace, name = place
    kind, binding = (CLUSTER_ROLE, CLUSTER_ROLE_BINDING) if scope == "ClusterRole" else (ROLE, ROLE_BINDING)
    meta = _metadata(name, namespace, flags)
    parts = {f"{_PART_OF}{each}": "true" for each in flags.get("to", "").split(",") if each}
    role: Object = {"metadata": {**meta, "labels": {**meta["labels"], **parts}}}
    role["rules"] = [_rule(line.split()) for line in lines if "->" not in line]
    if "from" in flags:
        selector = {"matchLabels": {f"{_PART_OF}{flags['from']}": "true"}}
        role["aggregationRule"] = {"clusterRoleSelectors": [selector]}
    yield kind, role
    for line in lines:
        if "->" in line:
            subjects = [_subject(each) for each in line.split()[1:]]
            yield (
                binding,
                {
                    "metadata": _metadata(flags.get("by", name), namespace, flags),
                    **({"subjects": subjects} if subjects else {}),
                    "roleRef": {"apiGroup": RBAC_GROUP, "kind": kind.kind, "name": name},
                },
            )


def _metadata(name: str, namespace: list[str], flags: dict[str, str]) -> Object:
    home = {"namespace": namespace[0]} if namespace else {}
    if "of" in flags:
        return {"name": name, **home, "labels": {"k8s-app": flags["of"]}}
    return {"name": name, **home, "labels": _LABELS, "annotations": _UPDATED}


def _rule(words: list[str]) -> Object:
    verbs, groups, *rest = words
    if groups == "path":
        return {"verbs": verbs.split(","), "nonResourceURLs": rest}
    named = [word[len("named(") : -1] for word in rest if word.startswith("named(")]
    rule: Object = {
        "verbs": verbs.split(","),
        "apiGroups": ["" if group == "core" else group for group in groups.split(",")],
        "resources": [word for word in rest if not word.startswith("named(")],
    }
    return {**rule, "resourceNames": named[0].split(",")} if named else rule


def _subject(written: str) -> Json:
    kind, _, name = written.partition("=")
    if kind != "ServiceAccount":
        return {"kind": kind, "apiGroup": RBAC_GROUP, "name": name}
    namespace, _, account = name.partition("/")
    return {"kind": kind, "name": account, "namespace": namespace}


def _uid(kind: Kind, obj: Object) -> str:
    digest = hashlib.sha256(f"{kind.resource} {key_of(obj)}".encode()).digest()
    return str(UUID(bytes=digest[:16], version=4))
