"""What claims, volumes and storage classes say of themselves and of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.kinds import STORAGE_CLASS
from pytest_selfrep.kubesim.objects import Key, Object, labels_of
from pytest_selfrep.kubesim.selectors import label_selector
from pytest_selfrep.kubesim.store import Store

CLASS = "volume.beta.kubernetes.io/storage-class"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PROVISIONERS = ("volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner")
"""Annotations of a claim that say who is to make its volume, the older one first."""
_DEFAULT = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)


def annotations_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def class_of(obj: Object) -> str:
    """The storage class of a claim or volume; the annotation is the older way to say it."""
    return annotations_of(obj).get(CLASS) or obj["spec"].get("storageClassName") or ""


def is_default(storage_class: Object) -> bool:
    annotations = annotations_of(storage_class)
    return any(annotations.get(name) == "true" for name in _DEFAULT)


def default_class(store: Store) -> str | None:
    """The newest of the classes marked as default, the first by name of those; None without any."""
    found = [each["metadata"] for each in store.list(STORAGE_CLASS) if is_default(each)]
    if not found:
        return None
    newest = max(meta["creationTimestamp"] for meta in found)
    return min(str(meta["name"]) for meta in found if meta["creationTimestamp"] == newest)


def class_object(store: Store, claim: Object) -> Object | None:
    return store.get(STORAGE_CLASS, Key("", class_of(claim)))


def is_delayed(store: Store, claim: Object) -> bool:
    """Whether a claim is bound only when a pod needs it."""
    found = class_object(store, claim)
    return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"


def is_bound(claim: Object) -> bool:
    return bool(claim["spec"].get("volumeName")) and BIND_COMPLETED in annotations_of(claim)


def names_in(pod: Object) -> Iterator[str]:
    """The claims that a pod uses."""
    for volume in pod["spec"].get("volumes") or ():
        claim = volume.get("persistentVolumeClaim")
        if claim is not None:
            yield claim.get("claimName", "")


def is_meant(volume: Object, claim: Object) -> bool:
    """Whether a volume is bound to a claim, or set aside for it."""
    ref, meta = volume["spec"].get("claimRef"), claim["metadata"]
    return (
        ref is not None
        and (ref.get("namespace"), ref.get("name")) == (meta["namespace"], meta["name"])
        and ref.get("uid", "") in ("", meta["uid"])
    )


def mismatch(volume: Object, claim: Object) -> str:
    """Why a volume cannot serve a claim, in the controller's words; empty if it can."""
    has, wants = volume["spec"], claim["spec"]
    if quantity.exceeds(_storage(wants["resources"].get("requests")), _storage(has.get("capacity"))):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if has.get("volumeMode") != wants.get("volumeMode"):
        return "incompatible volumeMode"
    if not set(wants.get("accessModes") or ()).issubset(has.get("accessModes") or ()):
        return "incompatible accessMode"
    return ""


def _storage(quantities: Object | None) -> str:
    return str((quantities or {}).get("storage", "0"))


def best_match(claim: Object, volumes: Sequence[Object]) -> Object | None:
    """The smallest available volume that can serve a claim; one set aside for it goes first."""
    fitting = [each for each in volumes if "deletionTimestamp" not in each["metadata"]]
    fitting = [each for each in fitting if not mismatch(each, claim)]
    meant = next((each for each in fitting if is_meant(each, claim)), None)
    if meant is not None:
        return meant
    selector = claim["spec"].get("selector")
    free = [
        each
        for each in fitting
        if each["spec"].get("claimRef") is None
        and (each.get("status") or {}).get("phase") == "Available"
        and (selector is None or label_selector(selector).matches(labels_of(each)))
    ]
    return min(free, key=lambda each: quantity.parse(_storage(each["spec"].get("capacity"))), default=None)
