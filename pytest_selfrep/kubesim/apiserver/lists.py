"""Lists: of which revision, and in pieces of which length."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from pytest_selfrep.kubesim.decoding.gonumbers import parse_int, parse_uint
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Key, Object, key_of
from pytest_selfrep.kubesim.selectors import Predicate
from pytest_selfrep.kubesim.status import StatusError, bad_request, expired, internal
from pytest_selfrep.kubesim.store import Expired, Store

_CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter."
)
_ENCODED_BY = "meta.k8s.io/v1"
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Page:
    """One piece of a list."""

    items: list[Object]
    metadata: Object
    """meta/v1 ListMeta."""


def number(query: Mapping[str, str], name: str) -> int:
    """A number in a query; 0 if it is not there. Raises StatusError 400."""
    try:
        return parse_int(query[name]) if name in query else 0
    except ValueError as error:
        raise bad_request(str(error)) from None


def check_numbers(query: Mapping[str, str]) -> None:
    """Raises StatusError 400 for numbers that are none, whether they are of use or not."""
    for name in ("limit", "timeoutSeconds"):
        number(query, name)


def revision_of(query: Mapping[str, str]) -> int:
    """The ``resourceVersion`` of a query; 0 if it is not there. Raises StatusError 500, as real ones do."""
    text = query.get("resourceVersion", "")
    try:
        return parse_uint(text) if text else 0
    except ValueError as error:
        raise internal(f'resourceVersion: Invalid value: "{text}": {error}') from None


def check_not_future(store: Store, revision: int) -> None:
    """Raises StatusError 504 for a revision that the cluster has not reached."""
    if revision > store.revision:
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        raise StatusError(
            504,
            "Timeout",
            f"Timeout: Too large resource version: {revision}, current: {store.revision}",
            {"causes": [cause], "retryAfterSeconds": 1},
        )


def page(
    store: Store, kind: Kind, namespace: str, wanted: Predicate | None, query: Mapping[str, str]
) -> Page:
    """What a LIST with that query answers. Raises StatusError 400, 410 or 504."""
    limit, after, revision = number(query, "limit"), None, store.revision
    asked, match = revision_of(query), query.get("resourceVersionMatch", "")
    _check_match(match, query.get("resourceVersion", ""))
    check_not_future(store, asked)
    if query.get("continue"):
        revision, after = _read_token(query["continue"])
    elif asked and (match == "Exact" or (limit and not match)):
        revision = asked
    found = _at(store, kind, namespace, revision, after is not None)
    items = [obj for obj in found if wanted is None or wanted(obj)]
    if after is not None:
        items = [obj for obj in items if key_of(obj) > after]
    meta: Object = {"resourceVersion": str(revision)}
    if 0 < limit < len(items):
        meta["continue"] = _token(revision, key_of(items[limit - 1]))
        if wanted is None:
            meta["remainingItemCount"] = len(items) - limit
        items = items[:limit]
    return Page(items, meta)


def _check_match(match: str, asked: str) -> None:
    """Raises StatusError 422 for a ``resourceVersionMatch`` that makes no sense."""
    why = ""
    if match and not asked:
        why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match not in ("", "Exact", "NotOlderThan"):
        why = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
    elif match == "Exact" and asked == "0":
        why = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
    if why:
        message = f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: {why}'
        raise StatusError(422, "Invalid", message)


def _at(store: Store, kind: Kind, namespace: str, revision: int, continued: bool) -> list[Object]:
    """The objects as they were at a revision: those of now with every later change taken back."""
    if revision >= store.revision:
        return store.list(kind, namespace)
    try:
        later = list(store.changes_since(kind, revision))
    except Expired:
        why = _CONTINUE_EXPIRED if continued else "The resourceVersion for the provided list is too old."
        raise expired(why) from None
    objects = {key_of(obj): obj for obj in store.list(kind, namespace)}
    for change in reversed(later):
        key = key_of(change.object)
        if namespace and key.namespace != namespace:
            continue
        if change.old is None:
            objects.pop(key, None)
        else:
            objects[key] = change.old
    return [objects[key] for key in sorted(objects)]


def _token(revision: int, last: Key) -> str:
    start = orjson.dumps({"v": _ENCODED_BY, "rv": revision, "start": f"{last.namespace}/{last.name}\0"})
    return base64.urlsafe_b64encode(start).rstrip(b"=").decode()


def _read_token(text: str) -> tuple[int, Key]:
    try:
        said = _token_fields(text)
        if said.get("v") != _ENCODED_BY:
            raise ValueError(f'server does not recognize this encoded version "{said.get("v", "")}"')
        revision, start = said.get("rv", 0), said.get("start", "")
        if not isinstance(revision, int) or not revision:
            raise ValueError(f"incorrect encoded start resourceVersion (version {_ENCODED_BY})")
        if not isinstance(start, str) or not start:
            raise ValueError(f"encoded start key empty (version {_ENCODED_BY})")
    except ValueError as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from None
    namespace, _, name = start.rstrip("\0").partition("/")
    return revision, Key(namespace, name)


def _token_fields(text: str) -> Object:
    """What a token says. Raises ValueError in the words of Go's decoders."""
    strange = _NOT_BASE64.search(text)
    if strange is not None or len(text) % 4 == 1:
        raise ValueError(f"illegal base64 data at input byte {strange.start() if strange else len(text) - 1}")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    try:
        said = orjson.loads(raw)
    except orjson.JSONDecodeError:
        if raw.startswith(b"{"):
            raise ValueError("unexpected end of JSON input") from None
        first = json.dumps(chr(raw[0])).strip('"')
        raise ValueError(f"invalid character '{first}' looking for beginning of value") from None
    return said if isinstance(said, dict) else {}
