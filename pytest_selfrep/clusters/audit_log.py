"""The audit log of an API server that we start ourselves: what it writes down, and reading it as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from pytest_selfrep.clusters.kube import Call
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeObject, Reply, Transport

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
        self._rest = b""

    def open(self) -> bool:
        """Go to its end. False if the API server keeps none, as when its image ignores the arguments."""
        if self._fetch().status == 404:
            return False
        self.poll()
        return True

    def poll(self) -> Sequence[KubeObject]:
        """What was written since the last call, in order. ClusterError if it cannot be read."""
        reply = self._fetch()
        if reply.status == 416:
            # Nothing has been added.
            return []
        if reply.status == 200:
            body = reply.body[self._read :]
        elif reply.status == 206:
            body = reply.body
        else:
            said = reply.body.decode(errors="replace")[:200]
            raise ClusterError(f"the audit log cannot be read ({self._path}: {reply.status} {said})")
        self._read += len(body)
        *lines, self._rest = (self._rest + body).split(b"\n")
        return [orjson.loads(line) for line in lines if line]

    def _fetch(self) -> Reply:
        return self._admin.send(Call("GET", self._path, headers={"Range": f"bytes={self._read}-"}))
