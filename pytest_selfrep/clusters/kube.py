"""A thin Kubernetes client that speaks plain dicts over any transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

import orjson

from pytest_selfrep.errors import ClusterError

# Kubernetes objects are JSON whose shape only the server knows; further types would claim what nobody checks.
KubeObject: TypeAlias = dict[str, Any]

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to an API server."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    managed_fields: bool = False
    """Whether objects are to come with ``metadata.managedFields``; over HTTP they always do."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response of an API server."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """By names in lower case; of servers over HTTP only."""


class Transport(Protocol):
    """Carries calls to an API server under one identity."""

    def send(self, call: Call) -> Reply:
        """Raises ClusterError when the server cannot be reached."""


class Disconnected(ClusterError):
    """A conversation broke in the middle: the server has gone, or whoever it was with."""


class Conversation(Protocol):
    """What follows a request that upgrades its connection (channel.k8s.io): messages both ways, each with the
    number of its channel in front."""

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""

    def send(self, message: bytes) -> None: ...

    def poll(self) -> Sequence[bytes]:
        """What came since the last call. Raises Disconnected."""

    def close(self) -> None:
        """Leave."""


@runtime_checkable
class Conversing(Transport, Protocol):
    """A transport that can hold conversations too."""

    def converse(self, call: Call, repeated: Sequence[tuple[str, str]]) -> Conversation | Reply:
        """The conversation, or why there is none; ``repeated``: more of the query, whose names may recur."""


class ApiError(Exception):
    """The API server answered with a Status of failure (meta/v1 Status)."""

    def __init__(self, status: KubeObject) -> None:
        super().__init__(status.get("message", ""))
        self.status = status

    @property
    def code(self) -> int:
        return int(self.status.get("code", 500))

    @property
    def reason(self) -> str:
        return str(self.status.get("reason", ""))

    @property
    def message(self) -> str:
        return str(self.status.get("message", ""))


def path_of(
    group: str, version: str, plural: str, namespace: str = "", name: str = "", subresource: str = ""
) -> str:
    """The API path of a collection or object: ``/apis/apps/v1/namespaces/shop/deployments/web/scale``."""
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    parts = [root, f"namespaces/{namespace}" if namespace else "", plural, name, subresource]
    return "/".join(part for part in parts if part)


class KubeClient:
    """Requests under one identity; JSON in, JSON out, errors as :class:`ApiError`."""

    def __init__(self, transport: Transport, *, managed_fields: bool = False) -> None:
        self._transport = transport
        self._managed_fields = managed_fields

    def with_managed_fields(self) -> KubeClient:
        """The same, for whoever wants to know which manager owns which fields."""
        return KubeClient(self._transport, managed_fields=True)

    def text(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: KubeObject | Sequence[KubeObject] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> bytes:
        """The raw answer (logs are no JSON). Raises ApiError on a status of 400 and above."""
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        encoded = orjson.dumps(body) if body is not None else b""
        call = Call(method, path, query or {}, headers, encoded, self._managed_fields)
        reply = self._transport.send(call)
        if reply.status >= 400:
            raise ApiError(status_of(reply))
        return reply.body

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: KubeObject | Sequence[KubeObject] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> KubeObject:
        """The answer as a JSON object.

        Raises:
            ApiError: its status is 400 or above.
            ClusterError: it is none.
        """
        text = self.text(method, path, query=query, body=body, content_type=content_type, accept=accept)
        try:
            answer = orjson.loads(text)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise ClusterError(
                f"{method} {path} is answered with {text[:40]!r}, as no API server does: check the server in "
                "the kubeconfig, and whether a proxy asks for a login"
            )
        return answer

    def get(self, path: str, *, query: Mapping[str, str] | None = None, accept: str = JSON) -> KubeObject:
        return self.request("GET", path, query=query, accept=accept)

    def create(self, path: str, body: KubeObject) -> KubeObject:
        return self.request("POST", path, body=body)

    def replace(self, path: str, body: KubeObject) -> KubeObject:
        return self.request("PUT", path, body=body)

    def patch(
        self, path: str, body: KubeObject | Sequence[KubeObject], content_type: str = MERGE_PATCH
    ) -> KubeObject:
        return self.request("PATCH", path, body=body, content_type=content_type)

    def delete(
        self, path: str, *, query: Mapping[str, str] | None = None, options: KubeObject | None = None
    ) -> KubeObject:
        return self.request("DELETE", path, query=query, body=options)

    @property
    def converses(self) -> bool:
        """Whether this client can hold conversations."""
        return isinstance(self._transport, Conversing)

    def converse(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        repeated: Sequence[tuple[str, str]] = (),
    ) -> Conversation:
        """Begin a conversation. Raises ApiError, and TypeError if this client ``converses`` not."""
        if not isinstance(self._transport, Conversing):
            raise TypeError("this transport holds no conversations")
        answer = self._transport.converse(Call(method, path, query or {}), repeated)
        if isinstance(answer, Reply):
            raise ApiError(status_of(answer))
        return answer


def status_of(reply: Reply) -> KubeObject:
    """The Status (meta/v1) of a reply that is an error, made up where the server sent none."""
    try:
        status = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return status
    text = reply.body.decode(errors="replace")[:200]
    return {"kind": "Status", "status": "Failure", "code": reply.status, "reason": "", "message": text}
