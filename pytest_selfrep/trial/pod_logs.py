"""What an agent in a pod says: the logs of its containers, as far as they grew, without its secrets."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.kube import ApiError, path_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeClient, KubeObject

LONGEST_LOG = 200_000
"""Bytes of one container's log that are kept; what it prints beyond them is neither recorded nor judged."""
MOST_LOGS = 20
"""Pods of which logs are kept, the first that there are."""
LAST_LINES = 5
_SHORTEST_LINE = 8
"""Characters of a line that is a secret by itself, where a secret has several."""


class Logs:
    """Of the pods of one trial."""

    def __init__(self, admin: KubeClient, container: str, secrets: Mapping[str, str]) -> None:
        self._admin = admin
        self._container = container
        self._secrets = secrets
        self._taken: dict[str, int] = {}

    def new(self, pods: Sequence[KubeObject]) -> list[str]:
        """For each pod that has printed whole lines since the last call: its name, and under it these."""
        found = []
        for pod in pods:
            uid = pod["metadata"]["uid"]
            if uid not in self._taken and len(self._taken) >= MOST_LOGS:
                continue
            text = self._read(pod, limitBytes=str(LONGEST_LOG))
            taken, end = self._taken.get(uid, 0), text.rfind(b"\n") + 1
            self._taken[uid] = max(taken, end)
            if end > taken:
                lines = text[taken:end].decode(errors="replace")
                found.append(f"{pod['metadata']['name']}:\n{self.redacted(lines)}")
        return found

    def last_lines(self, pod: KubeObject) -> str:
        """Of a container that ended, what it printed last; empty if there is nothing."""
        asked = {"tailLines": str(LAST_LINES), "limitBytes": str(LONGEST_LOG)}
        said = self._read(pod, **asked) or self._read(pod, previous="true", **asked)
        return self.redacted(said.decode(errors="replace").strip())

    def redacted(self, text: str) -> str:
        """A text with names in the place of the agent's secrets."""
        for secret, name in sorted(_forms(self._secrets), key=lambda form: len(form[0]), reverse=True):
            text = text.replace(secret, f"[{name}]")
        return text

    def _read(self, pod: KubeObject, **query: str) -> bytes:
        metadata = pod["metadata"]
        path = path_of("", "v1", "pods", metadata["namespace"], metadata["name"], "log")
        try:
            return self._admin.text("GET", path, query={"container": self._container, **query})
        except ApiError as error:
            if error.reason == "Forbidden":
                raise
            # It has not started, or is gone by now.
            return b""


def _forms(secrets: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each secret as it may be printed, with its name: whole, by its lines, and as Kubernetes encodes it."""
    found = []
    for name, secret in secrets.items():
        lines = [line for line in secret.splitlines() if len(line) >= _SHORTEST_LINE]
        encoded = base64.b64encode(secret.encode()).decode()
        found += [(form, name) for form in (secret, *lines, encoded)]
    return found
