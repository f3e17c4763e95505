"""The Swagger document in protobuf: gnostic's message ``openapi.v2.Document``, which kubectl asks for."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import orjson
import yaml

from pytest_selfrep.kubesim.discovery.resources import Resource
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.openapi import swagger

MEDIA_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ACCEPTED: Final = (MEDIA_TYPE, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
"""What clients ask for: today's name, and the older one that kubectl still says."""
_REMEMBERED = 4
_VARINT, _FIXED64, _BYTES = 0, 1, 2
"""Wire types."""
_LONG: Final = 1 << 64
_NAME, _VALUE = 1, 2
"""Fields of every message that is an entry of a map."""
_YAML = 2
"""The field of ``Any`` that has a value as YAML."""
_TABLE: Final = """
Document
  swagger 1 string
  info 2 Info
  paths 8 Paths
  definitions 9 Definitions
  security 12 SecurityRequirement
  securityDefinitions 13 SecurityDefinitions
Info
  title 1 string
  version 2 string
Paths
  * 2 PathItem
Definitions
  * 1 Schema
SecurityRequirement
  * 1 string@1
SecurityDefinitions
  * 1 ApiKeySecurity@2
ApiKeySecurity
  type 1 string
  name 2 string
  in 3 string
  description 4 string
PathItem
  get 2 Operation
  put 3 Operation
  post 4 Operation
  delete 5 Operation
  patch 8 Operation
  parameters 9 Parameter@1
Operation
  tags 1 string
  description 3 string
  operationId 5 string
  produces 6 string
  consumes 7 string
  parameters 8 Parameter@1
  responses 9 Responses
  schemes 10 string
  deprecated 11 bool
  x-* 13 any
Parameter
  body 1 BodyParameter
  header 2 HeaderParameter@1
  query 2 QueryParameter@3
  path 2 PathParameter@4
BodyParameter
  description 1 string
  name 2 string
  in 3 string
  required 4 bool
  schema 5 Schema
QueryParameter
  required 1 bool
  in 2 string
  description 3 string
  name 4 string
  type 6 string
  format 7 string
  uniqueItems 20 bool
PathParameter
  required 1 bool
  in 2 string
  description 3 string
  name 4 string
  type 5 string
  format 6 string
  uniqueItems 19 bool
Responses
  * 1 Response@1
Response
  description 1 string
  schema 2 Schema@1
Properties
  * 1 Schema
Schema
  $ref 1 string
  format 2 string
  title 3 string
  description 4 string
  default 5 any
  multipleOf 6 double
  maximum 7 double
  exclusiveMaximum 8 bool
  minimum 9 double
  exclusiveMinimum 10 bool
  maxLength 11 int64
  minLength 12 int64
  pattern 13 string
  maxItems 14 int64
  minItems 15 int64
  uniqueItems 16 bool
  maxProperties 17 int64
  minProperties 18 int64
  required 19 string
  enum 20 anys
  additionalProperties 21 Schema@1
  type 22 string@1
  items 23 Schema@1
  properties 25 Properties
  example 30 any
  x-* 31 any
"""
"""Messages by the members of their JSON: name, number and type of the field.

``Schema@1`` is wrapped in a message of which it is field 1. A name with a star stands for all members that
begin so; each of them is an entry with its name.
"""


@dataclass(frozen=True, slots=True)
class _Field:
    number: int
    type: str
    wrapper: int | None
    """The field of the message that the value is wrapped in."""
    named: bool
    """Whether the value is an entry of a map."""


@lru_cache(maxsize=_REMEMBERED)
def document(resources: tuple[Resource, ...]) -> tuple[bytes, str]:
    """All that is served, in one document, and its hash."""
    content = encoded(swagger.document(resources).content)
    return content, hashlib.sha512(content).hexdigest().upper()


def encoded(content: Object) -> bytes:
    """A Swagger document as a ``Document``. What the table does not know is left out."""
    return _message("Document", content)


@cache
def _messages() -> Mapping[str, Mapping[str, _Field]]:
    found: dict[str, dict[str, _Field]] = {}
    fields: dict[str, _Field] = {}
    for line in _TABLE.strip().splitlines():
        if not line.startswith(" "):
            fields = found.setdefault(line, {})
            continue
        name, number, type_ = line.split()
        type_, _, wrapper = type_.partition("@")
        fields[name] = _Field(int(number), type_, int(wrapper) if wrapper else None, name.endswith("*"))
    return found


def _message(type_: str, said: Object) -> bytes:
    fields, parts = _messages()[type_], []
    for name, value in said.items():
        field = fields.get(name) or fields.get("x-*" if name.startswith("x-") else "*")
        if field is not None and field.named:
            entry = _bytes(_NAME, name.encode()) + b"".join(_values(field, _VALUE, value))
            parts.append((field.number, _bytes(field.number, entry)))
        elif field is not None:
            parts += [(field.number, part) for part in _values(field, field.number, value)]
    return b"".join(part for _, part in sorted(parts, key=lambda each: each[0]))


def _values(field: _Field, number: int, value: Json) -> Iterator[bytes]:
    """A value as a field of this number; a list that is not itself a value, as one for each of its items."""
    items = value if isinstance(value, list) and field.type != "any" else [value]
    if field.wrapper is None:
        yield from (_value(field.type, number, each) for each in items)
    elif field.type == "string":
        # The wrapper of texts is a list of them.
        yield _bytes(number, b"".join(_value("string", field.wrapper, each) for each in items))
    else:
        yield from (_bytes(number, _value(field.type, field.wrapper, each)) for each in items)


def _value(type_: str, number: int, value: Json) -> bytes:
    if type_ == "string":
        return _bytes(number, value.encode())
    if type_ in ("bool", "int64"):
        return _tag(number, _VARINT) + _varint(int(value) % _LONG) if value else b""
    if type_ == "double":
        return _tag(number, _FIXED64) + struct.pack("<d", value) if value else b""
    if type_ in ("any", "anys"):
        return _bytes(number, _bytes(_YAML, _yaml(orjson.dumps(value))))
    if type_ == "Parameter":
        # Its JSON is that of one of several messages; where the parameter is says of which.
        value = {value["in"]: value}
    return _bytes(number, _message(type_, value))


@lru_cache(maxsize=256)
def _yaml(value: bytes) -> bytes:
    """JSON as YAML. It is nearly always the same few words."""
    written: bytes = yaml.safe_dump(orjson.loads(value), allow_unicode=True, encoding="utf-8")
    return written.removesuffix(b"...\n")


def _bytes(number: int, content: bytes) -> bytes:
    return _tag(number, _BYTES) + _varint(len(content)) + content


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
