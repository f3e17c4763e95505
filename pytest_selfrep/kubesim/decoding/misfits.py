"""Values that a field cannot hold, in the words of Go's JSON decoder and of its converter of patches."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.objects import Json
from pytest_selfrep.kubesim.schema import ListOf, MapOf, Scalar, Struct, Type

_JSON_NAMES: Mapping[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    type(None): "null",
}
_GO_KINDS: Mapping[type, str] = {
    dict: "map",
    list: "slice",
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
    type(None): "invalid",
}
_GO_TYPES: Mapping[str, str] = {
    "double": "float64",
    "bytes": "[]uint8",
    "Time": "v1.Time",
    "MicroTime": "v1.MicroTime",
    "Quantity": "resource.Quantity",
    "IntOrString": "intstr.IntOrString",
    "StringList": "[]string",
    "FieldsV1": "v1.FieldsV1",
    "RawExtension": "runtime.RawExtension",
    "any": "interface {}",
}
_INTEGERS = ("int32", "int64")


class Misfit(Exception):
    """A value that its type cannot hold. Names of fields are gathered on the way out, for most values fit."""

    def __init__(self, value: Json, type_: Type, *, parsed: bool = False) -> None:
        """``parsed`` says that the type has a form of its own, which Go reads in a second step."""
        super().__init__()
        self._value = value
        self._type = type_
        self._parsed = parsed
        self._struct = ""
        self._path: list[str] = []

    def within(self, struct: Struct, name: str) -> None:
        """Say in which field of which struct it happened; innermost first."""
        if not self._path:
            self._struct = struct.name.rpartition(".")[2]
        self._path.append(name)

    def in_json(self) -> str:
        """As Go's decoder of JSON words it."""
        path = ".".join(reversed(self._path))
        found = self._found()
        return (
            f"json: cannot unmarshal {found} into Go struct field {self._struct}.{path} "
            f"of type {go_type(self._type)}"
        )

    def in_patch(self) -> str:
        """As the converter words it that reads an object after a strategic merge patch."""
        kind = _GO_KINDS[type(self._value)]
        if self._parsed:
            return f"json: cannot unmarshal {self._found()} into Go value of type {go_type(self._type)}"
        match self._type:
            case Struct():
                return f"cannot restore struct from: {kind}"
            case ListOf():
                return f"cannot restore slice from {kind}"
            case MapOf():
                return f"cannot restore map from {kind}"
        target = go_type(self._type)
        if (kind, target) == ("int64", "string") or (kind == "float64" and target in _INTEGERS):
            return f"cannot convert {kind} to {target}"
        return f"unrecognized type: {target}"

    def _found(self) -> str:
        name = _JSON_NAMES[type(self._value)]
        if name == "number" and isinstance(self._type, Scalar) and self._type.name in _INTEGERS:
            return f"number {self._value}"
        return name


class Malformed(Misfit):
    """A value of the right type whose text is none of its own form, such as a time that is no time."""

    def __init__(self, why: str) -> None:
        super().__init__(None, Scalar("string"))
        self._why = why

    def in_json(self) -> str:
        return self._why

    def in_patch(self) -> str:
        return self._why


def go_type(type_: Type) -> str:
    """The name of a type in Go."""
    match type_:
        case Scalar():
            return _GO_TYPES.get(type_.name, type_.name)
        case ListOf():
            return f"[]{go_type(type_.item)}"
        case MapOf():
            if type_.value == Scalar("Quantity"):
                return "v1.ResourceList"
            return f"map[string]{go_type(type_.value)}"
    return ".".join(type_.name.split(".")[-2:])
