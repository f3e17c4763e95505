"""What is checked of the names by which pods refer to ConfigMaps, Secrets and other sources of volumes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    data_key,
    dns_subdomain,
    formatted,
    invalid,
    one_of,
    qualified_name,
    required,
    unsupported,
)

_VOLUME_FIELDS: Mapping[str, str] = {
    "configMap": "name",
    "secret": "secretName",
    "persistentVolumeClaim": "claimName",
    "hostPath": "path",
}
"""Volume source to the field without which it is none."""
_PROJECTED = ("configMap", "secret")
_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_NO_WAY_BACK = "must not contain '..'"
_ENVIRONMENT_SOURCES = ("configMapRef", "secretRef")
_VALUE_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
_KEYED = ("configMapKeyRef", "secretKeyRef")
_POD_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_OTHER_POD_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
)
"""Those that are known, but not to environments."""
_SUBSCRIPT = re.compile(r"metadata\.(annotations|labels)\['(.*)'\]")
_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")


def volume_source_causes(volume: Object, at: str) -> Iterable[Cause]:
    """Sources that say what they are without saying which."""
    for kind, field in _VOLUME_FIELDS.items():
        source = volume.get(kind)
        if source is not None and not source.get(field):
            yield required(f"{at}.{kind}.{field}")
        if kind in _PROJECTED and source is not None:
            yield from _file_causes(source, f"{at}.{kind}")
    path = volume.get("hostPath")
    if path is not None:
        if ".." in (path.get("path") or "").split("/"):
            yield invalid(f"{at}.hostPath.path", path["path"], _NO_WAY_BACK)
        yield from one_of(f"{at}.hostPath.type", path.get("type"), _PATH_TYPES)
    for index, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
        for kind in _PROJECTED:
            if source.get(kind) is not None and not source[kind].get("name"):
                yield required(f"{at}.projected.sources[{index}].{kind}.name")


def _file_causes(source: Object, at: str) -> Iterable[Cause]:
    """Which keys become files, where, and who may read them."""
    yield from _mode(f"{at}.defaultMode", source.get("defaultMode"))
    for index, item in enumerate(source.get("items") or ()):
        here, path = f"{at}.items[{index}]", item.get("path") or ""
        if not item.get("key"):
            yield required(f"{here}.key")
        if not path:
            yield required(f"{here}.path")
        yield from inside_causes(f"{here}.path", path)
        if path.startswith("..") and ".." not in path.split("/"):
            yield invalid(f"{here}.path", path, "must not start with '..'")
        yield from _mode(f"{here}.mode", item.get("mode"))


def _mode(at: str, mode: int | None) -> Iterable[Cause]:
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid(at, mode, "must be a number between 0 and 0777 (octal), both inclusive")


def inside_causes(at: str, path: str) -> Iterable[Cause]:
    """A path that stays within its volume."""
    if path.startswith("/"):
        yield invalid(at, path, "must be a relative path")
    if ".." in path.split("/"):
        yield invalid(at, path, _NO_WAY_BACK)


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
    if value_from.get("fieldRef") is not None:
        yield from _field_causes(value_from["fieldRef"].get("fieldPath") or "", f"{at}.fieldRef")
    if value_from.get("resourceFieldRef") is not None:
        yield from _resource_causes(value_from["resourceFieldRef"], f"{at}.resourceFieldRef")
    for kind in _KEYED:
        reference = value_from.get(kind)
        if reference is None:
            continue
        yield from formatted(f"{at}.{kind}.name", reference.get("name") or "", dns_subdomain)
        if reference.get("key"):
            yield from formatted(f"{at}.{kind}.key", reference["key"], data_key)
        else:
            yield required(f"{at}.{kind}.key")


def _field_causes(path: str, at: str) -> Iterable[Cause]:
    """A field of the pod itself."""
    found = _SUBSCRIPT.fullmatch(path)
    if not path:
        yield required(f"{at}.fieldPath")
    elif found:
        # Keys of annotations may be written in capitals.
        key = found[2].lower() if found[1] == "annotations" else found[2]
        yield from formatted(at, key, qualified_name)
    elif path in _OTHER_POD_FIELDS:
        yield unsupported(f"{at}.fieldPath", path, _POD_FIELDS)
    elif path not in _POD_FIELDS:
        why = f"error converting fieldPath: field label not supported: {path}"
        yield invalid(f"{at}.fieldPath", path, why)


def _resource_causes(reference: Object, at: str) -> Iterable[Cause]:
    """A limit or a request of a container."""
    resource = reference.get("resource") or ""
    if not resource:
        yield required(f"{at}.resource")
    elif not resource.startswith(_HUGE_PAGES):
        yield from one_of(f"{at}.resource", resource, _RESOURCES)
