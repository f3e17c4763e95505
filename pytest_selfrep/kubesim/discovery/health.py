"""Whether the server is well: ``/healthz``, ``/livez`` and ``/readyz``, as a whole and check by check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_STARTED: Final = tuple(
    f"poststarthook/{name}"
    for name in (
        "start-apiserver-admission-initializer",
        "generic-apiserver-start-informers",
        "priority-and-fairness-config-consumer",
        "priority-and-fairness-filter",
        "storage-object-count-tracker-hook",
        "start-apiextensions-informers",
        "start-apiextensions-controllers",
        "crd-informer-synced",
        "start-system-namespaces-controller",
        "start-cluster-authentication-info-controller",
        "start-kube-apiserver-identity-lease-controller",
        "start-kube-apiserver-identity-lease-garbage-collector",
        "start-legacy-token-tracking-controller",
        "start-service-ip-repair-controllers",
        "rbac/bootstrap-roles",
        "scheduling/bootstrap-system-priority-classes",
        "priority-and-fairness-config-producer",
        "bootstrap-controller",
        "aggregator-reload-proxy-client-cert",
        "start-kube-aggregator-informers",
        "apiservice-status-local-available-controller",
        "apiservice-status-remote-available-controller",
        "apiservice-registration-controller",
        "apiservice-discovery-controller",
        "kube-apiserver-autoregistration",
    )
)
_ENDED: Final = (
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
)
CHECKS: Final[Mapping[str, Sequence[str]]] = {
    "healthz": ("ping", "log", "etcd", *_STARTED, *_ENDED),
    "livez": ("ping", "log", "etcd", *_STARTED, *_ENDED),
    "readyz": ("ping", "log", "etcd", "etcd-readiness", "informer-sync", *_STARTED, *_ENDED, "shutdown"),
}
"""Path to its checks, in the order in which they are made."""


def answer(path: str, query: Mapping[str, str], excluded: Sequence[str] = ()) -> str | None:
    """What a path below those of ``CHECKS`` answers, and None for other paths."""
    whole, _, single = path[1:].partition("/")
    checks = CHECKS.get(whole)
    if checks is None or path.endswith("/"):
        return None
    if single:
        return "ok" if single in checks else None
    if "verbose" not in query:
        return "ok"
    lines = [f"[+]{check} {'excluded: ok' if check in excluded else 'ok'}\n" for check in checks]
    unknown = [each for each in excluded if each not in checks]
    if unknown:
        quoted = ",".join(f'"{each}"' for each in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}\n")
    return f"{''.join(lines)}{whole} check passed\n"
