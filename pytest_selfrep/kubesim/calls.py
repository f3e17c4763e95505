"""A request on its way through the API server, with all that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import orjson

from pytest_selfrep.kubesim.authn import Authenticator, User
from pytest_selfrep.kubesim.controllers.base import Context
from pytest_selfrep.kubesim.http import Request, Response
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Json, Key, Object
from pytest_selfrep.kubesim.rbac import Authorizer
from pytest_selfrep.kubesim.registry import Registry
from pytest_selfrep.kubesim.routes import Target
from pytest_selfrep.kubesim.shapes import STRUCT, check
from pytest_selfrep.kubesim.status import StatusError, bad_request, not_found, unsupported_media_type
from pytest_selfrep.kubesim.usage import Usage
from pytest_selfrep.kubesim.watch import Watches


@dataclass(frozen=True, slots=True)
class Backend:
    """What requests are answered from."""

    context: Context
    """Store, clock, names, queue, and writers for other identities."""
    registry: Registry
    authenticator: Authenticator
    authorizer: Authorizer
    watches: Watches
    usage: Usage


@dataclass
class Call:
    """One authenticated and authorised request for a resource."""

    request: Request
    backend: Backend
    target: Target
    kind: Kind
    """Of the resource named, also when a subresource is asked for."""
    user: User
    verb: str
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return Key(self.target.namespace if self.kind.namespaced else "", self.target.name)

    @property
    def dry_run(self) -> bool:
        """Raises StatusError 422 for anything but ``All``."""
        asked = self.query.get("dryRun", "")
        if asked not in ("", "All"):
            options = _OPTIONS.get(self.verb, "CreateOptions")
            why = f'dryRun: Unsupported value: []string{{"{asked}"}}: supported values: "All"'
            message = f'{options}.meta.k8s.io "" is invalid: {why}'
            raise StatusError(422, "Invalid", message, {"group": "meta.k8s.io", "kind": options})
        return bool(asked)

    @property
    def content_type(self) -> str:
        """Of the body, without parameters."""
        sent = self.request.headers.get("content-type") or "application/json"
        return sent.partition(";")[0].strip()

    def stored(self) -> Object:
        """The object that the path names. Raises StatusError 404."""
        found = self.backend.context.store.get(self.kind, self.key)
        if found is None:
            raise not_found(self.kind, self.target.name)
        return found

    @cached_property
    def body(self) -> Json:
        """The body, decoded; None if there is none. Raises StatusError 400 or 415."""
        if not self.request.body:
            return None
        return decode(self.request.body, self.content_type, self.kind.kind)

    def sent(self, kind: str, api_version: str) -> Object:
        """The body as an object of that kind; the caller's own. Raises StatusError 400 or 415."""
        body = self.body
        if body is None:
            body = {}
        version = api_version.rpartition("/")[2]
        check(body, STRUCT, f"{version}.{kind}", kind, api_version)
        sent_kind, sent_version = body.get("kind") or kind, body.get("apiVersion") or api_version
        if sent_kind != kind:
            raise bad_request(
                f'{sent_kind} in version "{version}" cannot be handled as a {kind}: '
                f'no kind "{sent_kind}" is registered for version "{api_version}"'
            )
        if sent_version != api_version:
            raise bad_request(
                f"the API version in the data ({sent_version}) does not match "
                f"the expected API version ({api_version})"
            )
        typed: Object = body
        return typed


Handler = Callable[[Call], Response]
"""Answers one verb on a resource or subresource. Raises StatusError."""

_SUMMARY = 30
"""Bytes of a malformed body that its refusal quotes."""
_OPTIONS = {"update": "UpdateOptions", "patch": "PatchOptions", "delete": "DeleteOptions"}


MAX_DEPTH = 100
"""Levels of nesting that a body may have. No object of Kubernetes comes near; Go's own limit is 10,000."""


def decode(body: bytes, content_type: str, kind: str) -> Json:
    """A body as JSON or, where it says so, YAML. Raises StatusError 400 or 415."""
    if "protobuf" in content_type:
        raise unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json, application/yaml"
        )
    try:
        value = _yaml(body) if content_type == "application/yaml" else orjson.loads(body)
        # No value is deeper than it has brackets, so that hardly any has to be looked through.
        if body.count(b"{") + body.count(b"[") > MAX_DEPTH or content_type == "application/yaml":
            check_depth(value)
        return value
    except ValueError as error:
        why = _go_words(error, body)
        if content_type.endswith("patch+json"):
            raise bad_request(why) from None
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; "
            f"json parse error: {why} ({_summary(body)})"
        ) from None


def _go_words(error: ValueError, body: bytes) -> str:
    """What is wrong with a body, as Go's decoder words it."""
    if not isinstance(error, orjson.JSONDecodeError):
        return str(error)
    text = body.decode(errors="replace")
    if error.pos >= len(text.rstrip()):
        return "unexpected end of JSON input"
    return f"invalid character '{text[error.pos]}' looking for beginning of value"


def _summary(body: bytes) -> str:
    """The beginning of a body as errors quote it: hexadecimal where it does not look like JSON."""
    shown, more = body[:_SUMMARY], " ..." if len(body) > _SUMMARY else ""
    return (shown.decode(errors="replace") if shown.startswith(b"{") else shown.hex()) + more


def _yaml(body: bytes) -> Json:
    import yaml  # slow to import, and hardly any client sends it

    try:
        # Through JSON, so that dates and other values that only YAML has do not get in.
        return orjson.loads(orjson.dumps(yaml.safe_load(body), default=str, option=orjson.OPT_NON_STR_KEYS))
    except RecursionError:
        raise ValueError("exceeded max depth") from None
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(error) from None


def check_depth(value: Json) -> None:
    """Raises ValueError if a value is nested deeper than MAX_DEPTH."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [each for each in level if isinstance(each, dict | list)]
        if not containers:
            return
        inside = (each.values() if isinstance(each, dict) else each for each in containers)
        level = [item for items in inside for item in items]
    raise ValueError("exceeded max depth")


@dataclass(frozen=True, slots=True)
class Virtual:
    """A resource that is computed rather than stored: its kind, and what answers each verb."""

    kind: Kind
    handlers: Mapping[str, Handler]
