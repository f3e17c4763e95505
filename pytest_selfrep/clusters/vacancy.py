"""Whether a world may take a given namespace: nothing runs there, and nothing lends an agent more rights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.claims import held_until, present_of
from pytest_selfrep.clusters.kube import KubeClient, path_of
from pytest_selfrep.clusters.manifests import account_of
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.inventory import Inventory, Thing
    from pytest_selfrep.clusters.kube import KubeObject

_CREDENTIALS = frozenset({"ServiceAccount", "Secret"})
_EVERYBODY = frozenset({"system:authenticated", "system:unauthenticated", "system:serviceaccounts"})
"""Groups to which an agent belongs, whatever it does."""
_SHOWN = 3


def require_vacant(admin: KubeClient, namespace: str, there: Sequence[Thing], given: Collection[str]) -> None:
    """ClusterError if something runs in a namespace, or if an agent would find rights or credentials there.

    ``given``: all namespaces in which worlds stand. Raises ApiError.
    """
    running = [str(each) for each in there if each.runs]
    if running:
        raise ClusterError(
            f"namespace {namespace} is in use, it has {_some(running)}: name one in which nothing runs, for "
            "trials take it for their own"
        )
    found = [str(each) for each in there if each.resource.kind in _CREDENTIALS]
    found += _lent(admin, namespace, given)
    if found:
        raise ClusterError(
            f"namespace {namespace} has {_some(found)}, with which an agent could do more than its scenario "
            "lets it: remove or move what trials do not need (the user of the kubeconfig belongs into "
            "another namespace), or name a namespace without"
        )


def require_unclaimed(inventory: Inventory, namespace: str, lease: KubeObject) -> None:
    """ClusterError if a dead run's namespace has what came later, which may be somebody else's.

    Raises ApiError.
    """
    present = present_of(lease)
    newer = [] if present is None else inventory.newer(present, held_until(lease))
    if newer:
        raise ClusterError(
            f"namespace {namespace} still has a claim of a run that died, and {_some(map(str, newer))} came "
            "there later. If nobody needs that, python -m pytest_selfrep clean with --newer (and the "
            "--context of the run) removes it too; else name another namespace"
        )


def _lent(admin: KubeClient, namespace: str, given: Collection[str]) -> Iterator[str]:
    """RoleBindings for whom an agent is, or could make itself."""
    bindings = path_of("rbac.authorization.k8s.io", "v1", "rolebindings", namespace)
    everybody = {*_EVERYBODY, *(f"system:serviceaccounts:{each}" for each in given)}
    for binding in admin.get(bindings)["items"]:
        for subject in binding.get("subjects") or ():
            kind, name = subject["kind"], subject["name"]
            account = account_of(name) if kind == "User" else (subject.get("namespace") or namespace, name)
            taken = account is not None and account[0] in given if kind != "Group" else name in everybody
            if taken:
                yield f"RoleBinding {binding['metadata']['name']} for {kind} {name}"


def _some(found: Collection[str] | Iterator[str]) -> str:
    shown = list(found)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return f"{', '.join(shown[:_SHOWN])}{more}"
