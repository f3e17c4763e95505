"""Whether a schema is structural: every value has one type, which is said outside of alternatives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pytest_selfrep.kubesim.customresources.paths import is_path
from pytest_selfrep.kubesim.customresources.validation import violations
from pytest_selfrep.kubesim.customresources.values import EMBEDDED, PRESERVE
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import forbidden, invalid, one_of, required

TYPES = ("array", "boolean", "integer", "number", "object", "string")
INT_OR_STRING = "x-kubernetes-int-or-string"
_REFUSED = ("$ref", "definitions", "dependencies", "patternProperties", "additionalItems", "id", "$schema")
"""What JSON schemas may have and structural ones must not."""
_OUTSIDE_ONLY = (
    "type",
    "default",
    "additionalProperties",
    "nullable",
    "description",
    "title",
    PRESERVE,
    EMBEDDED,
    INT_OR_STRING,
)
"""What schemas within alternatives must not say."""
_LIST_TYPES, _MAP_TYPES = ("atomic", "map", "set"), ("atomic", "granular")
_ALTERNATIVES = ("allOf", "anyOf", "oneOf")
_INT_OR_STRING_TYPES = ([{"type": "integer"}, {"type": "string"}], [{"type": "string"}, {"type": "integer"}])


def causes_of(schema: Object, at: str) -> Iterator[Cause]:
    """Everything wrong with a version's schema, which is at ``at``."""
    if not schema.get("type"):
        yield required(f"{at}.type", "must not be empty at the root")
    elif schema["type"] != "object":
        yield invalid(f"{at}.type", schema["type"], "must be object at the root")
    if schema.get("nullable"):
        yield forbidden(f"{at}.nullable", "nullable cannot be true at the root")
    meta = (schema.get("properties") or {}).get("metadata")
    if meta is not None:
        yield from _metadata(meta, f"{at}.properties[metadata]")
    yield from _level(schema, at, root=True)


def _metadata(schema: Object, at: str) -> Iterator[Cause]:
    extra = [name for name in schema.get("properties") or {} if name not in ("name", "generateName")]
    if extra or set(schema) - {"type", "properties", "description"}:
        why = (
            "must not specify anything other than name and generateName, but metadata is implicitly specified"
        )
        yield forbidden(at, why)


def _level(schema: Object, at: str, *, root: bool = False, item: bool = False) -> Iterator[Cause]:
    """One schema and those below it."""
    yield from _below(schema, at)
    yield from _type(schema, at, root=root, item=item)
    for name in _REFUSED:
        if schema.get(name):
            yield forbidden(f"{at}.{name}", f"{name} is not supported")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{at}.uniqueItems", why)
    yield from _pattern(schema, at)
    yield from _list(schema, at)
    yield from one_of(f"{at}.x-kubernetes-map-type", schema.get("x-kubernetes-map-type"), _MAP_TYPES)
    yield from _default(schema, at)
    yield from _alternatives(schema, at)


def _type(schema: Object, at: str, *, root: bool, item: bool) -> Iterator[Cause]:
    said = schema.get("type", "")
    if schema.get(INT_OR_STRING):
        if said:
            yield invalid(f"{at}.type", said, "must be empty if x-kubernetes-int-or-string is true")
    elif said:
        yield from one_of(f"{at}.type", said, TYPES)
    elif not root and not schema.get(PRESERVE):
        place = "array items" if item else "object fields"
        yield required(f"{at}.type", f"must not be empty for specified {place}")
    if schema.get(EMBEDDED) and said != "object":
        yield invalid(f"{at}.type", said, "must be object if x-kubernetes-embedded-resource is true")
    if schema.get("properties") and schema.get("additionalProperties"):
        yield forbidden(
            f"{at}.additionalProperties", "additionalProperties and properties are mutual exclusive"
        )
    if said == "array" and not schema.get("items"):
        yield required(f"{at}.items", "must be specified")


def _pattern(schema: Object, at: str) -> Iterator[Cause]:
    try:
        re.compile(schema.get("pattern", "").replace(r"\z", r"\Z"))
    except re.error as error:
        why = f"must be a valid regular expression, but isn't: error parsing regexp: {error}"
        yield invalid(f"{at}.pattern", schema["pattern"], why)


def _list(schema: Object, at: str) -> Iterator[Cause]:
    kind, keys, items = (
        schema.get("x-kubernetes-list-type"),
        schema.get("x-kubernetes-list-map-keys") or (),
        schema.get("items") or {},
    )
    if kind is not None and schema.get("type") != "array":
        yield invalid(
            f"{at}.type", schema.get("type", ""), "must be array if x-kubernetes-list-type is specified"
        )
    yield from one_of(f"{at}.x-kubernetes-list-type", kind, _LIST_TYPES)
    if kind != "map":
        if keys:
            why = "x-kubernetes-list-map-keys must not be specified if x-kubernetes-list-type is not map"
            yield forbidden(f"{at}.x-kubernetes-list-map-keys", why)
        return
    if not keys:
        why = "must not be empty if x-kubernetes-list-type is map"
        yield required(f"{at}.x-kubernetes-list-map-keys", why)
    if items.get("type") != "object":
        why = "must be object if parent array's x-kubernetes-list-type is map"
        yield invalid(f"{at}.items.type", items.get("type", ""), why)
    for index, name in enumerate(keys):
        inner = (items.get("properties") or {}).get(name)
        place = f"{at}.x-kubernetes-list-map-keys[{index}]"
        if inner is None:
            yield invalid(place, name, "entries must all be names of item properties")
        elif name not in (items.get("required") or ()) and "default" not in inner:
            must = "it must have a default or be a required property"
            why = f"this property is in x-kubernetes-list-map-keys, so {must}"
            yield required(f"{at}.items.properties[{name}].default", why)


def _default(schema: Object, at: str) -> Iterator[Cause]:
    if "default" not in schema or schema["default"] is None:
        return
    for cause in violations(schema, schema["default"], "default"):
        yield Cause(cause.reason, cause.message, f"{at}.{cause.field}")


def _alternatives(schema: Object, at: str) -> Iterator[Cause]:
    for name in _ALTERNATIVES:
        if name == "anyOf" and schema.get(INT_OR_STRING) and schema.get("anyOf") in _INT_OR_STRING_TYPES:
            continue
        for index, each in enumerate(schema.get(name) or ()):
            yield from _inside(each, schema, f"{at}.{name}[{index}]")
    if schema.get("not"):
        yield from _inside(schema["not"], schema, f"{at}.not")


def _inside(schema: Object, outside: Object, at: str) -> Iterator[Cause]:
    """What is within an alternative constrains what is outside and adds nothing to it."""
    for name in _OUTSIDE_ONLY:
        if schema.get(name):
            yield forbidden(f"{at}.{name}", "must be empty to be structural")
    for name, inner in (schema.get("properties") or {}).items():
        known = (outside.get("properties") or {}).get(name)
        if known is None:
            place = at.partition(".openAPIV3Schema")[0] + ".openAPIV3Schema"
            yield required(f"{place}.properties[{name}]", f"because it is defined in {at}.properties[{name}]")
        else:
            yield from _inside(inner, known, f"{at}.properties[{name}]")


def _below(schema: Object, at: str) -> Iterator[Cause]:
    for name, inner in (schema.get("properties") or {}).items():
        if name == "metadata" and at.endswith(".openAPIV3Schema"):
            continue
        yield from _level(inner, f"{at}.properties[{name}]")
    rest, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(rest, dict):
        yield from _level(rest, f"{at}.additionalProperties")
    if isinstance(items, dict):
        yield from _level(items, f"{at}.items", item=True)
    elif items is not None:
        yield forbidden(f"{at}.items", "items must be a schema object and not an array")


def scale_causes(scale: Object, at: str) -> Iterator[Cause]:
    """Where the scale subresource finds its numbers."""
    places = (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status"), ("labelSelectorPath", ""))
    for name, above in places:
        path = scale.get(name, "")
        if not path:
            if above:
                yield required(f"{at}.{name}")
        elif not is_path(path):
            yield invalid(f"{at}.{name}", path, "must be a simple json path starting with .")
        elif not path.startswith(f"{above}." if above else (".spec.", ".status.")):
            where = above or ".spec or .status"
            yield invalid(f"{at}.{name}", path, f"should be a json path under {where}")


def column_causes(columns: Iterable[Object], at: str) -> Iterator[Cause]:
    """The columns of tables."""
    for index, column in enumerate(columns):
        place = f"{at}[{index}]"
        if not column.get("name"):
            yield required(f"{place}.name")
        said = column.get("type", "")
        if not said:
            yield required(f"{place}.type", "must be one of boolean,date,integer,number,string")
        elif said not in ("boolean", "date", "integer", "number", "string"):
            yield invalid(f"{place}.type", said, "must be one of boolean,date,integer,number,string")
        path = column.get("jsonPath", "")
        if not path:
            yield required(f"{place}.jsonPath")
        elif not is_path(path):
            yield invalid(f"{place}.jsonPath", path, "must be a simple json path starting with .")
