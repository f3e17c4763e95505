"""A request on its way through the API server, with all that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.apiserver.routes import Target
from pytest_selfrep.kubesim.apiserver.warnings import Warnings
from pytest_selfrep.kubesim.apiserver.watch import Watches
from pytest_selfrep.kubesim.auth.authn import Authenticator, User
from pytest_selfrep.kubesim.auth.rbac import Authorizer
from pytest_selfrep.kubesim.containers.runtime import Runtime
from pytest_selfrep.kubesim.controllers.base import Context
from pytest_selfrep.kubesim.customresources.version import as_version
from pytest_selfrep.kubesim.decoding import bodies, objects
from pytest_selfrep.kubesim.decoding.objects import Directive, directive
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.nodes.usage import Usage
from pytest_selfrep.kubesim.objects import Json, Key, Object
from pytest_selfrep.kubesim.registry import Registry
from pytest_selfrep.kubesim.schema import Struct, struct_for
from pytest_selfrep.kubesim.status import StatusError, not_found
from pytest_selfrep.kubesim.tables.columns import Column


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
    runtime: Runtime


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
    warnings: Warnings = field(default_factory=Warnings)
    """What the client is told besides the answer (``Warning`` headers)."""

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

    @cached_property
    def validation(self) -> Directive:
        """What becomes of unknown and duplicate fields. Raises StatusError 422 for what is no answer."""
        return directive(self.query.get("fieldValidation", ""), _OPTIONS.get(self.verb, "CreateOptions"))

    @property
    def columns(self) -> Sequence[Column] | None:
        """Of a custom resource's tables; None for kinds of Kubernetes' own."""
        return self.kind.custom.columns if self.kind.custom is not None else None

    @property
    def content_type(self) -> str:
        """Of the body, without parameters."""
        sent = self.request.headers.get("content-type") or bodies.JSON
        return sent.partition(";")[0].strip()

    def stored(self) -> Object:
        """The object that the path names. Raises StatusError 404."""
        found = self.backend.context.store.get(self.kind.stored, self.key)
        if found is None:
            raise not_found(self.kind, self.target.name)
        return as_version(self.kind, found)

    @cached_property
    def body(self) -> Json:
        """The body, decoded; None if there is none. Raises StatusError 400 or 415."""
        if not self.request.body:
            return None
        sent, patching = self.request, self.verb == "patch"
        return bodies.decode(sent.body, self.content_type, self.kind.kind, patch=patching, read=sent.parsed)

    def sent(self, kind: str, api_version: str) -> Object:
        """The body as an object of that kind, read by its type; the caller's own.

        Raises StatusError 400, 415 or 422.
        """
        if not self.request.body:
            why = "couldn't get version/kind; json parse error: unexpected end of JSON input"
            raise bodies.unrecognized(kind, why, b"")
        wanted = self._wanted(kind, api_version)
        return objects.receive(self._body(), wanted, self.validation, self.warnings.extend)

    def patched(self, result: Json, kind: str, api_version: str) -> Object:
        """What the patch that was sent made of an object, read by its type; the caller's own.

        Raises StatusError 422.
        """
        wanted = self._wanted(kind, api_version)
        return objects.receive_patched(self._body(), result, wanted, self.validation, self.warnings.extend)

    def _body(self) -> objects.Body:
        return objects.Body(self.request.body, self.content_type, self.body, self.request.parsed)

    def _wanted(self, kind: str, api_version: str) -> objects.Wanted:
        schema = self.kind.custom.schema if self.kind.custom is not None else None
        return objects.Wanted(kind, api_version, type_of(kind, api_version), schema)


Handler = Callable[[Call], Response]
"""Answers one verb on a resource or subresource. Raises StatusError."""

_OPTIONS = {"update": "UpdateOptions", "patch": "PatchOptions", "delete": "DeleteOptions"}


def type_of(kind: str, api_version: str) -> Struct | None:
    """The type of a kind; None if it is a custom resource's."""
    group, _, version = api_version.rpartition("/")
    try:
        return struct_for(group, version, kind)
    except LookupError:
        return None


@dataclass(frozen=True, slots=True)
class Virtual:
    """A resource that is computed rather than stored: its kind, and what answers each verb."""

    kind: Kind
    handlers: Mapping[str, Handler]
