"""Requests of an agent and of pressure on a real cluster, as the census wants them.

From the API server's audit log, where there is one; else those that went through the harness's own clients.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from pytest_selfrep.clusters.base import AuditEvent
from pytest_selfrep.clusters.kube import Conversing, Reply, status_of
from pytest_selfrep.kubesim.apiserver.routes import parse, verb_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.audit_log import AuditLog
    from pytest_selfrep.clusters.kube import Call, Conversation, KubeObject
    from pytest_selfrep.clusters.real_clock import RealClock

POD_UID = "authentication.kubernetes.io/pod-uid"
"""What an API server knows of a user whose token is bound to a pod."""
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class Requests(Protocol):
    """Where requests are read."""

    def poll(self) -> Sequence[AuditEvent]:
        """Those since the last call, in order. Raises ClusterError if they cannot be read."""


class Audited:
    """Requests of some users, from an audit log."""

    def __init__(self, log: AuditLog, users: Collection[str], clock: RealClock) -> None:
        self._log = log
        self._users = users
        self._clock = clock
        self._revision = 0

    def poll(self) -> Sequence[AuditEvent]:
        return [self._event(each) for each in self._log.poll() if _user(each) in self._users]

    def _event(self, event: KubeObject) -> AuditEvent:
        target, status = event.get("objectRef") or {}, event.get("responseStatus") or {}
        code = int(status.get("code", 200))
        sent, answer = event.get("requestObject"), event.get("responseObject")
        stored = answer if code < 400 and isinstance(answer, dict) else None
        self._revision = max(self._revision, _revision(stored))
        name = target.get("name", "") or _name(stored) or _name(sent)
        subresource = target.get("subresource", "")
        return AuditEvent(
            seconds=self._clock.at(event["stageTimestamp"]),
            revision=self._revision,
            user=_user(event),
            verb=event["verb"],
            group=target.get("apiGroup", ""),
            resource="/".join(part for part in (target.get("resource", ""), subresource) if part),
            namespace=target.get("namespace", ""),
            name=name,
            code=code,
            reason=status.get("reason", "") if code >= 400 else "",
            message=status.get("message", "") if code >= 400 else "",
            request=sent if event["verb"] in _WRITES else None,
            response=stored if event["verb"] in _WRITES else None,
            pod=_pod(event),
        )


class Record:
    """Requests that went through transports of this process, in the order of their answers."""

    def __init__(self, clock: RealClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._events: list[AuditEvent] = []
        self._revision = 0

    def poll(self) -> Sequence[AuditEvent]:
        with self._lock:
            events, self._events = self._events, []
        return events

    def note(self, user: str, call: Call, reply: Reply, pod: str = "") -> None:
        """A request was answered. ``pod`` is the uid of the one that the user's token is bound to."""
        target = parse(call.path)
        if not target.resource:
            return
        verb = verb_of(call.method, target, call.query.get("watch", "0").lower() not in ("0", "false"))
        failed, writes = reply.status >= 400, verb in _WRITES
        status = status_of(reply) if failed else {}
        sent = _decoded(call.body) if writes else None
        stored = _decoded(reply.body) if writes and not failed else None
        answer = stored if isinstance(stored, dict) else None
        with self._lock:
            self._revision = max(self._revision, _revision(answer))
            event = AuditEvent(
                seconds=self._clock.now(),
                revision=self._revision,
                user=user,
                verb=verb,
                group=target.group,
                resource=target.full_resource,
                namespace=target.namespace,
                name=target.name or _name(answer) or _name(sent),
                code=reply.status,
                reason=str(status.get("reason", "")),
                message=str(status.get("message", "")),
                request=sent,
                response=answer,
                pod=pod,
            )
            self._events.append(event)


class Recorded:
    """A transport whose requests are noted (clusters.kube.Conversing)."""

    def __init__(self, transport: Conversing, user: str, record: Record, pod: str = "") -> None:
        self._transport = transport
        self._user = user
        self._record = record
        self._pod = pod

    def send(self, call: Call) -> Reply:
        reply = self._transport.send(call)
        self._record.note(self._user, call, reply, self._pod)
        return reply

    def converse(self, call: Call, repeated: Sequence[tuple[str, str]]) -> Conversation | Reply:
        answer = self._transport.converse(call, repeated)
        reply = answer if isinstance(answer, Reply) else Reply(101, b"")
        self._record.note(self._user, call, reply, self._pod)
        return answer


def _user(event: KubeObject) -> str:
    """As whom a request acted."""
    acting = event.get("impersonatedUser") or event.get("user") or {}
    return str(acting.get("username", ""))


def _pod(event: KubeObject) -> str:
    """The uid of the pod whose token it was."""
    found = ((event.get("user") or {}).get("extra") or {}).get(POD_UID) or ("",)
    return str(found[0])


def _name(obj: Any) -> str:
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""


def _revision(obj: KubeObject | None) -> int:
    version = ((obj or {}).get("metadata") or {}).get("resourceVersion", "")
    return int(version) if str(version).isdecimal() else 0


def _decoded(body: bytes) -> Any:
    """None for what is no JSON, such as a manifest in YAML."""
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return None
