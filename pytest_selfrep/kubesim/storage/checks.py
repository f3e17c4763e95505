"""What is checked of claims, volumes and storage classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.schema import struct
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.storage.differences import claim_difference
from pytest_selfrep.kubesim.validation.affinitychecks import node_selector_causes
from pytest_selfrep.kubesim.validation.fieldchecks import (
    dns_subdomain,
    forbidden,
    formatted,
    invalid,
    label_selector,
    one_of,
    qualified_name,
    required,
    unsupported,
)

_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_ONE_POD = "ReadWriteOncePod"
_VOLUME_MODES = ("Block", "Filesystem")
_BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
_IMMUTABLE = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
    "bound claims"
)


def claim_causes(claim: Object, old: Object | None) -> list[Cause]:
    if old is not None:
        return list(_claim_update_causes(claim, old))
    return list(claim_spec_causes(claim["spec"], "spec"))


def claim_spec_causes(spec: Object, at: str) -> Iterable[Cause]:
    """Also of the claims of a StatefulSet."""
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required(f"{at}.accessModes", "at least 1 access mode is required")
    yield from label_selector(f"{at}.selector", spec.get("selector"))
    yield from _mode_causes(modes, f"{at}.accessModes")
    asked = (spec["resources"].get("requests") or {}).get("storage")
    if asked is None:
        yield required(f"{at}.resources[storage]")
    elif not quantity.exceeds(asked, "0"):
        yield invalid(f"{at}.resources[storage]", asked, "must be greater than zero")
    if spec.get("storageClassName"):
        yield from formatted(f"{at}.storageClassName", spec["storageClassName"], dns_subdomain)
    yield from one_of(f"{at}.volumeMode", spec.get("volumeMode"), _VOLUME_MODES)


def _mode_causes(modes: Iterable[str], at: str) -> Iterable[Cause]:
    listed = list(modes)
    for mode in listed:
        yield from one_of(at, mode, _MODES)
    if _ONE_POD in listed and len(listed) > 1:
        yield forbidden(at, f"may not use {_ONE_POD} with other access modes")


def _claim_update_causes(claim: Object, old: Object) -> Iterable[Cause]:
    spec, before = claim["spec"], old["spec"]
    allowed = dict(spec)
    if not before.get("volumeName"):
        allowed["volumeName"] = before.get("volumeName", "")
        if before.get("storageClassName") is None:
            allowed["storageClassName"] = None
    bound = (claim.get("status") or {}).get("phase") == "Bound"
    if bound:
        allowed["resources"] = {**spec["resources"], "requests": before["resources"].get("requests")}
        allowed["volumeAttributesClassName"] = before.get("volumeAttributesClassName")
    if _said(allowed) != _said(before):
        yield forbidden("spec", f"{_IMMUTABLE}\n{claim_difference(allowed, before)}")
    asked, had = _asked(spec), _asked((old.get("status") or {}), "capacity")
    if bound and asked != _asked(before) and quantity.exceeds(had, asked):
        yield forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def _said(spec: Object) -> Object:
    return {name: value for name, value in spec.items() if value not in (None, "")}


def _asked(obj: Object, field: str = "") -> str:
    amounts = obj.get(field) if field else obj["resources"].get("requests")
    return str((amounts or {}).get("storage", "0"))


def volume_causes(volume: Object, old: Object | None) -> list[Cause]:
    spec = volume["spec"]
    causes: list[Cause] = []
    if not spec.get("accessModes"):
        causes.append(required("spec.accessModes"))
    causes += _mode_causes(spec.get("accessModes") or (), "spec.accessModes")
    causes += _capacity_causes(spec.get("capacity") or {})
    causes += one_of(
        "spec.persistentVolumeReclaimPolicy",
        spec.get("persistentVolumeReclaimPolicy"),
        ("Delete", "Recycle", "Retain"),
    )
    causes += _source_causes(spec)
    if spec.get("storageClassName"):
        causes += formatted("spec.storageClassName", spec["storageClassName"], dns_subdomain)
    causes += one_of("spec.volumeMode", spec.get("volumeMode"), _VOLUME_MODES)
    causes += _affinity_causes(spec.get("nodeAffinity"))
    if old is not None:
        causes += _volume_update_causes(spec, old["spec"])
    return causes


def _capacity_causes(capacity: Mapping[str, str]) -> Iterable[Cause]:
    at = "spec.capacity"
    if not capacity:
        yield required(at)
        yield Cause(
            "FieldValueNotSupported",
            'Unsupported value: core.ResourceList(nil): supported values: "storage"',
            at,
        )
    elif list(capacity) != ["storage"]:
        yield unsupported(at, dict(capacity), ("storage",))
    for name, amount in capacity.items():
        if not quantity.exceeds(amount, "0"):
            yield invalid(f"{at}[{name}]", amount, "must be greater than zero")


def _sources_in(spec: Object) -> list[str]:
    return [name for name in struct("core.v1.PersistentVolumeSource").fields if spec.get(name) is not None]


def _source_causes(spec: Object) -> Iterable[Cause]:
    given = _sources_in(spec)
    if not given:
        yield required("spec", "must specify a volume type")
    for name in given[1:]:
        yield forbidden(f"spec.{name}", "may not specify more than 1 volume type")
    for name in ("hostPath", "local"):
        if name in given and not spec[name].get("path"):
            yield required(f"spec.{name}.path")
    if "local" in given and not spec.get("nodeAffinity"):
        yield required("spec.nodeAffinity", "Local volume requires node affinity")


def _affinity_causes(affinity: Object | None) -> Iterable[Cause]:
    if affinity is None:
        return
    at = "spec.nodeAffinity.required"
    if affinity.get("required") is None:
        yield required(at, "must specify required node constraints")
    else:
        yield from node_selector_causes(affinity["required"], at)


def _volume_update_causes(spec: Object, before: Object) -> Iterable[Cause]:
    old, new = ({name: each[name] for name in _sources_in(each)} for each in (before, spec))
    if old != new:
        at = "spec.persistentvolumesource"
        yield forbidden(at, f"{at} is immutable after creation")
    if spec.get("volumeMode") != before.get("volumeMode"):
        yield invalid("spec.volumeMode", spec.get("volumeMode"), "field is immutable")
    if before.get("nodeAffinity") and spec.get("nodeAffinity") != before["nodeAffinity"]:
        why = "field is immutable, except for updating from beta label to GA"
        yield invalid("spec.nodeAffinity", spec.get("nodeAffinity"), why)


def storage_class_causes(storage_class: Object, old: Object | None) -> list[Cause]:
    provisioner = storage_class.get("provisioner") or ""
    causes: list[Cause] = []
    if old is not None:
        for name in ("parameters", "provisioner", "reclaimPolicy"):
            if (storage_class.get(name) or None) != (old.get(name) or None):
                causes.append(forbidden(name, f"updates to {name} are forbidden."))
        mode = storage_class.get("volumeBindingMode")
        if mode != old.get("volumeBindingMode"):
            causes.append(invalid("volumeBindingMode", mode, "field is immutable"))
        return causes
    if not provisioner:
        causes.append(required("provisioner"))
    else:
        causes += formatted("provisioner", provisioner.lower(), qualified_name)
    causes += one_of("reclaimPolicy", storage_class.get("reclaimPolicy"), ("Delete", "Retain"))
    causes += one_of("volumeBindingMode", storage_class.get("volumeBindingMode"), _BINDING_MODES)
    return causes


def resize_refusal(claim: Object, old: Object, storage_class: Object | None) -> str:
    """PersistentVolumeClaimResize: why a bound claim may not ask for more; empty if it may."""
    if not quantity.exceeds(_asked(claim["spec"]), _asked(old["spec"])):
        return ""
    if (old.get("status") or {}).get("phase") != "Bound":
        return "Only bound persistent volume claims can be expanded"
    if storage_class is None or not storage_class.get("allowVolumeExpansion"):
        return (
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc "
            "must support resize"
        )
    return ""
