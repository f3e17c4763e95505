"""kubectl, as a person or a script runs it against a served cluster."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.nodes.machines import node
from pytest_selfrep.kubesim.serving.server import Served, serve

PATIENCE = 30.0
"""Real seconds that one command may take."""
TICK = 0.02
"""Real seconds between two seconds of the cluster while a command waits."""

AWAITED = frozenset({"pods/log", "pods/eviction"})
"""What is waited for without a watch: the end of a followed log, and that evicted pods are gone."""


_CUT_WATCH = re.compile(
    r"^[WE]\d{4} .* reflector\.go:\d+\] .*(: very short watch: |: context deadline exceeded).*\n",
    re.MULTILINE,
)
"""What kubectl logs if its timeout happens to cut off a watch as it begins."""


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    out: str
    err: str


class Site:
    """A served cluster with three nodes. It began an hour ago, so that ages come out as they do at work."""

    def __init__(self) -> None:
        start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        self.cluster = Cluster(start=start)
        self._namespaces = count(1)
        for number in (1, 2, 3):
            self.create(
                "/api/v1/nodes", node(f"worker-{number}", now=self.cluster.clock.timestamp(), number=number)
            )
        self.served: Served = serve(self.cluster)

    def create(self, path: str, obj: Any) -> None:
        """Past kubectl, for what is no test's subject."""
        headers = {"authorization": f"Bearer {self.cluster.token_for()}", "content-type": "application/json"}
        answer = self.cluster.handle(Request("POST", path, {}, headers, json.dumps(obj).encode()))
        assert answer.status == 201, answer.body

    def make(self, namespace: str, *objects: Any) -> None:
        """Objects of a namespace, past kubectl."""
        for obj in objects:
            version, kind = obj["apiVersion"], obj["kind"].lower()
            root = f"/apis/{version}" if "/" in version else f"/api/{version}"
            plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
            self.create(f"{root}/namespaces/{namespace}/{plural}", obj)

    def new_namespace(self) -> str:
        name = f"team-{next(self._namespaces)}"
        self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def close(self) -> None:
        self.served.close()
        self.cluster.close()

    def terminal(self, home: Path, namespace: str, user: str | None = None) -> Kubectl:
        """A terminal of the administrator, or of a user, in a namespace."""
        token = self.cluster.token_for(user) if user else self.cluster.token_for()
        home.mkdir(parents=True, exist_ok=True)
        config = home / "kubeconfig"
        config.write_text(self.served.kubeconfig(token, namespace, user or "admin"), encoding="utf-8")
        return Kubectl(self, home, config, namespace)


@dataclass(frozen=True)
class Kubectl:
    """Commands are written as in a shell, without the first word. Time stands still unless it is let pass."""

    site: Site
    home: Path
    config: Path
    namespace: str
    extra: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, command: str, stdin: Any = "") -> str:
        """What a command prints; it must succeed."""
        done = self.run(command, stdin)
        assert done.code == 0, f"kubectl {command}: {done.err or done.out}"
        return done.out

    def rows(self, command: str) -> list[list[str]]:
        """The cells of a printed table, heading first. Cells may hold single blanks."""
        lines = self(command).rstrip("\n").split("\n")
        return [re.split(r" {2,}", line.strip()) for line in lines]

    def json(self, command: str, stdin: Any = "") -> Any:
        return json.loads(self(f"{command} -o json", stdin))

    def fails(self, command: str, stdin: Any = "", code: int = 1) -> str:
        """What a command complains of; it must fail."""
        done = self.run(command, stdin)
        assert done.code == code, f"kubectl {command}: {done}"
        return done.err

    def run(self, command: str, stdin: Any = "") -> Outcome:
        with self.start(command, stdin) as process:
            return self.finish(process)

    def meanwhile(self, command: str, stdin: Any = "", seconds: float = 1.0) -> Outcome:
        """Run a command that waits for something. The cluster's time passes from then on until it ends."""
        cluster = self.site.cluster
        begun = cluster.audit.length
        with self.start(command, stdin) as process:
            until = time.monotonic() + PATIENCE
            while process.poll() is None and time.monotonic() < until and not self.watching(begun):
                time.sleep(TICK / 4)
            while process.poll() is None and time.monotonic() < until:
                cluster.advance(seconds)
                time.sleep(TICK)
            return self.finish(process)

    def await_streams(self, begun: int, streams: int = 1) -> None:
        """Until so many watches have been opened since an entry of the audit trail."""
        until = time.monotonic() + PATIENCE
        while not self.watching(begun, streams):
            assert time.monotonic() < until, "nobody watches"
            time.sleep(TICK / 4)

    def watching(self, begun: int, streams: int = 1) -> bool:
        """Whether so many things to wait for have been begun since an entry of the audit trail."""
        with self.site.cluster.lock:
            entries = list(self.site.cluster.audit.since(begun))
        return sum(each.verb == "watch" or each.resource in AWAITED for each in entries) >= streams

    def start(self, command: str, stdin: Any = "") -> subprocess.Popen[str]:
        """A command that goes on by itself. Objects are sent to its input as JSON."""
        process = subprocess.Popen(
            ["kubectl", *shlex.split(command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env=self.environment,
        )
        Thread(target=_bounded, args=(process,), daemon=True).start()
        assert process.stdin is not None
        process.stdin.write(stdin if isinstance(stdin, str) else json.dumps(stdin))
        process.stdin.close()
        process.stdin = None
        return process

    @staticmethod
    def finish(process: subprocess.Popen[str]) -> Outcome:
        try:
            out, err = process.communicate(timeout=PATIENCE + 5)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{process.args!r} hangs: {out}{err}") from None
        return Outcome(process.returncode, out, _CUT_WATCH.sub("", err))

    @property
    def environment(self) -> dict[str, str]:
        own = {"HOME": str(self.home), "KUBECONFIG": str(self.config)}
        kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
        return {**kept, **own, **self.extra}

    def with_editor(self, script: str) -> Kubectl:
        """The same terminal with an editor that runs a shell script on the file ``$1``."""
        editor = self.home / "editor.sh"
        editor.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        editor.chmod(0o755)
        return Kubectl(
            self.site, self.home, self.config, self.namespace, {**self.extra, "KUBE_EDITOR": str(editor)}
        )

    def write(self, name: str, text: str) -> Path:
        """A file in the terminal's working directory."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def let_pass(self, seconds: float) -> None:
        self.site.cluster.advance(seconds)


def _bounded(process: subprocess.Popen[str]) -> None:
    """Ends a command that takes too long, so that whoever reads what it prints does not wait for ever."""
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
