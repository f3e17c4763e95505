"""The API server: from a request to who asks, what for, whether they may, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytest_selfrep.kubesim.apiserver.audit import Entry, Trail
from pytest_selfrep.kubesim.apiserver.calls import Backend, Call, Handler
from pytest_selfrep.kubesim.apiserver.extensions import SUBRESOURCES, VIRTUAL
from pytest_selfrep.kubesim.apiserver.flowcontrol import Flow, flow_of
from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.apiserver.lists import check_numbers
from pytest_selfrep.kubesim.apiserver.routes import Target, parse, verb_of, watched
from pytest_selfrep.kubesim.apiserver.verbs import VERBS
from pytest_selfrep.kubesim.auth.authn import ANONYMOUS, User
from pytest_selfrep.kubesim.auth.impersonation import impersonated
from pytest_selfrep.kubesim.auth.rbac import Attributes
from pytest_selfrep.kubesim.discovery import information
from pytest_selfrep.kubesim.discovery.resources import served, verbs_of
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.selectors import only_name, parse_labels
from pytest_selfrep.kubesim.status import StatusError, bad_request, method_not_allowed, unknown_resource
from pytest_selfrep.kubesim.tables.table import present

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_LISTS = frozenset({"list", "watch"})
_FALSE = ("false", "0")
"""Of a flag in a query; whatever else is there means that it is set."""


class Api:
    """Answers requests; whatever a client sends, the answer is a Response."""

    def __init__(self, backend: Backend, trail: Trail) -> None:
        self._backend = backend
        self._trail = trail

    def handle(self, request: Request) -> Response:
        """The answer to one request, audited."""
        target, query = _asked(request)
        verb = verb_of(request.method, target, query.get("watch", "0").lower() not in _FALSE)
        sender = user = ANONYMOUS
        call = None
        try:
            sender = user = self._backend.authenticator.authenticate(request.headers.get("authorization", ""))
            user = impersonated(sender, request.headers, self._backend.authorizer)
            self._authorize(user, verb, target, query)
            if target.resource and not self._serves(target):
                shown = response = information.not_found()
            elif target.resource:
                call, handler = self._route(request, target, query, user, verb)
                response = handler(call)
                accept = request.headers.get("accept", "")
                shown = self._present(self._managed(request, call, response), call, accept, query)
            else:
                shown = response = information.answer(request, served(self._backend.context.kinds.custom))
        except StatusError as error:
            shown = response = Response(error.code, error.to_object())
            call = call or self._unrouted(request, target, query, user, verb)
        if target.resource:
            self._note(request, target, verb, (sender, user), call, response)
        if call is not None and call.warnings:
            return replace(shown, warnings=call.warnings.told())
        return shown

    def flow(self, request: Request) -> Flow | None:
        """How flow control takes a request; None if it does not come so far."""
        try:
            sender = self._backend.authenticator.authenticate(request.headers.get("authorization", ""))
            user = impersonated(sender, request.headers, self._backend.authorizer)
        except StatusError:
            return None
        return flow_of(user, parse(request.path))

    def _serves(self, target: Target) -> bool:
        """Whether there is anything in the API group of a resource."""
        if not target.group or self._kind(target) is not None:
            return True
        return information.serves(target.group, served(self._backend.context.kinds.custom))

    def _kind(self, target: Target) -> Kind | None:
        return self._backend.context.kinds.of_resource(target.group, target.version, target.resource)

    def _authorize(self, user: User, verb: str, target: Target, query: Mapping[str, str]) -> None:
        asked = Attributes.of(verb, target)
        if verb in _LISTS and "fieldSelector" in query:
            asked = _narrowed(asked, query)
        if self._backend.authorizer.allows(user, asked):
            return
        why = self._backend.authorizer.refusal(user, asked)
        if not target.resource:
            raise StatusError(403, "Forbidden", f"forbidden: {why}", {})
        resource = f"{target.resource}.{target.group}" if target.group else target.resource
        named = f'{resource} "{asked.name}"' if asked.name else resource
        details: Object = {"name": asked.name} if asked.name else {}
        if target.group:
            details["group"] = target.group
        raise StatusError(
            403, "Forbidden", f"{named} is forbidden: {why}", {**details, "kind": target.resource}
        )

    def _route(
        self, request: Request, target: Target, query: Mapping[str, str], user: User, verb: str
    ) -> tuple[Call, Handler]:
        place = (target.group, target.version, target.resource)
        kind, virtual = self._kind(target), VIRTUAL.get(place)
        if target.has_gap:
            raise unknown_resource()
        if kind is not None:
            handler = _handler(kind, target, verb)
        elif virtual is not None and not target.subresource:
            kind, handler = virtual.kind, virtual.handlers.get(verb)
        else:
            raise unknown_resource()
        if "%" in target.name:
            raise bad_request(f"Name parameter invalid: \"{target.name}\": may not contain '%'")
        if (
            kind.namespaced
            and not target.namespace
            and (target.name or verb in ("create", "deletecollection"))
        ):
            raise unknown_resource()
        if handler is None or (request.method == "HEAD" and target.subresource != "proxy"):
            raise method_not_allowed()
        if verb in ("create", "update", "patch") and _misplaced(target, verb):
            raise method_not_allowed()
        call = Call(request, self._backend, target, kind, user, verb, query)
        if kind.custom is not None and kind.custom.deprecation:
            call.warnings.add(kind.custom.deprecation)
        return call, handler

    def _unrouted(
        self, request: Request, target: Target, query: Mapping[str, str], user: User, verb: str
    ) -> Call | None:
        """What was refused before it was routed, so that the record shows what was asked for."""
        kind = self._kind(target)
        return Call(request, self._backend, target, kind, user, verb, query) if kind else None

    def _managed(self, request: Request, call: Call, response: Response) -> Response:
        """A response with the managers of the objects in it, for those who want to know."""
        if not request.managed_fields or response.stream is not None:
            return response
        body = self._backend.context.store.managed.shown_all(call.kind, response.body)
        return response if body is response.body else replace(response, body=body)

    def _present(self, response: Response, call: Call, accept: str, query: Mapping[str, str]) -> Response:
        if not accept or response.stream is not None or not isinstance(response.body, dict):
            return response
        shown = present(accept, query, self._backend.context.clock, response.body, call.columns)
        return response if shown is response.body else Response(response.status, shown)

    def _note(
        self,
        request: Request,
        target: Target,
        verb: str,
        users: tuple[User, User],
        call: Call | None,
        response: Response,
    ) -> None:
        """``users`` are who sent the request and as whom it acts."""
        sender, user = users
        answer: Object = response.body if isinstance(response.body, dict) else {}
        failed, writes = response.status >= 400, verb in _WRITES
        name = target.name
        if writes and not name and not failed:
            name = answer.get("metadata", {}).get("name", "")
        self._trail.append(
            Entry(
                self._trail.length,
                self._backend.context.store.revision,
                self._backend.context.clock.now,
                sender.name,
                request.headers.get("user-agent", ""),
                verb,
                target.group,
                target.full_resource,
                target.namespace,
                name,
                response.status,
                answer.get("reason", "") if failed else "",
                answer.get("message", "") if failed else "",
                _sent(call) if writes else None,
                answer if writes and not failed else None,
                user.name if user is not sender else "",
                sender.pod,
            )
        )


def _narrowed(asked: Attributes, query: Mapping[str, str]) -> Attributes:
    """A list or watch of one name is judged like a request for that name, if all its options can be read."""
    try:
        check_numbers(query)
        parse_labels(query.get("labelSelector", ""))
        return asked._replace(name=only_name(query["fieldSelector"]))
    except StatusError:
        return asked


def _handler(kind: Kind, target: Target, verb: str) -> Handler | None:
    if not target.subresource:
        return VERBS.get(verb) if verb in verbs_of(kind) else None
    if target.subresource not in kind.subresources or (target.below and target.subresource != "proxy"):
        raise unknown_resource()
    own = SUBRESOURCES.get((kind.plural, target.subresource, verb))
    return own or SUBRESOURCES.get(("*", target.subresource, verb))


def _asked(request: Request) -> tuple[Target, dict[str, str]]:
    """What a request names, and its query; a path of the old kind is a watch like any other."""
    # Of what is said twice the first counts.
    query, old = dict(reversed(request.pairs())), watched(request.path)
    if not old or request.method != "GET":
        return parse(request.path), query
    target = parse(old)
    if target.name:
        query["fieldSelector"] = f"metadata.name={target.name}"
    return target._replace(name=""), {**query, "watch": "true"}


def _misplaced(target: Target, verb: str) -> bool:
    """Whether an object is created at its own path, or changed at its collection's."""
    return bool(target.name) is (verb == "create") and not target.subresource


def _sent(call: Call | None) -> Json:
    """The body for the record, as far as it can be read."""
    if call is None:
        return None
    try:
        return call.body
    except StatusError:
        return None
