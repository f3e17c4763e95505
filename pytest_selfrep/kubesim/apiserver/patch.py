"""JSON patch (RFC 6902), JSON merge patch (RFC 7386), and Kubernetes' strategic merge patch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import orjson

from pytest_selfrep.kubesim.apiserver.strategic import strategic
from pytest_selfrep.kubesim.objects import Json, Object, copy
from pytest_selfrep.kubesim.schema import Type
from pytest_selfrep.kubesim.status import StatusError, bad_request, unsupported_media_type

_REFUSED = "the server rejected our request due to an error in our request"
_ACCEPTED = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)

STRATEGIC = "application/strategic-merge-patch+json"

_NUMBER = re.compile("-?[0-9]{1,18}")

MAX_OPERATIONS = 10_000
"""Of one JSON patch, as the API server has it."""
MAX_COPIED = 3 * 1024 * 1024
"""Bytes that the copy operations of one JSON patch may add, or few of them would fill any memory."""


def apply(content_type: str, target: Object, patch: Json, type_: Type | None) -> Json:
    """What ``target``, of that type, becomes; it stays as it is. Raises StatusError 400, 413, 415 or 422."""
    check_accepted(content_type)
    if content_type == _ACCEPTED[0]:
        return _json_patch(target, patch)
    merging = content_type == _ACCEPTED[1]
    if patch is None and merging:
        raise bad_request("Invalid JSON Patch")
    if patch is None:
        return target
    if not isinstance(patch, dict):
        why = f"json: cannot unmarshal {_go_name(patch)} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding patch: {why}" if merging else why)
    return merge(target, patch) if merging else strategic(target, patch, type_)


def check_accepted(content_type: str, not_strategic: str = "") -> None:
    """Raises StatusError 415, in the words of kinds without strategic merge patches if those are given."""
    if content_type not in _ACCEPTED or (not_strategic and content_type == STRATEGIC):
        raise unsupported_media_type(not_strategic or "415: Unsupported Media Type")


def merge(target: Json, patch: Json) -> Json:
    """A merge patch; neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _go_name(value: Json) -> str:
    names: Mapping[type, str] = {
        list: "array",
        str: "string",
        bool: "bool",
        type(None): "null",
        dict: "object",
    }
    return names.get(type(value), "number")


class _Refused(Exception):
    """A JSON patch that does not fit its target."""


def _json_patch(target: Object, operations: Json) -> Json:
    if operations is None:
        return target
    if not isinstance(operations, list):
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {_go_name(operations)} into Go value of type "
            "[]handlers.jsonPatchOp"
        )
    if len(operations) > MAX_OPERATIONS:
        raise _too_large(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        )
    for operation in operations:
        if not isinstance(operation, dict):
            raise bad_request(
                f"error decoding patch: json: cannot unmarshal {_go_name(operation)} into Go value of type "
                "handlers.jsonPatchOp"
            )
    document: Json = {"": copy(target)}
    copied = 0
    try:
        for operation in operations:
            if operation["op"] == "copy":
                copied += len(orjson.dumps(_look(document, _pointer(operation["from"]))))
                if copied > MAX_COPIED:
                    raise _too_large(
                        f"Unable to copy, the accumulated size increase of copy is {copied}, "
                        f"exceeding the limit {MAX_COPIED}"
                    )
            _operate(document, operation)
        return document[""]
    except (_Refused, KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError):
        raise StatusError(422, "Invalid", _REFUSED) from None


def _too_large(message: str) -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", message)


def _operate(document: Json, operation: Object) -> None:
    """Apply one operation to ``document[""]``; the extra level makes the root replaceable."""
    path = _pointer(operation["path"])
    match operation["op"]:
        case "add":
            _add(document, path, copy(operation["value"]))
        case "remove":
            _take(document, path)
        case "replace":
            _take(document, path)
            _add(document, path, copy(operation["value"]))
        case "move":
            _add(document, path, _take(document, _pointer(operation["from"])))
        case "copy":
            _add(document, path, copy(_look(document, _pointer(operation["from"]))))
        case "test":
            parent = _look(document, path[:-1])
            missing = isinstance(parent, dict) and path[-1] not in parent
            if (None if missing else _look(document, path)) != operation.get("value"):
                raise _Refused
        case _:
            raise _Refused


def _pointer(text: str) -> Sequence[str]:
    if text and not text.startswith("/"):
        raise _Refused
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")]


def _index(step: str, places: int) -> int:
    """Which of so many places in a list is meant; a negative number counts from the end."""
    if not _NUMBER.fullmatch(step):
        raise _Refused
    index = int(step) + (places if step.startswith("-") else 0)
    if not 0 <= index < places:
        raise _Refused
    return index


def _look(document: Json, path: Sequence[str]) -> Json:
    found = document
    for step in path:
        found = found[_index(step, len(found))] if isinstance(found, list) else found[step]
    return found


def _add(document: Json, path: Sequence[str], value: Json) -> None:
    parent, last = _look(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise _Refused


def _take(document: Json, path: Sequence[str]) -> Json:
    parent, last = _look(document, path[:-1]), path[-1]
    return parent.pop(_index(last, len(parent)) if isinstance(parent, list) else last)
