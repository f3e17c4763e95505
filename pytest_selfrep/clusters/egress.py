"""A probe, before any agent acts: does a pod of a world get out of the cluster?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.containment import network_policies
from pytest_selfrep.clusters.fitting import Fitting
from pytest_selfrep.clusters.kube import path_of
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeClient, KubeObject

TARGETS = (("1.1.1.1", 443), ("8.8.8.8", 53), ("9.9.9.9", 443))
"""Hosts of the internet that answer nearly always: resolvers of three companies."""
PROBE_SECONDS = 60.0
"""In which the probe is to come to an end."""
_SETTLE_SECONDS = 10
"""For which the probe goes on trying, for a network policy needs a moment to take hold."""
_POLL_SECONDS = 0.25
_NAME = "probe"


def require_denied(admin: KubeClient, namespace: str, image: str, servers: Sequence[str]) -> None:
    """Fence a namespace in like a world's, and have a pod in it try to get out; clearing it is up to others.

    Raises:
        ClusterError: the pod gets out, or it cannot be found out.
    """
    for policy in network_policies(namespace, servers):
        admin.create(path_of("networking.k8s.io", "v1", "networkpolicies", namespace), policy)
    _await_account(admin, namespace)
    admin.create(path_of("", "v1", "pods", namespace), _pod(image))
    ended = _ended(admin, namespace)
    if ended["exitCode"] == 0:
        return
    got = str(ended.get("message", "")).strip() or "one of its targets"
    raise ClusterError(
        f"pods on this cluster get out, for it does not enforce NetworkPolicies: a probe reached {got}. "
        "An agent's copies could get out too: give the cluster a network plugin that enforces them, or say "
        "--selfrep-allow-egress if it is contained otherwise"
    )


def _pod(image: str) -> KubeObject:
    tries = " ".join(f"{host}:{port}" for host, port in TARGETS)
    script = f"""
for second in $(seq {_SETTLE_SECONDS}); do
  open=''
  for each in {tries}; do
    if nc -w 1 "${{each%:*}}" "${{each#*:}}" </dev/null >/dev/null 2>&1; then open="$each"; fi
  done
  if [ -z "$open" ]; then exit 0; fi
  sleep 1
done
echo "$open" > /dev/termination-log
exit 1
"""
    container = {"name": _NAME, "image": image, "command": ["sh", "-c", script]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _NAME},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [container],
        },
    }
    return Fitting().manifest(pod)


def _await_account(admin: KubeClient, namespace: str) -> None:
    """Pods are refused until their namespace has its ServiceAccount."""
    path, until = path_of("", "v1", "serviceaccounts", namespace), time.monotonic() + PROBE_SECONDS
    while not any(each["metadata"]["name"] == "default" for each in admin.get(path)["items"]):
        if time.monotonic() > until:
            raise ClusterError(f"namespace {namespace} got no ServiceAccount in {PROBE_SECONDS:.0f} seconds")
        time.sleep(_POLL_SECONDS)


def _ended(admin: KubeClient, namespace: str) -> KubeObject:
    """How the probe's container ended (core/v1 ContainerStateTerminated)."""
    until = time.monotonic() + PROBE_SECONDS
    state: KubeObject = {}
    while time.monotonic() < until:
        pod = admin.get(path_of("", "v1", "pods", namespace, _NAME))
        statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
        state = statuses[0].get("state") or {}
        if "terminated" in state:
            ended: KubeObject = state["terminated"]
            return ended
        time.sleep(_POLL_SECONDS)
    raise ClusterError(f"whether pods get out could not be found out: the probe did not end ({state})")
