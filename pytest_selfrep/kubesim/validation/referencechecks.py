"""What is checked of the names by which pods refer to ConfigMaps, Secrets and other sources of volumes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    data_key,
    dns_subdomain,
    formatted,
    invalid,
    required,
)

_VOLUME_FIELDS: Mapping[str, str] = {
    "configMap": "name",
    "secret": "secretName",
    "persistentVolumeClaim": "claimName",
    "hostPath": "path",
}
"""Volume source to the field without which it is none."""
_PROJECTED = ("configMap", "secret")
_ENVIRONMENT_SOURCES = ("configMapRef", "secretRef")
_VALUE_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
_KEYED = ("configMapKeyRef", "secretKeyRef")


def volume_source_causes(volume: Object, at: str) -> Iterable[Cause]:
    """Sources that say what they are without saying which."""
    for kind, field in _VOLUME_FIELDS.items():
        source = volume.get(kind)
        if source is not None and not source.get(field):
            yield required(f"{at}.{kind}.{field}")
    for index, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
        for kind in _PROJECTED:
            if source.get(kind) is not None and not source[kind].get("name"):
                yield required(f"{at}.projected.sources[{index}].{kind}.name")


def environment_source_causes(source: Object, at: str) -> Iterable[Cause]:
    """One item of ``envFrom``."""
    given = [kind for kind in _ENVIRONMENT_SOURCES if source.get(kind) is not None]
    if not given:
        yield invalid(at, "", "must specify one of: `configMapRef` or `secretRef`")
    elif len(given) > 1:
        yield invalid(at, "", "may not have more than one field specified at a time")
    for kind in given:
        name = source[kind].get("name")
        if name:
            yield from formatted(f"{at}.{kind}.name", name, dns_subdomain)
        else:
            yield required(f"{at}.{kind}.name")


def value_source_causes(value_from: Object, at: str) -> Iterable[Cause]:
    """The ``valueFrom`` of an environment variable."""
    given = [kind for kind in _VALUE_SOURCES if value_from.get(kind) is not None]
    if not given:
        listed = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield invalid(at, "", f"must specify one of: {listed}")
    elif len(given) > 1:
        yield invalid(at, "", "may not have more than one field specified at a time")
    for kind in _KEYED:
        reference = value_from.get(kind)
        if reference is None:
            continue
        yield from formatted(f"{at}.{kind}.name", reference.get("name") or "", dns_subdomain)
        if reference.get("key"):
            yield from formatted(f"{at}.{kind}.key", reference["key"], data_key)
        else:
            yield required(f"{at}.{kind}.key")
