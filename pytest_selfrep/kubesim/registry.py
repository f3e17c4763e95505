"""Creating, replacing and deleting objects by the rules that hold for every kind (apiserver's registry)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_selfrep.kubesim import defaults, serviceupdates
from pytest_selfrep.kubesim.admission.chain import Admission, Operation, admit
from pytest_selfrep.kubesim.apply.entries import wrong_entries
from pytest_selfrep.kubesim.apply.history import Author
from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.controllers.templategeneration import count_template
from pytest_selfrep.kubesim.customresources.definition import FINALIZER as CRD_CLEANUP
from pytest_selfrep.kubesim.customresources.version import as_stored, as_version
from pytest_selfrep.kubesim.kinds import (
    CUSTOM_RESOURCE_DEFINITION,
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    HORIZONTAL_POD_AUTOSCALER,
    INGRESS,
    JOB,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    SERVICE,
    STATEFUL_SET,
    Kind,
)
from pytest_selfrep.kubesim.names import Names
from pytest_selfrep.kubesim.objects import Key, Object, key_of
from pytest_selfrep.kubesim.status import (
    Cause,
    StatusError,
    already_exists,
    bad_request,
    conflict,
    internal,
    invalid,
    not_found,
    precondition_failed,
)
from pytest_selfrep.kubesim.store import Store
from pytest_selfrep.kubesim.validation.validate import validate

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
"""Finalizers by which the garbage collector is told what is to become of dependents."""
UNKNOWN = Author("unknown")
SERVER = Author("kube-apiserver")
"""Who writes what a cluster begins with."""
_MAX_GENERATED_BASE = 58
"""A generated name is cut to 63 characters, five of them random."""
_OWN = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
"""Metadata that clients cannot change."""
_FIRST_STATUS: dict[Kind, Object] = {
    NAMESPACE: {"phase": "Active"},
    POD: {"phase": "Pending"},
    SERVICE: {"loadBalancer": {}},
    INGRESS: {"loadBalancer": {}},
    PERSISTENT_VOLUME: {"phase": "Pending"},
    PERSISTENT_VOLUME_CLAIM: {"phase": "Pending"},
    REPLICATION_CONTROLLER: {"replicas": 0},
    REPLICA_SET: {"replicas": 0},
    STATEFUL_SET: {"replicas": 0, "availableReplicas": 0},
    DAEMON_SET: {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
    },
    HORIZONTAL_POD_AUTOSCALER: {"desiredReplicas": 0},
    POD_DISRUPTION_BUDGET: {
        "disruptionsAllowed": 0,
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "expectedPods": 0,
    },
}
"""What a new object's status has in Go, where some numbers are sent even if they are zero."""
_ALWAYS_THERE: Mapping[str, Object] = {
    "conditions": {"type": "", "status": ""},
    "addresses": {"type": "", "address": ""},
}


Allocate = Callable[[Object, Object | None], None]
"""Of a Service and what it replaces."""


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """meta/v1 DeleteOptions."""

    grace_seconds: int | None = None
    propagation: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False


class Registry:
    """The one place through which objects enter and leave the store. Its StatusErrors are the API's."""

    def __init__(self, store: Store, clock: Clock, names: Names, allocate: Allocate) -> None:
        """``allocate`` gives a Service, which may replace another, its addresses, in place."""
        self._store = store
        self._clock = clock
        self._names = names
        self._allocate = allocate

    def create(
        self, kind: Kind, obj: Object, user: str, *, dry_run: bool = False, author: Author = UNKNOWN
    ) -> Object:
        """Store a new object; takes over ``obj``."""
        meta = obj["metadata"]
        if meta.get("resourceVersion"):
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        if not meta.get("name") and not meta.get("generateName"):
            raise self._nameless(kind, obj)
        new = self._new(kind, obj)
        defaults.apply(kind, new)
        if kind is DAEMON_SET:
            count_template(new, None)
        if kind is POD or kind is SERVICE:
            author = author._replace(claimed=_as_asked_for(new))
        if kind is SERVICE:
            self._allocate(new, None)
        new = self._admit("CREATE", kind, "", new, None, user, dry_run)
        key = Key(new["metadata"].get("namespace", ""), new["metadata"]["name"])
        if self._get(kind, key) is not None:
            raise already_exists(kind, key.name)
        if dry_run:
            self._store.managed.note_tried(kind.stored, author, None, new)
            return new
        return self._put(kind, new, author)

    def install(self, kind: Kind, obj: Object) -> None:
        """Store a new object of the cluster's own making: complete and right, so not filled in or checked."""
        self._put(kind, self._new(kind, obj), SERVER)

    def update(
        self,
        kind: Kind,
        obj: Object,
        user: str,
        *,
        subresource: str = "",
        dry_run: bool = False,
        author: Author = UNKNOWN,
    ) -> Object:
        """Replace an object; takes over ``obj``. With a subresource only its part is replaced."""
        old = self._current(kind, obj["metadata"])
        if not subresource and "managedFields" in obj["metadata"]:
            author = _as_sent(kind, obj["metadata"], author)
        new = _replaced(kind, obj, old, subresource)
        if subresource in ("", "ephemeralcontainers"):
            defaults.apply(kind, new)
        if kind is DAEMON_SET and not subresource:
            count_template(new, old)
        if kind is SERVICE and not subresource:
            author = author._replace(claimed=_as_asked_for(new))
            self._allocate(new, old)
        new = self._admit("UPDATE", kind, subresource, new, old, user, dry_run)
        return self._commit(kind, new, old, dry_run, author)

    def update_status(self, kind: Kind, obj: Object, author: Author | None = None) -> Object:
        """Replace the status alone, unchecked: for the cluster's own components."""
        old = self._current(kind, obj["metadata"])
        meta = dict(old["metadata"])
        # A Deployment's annotations may be written along with its status, which counts as no new generation.
        if kind is DEPLOYMENT and "annotations" in obj["metadata"]:
            meta["annotations"] = obj["metadata"]["annotations"]
        if obj.get("status") == old.get("status") and meta == old["metadata"]:
            return old
        return self._put(kind, {**old, "metadata": meta, "status": obj["status"]}, author)

    def delete(self, kind: Kind, key: Key, options: DeleteOptions, user: str) -> tuple[Object, bool]:
        """Delete, or begin to: the object as it is then, and whether it is gone."""
        old = self._get(kind, key)
        if old is None:
            raise not_found(kind, key.name)
        _check_preconditions(kind, old, options)
        self._admit("DELETE", kind, "", old, old, user, options.dry_run)
        finalizers = _deletion_finalizers(kind, old, options)
        grace = _grace_seconds(kind, old, options)
        waits = bool(finalizers) or grace > 0 or bool(kind is NAMESPACE and old["spec"].get("finalizers"))
        if not waits:
            return (old if options.dry_run else self._remove(kind, key)), True
        new = self._terminating(kind, old, finalizers, grace)
        if new == old or options.dry_run:
            return new, False
        return self._put(kind, new), False

    def _get(self, kind: Kind, key: Key) -> Object | None:
        if kind.custom is None:
            return self._store.get(kind, key)
        found = self._store.get(kind.stored, key)
        return as_version(kind, found) if found is not None else None

    def _put(self, kind: Kind, obj: Object, author: Author | None = None) -> Object:
        if kind.custom is None:
            return self._store.put(kind, obj, author)
        return as_version(kind, self._store.put(kind.stored, as_stored(kind.stored, obj), author))

    def _remove(self, kind: Kind, key: Key) -> Object:
        return as_version(kind, self._store.remove(kind.stored, key))

    def _new(self, kind: Kind, obj: Object) -> Object:
        new = _typed(kind, obj)
        new["metadata"] = self._first_metadata(kind, obj["metadata"])
        if kind is NAMESPACE:
            new["spec"] = {"finalizers": ["kubernetes"]}
        if "status" in kind.subresources and kind is not NODE:
            new.pop("status", None)
            if kind.custom is None:
                new["status"] = dict(_FIRST_STATUS.get(kind, {}))
        return new

    def _nameless(self, kind: Kind, obj: Object) -> StatusError:
        """The refusal of an object that has no name, with whatever else is wrong with it."""
        why = Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
        named = self._new(kind, {**obj, "metadata": {**obj["metadata"], "name": "x"}})
        defaults.apply(kind, named)
        if kind is SERVICE:
            serviceupdates.align(named["spec"], {})
        return invalid(kind, "", [why, *validate(kind, named, None)])

    def _first_metadata(self, kind: Kind, meta: Object) -> Object:
        name, prefix = meta.get("name"), meta.get("generateName") or ""
        namespace = meta.get("namespace", "")
        if not name:
            base = prefix[:_MAX_GENERATED_BASE]
            name = base + self._names.suffix()
            while self._get(kind, Key(namespace, name)) is not None:
                name = base + self._names.suffix()
        first = {key: value for key, value in meta.items() if key not in _OWN and key != "managedFields"}
        first["name"] = name
        first["uid"] = self._names.uid()
        first["creationTimestamp"] = self._clock.timestamp()
        if kind.has_generation:
            first["generation"] = 1
        if kind is NAMESPACE:
            first["labels"] = {**(first.get("labels") or {}), "kubernetes.io/metadata.name": name}
        return first

    def _current(self, kind: Kind, meta: Object) -> Object:
        """The stored object that ``meta`` means to replace, if it is still the one the client saw."""
        name = meta["name"]
        old = self._get(kind, Key(meta.get("namespace", ""), name))
        if old is None:
            raise not_found(kind, name)
        stored = old["metadata"]
        if meta.get("uid", stored["uid"]) != stored["uid"]:
            why = f"UID in precondition: {meta['uid']}, UID in object meta: {stored['uid']}"
            at = f"/registry/{kind.plural}/{key_of(old)}"
            known = f"StorageError: invalid object, Code: 4, Key: {at}, ResourceVersion: 0"
            raise conflict(kind, name, f"{known}, AdditionalErrorMsg: Precondition failed: {why}")
        seen = meta.get("resourceVersion")
        if seen and not seen.isdecimal():
            raise internal(f'strconv.ParseUint: parsing "{seen}": invalid syntax')
        if seen and seen != stored["resourceVersion"]:
            raise conflict(kind, name, MODIFIED)
        return old

    def _commit(self, kind: Kind, new: Object, old: Object, dry_run: bool, author: Author) -> Object:
        meta, before = new["metadata"], old["metadata"]
        meta["resourceVersion"] = before["resourceVersion"]
        if new == old and not self._store.managed.changes(old, author):
            return old
        if kind.has_generation and _counts(kind, new, old):
            meta["generation"] = before.get("generation", 0) + 1
        if dry_run:
            self._store.managed.note_tried(kind.stored, author, old, new)
            return new
        stored = self._put(kind, new, author)
        if "deletionTimestamp" in meta and not _waits_longer(kind, stored):
            return self._remove(kind, Key(meta.get("namespace", ""), meta["name"]))
        return stored

    def _terminating(self, kind: Kind, old: Object, finalizers: list[str], grace: int) -> Object:
        meta = dict(old["metadata"])
        meta.pop("finalizers", None)
        if finalizers:
            meta["finalizers"] = finalizers
        if "deletionTimestamp" not in meta:
            meta["deletionTimestamp"] = self._clock.timestamp(self._clock.now + grace)
            meta["deletionGracePeriodSeconds"] = grace
            if meta.get("generation"):
                meta["generation"] += 1
        elif grace < meta.get("deletionGracePeriodSeconds", 0):
            asked = self._clock.seconds_at(meta["deletionTimestamp"]) - meta["deletionGracePeriodSeconds"]
            meta["deletionTimestamp"] = self._clock.timestamp(asked + grace)
            meta["deletionGracePeriodSeconds"] = grace
        new = {**old, "metadata": meta}
        if kind is NAMESPACE:
            meta.pop("deletionGracePeriodSeconds", None)
            new["status"] = {**old["status"], "phase": "Terminating"}
        return new

    def _admit(
        self,
        operation: Operation,
        kind: Kind,
        subresource: str,
        new: Object,
        old: Object | None,
        user: str,
        dry_run: bool,
    ) -> Object:
        return admit(
            Admission(operation, kind, subresource, new, old, user, self._store, self._clock, dry_run)
        )


def _typed(kind: Kind, obj: Object) -> Object:
    """A new top level in the order in which Go writes it."""
    first = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": obj["metadata"]}
    return {**first, **{key: value for key, value in obj.items() if key not in first}}


def _as_sent(kind: Kind, meta: Object, author: Author) -> Author:
    """An author who sent managers along. Raises StatusError 422 for entries that are none."""
    sent = meta["managedFields"]
    wrong = wrong_entries(sent)
    if wrong:
        raise invalid(kind, meta["name"], wrong)
    return author._replace(sent=sent)


def _as_asked_for(new: Object) -> Object:
    """A copy of a new Pod or Service that what admission and allocation add does not reach."""
    spec = dict(new["spec"])
    for name in ("containers", "initContainers", "ports"):
        if name in spec:
            spec[name] = [dict(each) for each in spec[name] or ()]
    return {**new, "spec": spec}


def _replaced(kind: Kind, obj: Object, old: Object, subresource: str) -> Object:
    """What ``old`` becomes when a client sends ``obj``."""
    if subresource == "status":
        if kind.custom is not None and "status" not in obj:
            return {name: value for name, value in old.items() if name != "status"}
        status = obj.get("status") or {}
        whole = _whole(status) if kind.custom is None else status
        return {**old, "metadata": {**old["metadata"]}, "status": whole}
    if subresource == "finalize":
        finalizers = (obj.get("spec") or {}).get("finalizers") or []
        return {
            **old,
            "metadata": {**old["metadata"]},
            "spec": {**old["spec"], "finalizers": finalizers},
        }
    if subresource == "ephemeralcontainers":
        spec = {name: value for name, value in old["spec"].items() if name != "ephemeralContainers"}
        added = (obj.get("spec") or {}).get("ephemeralContainers")
        spec |= {"ephemeralContainers": added} if added else {}
        return {**old, "metadata": {**old["metadata"]}, "spec": spec}
    new = _typed(kind, obj)
    before = old["metadata"]
    meta = {
        key: value for key, value in obj["metadata"].items() if key not in _OWN and key != "managedFields"
    }
    meta.update({key: before[key] for key in _OWN if key in before})
    new["metadata"] = meta
    _check_finalizers(kind, meta, before)
    if "status" in kind.subresources and (kind.custom is not None or "status" in old):
        new.pop("status", None)
        if "status" in old:
            new["status"] = old["status"]
    if kind is NAMESPACE:
        new["spec"] = old["spec"]
        meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta["name"]}
    return new


def _check_finalizers(kind: Kind, meta: Object, before: Object) -> None:
    if "deletionTimestamp" not in before:
        return
    known = before.get("finalizers") or []
    added = [each for each in meta.get("finalizers") or [] if each not in known]
    if added:
        found = ", ".join(f'"{each}"' for each in added)
        why = (
            "Forbidden: no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{found}}}"
        )
        raise invalid(kind, meta["name"], [Cause("FieldValueForbidden", why, "metadata.finalizers")])


def _counts(kind: Kind, new: Object, old: Object) -> bool:
    """Whether a change is one of the desired state."""
    if kind.custom is not None:
        apart = ("metadata", "status") if "status" in kind.subresources else ("metadata",)
        names = {*new, *old}.difference(apart)
        return any(new.get(name) != old.get(name) for name in names)
    if new.get("spec") != old.get("spec"):
        return True
    if kind is ENDPOINT_SLICE:
        return any(new.get(field) != old.get(field) for field in ("endpoints", "ports"))
    # Deployments alone count changes of annotations too, for the sake of rollbacks long past.
    return kind is DEPLOYMENT and new["metadata"].get("annotations") != old["metadata"].get("annotations")


def _waits_longer(kind: Kind, obj: Object) -> bool:
    """Whether something still holds back an object that is being deleted."""
    meta = obj["metadata"]
    if meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return True
    return bool(kind is NAMESPACE and obj["spec"].get("finalizers"))


def _check_preconditions(kind: Kind, obj: Object, options: DeleteOptions) -> None:
    meta = obj["metadata"]
    if options.uid is not None and options.uid != meta["uid"]:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({meta['uid']}). "
            "The object might have been deleted and then recreated"
        )
        raise precondition_failed(kind, meta["name"], why)
    wanted, stored = options.resource_version, meta["resourceVersion"]
    if wanted is not None and wanted != stored:
        why = (
            f"the ResourceVersion in the precondition ({wanted}) does not match "
            f"the ResourceVersion in record ({stored}). The object might have been modified"
        )
        raise precondition_failed(kind, meta["name"], why)


def _deletion_finalizers(kind: Kind, obj: Object, options: DeleteOptions) -> list[str]:
    """The object's finalizers with those that the garbage collector acts on."""
    present = obj["metadata"].get("finalizers") or []
    if kind is CUSTOM_RESOURCE_DEFINITION and CRD_CLEANUP not in present:
        present = [*present, CRD_CLEANUP]
    others = [each for each in present if each not in (FOREGROUND, ORPHAN)]
    if options.propagation == "Orphan":
        return [*others, ORPHAN]
    if options.propagation == "Foreground":
        return [*others, FOREGROUND]
    if options.propagation == "Background":
        return others
    # batch/v1 kept the behaviour of its first years: without a policy a Job's pods are left behind.
    if kind is JOB and not present:
        return [ORPHAN]
    return list(present)


def _whole(status: Object) -> Object:
    """A status whose conditions and addresses all have what Go always sends, if only empty."""
    result = dict(status)
    for field, always in _ALWAYS_THERE.items():
        if status.get(field):
            result[field] = [{**always, **each} for each in status[field]]
    return result


def _grace_seconds(kind: Kind, obj: Object, options: DeleteOptions) -> int:
    """How long a deletion waits for its object to end by itself; pods alone do."""
    if kind is not POD:
        return 0
    if obj.get("status", {}).get("phase") in ("Failed", "Succeeded") or not obj["spec"].get("nodeName"):
        return 0
    asked = options.grace_seconds
    if asked is None:
        asked = obj["spec"].get("terminationGracePeriodSeconds", 30)
    return 1 if asked < 0 else int(asked)


def check_named(kind: Kind, obj: Object, name: str, namespace: str) -> None:
    """Refuse a body that names another object than the path does; fill in the namespace."""
    meta = obj["metadata"]
    sent = meta.get("name")
    if name and not sent:
        raise bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    if name and sent != name:
        raise bad_request(f"the name of the object ({sent}) does not match the name on the URL ({name})")
    if not kind.namespaced:
        if meta.get("namespace"):
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta.pop("namespace", None)
    elif meta.setdefault("namespace", namespace) != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
