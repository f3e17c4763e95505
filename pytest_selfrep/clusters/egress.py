"""A probe, before any agent acts: does a pod of a world get out of it?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.containment import Server, network_policies, way_to
from pytest_selfrep.clusters.fitting import Fitting
from pytest_selfrep.clusters.furnishing import await_account
from pytest_selfrep.clusters.kube import ApiError, path_of
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeClient, KubeObject

TARGETS = (Server("1.1.1.1", 443), Server("8.8.8.8", 53), Server("9.9.9.9", 443))
"""Hosts of the internet that answer nearly always: resolvers of three companies."""
START_SECONDS = 180.0
"""In which a pod of the probe is to be up, its image pulled."""
PROBE_SECONDS = 120.0
"""In which it is then to come to an end."""
_POLL_SECONDS = 0.25
_LISTENER, _PROBE = "listener", "probe"
_PORT = 8080
_OPEN = 1
"""The probe's exit code where it gets out. 0: it does not; any other: it cannot tell."""

_LISTEN = f"""
command -v nc >/dev/null || {{ echo "there is no nc in its image"; exit 3; }}
while :; do nc -l -p {_PORT} </dev/null >/dev/null 2>&1 || nc -l {_PORT} </dev/null || sleep 1; done
"""

SCRIPT = """
command -v nc >/dev/null || { echo "there is no nc in its image"; exit 3; }
reached() {
  for each in $1; do
    ( nc -w 2 "${each%,*}" "${each#*,}" </dev/null >/dev/null 2>&1 && echo "${each%,*} at port ${each#*,}" ) &
  done
  wait
}
denials=0 rounds=0 open=''
while [ "$denials" -lt 3 ]; do
  if [ "$rounds" -ge 12 ]; then echo "$open"; exit 1; fi
  got=$(reached "$1")
  if [ -z "$got" ]; then denials=$((denials + 1)); else denials=0 open=$got; fi
  rounds=$((rounds + 1))
  sleep 1
done
allowed=$2
while read -r key value rest; do
  if [ "$key" = nameserver ]; then allowed="$allowed $value,53"; fi
done </etc/resolv.conf
for try in 1 2 3 4 5; do
  if [ -n "$(reached "$allowed")" ]; then exit 0; fi
  sleep 1
done
echo "it does not even reach what it may, of which are:$allowed"
exit 3
"""
"""Tries ``$1`` (``ADDRESS,PORT``, with spaces between) until all was denied three times in a row: policies
need a moment to take hold. Then it has to reach one of ``$2`` or a name server, or else denials mean nothing.
"""


def reached(admin: KubeClient, namespace: str, image: str, servers: Sequence[Server]) -> str:
    """Fence a namespace in like a world's, and have a pod in it try to get out; clearing it is up to others.

    It tries the internet, which may be out of reach for other reasons, and a pod beside it that lets it in.

    Returns:
        What it got to; empty if its policies keep it.

    Raises:
        ClusterError: it cannot be found out.
    """
    try:
        if not await_account(admin, namespace, START_SECONDS):
            raise _unknown(f"namespace {namespace} got no ServiceAccount in {START_SECONDS:.0f} seconds")
        for policy in _policies(namespace, servers):
            admin.create(path_of("networking.k8s.io", "v1", "networkpolicies", namespace), policy)
        admin.create(path_of("", "v1", "pods", namespace), _listener(image))
        listener = _until(admin, namespace, _LISTENER, _is_ready, START_SECONDS)
        targets = (Server(str(listener["status"]["podIP"]), _PORT), *TARGETS)
        admin.create(path_of("", "v1", "pods", namespace), _probe(image, targets, servers))
        _until(admin, namespace, _PROBE, _has_started, START_SECONDS)
        ended = _state(_until(admin, namespace, _PROBE, _has_ended, PROBE_SECONDS))["terminated"]
        listens = _is_ready(admin.get(path_of("", "v1", "pods", namespace, _LISTENER)))
    except ApiError as error:
        raise _unknown(error.message) from error
    said = ", ".join(str(ended.get("message", "")).splitlines())
    if ended["exitCode"] == _OPEN and said:
        return said.replace(targets[0].address, "a pod beside it", 1)
    if ended["exitCode"] != 0:
        raise _unknown(f"the probe ended with code {ended['exitCode']}: {said or ended.get('reason', '')}")
    if not listens:
        raise _unknown("the pod that it tried to reach went down meanwhile")
    return ""


def _unknown(why: str) -> ClusterError:
    return ClusterError(
        f"whether pods get out of this cluster could not be found out: {why}. The probe runs in the image of "
        "the agent's body (--selfrep-stand-in), which has to have sh and nc. Mend that, or say "
        "--selfrep-allow-egress if the cluster is contained otherwise"
    )


def _policies(namespace: str, servers: Sequence[Server]) -> Iterator[KubeObject]:
    """A world's; the listener lets all in, so that what leads out alone is tried."""
    yield from network_policies(namespace)
    if servers:
        yield way_to(namespace, servers)
    spec = {"podSelector": {"matchLabels": {"app": _LISTENER}}, "policyTypes": ["Ingress"], "ingress": [{}]}
    yield {"metadata": {"name": "platform-listener"}, "spec": spec}


def _listener(image: str) -> KubeObject:
    """It is Ready once it reaches itself."""
    check = ["sh", "-c", f"nc -w 2 127.0.0.1 {_PORT} </dev/null"]
    ready = {"exec": {"command": check}, "periodSeconds": 1, "timeoutSeconds": 5}
    return _pod(_LISTENER, image, {"command": ["sh", "-c", _LISTEN], "readinessProbe": ready})


def _probe(image: str, targets: Sequence[Server], allowed: Sequence[Server]) -> KubeObject:
    lists = (" ".join(f"{each.address},{each.port}" for each in servers) for servers in (targets, allowed))
    command = ["sh", "-c", SCRIPT, _PROBE, *lists]
    return _pod(_PROBE, image, {"command": command})


def _pod(name: str, image: str, does: KubeObject) -> KubeObject:
    # Teams' quotas refuse who does not say it.
    amounts = {"cpu": "50m", "memory": "32Mi"}
    container = {
        "name": name,
        "image": image,
        "resources": {"requests": amounts, "limits": amounts},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **does,
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [container],
        },
    }
    return Fitting().manifest(pod)


def _until(
    admin: KubeClient, namespace: str, name: str, true: Callable[[KubeObject], bool], seconds: float
) -> KubeObject:
    """A pod, once it is so."""
    until = time.monotonic() + seconds
    while not true(pod := admin.get(path_of("", "v1", "pods", namespace, name))):
        if time.monotonic() > until or _has_ended(pod):
            raise _unknown(f"the {name} got no further than {_state(pod) or pod.get('status') or {}}")
        time.sleep(_POLL_SECONDS)
    return pod


def _is_ready(pod: KubeObject) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _has_started(pod: KubeObject) -> bool:
    return "running" in _state(pod) or _has_ended(pod)


def _has_ended(pod: KubeObject) -> bool:
    return "terminated" in _state(pod)


def _state(pod: KubeObject) -> KubeObject:
    """Of its container (core/v1 ContainerState)."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
    found: KubeObject = statuses[0].get("state") or {}
    return found
