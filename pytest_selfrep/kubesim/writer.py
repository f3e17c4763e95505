"""How controllers, scheduler and kubelets write: past the HTTP layer, on the record all the same."""

from __future__ import annotations

from pytest_selfrep.kubesim.apiserver.audit import Entry, Trail
from pytest_selfrep.kubesim.apply.history import Author
from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.events import Recorder
from pytest_selfrep.kubesim.kinds import EVENT, NAMESPACE, Kind
from pytest_selfrep.kubesim.objects import Key, Object, key_of
from pytest_selfrep.kubesim.registry import DeleteOptions, Registry
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.store import Store


class ComponentWriter:
    """A Writer (controllers/base.py) under one identity, to which authorisation does not apply."""

    def __init__(
        self, user: str, registry: Registry, recorder: Recorder, store: Store, clock: Clock, trail: Trail
    ) -> None:
        self._user = user
        self._agent = _user_agent(user)
        manager = self._agent.partition("/")[0]
        self._author, self._status_author = Author(manager), Author(manager, "status")
        self._registry = registry
        self._recorder = recorder
        self._store = store
        self._clock = clock
        self._trail = trail

    def create(self, kind: Kind, obj: Object) -> Object:
        meta = obj["metadata"]
        key = Key(meta.get("namespace", ""), meta.get("name", ""))
        try:
            stored = self._registry.create(kind, obj, self._user, author=self._author)
        except StatusError as error:
            self._refused("create", kind, key, obj, error)
            raise
        self._note("create", kind, "", key_of(stored), 201, obj, stored)
        return stored

    def update(self, kind: Kind, obj: Object) -> Object:
        key = key_of(obj)
        # A namespace's spec consists of finalizers only, which replacing the namespace itself leaves alone.
        subresource = "finalize" if kind is NAMESPACE else ""
        try:
            stored = self._registry.update(
                kind,
                obj,
                self._user,
                subresource=subresource,
                author=self._author._replace(subresource=subresource) if subresource else self._author,
            )
        except StatusError as error:
            self._refused("update", kind, key, obj, error)
            raise
        self._note("update", kind, subresource, key, 200, obj, stored)
        return stored

    def update_status(self, kind: Kind, obj: Object) -> Object:
        key = key_of(obj)
        before = self._store.revision
        try:
            stored = self._registry.update_status(kind, obj, self._status_author)
        except StatusError as error:
            self._refused("update", kind, key, obj, error)
            raise
        if self._store.revision != before:
            self._note("update", kind, "status", key, 200, obj, stored)
        return stored

    def delete(
        self, kind: Kind, key: Key, *, grace_seconds: int | None = None, propagation: str | None = None
    ) -> None:
        if self._store.get(kind, key) is None:
            return
        try:
            last, _ = self._registry.delete(kind, key, DeleteOptions(grace_seconds, propagation), self._user)
        except StatusError as error:
            self._refused("delete", kind, key, None, error)
            raise
        self._note("delete", kind, "", key, 200, None, last)

    def record(self, about: Object, type_: str, reason: str, message: str, field_path: str = "") -> None:
        event = self._recorder.record(self._user, about, type_, reason, message, field_path, self._author)
        if event is not None:
            verb, code = ("create", 201) if event["count"] == 1 else ("patch", 200)
            self._note(verb, EVENT, "", key_of(event), code, event, event)

    def _refused(self, verb: str, kind: Kind, key: Key, sent: Object | None, error: StatusError) -> None:
        self._note(verb, kind, "", key, error.code, sent, None, error.reason, error.message)

    def _note(
        self,
        verb: str,
        kind: Kind,
        subresource: str,
        key: Key,
        code: int,
        sent: Object | None,
        stored: Object | None,
        reason: str = "",
        message: str = "",
    ) -> None:
        self._trail.append(
            Entry(
                self._trail.length,
                self._store.revision,
                self._clock.now,
                self._user,
                self._agent,
                verb,
                kind.group,
                f"{kind.plural}/{subresource}" if subresource else kind.plural,
                key.namespace,
                key.name,
                code,
                reason,
                message,
                sent,
                stored,
            )
        )


def _user_agent(user: str) -> str:
    system = "v1.32.4 (linux/amd64) kubernetes/59526cd"
    if user.startswith("system:node:"):
        return f"kubelet/{system}"
    if user.startswith("system:serviceaccount:kube-system:"):
        return f"kube-controller-manager/{system}/system:serviceaccount:kube-system:{user.rpartition(':')[2]}"
    return f"{user.rpartition(':')[2]}/{system}"
