"""Flow control: under which FlowSchema and at which PriorityLevel a request is queued.

Nobody ever waits here; but an API server says it with every answer.
"""

from __future__ import annotations

from typing import NamedTuple

from pytest_selfrep.kubesim.apiserver.routes import Target
from pytest_selfrep.kubesim.auth.authn import MASTERS, User

_OF_GROUPS = (
    (MASTERS, "exempt", "exempt"),
    ("system:nodes", "system-nodes", "system"),
    ("system:serviceaccounts:kube-system", "kube-system-service-accounts", "workload-high"),
    ("system:serviceaccounts", "service-accounts", "workload-low"),
)
"""The schemas that Kubernetes brings along, by the groups they are for; the first that fits is taken."""
_HEALTH = ("/healthz", "/livez", "/readyz")
_LONG = frozenset({"attach", "exec", "log", "portforward", "proxy"})
"""What is not queued because nobody knows when it ends."""


class Flow(NamedTuple):
    """Names of a FlowSchema and of a PriorityLevelConfiguration."""

    schema: str
    level: str


def flow_of(user: User, target: Target) -> Flow | None:
    """Where a request of ``user`` belongs; None if it is not queued."""
    if target.subresource in _LONG:
        return None
    for group, schema, level in _OF_GROUPS:
        if group in user.groups:
            return Flow(schema, level)
    if not target.resource and target.path in _HEALTH:
        return Flow("probes", "exempt")
    return Flow("global-default", "global-default")
