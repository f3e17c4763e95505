"""What the claims of a pod have to say about where it can run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_selfrep.kubesim.controllers.base import Context
from pytest_selfrep.kubesim.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from pytest_selfrep.kubesim.objects import Key, Object, is_terminating, object_reference
from pytest_selfrep.kubesim.scheduling.nodeselection import meets_any
from pytest_selfrep.kubesim.storage import claims
from pytest_selfrep.kubesim.store import Store

UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
CONFLICT = "node(s) had volume node affinity conflict"
UNAVAILABLE = "node(s) didn't find available persistent volumes to bind"
GONE = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
_NO_PROVISIONER = "kubernetes.io/no-provisioner"


def trouble(store: Store, pod: Object, names: Sequence[str]) -> str:
    """Why a pod can run nowhere for now, on account of its claims; empty if nothing is wrong with them."""
    unbound = False
    for name in names:
        claim = store.get(PERSISTENT_VOLUME_CLAIM, Key(pod["metadata"]["namespace"], name))
        if claim is None:
            return f'persistentvolumeclaim "{name}" not found'
        if claim["status"].get("phase") == "Lost":
            volume = claim["spec"].get("volumeName", "")
            return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
        if is_terminating(claim):
            return f'persistentvolumeclaim "{name}" is being deleted'
        unbound |= not claims.is_bound(claim) and (
            not claims.is_delayed(store, claim) or bool(claim["spec"].get("volumeName"))
        )
    return UNBOUND if unbound else ""


def objects_of(store: Store, pod: Object, names: Sequence[str]) -> list[Object]:
    """The claims of those names that are there."""
    namespace = pod["metadata"]["namespace"]
    found = (store.get(PERSISTENT_VOLUME_CLAIM, Key(namespace, name)) for name in names)
    return [each for each in found if each is not None]


def reasons(store: Store, used: Sequence[Object], node: Object) -> Iterable[str]:
    """Why a node cannot run a pod with those claims."""
    for claim in used:
        if claims.is_bound(claim):
            volume = store.get(PERSISTENT_VOLUME, Key("", claim["spec"]["volumeName"]))
            if volume is None:
                return (GONE,)
            if not _reaches(volume, node):
                return (CONFLICT,)
        elif not _is_bindable(store, claim, node):
            return (UNAVAILABLE,)
    return ()


def reserve(context: Context, user: str, used: Sequence[Object], node: Object) -> bool:
    """Set volumes aside for claims, or have them made; whether all of the claims are bound already."""
    writer = context.writer(user)
    ready = True
    for claim in used:
        if claims.is_bound(claim):
            continue
        ready = False
        volume = _match_on(context.store, claim, node)
        if volume is not None:
            if volume["spec"].get("claimRef") is None:
                meta = dict(volume["metadata"])
                notes = {claims.BOUND_BY_CONTROLLER: "yes"}
                meta["annotations"] = {**(meta.get("annotations") or {}), **notes}
                spec = {**volume["spec"], "claimRef": object_reference(claim)}
                writer.update(PERSISTENT_VOLUME, {**volume, "metadata": meta, "spec": spec})
        elif claims.SELECTED_NODE not in claims.annotations_of(claim):
            meta = dict(claim["metadata"])
            chosen = {claims.SELECTED_NODE: node["metadata"]["name"]}
            meta["annotations"] = {**(meta.get("annotations") or {}), **chosen}
            writer.update(PERSISTENT_VOLUME_CLAIM, {**claim, "metadata": meta})
    return ready


def _is_bindable(store: Store, claim: Object, node: Object) -> bool:
    chosen = claims.annotations_of(claim).get(claims.SELECTED_NODE)
    if chosen is not None:
        return chosen == str(node["metadata"]["name"])
    if _match_on(store, claim, node) is not None:
        return True
    found = claims.class_object(store, claim)
    return found is not None and found["provisioner"] != _NO_PROVISIONER


def _match_on(store: Store, claim: Object, node: Object) -> Object | None:
    reachable = [each for each in store.list(PERSISTENT_VOLUME) if _reaches(each, node)]
    return claims.best_match(claim, reachable)


def _reaches(volume: Object, node: Object) -> bool:
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return required is None or meets_any(required, node)
