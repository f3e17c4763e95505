"""What is checked of ConfigMaps and Secrets."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    data_key,
    forbidden,
    formatted,
    invalid,
    required,
    too_long,
)

_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
"""What Secrets of a type must hold."""
MOST_DATA_BYTES = 1024 * 1024


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
