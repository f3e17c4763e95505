"""The headers that an API server's filters add to every answer."""

from __future__ import annotations

from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.names import uid_of

_MAX_ID = 64
"""Characters of an audit ID that a client may choose."""


class Headers:
    """Of the answers of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._answers = 0
        self._flows: dict[str, str] = {}

    def before(self, request: Request) -> dict[str, str]:
        """What is known of an answer before there is one."""
        self._answers += 1
        chosen = request.headers.get("audit-id", "")[:_MAX_ID]
        found = {
            "Audit-Id": chosen or uid_of(self._cluster.seed, "audit", self._answers),
            "Cache-Control": "no-cache, private",
        }
        flow = self._cluster.flow(request)
        if flow is not None:
            found["X-Kubernetes-Pf-Flowschema-Uid"] = self._uid("FlowSchema", flow.schema)
            found["X-Kubernetes-Pf-Prioritylevel-Uid"] = self._uid("PriorityLevelConfiguration", flow.level)
        return found

    def _uid(self, kind: str, name: str) -> str:
        known = self._flows.get(f"{kind} {name}")
        if known is None:
            known = self._flows[f"{kind} {name}"] = uid_of(self._cluster.seed, kind, name)
        return known
