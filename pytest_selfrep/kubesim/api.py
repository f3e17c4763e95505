"""The API server: from a request to who asks, what for, whether they may, and the answer."""

from __future__ import annotations

from pytest_selfrep.kubesim.audit import Entry, Trail
from pytest_selfrep.kubesim.authn import User
from pytest_selfrep.kubesim.calls import Backend, Call, Handler
from pytest_selfrep.kubesim.extensions import SUBRESOURCES, VIRTUAL
from pytest_selfrep.kubesim.http import Request, Response
from pytest_selfrep.kubesim.kinds import BY_RESOURCE, Kind
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.routes import Target, parse, verb_of
from pytest_selfrep.kubesim.status import StatusError, method_not_allowed
from pytest_selfrep.kubesim.verbs import VERBS

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_NOT_ALLOWED = "the server does not allow this method on the requested resource"
_UNKNOWN = "the server could not find the requested resource"


class Api:
    """Answers requests; never raises for anything that a client sent."""

    def __init__(self, backend: Backend, trail: Trail) -> None:
        self._backend = backend
        self._trail = trail

    def handle(self, request: Request) -> Response:
        """The answer to one request, audited."""
        target = parse(request.path)
        query = dict(request.query)
        verb = verb_of(request.method, target, query.get("watch") in ("true", "1"))
        user, call = User("system:anonymous"), None
        try:
            user = self._backend.authenticator.authenticate(request.headers.get("authorization", ""))
            call, handler = self._route(request, target, query, user, verb)
            response = handler(call)
        except StatusError as error:
            response = Response(error.code, error.to_object())
        self._note(request, target, verb, user, call, response)
        return response

    def _route(
        self, request: Request, target: Target, query: dict[str, str], user: User, verb: str
    ) -> tuple[Call, Handler]:
        place = (target.group, target.version, target.resource)
        kind = BY_RESOURCE.get(place)
        virtual = VIRTUAL.get(place)
        if kind is None and virtual is None:
            raise StatusError(404, "NotFound", _UNKNOWN)
        handler = _handler(kind, target, verb) if kind else virtual.handlers.get(verb) if virtual else None
        if handler is None:
            raise method_not_allowed(_NOT_ALLOWED)
        found = kind or (virtual.kind if virtual else None)
        assert found is not None
        return Call(request, self._backend, target, found, user, verb, query), handler

    def _note(
        self, request: Request, target: Target, verb: str, user: User, call: Call | None, response: Response
    ) -> None:
        failed = response.status >= 400 and isinstance(response.body, dict)
        sent: Json = None
        stored: Object | None = None
        if verb in _WRITES and call is not None:
            try:
                sent = call.body
            except StatusError:
                sent = None
            stored = None if failed else response.body
        name = target.name or (stored or {}).get("metadata", {}).get("name", "")
        self._trail.append(
            Entry(
                self._trail.length,
                self._backend.context.store.revision,
                self._backend.context.clock.now,
                user.name,
                request.headers.get("user-agent", ""),
                verb,
                target.group,
                target.full_resource,
                target.namespace,
                name,
                response.status,
                response.body["reason"] if failed else "",
                response.body["message"] if failed else "",
                sent,
                stored,
            )
        )


def _handler(kind: Kind, target: Target, verb: str) -> Handler | None:
    if not target.subresource:
        return VERBS.get(verb)
    if target.subresource not in kind.subresources:
        raise StatusError(404, "NotFound", _UNKNOWN)
    own = SUBRESOURCES.get((kind.plural, target.subresource, verb))
    return own or SUBRESOURCES.get(("*", target.subresource, verb))
