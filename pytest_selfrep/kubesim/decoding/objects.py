"""Objects and patched objects as clients send them: read by their types, or refused in Kubernetes' words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import orjson

from pytest_selfrep.kubesim.customresources import values
from pytest_selfrep.kubesim.decoding import bodies, strictness
from pytest_selfrep.kubesim.decoding.misfits import Misfit
from pytest_selfrep.kubesim.decoding.reading import reader
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.schema import Struct, struct, struct_for
from pytest_selfrep.kubesim.status import Cause, StatusError, bad_request, internal

Directive = Literal["Ignore", "Warn", "Strict"]
"""``fieldValidation``: what becomes of fields that are unknown or there twice."""
DIRECTIVES: Final[Mapping[str, Directive]] = {
    "": "Warn",
    "Ignore": "Ignore",
    "Strict": "Strict",
    "Warn": "Warn",
}
_SCHEME = 'in scheme "pkg/api/legacyscheme/scheme.go:30"'
_TYPE_META = (
    r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'
)
_JSON_NAMES: Mapping[type, str] = {list: "array", str: "string", bool: "bool", dict: "object"}
_META_SCHEME = 'in scheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"'
_OPTIONS = "DeleteOptions"
_YAML_ERRORS = "error converting YAML to JSON: yaml: unmarshal errors:"
_STRATEGIC = "application/strategic-merge-patch+json"
_JSON_PATCH = "application/json-patch+json"


@dataclass(frozen=True, slots=True)
class Body:
    """What came with a request."""

    raw: bytes
    content_type: str
    value: Json
    """``raw``, decoded."""
    parsed: bodies.Parsed | None = None
    """What was read of it beforehand."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a body has to be."""

    kind: str
    api_version: str
    type_: Struct | None
    """None for kinds whose types are not known, whose metadata alone are read then."""
    schema: Object | None = None
    """The structural schema of a custom resource."""

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]


Warn = Callable[[list[str]], None]
"""Tells the client what is wrong without being refused."""


def directive(asked: str, options: str) -> Directive:
    """``fieldValidation`` of a request with options of that kind. Raises StatusError 422."""
    found = DIRECTIVES.get(asked)
    if found is None:
        listed = ", ".join(f'"{each}"' for each in DIRECTIVES)
        why = f'Unsupported value: "{asked}": supported values: {listed}'
        raise StatusError(
            422,
            "Invalid",
            f'{options}.meta.k8s.io "" is invalid: fieldValidation: {why}',
            {
                "group": "meta.k8s.io",
                "kind": options,
                "causes": [_shown(Cause("FieldValueNotSupported", why, "fieldValidation"))],
            },
        )
    return found


def receive(body: Body, wanted: Wanted, asked: Directive, warn: Warn) -> Object:
    """The object that was sent, the caller's own. Raises StatusError 400."""
    value = body.value if body.value is not None else {}
    _check_type(body, value, wanted)
    strange: list[str] = []
    try:
        obj = _read(value, wanted, strange)
    except Misfit as misfit:
        raise _not_handled(wanted, misfit.in_json()) from None
    if asked != "Ignore":
        if wanted.type_ is not None:
            found = _problems(body, wanted.type_, strange)
        else:
            # What a schema does not know has been found by name; what is left are doubled fields.
            found = [*_problems(body, None, []), *strange]
        if found and asked == "Strict":
            raise _not_handled(wanted, f"strict decoding error: {', '.join(found)}")
        if found:
            warn(found)
    return obj


def receive_options(value: Json) -> Object:
    """DeleteOptions; of any kind's version, or none. Raises StatusError 500, as the API server does."""
    unread = "couldn't get version/kind; json parse error: "
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise internal(unread + _no_object(value))
    if value.get("kind", _OPTIONS) != _OPTIONS:
        version = value.get("apiVersion") or "meta.k8s.io/v1"
        raise internal(f'no kind "{value["kind"]}" is registered for version "{version}" {_META_SCHEME}')
    try:
        options: Object = reader(struct("meta.v1.DeleteOptions"))(value, [])
    except Misfit as misfit:
        raise internal(misfit.in_json()) from None
    return options


def receive_patched(patch: Body, result: Json, wanted: Wanted, asked: Directive, warn: Warn) -> Object:
    """An object after a patch, the caller's own. Raises StatusError 422."""
    strategic = patch.content_type == _STRATEGIC
    if not isinstance(result, dict):
        raise _bad_patch(patch, result, f"couldn't get version/kind; json parse error: {_no_object(result)}")
    if patch.content_type not in (_STRATEGIC, bodies.APPLY) and wanted.type_ is not None:
        _check_kind_kept(patch, result, wanted)
    strange: list[str] = []
    try:
        obj = _read(result, wanted, strange)
    except Misfit as misfit:
        raise _bad_patch(patch, result, misfit.in_patch() if strategic else misfit.in_json()) from None
    if asked != "Ignore":
        found = _patch_problems(patch)
        if strange:
            found += strictness.problems(result, wanted.type_) if wanted.type_ else strange
        if found and asked == "Strict" and patch.content_type == bodies.APPLY:
            raise bad_request(
                f"error strict decoding YAML: {_YAML_ERRORS}" + "".join(f"\n  {each}" for each in found)
            )
        if found and asked == "Strict":
            raise _bad_patch(patch, result, f"strict decoding error: {', '.join(found)}")
        if found:
            warn(found)
    return obj


def _read(value: Object, wanted: Wanted, strange: list[str]) -> Object:
    if wanted.type_ is not None:
        obj: Object = reader(wanted.type_)(value, strange)
        return obj
    metadata = reader(struct("meta.v1.ObjectMeta"))(value.get("metadata"), strange)
    strange.clear()
    if wanted.schema is not None:
        strange += [f'unknown field "{path}"' for path in values.unknown(wanted.schema, value)]
        value = values.pruned(wanted.schema, value)
    return {**value, "metadata": metadata}


def _problems(body: Body, type_: Struct | None, strange: list[str]) -> list[str]:
    """Of a body with an object. There is nothing to look for in most."""
    if body.content_type == bodies.YAML:
        doubled = _doubled(body)
        return doubled + (strictness.problems(body.value, type_) if strange else [])
    if body.content_type == bodies.JSON and strictness.has_duplicates(body.raw, body.value):
        return strictness.problems(strictness.with_duplicates(body.raw), type_)
    return strictness.problems(body.value, type_) if strange else []


def _doubled(body: Body) -> list[str]:
    return bodies.yaml_duplicates(body.raw) if body.parsed is None else [*body.parsed.duplicates]


def _patch_problems(patch: Body) -> list[str]:
    """Fields that are there twice in the patch itself."""
    if patch.content_type == bodies.APPLY:
        return _doubled(patch)
    if not strictness.has_duplicates(patch.raw, patch.value):
        return []
    found = strictness.problems(strictness.with_duplicates(patch.raw), None)
    return [f"json patch {each}" for each in found] if patch.content_type == _JSON_PATCH else found


def _check_type(body: Body, value: Json, wanted: Wanted) -> None:
    """Refuse what is no object or one of another kind. Raises StatusError 400."""
    unread = "couldn't get version/kind; json parse error: "
    if not isinstance(value, dict):
        raise bodies.unrecognized(wanted.kind, unread + _no_object(value), body.raw)
    kind, api_version = value.get("kind") or wanted.kind, value.get("apiVersion") or wanted.api_version
    for name, text in (("apiVersion", api_version), ("kind", kind)):
        if not isinstance(text, str):
            found = _JSON_NAMES.get(type(text), "number")
            why = f"json: cannot unmarshal {found} into Go struct field .{name} of type string"
            raise bodies.unrecognized(wanted.kind, unread + why, body.raw)
    if (kind, api_version) == (wanted.kind, wanted.api_version):
        return
    why = _why_not(kind, api_version, wanted)
    if why:
        raise _not_handled(Wanted(wanted.kind, api_version, None), why, kind)
    raise bad_request(
        f"the API version in the data ({api_version}) does not match "
        f"the expected API version ({wanted.api_version})"
    )


def _why_not(kind: str, api_version: str, wanted: Wanted) -> str:
    """What keeps an object from being converted to what is wanted; nothing if it is the same kind's."""
    group, _, version = api_version.rpartition("/")
    try:
        other = struct_for(group, version, kind)
    except LookupError:
        return f'no kind "{kind}" is registered for version "{api_version}" {_SCHEME}'
    if kind == wanted.kind and group == wanted.api_version.rpartition("/")[0]:
        return ""
    into = (wanted.type_.name if wanted.type_ else wanted.kind).split(".")
    names = f"({version}.{other.name.rpartition('.')[2]}) to ({into[0]}.{into[-1]})"
    return f"converting {names}: unknown conversion"


def _check_kind_kept(patch: Body, result: Object, wanted: Wanted) -> None:
    """Whether a patch leaves an object what it was. Raises StatusError 422."""
    kind, api_version = result.get("kind", wanted.kind), result.get("apiVersion", wanted.api_version)
    if (kind, api_version) != (wanted.kind, wanted.api_version) and isinstance(kind, str):
        why = _why_not(kind, str(api_version), wanted)
        if why:
            raise _bad_patch(patch, result, why)


def _no_object(value: Json) -> str:
    found = _JSON_NAMES.get(type(value), "number")
    return f"json: cannot unmarshal {found} into Go value of type {_TYPE_META}"


def _not_handled(wanted: Wanted, why: str, sent: str = "") -> StatusError:
    return bad_request(
        f'{sent or wanted.kind} in version "{wanted.version}" cannot be handled as a {wanted.kind}: {why}'
    )


def _bad_patch(patch: Body, result: Json, why: str) -> StatusError:
    """As the API server refuses what a patch made of an object: it quotes the patch, or the result."""
    shown = go_map(patch.value) if patch.content_type == _STRATEGIC else orjson.dumps(result).decode()
    message = f"Invalid value: {_quoted(shown)}: {why}"
    details = {"causes": [_shown(Cause("FieldValueInvalid", message, "patch"))]}
    return StatusError(422, "Invalid", f' "" is invalid: patch: {message}', details)


def _shown(cause: Cause) -> Object:
    return {"reason": cause.reason, "message": cause.message, "field": cause.field}


def _quoted(text: str) -> str:
    """As Go's %q writes a text that has no control characters but line breaks."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def go_map(value: Json) -> str:
    """A JSON value as Go prints it (%+v)."""
    match value:
        case dict():
            return f"map[{' '.join(f'{name}:{go_map(value[name])}' for name in sorted(value))}]"
        case list():
            return f"[{' '.join(map(go_map, value))}]"
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
    return str(value)
