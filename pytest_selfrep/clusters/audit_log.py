"""The audit log of an API server that we start ourselves: what it writes down, and reading it as it grows."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson

from pytest_selfrep.clusters.kube import ApiError, Call, path_of
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeClient, KubeObject, Reply, Transport

POLICY_FILE = "/etc/rancher/k3s/audit.json"
_LOG_FILE = "kubernetes/audit.log"
"""Below /var/log, which a kubelet lets administrators read through the API server."""
ARGUMENTS = (
    f"audit-policy-file={POLICY_FILE}",
    f"audit-log-path=/var/log/{_LOG_FILE}",
    # A request is answered only when it is in the log: who saw the answer finds it there.
    "audit-log-mode=blocking",
    # In megabytes: never turned over in a run, for a place in it would be lost.
    "audit-log-maxsize=100000",
)
"""For ``--kube-apiserver-arg``."""

_OVERLAP = 256
"""Bytes at the end of what was read; the time of an event is among them."""

_WRITES = ["create", "update", "patch", "delete", "deletecollection"]

POLICY: KubeObject = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # The cluster's own parts. What they make has its owner in its metadata.
        {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
        {
            "level": "None",
            "users": [
                "system:apiserver",
                "system:kube-controller-manager",
                "system:kube-proxy",
                "system:kube-scheduler",
                "system:k3s-controller",
            ],
        },
        # The harness itself, and whoever got hold of its credential.
        {"level": "Metadata", "userGroups": ["system:masters"], "verbs": _WRITES},
        {"level": "None", "userGroups": ["system:masters"]},
        {"level": "RequestResponse", "verbs": _WRITES},
        {"level": "Metadata"},
    ],
}


class AuditLog:
    """Events of audit.k8s.io/v1, from the moment on at which it is opened. One reader each.

    It is read as a file of the node, with an administrator's credential: any process that has the kubeconfig
    can do so, wherever Docker is.
    """

    def __init__(self, admin: Transport, node: str) -> None:
        self._admin = admin
        self._path = f"/api/v1/nodes/{node}/proxy/logs/{_LOG_FILE}"
        self._read = 0
        self._tail = b""
        """The last of what was read, which is asked for again: another file would not have it there."""
        self._rest = b""
        self._torn = False
        """Whether it was opened amid a line."""
        self._kept: list[KubeObject] = []

    def open(self) -> bool:
        """Go to its end. False if there is none that can be read, for whatever reason."""
        reply = self._fetch(f"bytes=-{_OVERLAP}")
        size = str(len(reply.body)) if reply.status == 200 else _size(reply)
        # 416: nothing is in it yet.
        if reply.status not in (200, 206, 416) or (reply.status != 416 and not size.isdecimal()):
            return False
        if reply.status != 416:
            self._read, self._tail = int(size), reply.body[-_OVERLAP:]
        self._torn = not self._tail.endswith(b"\n") and bool(self._tail)
        return True

    def shows(self, agent: KubeClient, namespace: str) -> bool:
        """Whether what an agent does is in it at once and in full: tried with a write that changes nothing.

        A team's own log may be late, partial, or another server's.
        """
        mark = secrets.token_hex(5)
        with suppress(ApiError):
            # Where the agent may not, the refusal is to be found.
            agent.request(
                "POST",
                path_of("", "v1", "pods", namespace),
                query={"dryRun": "All", "fieldManager": mark},
                body={"metadata": {"generateName": "standby-"}, "spec": {"containers": []}},
            )
        found = self.poll()
        mine = [each for each in found if f"fieldManager={mark}" in str(each.get("requestURI"))]
        self._kept = [each for each in found if each not in mine]
        return bool(mine) and all(each.get("level") == "RequestResponse" for each in mine)

    def poll(self) -> Sequence[KubeObject]:
        """What was written since the last call, in order. ClusterError unless all of it can be read."""
        kept, self._kept = self._kept, []
        body = self._new()
        self._read += len(body)
        self._tail = (self._tail + body)[-_OVERLAP:]
        *lines, self._rest = (self._rest + body).split(b"\n")
        if self._torn and lines:
            del lines[0]
            self._torn = False
        try:
            events = [orjson.loads(line) for line in lines if line]
        except orjson.JSONDecodeError as error:
            raise ClusterError(
                f"the audit log has a line that is no event ({self._path}): {error}"
            ) from error
        return [*kept, *(each for each in events if each.get("stage") != "RequestReceived")]

    def _new(self) -> bytes:
        known = self._tail
        reply = self._fetch(f"bytes={self._read - len(known)}-")
        if reply.status == 416 and not known:
            return b""
        if reply.status not in (200, 206, 416):
            said = reply.body.decode(errors="replace")[:200]
            raise ClusterError(f"the audit log cannot be read ({self._path}: {reply.status} {said})")
        body = reply.body[self._read - len(known) :] if reply.status == 200 else reply.body
        if reply.status == 416 or not body.startswith(known):
            raise ClusterError(
                f"the audit log was turned over or cut ({self._path}), and what was written last is lost"
            )
        return body[len(known) :]

    def _fetch(self, part: str) -> Reply:
        return self._admin.send(Call("GET", self._path, headers={"Range": part}))


def _size(reply: Reply) -> str:
    """Of the whole, as an answer with a part of it says."""
    return reply.headers.get("content-range", "").rpartition("/")[2]
