"""The service account ``default`` that every namespace has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import Backoff
from pytest_selfrep.kubesim.kinds import NAMESPACE, SERVICE_ACCOUNT, Kind
from pytest_selfrep.kubesim.objects import Key, is_terminating
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.store import Change

DEFAULT = "default"


class ServiceAccountController:
    """Creates it, and creates it again when it is deleted. Its keys are namespaces."""

    name = "service-account-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)
        self._backoff = Backoff(context.queue)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {
            NAMESPACE: self._on_namespace,
            SERVICE_ACCOUNT: self._on_account,
        }

    @staticmethod
    def _on_namespace(change: Change) -> Iterable[Key]:
        return (Key("", change.object["metadata"]["name"]),) if change.type == "ADDED" else ()

    @staticmethod
    def _on_account(change: Change) -> Iterable[Key]:
        meta = change.object["metadata"]
        return (Key("", meta["namespace"]),) if change.type == "DELETED" and meta["name"] == DEFAULT else ()

    def reconcile(self, key: Key) -> None:
        namespace = self._context.store.get(NAMESPACE, key)
        account = Key(key.name, DEFAULT)
        if (
            namespace is None
            or is_terminating(namespace)
            or self._context.store.get(SERVICE_ACCOUNT, account) is not None
        ):
            return
        manifest = {
            "apiVersion": SERVICE_ACCOUNT.api_version,
            "kind": SERVICE_ACCOUNT.kind,
            "metadata": {"name": DEFAULT, "namespace": key.name},
        }
        try:
            self._writer.create(SERVICE_ACCOUNT, manifest)
            self._backoff.forget(key)
        except StatusError:
            self._backoff.retry(self, key)
