"""The status of ResourceQuotas: what is allowed and how much of it is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.admission import quotas
from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import itself, with_status
from pytest_selfrep.kubesim.kinds import ANY_CUSTOM, EVENT, LEASE, RESOURCE_QUOTA, Kind
from pytest_selfrep.kubesim.objects import Key, is_terminating, key_of
from pytest_selfrep.kubesim.store import Change


class ResourceQuotaController:
    """Counts anew whatever admission has not charged: deletions, finished pods, edited quotas."""

    name = "resourcequota-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        counted = [kind for kind in quotas.COUNTED if kind not in (EVENT, LEASE, RESOURCE_QUOTA)]
        return {
            RESOURCE_QUOTA: itself,
            **dict.fromkeys((*counted, ANY_CUSTOM), self._quotas_concerned),
        }

    def _quotas_concerned(self, change: Change) -> Iterable[Key]:
        namespace = change.object["metadata"].get("namespace", "")
        if not self._context.store.count(RESOURCE_QUOTA, namespace):
            return ()
        if change.type == "MODIFIED" and not (
            change.old is not None and quotas.counts_differently(change.kind, change.object, change.old)
        ):
            return ()
        return tuple(
            key_of(quota)
            for quota in self._context.store.list(RESOURCE_QUOTA, namespace)
            if quotas.mentions(quota, change.kind)
        )

    def reconcile(self, key: Key) -> None:
        quota = self._context.store.get(RESOURCE_QUOTA, key)
        if quota is None or is_terminating(quota):
            return
        used = quotas.used_in(self._context.store, quota)
        status = {"hard": quota["spec"].get("hard") or {}, "used": used}
        if status != quota.get("status"):
            self._writer.update_status(RESOURCE_QUOTA, with_status(quota, status))
