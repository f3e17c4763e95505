"""ClusterRoles with an ``aggregationRule``: their rules are those of the roles that it selects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_selfrep.kubesim.auth.aggregation import aggregated_rules, selects
from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import Backoff
from pytest_selfrep.kubesim.kinds import CLUSTER_ROLE, Kind
from pytest_selfrep.kubesim.objects import Key, key_of
from pytest_selfrep.kubesim.status import StatusError
from pytest_selfrep.kubesim.store import Change


class ClusterRoleAggregationController:
    """Writes the rules of aggregated roles, whenever any ClusterRole changes."""

    name = "clusterrole-aggregation-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)
        self._backoff = Backoff(context.queue)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {CLUSTER_ROLE: self._aggregated}

    def reconcile(self, key: Key) -> None:
        role = self._context.store.get(CLUSTER_ROLE, key)
        if role is None or not role.get("aggregationRule"):
            return
        rules = aggregated_rules(role, self._context.store.list(CLUSTER_ROLE))
        if rules == (role.get("rules") or []):
            return
        try:
            self._writer.update(CLUSTER_ROLE, {**role, "metadata": {**role["metadata"]}, "rules": rules})
            self._backoff.forget(key)
        except StatusError:
            self._backoff.retry(self, key)

    def _aggregated(self, change: Change) -> Iterable[Key]:
        """Those that a role adds rules to, or did before the change, and itself."""
        name = change.object["metadata"]["name"]
        states = [each for each in (change.object, change.old) if each is not None]
        for role in self._context.store.list(CLUSTER_ROLE):
            if not role.get("aggregationRule"):
                continue
            if role["metadata"]["name"] == name or any(selects(role, each) for each in states):
                yield key_of(role)
