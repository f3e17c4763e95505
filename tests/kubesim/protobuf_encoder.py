"""Writes objects in protobuf as Go clients do, the other way round from what the server reads."""

from __future__ import annotations

import base64
import struct as packing
from datetime import datetime
from typing import Any

import orjson

from pytest_selfrep.kubesim.schema import Field, ListOf, MapOf, Scalar, Struct, Type, struct_for


def encode(obj: dict[str, Any]) -> bytes:
    """A whole body, with its envelope."""
    group, _, version = obj["apiVersion"].rpartition("/")
    raw = message(obj, struct_for(group, version, obj["kind"]))
    return envelope(obj["apiVersion"], obj["kind"], raw)


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    meta = delimited(1, api_version.encode()) + delimited(2, kind.encode())
    return b"k8s\0" + delimited(1, meta) + delimited(2, raw) + delimited(3, b"") + delimited(4, b"")


def message(obj: dict[str, Any], type_: Struct) -> bytes:
    return b"".join(_field(obj, field) for field in type_.members)


def _field(obj: dict[str, Any], field: Field) -> bytes:
    if field.inline and isinstance(field.type, Struct):
        return delimited(field.number, message(obj, field.type))
    if field.name not in obj:
        return b""
    value = obj[field.name]
    if isinstance(field.type, ListOf):
        return b"".join(_value(field.number, item, field.type.item) for item in value)
    if isinstance(field.type, MapOf):
        pairs = (
            _value(1, key, Scalar("string")) + _value(2, item, field.type.value)
            for key, item in value.items()
        )
        return b"".join(delimited(field.number, pair) for pair in pairs)
    return _value(field.number, value, field.type)


def _value(number: int, value: Any, type_: Type) -> bytes:
    if isinstance(type_, Struct):
        return delimited(number, message(value, type_))
    assert isinstance(type_, Scalar)
    match type_.name:
        case "int32" | "int64" | "bool":
            return varint(number << 3) + varint(int(value))
        case "double":
            return varint(number << 3 | 1) + packing.pack("<d", value)
        case "bytes":
            return delimited(number, base64.b64decode(value))
        case "string":
            return delimited(number, value.encode())
        case "Quantity":
            return delimited(number, delimited(1, value.encode()))
        case "Time" | "MicroTime":
            return delimited(number, _time(value))
        case "IntOrString":
            if isinstance(value, str):
                return delimited(number, varint(8) + varint(1) + delimited(3, value.encode()))
            return delimited(number, varint(8) + varint(0) + varint(16) + varint(value))
        case "StringList":
            return delimited(number, b"".join(delimited(1, text.encode()) for text in value))
    return delimited(number, delimited(1, orjson.dumps(value)))


def _time(text: str) -> bytes:
    moment = datetime.fromisoformat(text)
    since = moment - datetime.fromisoformat("1970-01-01T00:00:00Z")
    return (
        varint(8)
        + varint(since.days * 86400 + since.seconds)
        + varint(16)
        + varint(since.microseconds * 1000)
    )


def varint(value: int) -> bytes:
    """Negative numbers take ten bytes."""
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def delimited(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data
