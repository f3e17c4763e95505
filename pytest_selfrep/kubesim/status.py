"""Failures as the API server words them (meta/v1 Status)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Object


@dataclass(frozen=True, slots=True)
class Cause:
    """One field that is wrong."""

    reason: str
    message: str
    field: str


class StatusError(Exception):
    """A request that fails with a Status."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def to_object(self) -> Object:
        """The Status in Go's key order."""
        status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


def _details(kind: Kind, name: str) -> Object:
    details: Object = {"name": name} if name else {}
    if kind.group:
        details["group"] = kind.group
    return {**details, "kind": kind.plural}


def not_found(kind: Kind, name: str) -> StatusError:
    return StatusError(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> StatusError:
    return StatusError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> StatusError:
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(kind, name))


def precondition_failed(kind: Kind, name: str, why: str) -> StatusError:
    """409 for a deletion, which names the kind where all else names the resource."""
    titled = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details = {**_details(kind, name), "kind": kind.kind}
    return StatusError(409, "Conflict", f'Operation cannot be fulfilled on {titled} "{name}": {why}', details)


def internal(message: str) -> StatusError:
    """500 without a reason: as the API server answers errors that it has no better code for."""
    return StatusError(500, "", message)


def forbidden(kind: Kind, name: str, why: str) -> StatusError:
    named = f'{kind.resource} "{name}"' if name else kind.resource
    return StatusError(403, "Forbidden", f"{named} is forbidden: {why}", _details(kind, name))


def invalid(kind: Kind, name: str, causes: Sequence[Cause]) -> StatusError:
    """422, listing every field that is wrong (apimachinery's field.ErrorList)."""
    each = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = each[0] if len(each) == 1 else "[" + ", ".join(each) + "]"
    titled = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details = {
        **_details(kind, name),
        "kind": kind.kind,
        "causes": [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes],
    }
    return StatusError(422, "Invalid", f'{titled} "{name}" is invalid: {listed}', details)


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def expired(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def unknown_resource() -> StatusError:
    """404 for what no API of the server has."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed(message: str = "", details: Object | None = None) -> StatusError:
    """405, for a verb that a resource does not have unless told."""
    general = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message or general, details or {})


def unsupported_media_type(message: str) -> StatusError:
    return StatusError(415, "UnsupportedMediaType", message)


def too_many_requests(message: str, causes: Sequence[Cause] = ()) -> StatusError:
    details = {"causes": [{"reason": c.reason, "message": c.message} for c in causes]} if causes else None
    return StatusError(429, "TooManyRequests", message, details)
