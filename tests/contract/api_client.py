"""A Kubernetes API as both clusters of the contract offer it: by HTTP, and by the real kubectl."""

from __future__ import annotations

import base64
import os
import shlex
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

import orjson
import urllib3
import yaml

Object: TypeAlias = dict[str, Any]
T = TypeVar("T")

PATIENCE = 120.0
"""Seconds that a condition may take to come true: generous, for a real node on a busy machine."""
POLL = 0.05
GROUPS = {
    "apps": "apps/v1",
    "autoscaling": "autoscaling/v1",
    "batch": "batch/v1",
    "coordination": "coordination.k8s.io/v1",
    "policy": "policy/v1",
    "rbac": "rbac.authorization.k8s.io/v1",
}
"""The groups of short paths, with their versions."""
JSON = "application/json"
PATCHES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Refused(Exception):
    """The API server answered with a Status of failure."""

    def __init__(self, status: Object) -> None:
        super().__init__(status.get("message"))
        self.status = status


@dataclass(frozen=True)
class Answer:
    """One answer of the API server."""

    code: int
    body: Any

    def __str__(self) -> str:
        return f"{self.code}: {self.body}"


@dataclass(frozen=True)
class Connection:
    """One identity's way to an API server."""

    url: str
    pool: urllib3.PoolManager
    kubeconfig: Path
    token: str = ""
    further: tuple[tuple[str, str], ...] = ()
    """Headers that go with every request."""

    def headers(self) -> dict[str, str]:
        own = {"authorization": f"Bearer {self.token}"} if self.token else {}
        return {**own, **dict(self.further)}


def connection(kubeconfig: Path) -> Connection:
    """As the current context of a kubeconfig says: with a token, or with a client's certificate."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    if "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile() as pair:
            for part in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[part]) + b"\n")
            pair.flush()
            context.load_cert_chain(pair.name)
    pool = urllib3.PoolManager(ssl_context=context, maxsize=4, retries=False, timeout=PATIENCE)
    return Connection(cluster["server"], pool, kubeconfig, user.get("token", ""))


@dataclass(frozen=True)
class Kube:
    """A namespace of a cluster. Paths are such as ``pods/web`` or ``deployments.apps/web/scale``."""

    link: Connection
    namespace: str
    folder: Path
    """For manifests and kubectl's cache."""

    def path(self, short: str) -> str:
        """``deployments.apps/web``: below the namespace; ``/api/v1/nodes``: as it stands."""
        if short.startswith("/"):
            return short
        resource, _, rest = short.partition("/")
        plural, _, group = resource.partition(".")
        root = f"/apis/{GROUPS[group]}" if group else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{rest}" if rest else "")

    def send(
        self, method: str, path: str, body: object = None, *, content_type: str = JSON, **query: object
    ) -> Answer:
        """Any request; whatever the answer is. A body of bytes goes as it is, any other as JSON."""
        url = self.link.url + self.path(path) + (f"?{urlencode(query)}" if query else "")
        encoded = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        headers = {"accept": JSON, "content-type": content_type, **self.link.headers()}
        answer = self.link.pool.request(method, url, body=encoded, headers=headers)
        is_json = "json" in answer.headers.get("content-type", "")
        return Answer(answer.status, orjson.loads(answer.data) if is_json else answer.data.decode())

    def ok(self, method: str, path: str, body: object = None, **given: Any) -> Any:
        """The body of an answer that must be no refusal."""
        answer = self.send(method, path, body, **given)
        if answer.code >= 400:
            raise Refused(answer.body)
        return answer.body

    def refusal(self, method: str, path: str, body: object = None, **given: Any) -> tuple[int, str, str]:
        """Code, reason and message of an answer that must be a refusal."""
        answer = self.send(method, path, body, **given)
        assert answer.code >= 400, f"{method} {path} is not refused: {answer}"
        status = answer.body
        assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", answer.code)
        return answer.code, status.get("reason", ""), self.plain(status["message"])

    def plain(self, text: str) -> str:
        """With the namespace's name, another for each test, given back its place."""
        return text.replace(self.namespace, "<namespace>") if self.namespace else text

    def get(self, path: str, **query: object) -> Any:
        return self.ok("GET", path, **query)

    def create(self, path: str, *objects: Object, **query: object) -> Any:
        """The last of what was created."""
        return [self.ok("POST", path, each, **query) for each in objects][-1]

    def patch(self, path: str, body: object, kind: str = "merge", **query: object) -> Any:
        return self.ok("PATCH", path, body, content_type=PATCHES[kind], **query)

    def delete(self, path: str, options: Object | None = None, **query: object) -> Any:
        return self.ok("DELETE", path, options, **query)

    def exists(self, path: str) -> bool:
        return self.send("GET", path).code == 200

    def names(self, path: str, **query: object) -> list[str]:
        return sorted(each["metadata"]["name"] for each in self.get(path, **query)["items"])

    def eventually(self, path: str, true: Callable[[Any], object], **query: object) -> Any:
        """What is at a path, as soon as it is as wanted."""
        return until(lambda: self.get(path, **query), true)

    def admits(self, pod: Object) -> None:
        """Until a pod could be created: what its service account needs comes a little after the account."""
        until(lambda: self.send("POST", "pods", pod, dryRun="All").code, lambda code: code == 201)

    def gone(self, path: str) -> None:
        until(lambda: self.send("GET", path).code, lambda code: code == 404)

    def conditions(self, path: str) -> dict[str, Object]:
        return {each["type"]: each for each in self.get(path)["status"].get("conditions") or ()}

    def events(self, about: str) -> list[tuple[str, str, str]]:
        """Type, reason and message of the events about an object, in order."""
        found = self.get("events", fieldSelector=f"involvedObject.name={about}")["items"]
        found.sort(key=lambda each: int(each["metadata"]["resourceVersion"]))
        return [(each["type"], each["reason"], self.plain(each["message"])) for each in found]

    def watch(self, path: str, seconds: int = 2, **query: object) -> list[Object]:
        """All that a watch says within some seconds of the server's."""
        asked = urlencode({"watch": "true", "timeoutSeconds": seconds, **query})
        headers = {"accept": JSON, **self.link.headers()}
        answer = self.link.pool.request("GET", f"{self.link.url}{self.path(path)}?{asked}", headers=headers)
        return [orjson.loads(line) for line in answer.data.splitlines()]

    def run(self, command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """kubectl, to its end."""
        return subprocess.run(
            ["kubectl", "--kubeconfig", self.link.kubeconfig, "-n", self.namespace, *shlex.split(command)],
            input=stdin,
            env={**os.environ, "KUBECACHEDIR": str(self.folder), "KUBECTL_EXPLAIN_OPENAPIV3": "true"},
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * PATIENCE,
        )

    def kubectl(self, command: str, stdin: str = "", fails: bool = False) -> str:
        """What kubectl prints (if it ``fails``, on stderr), without the namespace's name."""
        run = self.run(command, stdin)
        assert (run.returncode != 0) == fails, (
            f"kubectl {command}: {run.returncode}\n{run.stdout}{run.stderr}"
        )
        return self.plain(run.stderr if fails else run.stdout)

    def as_account(self, name: str) -> Kube:
        """The same namespace as a service account of it sees it."""
        token = self.ok("POST", f"serviceaccounts/{name}/token", {"spec": {}})["status"]["token"]
        config = yaml.safe_load(self.link.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        path = self.folder / f"{self.namespace}-{name}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return replace(self, link=connection(path))


def until(look: Callable[[], T], true: Callable[[T], object], patience: float = PATIENCE) -> T:
    """What is seen as soon as it is as wanted."""
    deadline = time.monotonic() + patience
    while not true(seen := look()):
        assert time.monotonic() < deadline, f"not so after {patience:g} seconds: {seen}"
        time.sleep(POLL)
    return seen
