"""The provisioner of the class ``standard``: directories of nodes, made when a pod needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import Backoff, itself
from pytest_selfrep.kubesim.kinds import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, Kind
from pytest_selfrep.kubesim.objects import Key, Object, is_terminating, key_of, object_reference
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.storage import claims
from pytest_selfrep.kubesim.store import Change

PROVISIONER = "rancher.io/local-path"
USER = "system:serviceaccount:local-path-storage:local-path-provisioner-service-account"
CLASS: Object = {
    "metadata": {
        "name": "standard",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}
"""The storage class that every cluster starts with."""
WORK_SECONDS = (2.0, 4.0)
"""How long a helper pod takes to make a directory or to remove it."""
RETRY_SECONDS = 15.0
_NODE_ANNOTATION = "local.path.provisioner/selected-node"
_MODES = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})


class LocalPathProvisioner:
    """Keys with a namespace are claims, those without volumes."""

    name = "local-path-provisioner"

    def __init__(self, context: Context, user: str = USER) -> None:
        self._context = context
        self._store = context.store
        self._writer = context.writer(user)
        self._backoff = Backoff(context.queue, first=RETRY_SECONDS)
        self._due: dict[str, float] = {}

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {PERSISTENT_VOLUME_CLAIM: self._on_claim, PERSISTENT_VOLUME: self._on_volume}

    @staticmethod
    def _on_claim(change: Change) -> Iterable[Key]:
        return itself(change) if _is_for(change.object) else ()

    @staticmethod
    def _on_volume(change: Change) -> Iterable[Key]:
        return itself(change) if _is_over(change.object) else ()

    def reconcile(self, key: Key) -> None:
        if key.namespace:
            claim = self._store.get(PERSISTENT_VOLUME_CLAIM, key)
            if claim is not None and _is_for(claim) and not is_terminating(claim):
                self._provision(claim)
        else:
            volume = self._store.get(PERSISTENT_VOLUME, key)
            if volume is not None and _is_over(volume) and self._is_done(volume):
                self._writer.delete(PERSISTENT_VOLUME, key)

    def _is_done(self, obj: Object) -> bool:
        """Whether the work on an object is over; begins it, and has the object looked at again then."""
        uid, now = obj["metadata"]["uid"], self._context.clock.now
        if uid not in self._due:
            least, most = WORK_SECONDS
            seconds = least + (most - least) * self._context.names.random()
            self._due[uid] = now + seconds
            self._context.queue.add_after(self, key_of(obj), seconds)
            return False
        if now < self._due[uid]:
            return False
        del self._due[uid]
        return True

    def _provision(self, claim: Object) -> None:
        key = key_of(claim)
        name = f"pvc-{claim['metadata']['uid']}"
        if self._store.get(PERSISTENT_VOLUME, Key("", name)) is not None:
            return
        if claim["metadata"]["uid"] not in self._due:
            message = f'External provisioner is provisioning volume for claim "{key}"'
            self._writer.record(claim, "Normal", "Provisioning", message)
        why = self._refusal(claim)
        if why:
            message = f'failed to provision volume with StorageClass "{claims.class_of(claim)}": {why}'
            self._writer.record(claim, "Warning", "ProvisioningFailed", message)
            self._backoff.retry(self, key)
            return
        if not self._is_done(claim):
            return
        try:
            self._writer.create(PERSISTENT_VOLUME, self._volume(name, claim))
        except StatusError:
            self._backoff.retry(self, key)
            return
        self._backoff.forget(key)
        message = f"Successfully provisioned volume {name}"
        self._writer.record(claim, "Normal", "ProvisioningSucceeded", message)

    def _refusal(self, claim: Object) -> str:
        spec, node = claim["spec"], claims.annotations_of(claim).get(claims.SELECTED_NODE)
        if spec.get("selector") is not None:
            return "claim.Spec.Selector is not supported"
        if not _MODES.issuperset(spec.get("accessModes") or ()):
            return "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes"
        if node is None:
            return "configuration error, no node was specified"
        if self._store.get(NODE, Key("", node)) is None:
            return f'node "{node}" not found'
        return ""

    def _volume(self, name: str, claim: Object) -> Object:
        spec, meta = claim["spec"], claim["metadata"]
        node = claims.annotations_of(claim)[claims.SELECTED_NODE]
        found = claims.class_object(self._store, claim) or CLASS
        here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
        path = f"/var/local-path-provisioner/{name}_{meta['namespace']}_{meta['name']}"
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {
                "name": name,
                "annotations": {_NODE_ANNOTATION: node, claims.PROVISIONED_BY: PROVISIONER},
            },
            "spec": {
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "hostPath": {"path": path, "type": "DirectoryOrCreate"},
                "accessModes": list(spec["accessModes"]),
                "claimRef": object_reference(claim),
                "persistentVolumeReclaimPolicy": found["reclaimPolicy"],
                "storageClassName": claims.class_of(claim),
                "volumeMode": spec["volumeMode"],
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            },
        }


def _is_for(claim: Object) -> bool:
    """Whether a claim waits for a volume of this provisioner."""
    annotations = claims.annotations_of(claim)
    return annotations.get(claims.PROVISIONERS[-1]) == PROVISIONER and not claims.is_bound(claim)


def _is_over(volume: Object) -> bool:
    """Whether a volume of this provisioner is to be deleted."""
    return (
        claims.annotations_of(volume).get(claims.PROVISIONED_BY) == PROVISIONER
        and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        and (volume.get("status") or {}).get("phase") == "Released"
        and not is_terminating(volume)
    )
