"""The embedded Kubernetes beside a real one: ``python benchmarks/beside_kubernetes.py``.

The real one is k3s in Docker, with the image that ``SELFREP_K3S_IMAGE`` names; without that, only the
embedded one is measured. Both are asked the same through the same client: one connection over TLS, kept
alive, one request after the other. The embedded one runs in a process of its own, as the real one does.
"""

from __future__ import annotations

import base64
import gc
import multiprocessing
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import psutil
import yaml

from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.http import Request
from pytest_selfrep.kubesim.machines import node
from pytest_selfrep.kubesim.server import serve

POD = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "busybox:1.36.1"}]}}
PODS = "/api/v1/namespaces/default/pods"
MANY_REQUESTS = 100_000
ROUNDS = 10_000


def main() -> None:
    with embedded() as kubeconfig:
        with real() as other:
            throughput({"embedded": kubeconfig, **({"real": other} if other else {})})
        flatness(kubeconfig)
        list_over_the_wire(kubeconfig)
    memory()
    scale_up()


class KeepAlive:
    """One connection to an API server, and the bytes of one request."""

    def __init__(self, kubeconfig: str, path: str) -> None:
        config = yaml.safe_load(kubeconfig)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        url = urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        if "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile() as pair:
                for part in ("client-certificate-data", "client-key-data"):
                    pair.write(base64.b64decode(user[part]) + b"\n")
                pair.flush()
                context.load_cert_chain(pair.name)
        raw = socket.create_connection((url.hostname, url.port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(raw, server_hostname=url.hostname)
        token = f"Authorization: Bearer {user['token']}\r\n" if "token" in user else ""
        self._head = f"Host: {url.netloc}\r\nAccept: application/json\r\n{token}"
        self._get = f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode()

    def get(self) -> int:
        """Bytes of the answer's body."""
        self._socket.sendall(self._get)
        return self._answer()

    def post(self, path: str, body: bytes) -> None:
        head = f"POST {path} HTTP/1.1\r\n{self._head}Content-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self._answer()

    def _answer(self) -> int:
        received = self._socket.recv(65536)
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        fields = head.lower()
        if b"transfer-encoding: chunked" in fields:
            while not body.endswith(b"0\r\n\r\n"):
                body += self._socket.recv(65536)
            return len(body)
        length = int(fields.split(b"content-length: ")[1].split(b"\r\n")[0])
        got = len(body)
        while got < length:
            got += len(self._socket.recv(1 << 20))
        return got


def throughput(kubeconfigs: dict[str, str]) -> None:
    """GETs of a pod in a second: the best of ten stretches, by turns: a busy machine slows all alike."""
    clients = {}
    for name, kubeconfig in kubeconfigs.items():
        KeepAlive(kubeconfig, PODS).post(PODS, orjson.dumps(POD))
        clients[name] = KeepAlive(kubeconfig, f"{PODS}/web")
    best = dict.fromkeys(clients, 0.0)
    for _ in range(10):
        for name, client in clients.items():
            best[name] = max(best[name], _rate(client))
    for name, rate in best.items():
        wanted = "  (2000 wanted)" if name == "embedded" else ""
        print(f"GET of a pod, {name:9} {rate:8.0f} requests/s{wanted}")
    if "real" in best:
        print(f"times the requests of the real one {best['embedded'] / best['real']:8.2f}  (3 wanted)")


def _rate(client: KeepAlive) -> float:
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < 1:
        client.get()
        count += 1
    return count / (time.perf_counter() - started)


def flatness(kubeconfig: str) -> None:
    client = KeepAlive(kubeconfig, f"{PODS}/web")
    first = p50(client, 1000)
    for _ in range(MANY_REQUESTS):
        client.get()
    last = p50(client, 1000)
    print(
        f"p50 after {MANY_REQUESTS} requests {last:8.3f} ms  {last / first:.2f} times that of the first 1000"
    )


def p50(client: KeepAlive, count: int) -> float:
    """Milliseconds."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        client.get()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def list_over_the_wire(kubeconfig: str) -> None:
    maker = KeepAlive(kubeconfig, PODS)
    for number in range(499):
        maker.post(PODS, orjson.dumps({**POD, "metadata": {"name": f"pod-{number}"}}))
    print(f"list of 500 pods over the wire {p50(KeepAlive(kubeconfig, PODS), 50):8.2f} ms")


def memory() -> None:
    """What 10,000 rounds of creation and deletion leave in memory, once all buffers are full."""
    cluster = Cluster()
    headers = {"authorization": f"Bearer {cluster.token_for()}"}
    body = orjson.dumps({"metadata": {"name": "a"}, "data": {"text": "x" * 200}})
    path = "/api/v1/namespaces/default/configmaps"

    def rounds() -> float:
        for _ in range(ROUNDS):
            cluster.handle(Request("POST", path, (), headers, body))
            cluster.handle(Request("DELETE", f"{path}/a", (), headers))
        gc.collect()
        return int(psutil.Process().memory_info().rss) / 2**20

    sizes = [rounds() for _ in range(7)]
    print(f"memory over the last {ROUNDS} rounds {sizes[-1] - sizes[-2]:+8.1f} MiB of {sizes[-1]:.0f}")


def scale_up() -> None:
    """Real time of ``kubectl create deployment --replicas=100`` until all run, where time moves in steps."""
    cluster = Cluster()
    token = cluster.token_for()
    headers = {"authorization": f"Bearer {token}"}
    machine = node("worker-1", now=cluster.clock.timestamp(), cpu="64", memory="256Gi", pods=200)
    cluster.handle(Request("POST", "/api/v1/nodes", (), headers, orjson.dumps(machine)))
    served = serve(cluster)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "kubeconfig")
            path.write_text(served.kubeconfig(token))
            create = ["create", "deployment", "web", "--image=nginx:1.27", "--replicas=100"]
            started = time.perf_counter()
            subprocess.run(["kubectl", "--kubeconfig", path, *create], check=True, stdout=subprocess.DEVNULL)
            while not _all_run(cluster, headers):
                cluster.advance(1)
            print(f"100 replicas Running {time.perf_counter() - started:8.2f} s  (2 wanted)")
    finally:
        served.close()


def _all_run(cluster: Cluster, headers: dict[str, str]) -> bool:
    pods: Any = cluster.handle(Request("GET", PODS, (), headers)).body["items"]
    return len(pods) == 100 and all(each["status"]["phase"] == "Running" for each in pods)


@contextmanager
def embedded() -> Iterator[str]:
    """The kubeconfig of an embedded cluster in another process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,))
    process.start()
    try:
        yield str(here.recv())
    finally:
        here.send(None)
        process.join()


def _serve(pipe: Connection) -> None:
    cluster = Cluster()
    served = serve(cluster)
    pipe.send(served.kubeconfig(cluster.token_for()))
    pipe.recv()
    served.close()


@contextmanager
def real() -> Iterator[str | None]:
    """The kubeconfig of a real cluster, if an image is named."""
    image = os.environ.get("SELFREP_K3S_IMAGE")
    if image is None:
        print("no real Kubernetes beside it: SELFREP_K3S_IMAGE is not set", file=sys.stderr)
        yield None
        return
    from testcontainers.community.k3s import K3SContainer
    from testcontainers.core.container import DockerContainer

    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    container = K3SContainer(image)
    DockerContainer.start(container)
    try:
        while "server:" not in container.config_yaml():
            time.sleep(0.5)
        # The account that pods need comes a little later than the API.
        time.sleep(15)
        yield container.config_yaml()
    finally:
        container.stop()


if __name__ == "__main__":
    main()
