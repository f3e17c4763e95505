"""What is checked of Services, ConfigMaps and Secrets."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from ipaddress import ip_address

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    data_key,
    dns_label,
    duplicate,
    forbidden,
    formatted,
    invalid,
    labels,
    one_of,
    port,
    required,
    too_long,
)

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
"""What Secrets of a type must hold."""
MOST_DATA_BYTES = 1024 * 1024


def service_causes(service: Object, old: Object | None) -> list[Cause]:
    spec = service["spec"]
    causes = list(one_of("spec.type", spec["type"], _TYPES))
    causes += one_of("spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None"))
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec["type"] != "ExternalName":
        causes.append(required("spec.ports"))
    names: list[str] = []
    for index, each in enumerate(ports):
        causes += _port_causes(each, f"spec.ports[{index}]", names, many=len(ports) > 1)
    if spec.get("selector"):
        causes += labels("spec.selector", spec["selector"])
    if spec["type"] == "ExternalName" and not spec.get("externalName"):
        causes.append(required("spec.externalName"))
    if spec.get("clusterIP") not in (None, "", "None") and not _is_address(spec["clusterIP"]):
        why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        causes.append(invalid("spec.clusterIPs[0]", spec["clusterIP"], why))
    before = (old or {}).get("spec") or {}
    if (
        before.get("clusterIP")
        and spec.get("clusterIP") != before["clusterIP"]
        and before["type"] != "ExternalName"
    ):
        value = [spec["clusterIP"]] if spec.get("clusterIP") else []
        causes.append(invalid("spec.clusterIPs[0]", value, "may not change once set"))
    return causes


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _port_causes(each: Object, at: str, names: list[str], *, many: bool) -> Iterable[Cause]:
    name = each.get("name") or ""
    if not name and many:
        yield required(f"{at}.name")
    elif name:
        yield from formatted(f"{at}.name", name, dns_label)
        if name in names:
            yield duplicate(f"{at}.name", name)
        names.append(name)
    yield from port(f"{at}.port", each.get("port") or 0)
    target = each.get("targetPort")
    if isinstance(target, int):
        yield from port(f"{at}.targetPort", target)
    node_port = each.get("nodePort") or 0
    if node_port and not 30000 <= node_port <= 32767:
        why = "provided port is not in the valid range. The range of valid ports is 30000-32767"
        yield invalid(f"{at}.nodePort", node_port, why)
    yield from one_of(f"{at}.protocol", each["protocol"], _PROTOCOLS)


def data_causes(config_map: Object, old: Object | None) -> list[Cause]:
    """A ConfigMap; sizes are of keys and values together."""
    causes = list(_frozen_causes(config_map, old, ("data", "binaryData")))
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (config_map.get(field) or {}).items():
            causes += formatted(f"{field}[{key}]", key, data_key)
            size += len(base64.b64decode(value) if field == "binaryData" else value.encode())
    if size > MOST_DATA_BYTES:
        causes.append(too_long("[]", MOST_DATA_BYTES))
    return causes


def secret_causes(secret: Object, old: Object | None) -> list[Cause]:
    causes = list(_frozen_causes(secret, old, ("data",)))
    size = 0
    for key, value in (secret.get("data") or {}).items():
        causes += formatted(f"data[{key}]", key, data_key)
        try:
            size += len(base64.b64decode(value, validate=True))
        except binascii.Error:
            causes.append(invalid(f"data[{key}]", value, "illegal base64 data"))
    if size > MOST_DATA_BYTES:
        causes.append(too_long("data", MOST_DATA_BYTES))
    for key in _SECRET_KEYS.get(secret["type"], ()):
        if key not in (secret.get("data") or {}):
            causes.append(required(f"data[{key}]"))
    if old is not None and secret["type"] != old["type"]:
        causes.append(invalid("type", secret["type"], "field is immutable"))
    return causes


def _frozen_causes(obj: Object, old: Object | None, fields: Iterable[str]) -> Iterable[Cause]:
    """``immutable: true`` holds for good."""
    if old is None or not old.get("immutable"):
        return
    why = "field is immutable when `immutable` is set"
    if not obj.get("immutable"):
        yield forbidden("immutable", why)
    for field in fields:
        if (obj.get(field) or {}) != (old.get(field) or {}):
            yield forbidden(field, why)
