"""Binding claims to volumes, and what becomes of volumes whose claims are gone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import itself
from pytest_selfrep.kubesim.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS, Kind
from pytest_selfrep.kubesim.objects import Key, Object, is_terminating, key_of, object_reference
from pytest_selfrep.kubesim.storage import claims
from pytest_selfrep.kubesim.store import Change

NO_CLASS = "no persistent volumes available for this claim and no storage class is set"
WAIT_FOR_CONSUMER = "waiting for first consumer to be created before binding"
LOST = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
MISBOUND = "Two claims are bound to the same volume, this one is bound incorrectly"
_EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system "
    "administrator. If volume creation is delayed, please verify that the provisioner is running and "
    "correctly registered."
)
_OWN_PROVISIONERS = "kubernetes.io/"
_DELETABLE = re.compile("/tmp/.+")  # noqa: S108 - the only paths that this deleter of Kubernetes takes


class PersistentVolumeBinder:
    """Keys with a namespace are claims, those without volumes."""

    name = "persistent-volume-binder"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._store = context.store
        self._writer = context.writer(user)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {
            PERSISTENT_VOLUME_CLAIM: self._on_claim,
            PERSISTENT_VOLUME: self._on_volume,
            STORAGE_CLASS: self._on_class,
        }

    @staticmethod
    def _on_claim(change: Change) -> Iterable[Key]:
        yield from itself(change)
        volume = change.object["spec"].get("volumeName")
        if volume:
            yield Key("", volume)

    def _on_volume(self, change: Change) -> Iterable[Key]:
        yield from itself(change)
        ref = change.object["spec"].get("claimRef")
        if ref is not None:
            yield Key(ref.get("namespace", ""), ref.get("name", ""))
        if change.type == "MODIFIED" and ref is not None:
            return
        yield from (key_of(each) for each in self._store.list(PERSISTENT_VOLUME_CLAIM) if not _is_done(each))

    def _on_class(self, change: Change) -> Iterable[Key]:
        name = change.object["metadata"]["name"]
        for each in self._store.list(PERSISTENT_VOLUME_CLAIM):
            if claims.class_of(each) == name and not _is_done(each):
                yield key_of(each)

    def reconcile(self, key: Key) -> None:
        if not key.namespace:
            volume = self._store.get(PERSISTENT_VOLUME, key)
            if volume is not None:
                self._sync_volume(volume)
            return
        claim = self._store.get(PERSISTENT_VOLUME_CLAIM, key)
        if claim is None:
            return
        if claims.BIND_COMPLETED in claims.annotations_of(claim):
            self._sync_bound(claim)
        elif not is_terminating(claim):
            self._sync_unbound(claim)

    # Claims

    def _sync_bound(self, claim: Object) -> None:
        volume = self._store.get(PERSISTENT_VOLUME, Key("", claim["spec"].get("volumeName", "")))
        if volume is None:
            self._lose(claim, "ClaimLost", LOST)
        elif volume["spec"].get("claimRef") is None or claims.is_meant(volume, claim):
            self._bind(volume, claim)
        else:
            self._lose(claim, "ClaimMisbound", MISBOUND)

    def _lose(self, claim: Object, reason: str, message: str) -> None:
        if claim["status"].get("phase") == "Lost":
            return
        lost = {"phase": "Lost"}
        self._writer.update_status(PERSISTENT_VOLUME_CLAIM, {**claim, "status": lost})
        self._writer.record(claim, "Warning", reason, message)

    def _sync_unbound(self, claim: Object) -> None:
        name = claim["spec"].get("volumeName")
        if name:
            self._bind_to(name, claim)
            return
        volumes = self._store.list(PERSISTENT_VOLUME)
        delayed = claims.is_delayed(self._store, claim)
        if delayed:
            volumes = [each for each in volumes if claims.is_meant(each, claim)]
        found = claims.best_match(claim, volumes)
        if found is not None:
            self._bind(found, claim)
        elif delayed and claims.SELECTED_NODE not in claims.annotations_of(claim):
            self._writer.record(claim, "Normal", "WaitForFirstConsumer", WAIT_FOR_CONSUMER)
        elif claims.class_of(claim):
            self._ask_for_volume(claim)
        else:
            self._writer.record(claim, "Normal", "FailedBinding", NO_CLASS)

    def _bind_to(self, name: str, claim: Object) -> None:
        """To the one volume that a claim names."""
        volume = self._store.get(PERSISTENT_VOLUME, Key("", name))
        if volume is None:
            return
        ref = volume["spec"].get("claimRef")
        if ref is not None and not claims.is_meant(volume, claim):
            message = f'volume "{name}" already bound to a different claim.'
            self._writer.record(claim, "Warning", "FailedBinding", message)
            return
        why = claims.mismatch(volume, claim)
        if why and ref is None:
            message = f'Cannot bind to requested volume "{name}": {why}'
            self._writer.record(claim, "Warning", "VolumeMismatch", message)
            return
        self._bind(volume, claim)

    def _ask_for_volume(self, claim: Object) -> None:
        """Name the provisioner that is to make a claim's volume."""
        found = claims.class_object(self._store, claim)
        if found is None:
            message = f'storageclass.storage.k8s.io "{claims.class_of(claim)}" not found'
            self._writer.record(claim, "Warning", "ProvisioningFailed", message)
            return
        provisioner: str = found["provisioner"]
        if provisioner.startswith(_OWN_PROVISIONERS):
            message = f"no volume plugin matched name: {provisioner}"
            self._writer.record(claim, "Warning", "ProvisioningFailed", message)
            return
        named: dict[str, str] = dict.fromkeys(claims.PROVISIONERS, provisioner)
        if not named.items() <= claims.annotations_of(claim).items():
            self._writer.record(claim, "Normal", "ExternalProvisioning", _EXTERNAL.format(provisioner))
            self._writer.update(PERSISTENT_VOLUME_CLAIM, _annotated(claim, named))

    def _bind(self, volume: Object, claim: Object) -> None:
        """Point volume and claim at each other; what is so already stays."""
        ref = volume["spec"].get("claimRef")
        if ref is None or not ref.get("uid"):
            bound = _annotated(volume, {claims.BOUND_BY_CONTROLLER: "yes"} if ref is None else {})
            bound["spec"] = {**volume["spec"], "claimRef": object_reference(claim)}
            volume = self._writer.update(PERSISTENT_VOLUME, bound)
        volume = self._report(volume, "Bound")
        name = volume["metadata"]["name"]
        notes = {claims.BIND_COMPLETED: "yes"}
        if not claim["spec"].get("volumeName"):
            notes[claims.BOUND_BY_CONTROLLER] = "yes"
        if claims.BIND_COMPLETED not in claims.annotations_of(claim):
            bound = _annotated(claim, notes)
            bound["spec"] = {**claim["spec"], "volumeName": name}
            claim = self._writer.update(PERSISTENT_VOLUME_CLAIM, bound)
        status = {
            **claim["status"],
            "phase": "Bound",
            "accessModes": volume["spec"].get("accessModes") or [],
            "capacity": volume["spec"].get("capacity") or {},
        }
        self._writer.update_status(PERSISTENT_VOLUME_CLAIM, {**claim, "status": status})

    # Volumes

    def _sync_volume(self, volume: Object) -> None:
        ref = volume["spec"].get("claimRef")
        if ref is None or not ref.get("uid"):
            self._report(volume, "Available")
            return
        key = Key(ref.get("namespace", ""), ref.get("name", ""))
        claim = self._store.get(PERSISTENT_VOLUME_CLAIM, key)
        if claim is not None and claim["metadata"]["uid"] == ref["uid"]:
            if claim["spec"].get("volumeName", "") not in ("", volume["metadata"]["name"]):
                self._unbind(volume)
        elif (volume.get("status") or {}).get("phase") not in ("Released", "Failed"):
            self._reclaim(self._report(volume, "Released"))

    def _unbind(self, volume: Object) -> None:
        """The claim has another volume after all."""
        free = _annotated(volume, {})
        free["metadata"]["annotations"].pop(claims.BOUND_BY_CONTROLLER, None)
        free["spec"] = {name: value for name, value in volume["spec"].items() if name != "claimRef"}
        self._writer.update(PERSISTENT_VOLUME, free)

    def _reclaim(self, volume: Object) -> None:
        spec, name = volume["spec"], volume["metadata"]["name"]
        external = claims.annotations_of(volume).get(claims.PROVISIONED_BY, "")
        if spec["persistentVolumeReclaimPolicy"] != "Delete" or external:
            # What somebody else has made is that one's to delete.
            return
        path = (spec.get("hostPath") or {}).get("path")
        if path is not None and _DELETABLE.fullmatch(path):
            self._writer.delete(PERSISTENT_VOLUME, key_of(volume))
            return
        why = (
            f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
            if path is None
            else f"host_path deleter only supports /tmp/.+ but received provided {path}"
        )
        self._report(volume, "Failed", why)
        self._writer.record(volume, "Warning", "VolumeFailedDelete", why)

    def _report(self, volume: Object, phase: str, message: str = "") -> Object:
        if (volume.get("status") or {}).get("phase") == phase:
            return volume
        status = {"phase": phase, "lastPhaseTransitionTime": self._context.clock.timestamp()}
        if message:
            status["message"] = message
        return self._writer.update_status(PERSISTENT_VOLUME, {**volume, "status": status})


def _is_done(claim: Object) -> bool:
    return claims.BIND_COMPLETED in claims.annotations_of(claim)


def _annotated(obj: Object, annotations: Mapping[str, str]) -> Object:
    meta = dict(obj["metadata"])
    meta["annotations"] = {**(meta.get("annotations") or {}), **annotations}
    return {**obj, "metadata": meta}
