"""Objects in protobuf, as kubectl and Go clients send them (``application/vnd.kubernetes.protobuf``).

A body is the four bytes ``k8s\\0`` and a ``runtime.Unknown`` message, which names the type of its object.
The numbers of fields come from the schema, so that there is no code for any one type.
"""

from __future__ import annotations

import base64
import struct as packing
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

import orjson

from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.schema import Field, ListOf, MapOf, Scalar, Struct, Type, struct_for

MAGIC = b"k8s\0"
_MAX_DEPTH = 100
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types."""
_TYPE_META, _RAW, _ENCODING, _CONTENT_TYPE = 1, 2, 3, 4
"""Fields of runtime.Unknown."""
_EPOCH = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)
_WIRE_TYPES: Mapping[str, int] = {
    "bool": _VARINT,
    "int32": _VARINT,
    "int64": _VARINT,
    "double": _FIXED64,
}
"""Of scalars; all others are bytes."""


class Malformed(ValueError):
    """Not the protobuf of an object; the message is the API server's."""


def decode(body: bytes, only: str = "") -> Object:
    """The object as JSON has it, with all that is zero. Raises Malformed.

    Of what is not of the kind ``only``, if that is said, just the type is read.
    """
    if not body.startswith(MAGIC):
        raise Malformed(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    if len(body) == len(MAGIC):
        raise Malformed("empty body")
    envelope = {number: value for number, _, value in _fields(body[len(MAGIC) :])}
    meta = {number: _text(value) for number, _, value in _fields(_as_bytes(envelope.get(_TYPE_META, b"")))}
    api_version, kind = meta.get(1, ""), meta.get(2, "")
    if only and kind != only:
        return {"kind": kind, "apiVersion": api_version}
    raw = _as_bytes(envelope.get(_RAW, b""))
    group, _, version = api_version.rpartition("/")
    try:
        type_ = struct_for(group, version, kind)
    except LookupError:
        raise Malformed(
            f'no kind "{kind}" is registered for version "{api_version}" '
            'in scheme "pkg/api/legacyscheme/scheme.go:30"'
        ) from None
    return {"kind": kind, "apiVersion": api_version, **_message(raw, type_, 0)}


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Number, wire type and value of each field of a message. Raises Malformed."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, wire_type = tag >> 3, tag & 7
        if number <= 0:
            raise Malformed(f"proto: illegal tag {number} (wire type {tag})")
        if wire_type == _VARINT:
            value, place = _varint(data, place)
            yield number, wire_type, value
            continue
        if wire_type == _BYTES:
            length, place = _varint(data, place)
        elif wire_type in (_FIXED64, _FIXED32):
            length = 8 if wire_type == _FIXED64 else 4
        else:
            raise Malformed(f"proto: illegal wireType {wire_type}")
        if length > len(data) - place:
            raise Malformed("unexpected EOF")
        yield number, wire_type, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of up to 64 bits, without sign, and where it ends."""
    value = shift = 0
    while shift < 64:
        if place >= len(data):
            raise Malformed("unexpected EOF")
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value & (1 << 64) - 1, place
    raise Malformed("proto: integer overflow")


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise Malformed("proto: wrong wireType = 0")
    return value


def _text(value: int | bytes) -> str:
    # Go takes any bytes for a text, and writes those that are none as JSON's replacement character.
    return _as_bytes(value).decode(errors="replace")


@cache
def _numbered(struct: Struct) -> Mapping[int, Field]:
    return {field.number: field for field in struct.members if field.number}


def _message(data: bytes, struct: Struct, depth: int) -> Object:
    if depth > _MAX_DEPTH:
        raise Malformed("exceeded max depth")
    fields = _numbered(struct)
    found: Object = {}
    for number, wire_type, value in _fields(data):
        field = fields.get(number)
        if field is None:
            continue
        name, type_ = field.name, field.type
        if isinstance(type_, ListOf):
            found.setdefault(name, []).extend(_items(value, wire_type, type_.item, name, depth))
        elif isinstance(type_, MapOf):
            key, item = _entry(_as_bytes(value), type_.value, depth)
            found.setdefault(name, {})[key] = item
        elif field.inline and isinstance(type_, Struct):
            found.update(_message(_as_bytes(value), type_, depth + 1))
        else:
            found[name] = _value(value, wire_type, type_, name, depth)
    return found


def _items(value: int | bytes, wire_type: int, type_: Type, name: str, depth: int) -> list[Json]:
    """One item of a list, or several numbers packed into one field."""
    if wire_type == _BYTES and isinstance(type_, Scalar) and type_.name in ("int32", "int64", "bool"):
        data, place, numbers = _as_bytes(value), 0, []
        while place < len(data):
            number, place = _varint(data, place)
            numbers.append(_number(number, type_.name))
        return numbers
    return [_value(value, wire_type, type_, name, depth)]


def _entry(data: bytes, type_: Type, depth: int) -> tuple[str, Json]:
    """A map is a list of messages with a key and a value."""
    key, item = "", _value(0 if _wire_type(type_) == _VARINT else b"", _wire_type(type_), type_, "", depth)
    for number, wire_type, value in _fields(data):
        if number == 1:
            key = _text(value)
        elif number == 2:
            item = _value(value, wire_type, type_, "value", depth)
    return key, item


def _wire_type(type_: Type) -> int:
    return _WIRE_TYPES.get(type_.name, _BYTES) if isinstance(type_, Scalar) else _BYTES


def _value(value: int | bytes, wire_type: int, type_: Type, name: str, depth: int) -> Json:
    if wire_type != _wire_type(type_):
        raise Malformed(f"proto: wrong wireType = {wire_type} for field {name[:1].upper()}{name[1:]}")
    if isinstance(type_, Struct):
        return _message(_as_bytes(value), type_, depth + 1)
    if not isinstance(type_, Scalar):
        raise Malformed(f"proto: wrong wireType = {wire_type} for field {name[:1].upper()}{name[1:]}")
    if isinstance(value, int):
        return _number(value, type_.name)
    match type_.name:
        case "string":
            return _text(value)
        case "bytes":
            return base64.b64encode(value).decode()
        case "double":
            return packing.unpack("<d", value)[0]
        case "Time":
            return _time(value, "seconds")
        case "MicroTime":
            return _time(value, "microseconds")
        case "Quantity":
            return _first_text(value) or "0"
        case "IntOrString":
            return _int_or_string(value)
        case "StringList":
            return [_text(item) for _, _, item in _fields(value)]
    return _raw(value)


def _number(value: int, type_: str) -> Json:
    if type_ == "bool":
        return bool(value)
    bits = 32 if type_ == "int32" else 64
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _time(data: bytes, precision: str) -> Json:
    """Seconds and nanoseconds since 1970; the time before all times is no time."""
    parts = {number: value for number, _, value in _fields(data)}
    if not parts:
        return None
    seconds, nanos = (part if isinstance(part, int) else 0 for part in (parts.get(1, 0), parts.get(2, 0)))
    try:
        moment = _EPOCH + timedelta(
            seconds=_number(seconds, "int64"), microseconds=_number(nanos, "int32") // 1000
        )
    except OverflowError:
        return None
    return moment.isoformat(timespec=precision) + "Z"


def _first_text(data: bytes) -> str:
    texts = [_text(value) for number, _, value in _fields(data) if number == 1]
    return texts[-1] if texts else ""


def _int_or_string(data: bytes) -> Json:
    parts = {number: value for number, _, value in _fields(data)}
    if parts.get(1):
        return _text(parts.get(3, b""))
    number = parts.get(2, 0)
    return _number(number, "int32") if isinstance(number, int) else 0


def _raw(data: bytes) -> Json:
    """JSON within a message: a RawExtension, or the fields of managedFields."""
    texts = [_as_bytes(value) for number, _, value in _fields(data) if number == 1]
    if not texts or not texts[-1]:
        return None
    try:
        return orjson.loads(texts[-1])
    except ValueError:
        raise Malformed("unable to decode the JSON within a message") from None
