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
from pytest_selfrep.kubesim.registry import Registry
from pytest_selfrep.kubesim.routes import Target
from pytest_selfrep.kubesim.status import StatusError, bad_request, not_found, unsupported_media_type
from pytest_selfrep.kubesim.usage import Usage


@dataclass(frozen=True, slots=True)
class Backend:
    """What requests are answered from."""

    context: Context
    """Store, clock, names, queue, and writers for other identities."""
    registry: Registry
    authenticator: Authenticator
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
            why = f'dryRun: Unsupported value: "{asked}": supported values: "All"'
            raise StatusError(422, "Invalid", f' "" is invalid: {why}')
        return bool(asked)

    def stored(self) -> Object:
        """The object that the path names. Raises StatusError 404."""
        found = self.backend.context.store.get(self.kind, self.key)
        if found is None:
            raise not_found(self.kind, self.target.name)
        return found

    @cached_property
    def body(self) -> Json:
        """The body, decoded. Raises StatusError 400 or 415."""
        sent = self.request.headers.get("content-type", "application/json").partition(";")[0].strip()
        if "protobuf" in sent:
            accepted = "application/json"
            raise unsupported_media_type(
                f"the body of the request was in an unknown format - accepted media types include: {accepted}"
            )
        if not self.request.body:
            return None
        try:
            return orjson.loads(self.request.body)
        except orjson.JSONDecodeError as error:
            kind = self.kind.kind
            raise bad_request(
                f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; "
                f"json parse error: {error}"
            ) from None

    def sent(self, kind: str, api_version: str) -> Object:
        """The body as an object of that kind; the caller's own. Raises StatusError 400."""
        body = self.body
        version = api_version.rpartition("/")[2]
        if body is None:
            body = {}
        if not isinstance(body, dict):
            found = _GO_NAMES.get(type(body), "number")
            raise bad_request(
                f'{kind} in version "{version}" cannot be handled as a {kind}: json: cannot unmarshal {found} '
                f"into Go value of type {version}.{kind}"
            )
        sent_kind, sent_version = body.get("kind") or kind, body.get("apiVersion") or api_version
        if sent_kind != kind:
            raise bad_request(
                f'{sent_kind} in version "{sent_version}" cannot be handled as a {kind}: '
                f'no kind "{sent_kind}" is registered for this resource'
            )
        if sent_version != api_version:
            raise bad_request(
                f"the API version in the data ({sent_version}) does not match the expected API version ({api_version})"
            )
        return body


Handler = Callable[[Call], Response]
"""Answers one verb on a resource or subresource. Raises StatusError."""

_GO_NAMES = {list: "array", str: "string", bool: "bool"}


@dataclass(frozen=True, slots=True)
class Virtual:
    """A resource that is computed rather than stored: its kind, and what answers each verb."""

    kind: Kind
    handlers: Mapping[str, Handler]
