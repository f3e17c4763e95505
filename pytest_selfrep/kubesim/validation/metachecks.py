"""What is checked of any object's metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pytest_selfrep.kubesim.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    NAMESPACE,
    ROLE,
    ROLE_BINDING,
    SERVICE,
    Kind,
)
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    dns_1035_label,
    dns_label,
    dns_subdomain,
    formatted,
    invalid,
    labels,
    path_segment,
    qualified_name,
    too_long,
)

MOST_ANNOTATION_BYTES = 256 * 1024

_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
"""Those whose names need no domain."""

_NAME_CHECKS: Mapping[Kind, Callable[[str], str]] = {
    NAMESPACE: dns_label,
    SERVICE: dns_1035_label,
    ROLE: path_segment,
    ROLE_BINDING: path_segment,
    CLUSTER_ROLE: path_segment,
    CLUSTER_ROLE_BINDING: path_segment,
}


def metadata_causes(kind: Kind, meta: Object) -> Iterable[Cause]:
    """Names, labels, annotations, owners and finalizers."""
    yield from formatted("metadata.name", meta["name"], _NAME_CHECKS.get(kind, dns_subdomain))
    yield from labels("metadata.labels", meta.get("labels"))
    annotations = meta.get("annotations")
    if annotations:
        yield from _annotations(annotations)
    for index, name in enumerate(meta.get("finalizers") or ()):
        yield from formatted("metadata.finalizers", name, qualified_name)
        if "/" not in name and name not in _FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid(f"metadata.finalizers[{index}]", name, why)
    owners = meta.get("ownerReferences")
    if owners:
        yield from _owners(owners)


def _annotations(annotations: Mapping[str, str]) -> Iterable[Cause]:
    for key in annotations:
        # Keys of annotations may be written in capitals.
        yield from formatted("metadata.annotations", key.lower(), qualified_name)
    if sum(len(key) + len(value) for key, value in annotations.items()) > MOST_ANNOTATION_BYTES:
        yield too_long("metadata.annotations", MOST_ANNOTATION_BYTES)


def _owners(owners: Iterable[Object]) -> Iterable[Cause]:
    controllers = 0
    for owner in owners:
        for name, said in (("apiVersion", "version"), ("kind", "kind"), ("name", "name"), ("uid", "uid")):
            if not owner.get(name):
                yield invalid(f"metadata.ownerReferences.{name}", "", f"{said} must not be empty")
        controllers += 1 if owner.get("controller") else 0
    if controllers > 1:
        why = "Only one reference can have Controller set to true"
        yield invalid("metadata.ownerReferences", list(owners), why)
