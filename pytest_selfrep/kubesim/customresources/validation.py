"""Whether a value is what its schema says, in the API server's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import orjson

from pytest_selfrep.kubesim.customresources.formats import FORMATS
from pytest_selfrep.kubesim.customresources.patterns import LONGEST, matcher
from pytest_selfrep.kubesim.customresources.values import EMBEDDED
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import duplicate, required
from pytest_selfrep.kubesim.validation.fieldchecks import invalid as invalid_value

_JSON_TYPES = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    type(None): "null",
}
_NOWHERE = "<nil>"
"""The field of what is wrong with alternatives, as Kubernetes calls it."""


def causes(schema: Object, obj: Object) -> list[Cause]:
    """Everything wrong with an object."""
    return [*violations(schema, obj), *list_violations(schema, obj), *embedded_violations(schema, obj)]


def violations(schema: Object, value: Json, path: str = "") -> Iterator[Cause]:
    """Everything wrong with ``value``, which is at ``path``, in the order of the schema."""
    wrong_type = _type_violation(schema, value, path)
    if wrong_type is not None:
        yield wrong_type
    if value is None:
        return
    yield from _alternatives(schema, value, path)
    match value:
        case str():
            yield from _string(schema, value, path)
        case bool():
            pass
        case int() | float():
            yield from _number(schema, value, path)
        case list():
            yield from _list(schema, value, path)
        case dict():
            yield from _object(schema, value, path)
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        listed = ", ".join(_quoted(each) for each in allowed)
        shown = orjson.dumps(value).decode()
        message = f"Unsupported value: {shown}: supported values: {listed}"
        yield Cause("FieldValueNotSupported", message, path or _NOWHERE)


def _quoted(value: Json) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return orjson.dumps(text).decode()


def _invalid(path: str, value: Json, why: str) -> Cause:
    return invalid_value(path or _NOWHERE, value, f"{path} in body {why}")


def _type_violation(schema: Object, value: Json, path: str) -> Cause | None:
    wanted = schema.get("type", "")
    if schema.get("x-kubernetes-int-or-string"):
        wanted = "integer,string"
    if not wanted or (value is None and schema.get("nullable")):
        return None
    found = _JSON_TYPES.get(type(value), "number")
    if found == "number" and isinstance(value, float) and value.is_integer():
        found = "integer"
    if found in wanted.split(",") or (wanted == "number" and found == "integer"):
        return None
    why = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return Cause("FieldValueTypeInvalid", why, path or _NOWHERE)


def _string(schema: Object, value: str, path: str) -> Iterator[Cause]:
    most, least, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    matches = matcher(pattern) if pattern and len(value) <= LONGEST else None
    if most is not None and len(value) > most:
        yield Cause("FieldValueTooLong", f"Too long: may not be more than {most} bytes", path)
    elif least is not None and len(value) < least:
        yield _invalid(path, value, f"should be at least {least} chars long")
    elif matches is not None and not matches(value):
        yield _invalid(path, value, f"should match '{pattern}'")
    check = FORMATS.get(schema.get("format", ""))
    if check is not None and not check(value):
        shown = orjson.dumps(value).decode()
        why = f"Invalid value: {shown}: {path} in body must be of type {schema['format']}: {shown}"
        yield Cause("FieldValueTypeInvalid", why, path)


def _number(schema: Object, value: float, path: str) -> Iterator[Cause]:
    most, least, step = schema.get("maximum"), schema.get("minimum"), schema.get("multipleOf")
    if step is not None and step <= 0:
        yield _invalid(path, value, f"factor MultipleOf declared for {path} must be positive: {step}")
    elif step is not None and not _is_json_integer(Fraction(str(value)) / Fraction(str(step))):
        yield _invalid(path, value, f"should be a multiple of {step}")
    if most is not None:
        if schema.get("exclusiveMaximum") and value >= most:
            yield _invalid(path, value, f"should be less than {most}")
        elif value > most:
            yield _invalid(path, value, f"should be less than or equal to {most}")
    if least is not None:
        if schema.get("exclusiveMinimum") and value <= least:
            yield _invalid(path, value, f"should be greater than {least}")
        elif value < least:
            yield _invalid(path, value, f"should be greater than or equal to {least}")


def _is_json_integer(quotient: Fraction) -> bool:
    """Whether it is whole, and a float holds every whole number of its size."""
    return quotient.denominator == 1 and abs(quotient) < 1 << 53


def _list(schema: Object, value: Sequence[Json], path: str) -> Iterator[Cause]:
    least, most, items = schema.get("minItems"), schema.get("maxItems"), schema.get("items")
    if least is not None and len(value) < least:
        yield _invalid(path, len(value), f"should have at least {least} items")
    if most is not None and len(value) > most:
        message = f"Too many: {len(value)}: must have at most {most} items"
        yield Cause("FieldValueTooMany", message, path)
    if schema.get("uniqueItems") and len({orjson.dumps(each) for each in value}) < len(value):
        yield _invalid(path, list(value), "shouldn't contain duplicates")
    if items:
        for index, item in enumerate(value):
            yield from violations(items, item, f"{path}[{index}]")


def _object(schema: Object, value: Object, path: str) -> Iterator[Cause]:
    least, most = schema.get("minProperties"), schema.get("maxProperties")
    if least is not None and len(value) < least:
        yield _invalid(path, least, f"should have at least {least} properties")
    if most is not None and len(value) > most:
        message = f"Too many: {len(value)}: must have at most {most} items"
        yield Cause("FieldValueTooMany", message, path)
    for name in schema.get("required") or ():
        if name not in value:
            yield required(f"{path}.{name}" if path else name)
    properties, rest = schema.get("properties") or {}, schema.get("additionalProperties")
    for name, item in value.items():
        inner = properties.get(name, rest)
        # Null is as good as left out, where leaving out is allowed.
        if isinstance(inner, dict) and item is not None:
            yield from violations(inner, item, f"{path}.{name}" if path else name)


def _alternatives(schema: Object, value: Json, path: str) -> Iterator[Cause]:
    """``anyOf``, ``oneOf``, ``allOf`` and ``not``."""
    if schema.get("anyOf") and not schema.get("x-kubernetes-int-or-string"):
        failures = [list(violations(each, value, path)) for each in schema["anyOf"]]
        if all(failures):
            yield _nowhere(f'"{path}" must validate at least one schema (anyOf)')
            yield from min(failures, key=len)
    if schema.get("oneOf"):
        failures = [list(violations(each, value, path)) for each in schema["oneOf"]]
        valid = sum(not each for each in failures)
        if valid != 1:
            found = f"Found {valid} valid alternatives" if valid else "Found none valid"
            yield _nowhere(f'"{path}" must validate one and only one schema (oneOf). {found}')
        if not valid:
            yield from min(failures, key=len)
    if schema.get("allOf"):
        failures = [list(violations(each, value, path)) for each in schema["allOf"]]
        for each in failures:
            yield from each
        if any(failures):
            none = ". None validated" if all(failures) else ""
            yield _nowhere(f'"{path}" must validate all the schemas (allOf){none}')
    if schema.get("not") is not None and not any(violations(schema["not"], value, path)):
        yield _nowhere(f'"{path}" must not validate the schema (not)')


def _nowhere(why: str) -> Cause:
    return Cause("FieldValueInvalid", f'Invalid value: "": {why}', _NOWHERE)


def list_violations(schema: Object, value: Json, path: str = "") -> Iterator[Cause]:
    """Items that are there twice in lists that are sets or maps."""
    if isinstance(value, list):
        yield from _twice(schema, value, path)
        for index, item in enumerate(value):
            yield from list_violations(schema.get("items") or {}, item, f"{path}[{index}]")
    elif isinstance(value, dict):
        properties, rest = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, item in value.items():
            inner = properties.get(name, rest)
            if isinstance(inner, dict):
                yield from list_violations(inner, item, f"{path}.{name}" if path else name)


def _twice(schema: Object, value: Sequence[Json], path: str) -> Iterator[Cause]:
    kind, seen = schema.get("x-kubernetes-list-type"), set()
    if kind not in ("set", "map"):
        return
    names = schema.get("x-kubernetes-list-map-keys") or ()
    for index, item in enumerate(value):
        of: Json = item
        if kind == "map":
            of = {name: item[name] for name in names if name in item} if isinstance(item, dict) else {}
        known = orjson.dumps(of, option=orjson.OPT_SORT_KEYS)
        if known in seen:
            yield _duplicate(f"{path}[{index}]", of)
        seen.add(known)


def _duplicate(path: str, value: Json) -> Cause:
    if not isinstance(value, dict):
        return duplicate(path, value)
    shown = ", ".join(f'"{name}":{orjson.dumps(item).decode()}' for name, item in sorted(value.items()))
    return Cause("FieldValueDuplicate", f"Duplicate value: map[string]interface {{}}{{{shown}}}", path)


def embedded_violations(schema: Object, value: Json, path: str = "", *, root: bool = True) -> Iterator[Cause]:
    """Objects within an object that do not say what they are."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from embedded_violations(schema.get("items") or {}, item, f"{path}[{index}]", root=False)
    elif isinstance(value, dict):
        if schema.get(EMBEDDED) and not root:
            for name in ("apiVersion", "kind"):
                if name not in value:
                    yield required(f"{path}.{name}", "must not be empty")
                elif not value[name]:
                    yield invalid_value(f"{path}.{name}", value[name], "must not be empty")
        properties, rest = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, item in value.items():
            inner = properties.get(name, rest)
            if isinstance(inner, dict):
                at = f"{path}.{name}" if path else name
                yield from embedded_violations(inner, item, at, root=False)
