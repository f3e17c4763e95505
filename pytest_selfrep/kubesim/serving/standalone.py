"""A cluster on its own: served on the machine's clock until somebody ends it."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import orjson

from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.cluster import ADMIN, Cluster
from pytest_selfrep.kubesim.nodes.machines import node
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.serving.manifests import ManifestError, load
from pytest_selfrep.kubesim.serving.options import Options
from pytest_selfrep.kubesim.serving.server import serve

LOOK_SECONDS = 0.5
"""How often it is looked whether the cluster's time still moves on."""


class NoCluster(Exception):
    """Why there is no cluster, or no longer one, in one line."""


def run(options: Options) -> None:
    """Serve a cluster until SIGINT or SIGTERM. Raises NoCluster; also if its time no longer moves on."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    cluster = _populated(options)
    try:
        served = serve(cluster, real_time=True, rate=options.rate, port=options.port)
    except OSError as error:
        why = error.strerror or error
        raise NoCluster(
            f"port {options.port}: {why}; choose another with --port, or leave --port out for any free one"
        ) from None
    try:
        text = served.kubeconfig(cluster.token_for(), options.namespace, ADMIN)
        with _written(options.kubeconfig, text) as path:
            print(f"export KUBECONFIG={shlex.quote(str(path))}", flush=True)
            nodes = "1 node" if options.nodes == 1 else f"{options.nodes} nodes"
            print(f"Kubernetes at {served.url}, {nodes}. Ctrl-C ends it.", file=sys.stderr)
            while not ended.wait(LOOK_SECONDS) and served.failure is None:
                pass
    finally:
        try:
            served.close()
        except RuntimeError as error:
            raise NoCluster(str(error)) from None
        finally:
            cluster.close()


def _populated(options: Options) -> Cluster:
    """The cluster as its first client finds it. Raises NoCluster."""
    cluster = Cluster(options.seed, start=datetime.now(UTC).replace(microsecond=0))
    extended = {"nvidia.com/gpu": options.node_gpus} if options.node_gpus else None
    for number in range(1, options.nodes + 1):
        machine = node(
            f"worker-{number}",
            now=cluster.clock.timestamp(),
            cpu=options.node_cpu,
            memory=options.node_memory,
            extended=extended,
            number=number,
        )
        _create(cluster, "nodes", machine)
    if options.namespace not in ("default", "kube-node-lease", "kube-public", "kube-system"):
        named = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options.namespace}}
        _create(cluster, "namespaces", named)
    try:
        for file in options.load:
            load(cluster, file, options.namespace)
    except ManifestError as error:
        raise NoCluster(str(error)) from None
    return cluster


def _create(cluster: Cluster, plural: str, obj: Object) -> None:
    headers = {"authorization": f"Bearer {cluster.token_for()}"}
    answer = cluster.handle(Request("POST", f"/api/v1/{plural}", {}, headers, orjson.dumps(obj)))
    if answer.status >= 400:
        raise NoCluster(f"{obj['kind']} {obj['metadata']['name']}: {answer.body}")


@contextmanager
def _written(wanted: Path | None, text: str) -> Iterator[Path]:
    """A file that only its owner can read, gone at the end. Raises NoCluster."""
    try:
        if wanted is None:
            handle, name = tempfile.mkstemp(prefix="kubeconfig-", suffix=".yaml")
            path = Path(name)
        else:
            path = wanted.absolute()
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise NoCluster(
            f"--kubeconfig {wanted}: the file exists and is not overwritten; remove it or name another"
        ) from None
    except OSError as error:
        raise NoCluster(f"--kubeconfig {wanted}: {error.strerror}; name a file that can be made") from None
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        yield path
    finally:
        path.unlink(missing_ok=True)
