"""The embedded Kubernetes over HTTPS, beside a real one: ``python benchmarks/beside_kubernetes.py``.

The real one is a cluster that runs already (``--kubeconfig``), or k3s in Docker with the image that
``SELFREP_K3S_IMAGE`` names; without either only the embedded one is measured. Both are asked the same through
the same client, by turns: connections over TLS, kept alive, one request after the other on each. Clients and
the embedded cluster run in processes of their own, as a real API server does. It takes some two minutes and
exits with 1 if a budget is missed, which says little on a busy machine.
"""

from __future__ import annotations

import argparse
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
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import psutil
import yaml
from figures import Figures
from kubernetes import client
from kubernetes import config as untyped_config

from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.nodes.machines import node
from pytest_selfrep.kubesim.serving.server import serve

POD = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "busybox:1.36.1"}]}}
PODS = "/api/v1/namespaces/default/pods"
LISTED = 500
MANY_REQUESTS = 100_000
ROUNDS = 10_000
CONNECTIONS = 4
STRETCHES = 8
config: Any = untyped_config


def main() -> None:
    options = argparse.ArgumentParser(description="The embedded Kubernetes over HTTPS, beside a real one.")
    options.add_argument("--kubeconfig", type=Path, help="of a real cluster; a pod is made in it and deleted")
    figures, asked = Figures(), options.parse_args()
    with embedded() as kubeconfig:
        with real(asked.kubeconfig) as other:
            throughput(figures, {"embedded": kubeconfig, **({"real": other} if other else {})})
        through_the_client(figures, kubeconfig)
        flatness(figures, kubeconfig)
    list_server_side(figures)
    memory(figures)
    scale_up(figures)
    figures.conclude()


def settings(kubeconfig: str) -> Any:
    """What the official client reads in a kubeconfig."""
    found = client.Configuration()
    config.load_kube_config_from_dict(yaml.safe_load(kubeconfig), client_configuration=found)
    return found


class KeepAlive:
    """One connection to an API server, and the bytes of one request."""

    def __init__(self, kubeconfig: str, path: str) -> None:
        known = settings(kubeconfig)
        url = urlsplit(known.host)
        context = ssl.create_default_context(cafile=known.ssl_ca_cert)
        if known.cert_file:
            context.load_cert_chain(known.cert_file, known.key_file)
        raw = socket.create_connection((url.hostname, url.port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(raw, server_hostname=url.hostname)
        tokens = [each["value"] for each in known.auth_settings().values()]
        self._head = f"Host: {url.netloc}\r\nAccept: application/json\r\n"
        self._head += "".join(f"Authorization: {token}\r\n" for token in tokens)
        self._get = f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode()

    def get(self) -> int:
        """Bytes of the answer's body."""
        self._socket.sendall(self._get)
        return self._answer()

    def send(self, method: str, path: str, body: bytes) -> None:
        head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self._answer()

    def _answer(self) -> int:
        received = self._socket.recv(65536)
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 2"):
            sys.exit(f"refused: {received.decode(errors='replace')}")  # refusals are quick, and no figures
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


def throughput(figures: Figures, kubeconfigs: dict[str, str]) -> None:
    """GETs of a pod in a second: the best of some stretches, by turns: a busy machine slows all alike."""
    makers = {name: KeepAlive(kubeconfig, f"{PODS}/web") for name, kubeconfig in kubeconfigs.items()}
    for maker in makers.values():
        maker.send("POST", PODS, orjson.dumps(POD))
    try:
        for connections in (1, CONNECTIONS):
            best = dict.fromkeys(kubeconfigs, 0.0)
            for _ in range(STRETCHES):
                for name, kubeconfig in kubeconfigs.items():
                    best[name] = max(best[name], rate(kubeconfig, connections))
            plural = f"{connections} connections" if connections > 1 else "1 connection"
            for name, found in best.items():
                least = 2000 if name == "embedded" else None
                figures.show(f"GET of a pod, {name}, {plural}", found, "requests/s", least=least)
            if "real" in best:
                times = best["embedded"] / best["real"]
                figures.show(f"as many as the real one, {plural}", times, "times", least=3)
    finally:
        if "real" in makers:
            makers["real"].send("DELETE", f"{PODS}/web", b'{"gracePeriodSeconds": 0}')


def rate(kubeconfig: str, connections: int) -> float:
    """Requests in a second over some connections, each with a process of its own at the client's end."""
    context = multiprocessing.get_context("fork")  # spawned ones would import everything anew each time
    barrier, rates = context.Barrier(connections), context.SimpleQueue()
    processes = [context.Process(target=_ask, args=(kubeconfig, barrier, rates)) for _ in range(connections)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found: list[float] = [rates.get() for _ in processes]
    return sum(found)


def _ask(kubeconfig: str, barrier: Barrier, rates: SimpleQueue[float]) -> None:
    connection = KeepAlive(kubeconfig, f"{PODS}/web")
    connection.get()
    barrier.wait()
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < 1:
        connection.get()
        count += 1
    rates.put(count / (time.perf_counter() - started))


def through_the_client(figures: Figures, kubeconfig: str) -> None:
    """From call to typed object, of which the client itself takes most; the best of some stretches."""
    core = client.CoreV1Api(client.ApiClient(settings(kubeconfig)))
    medians = []
    for _ in range(STRETCHES):
        times = []
        for _ in range(250):
            started = time.perf_counter()
            core.read_namespaced_pod("web", "default")
            times.append(1000 * (time.perf_counter() - started))
        medians.append(statistics.median(times))
    core.api_client.rest_client.pool_manager.clear()
    figures.show("GET of a pod, official client, p50", min(medians), "ms", most=1)


def flatness(figures: Figures, kubeconfig: str) -> None:
    """The best of some stretches before and after, because only the server is to be judged."""
    connection = KeepAlive(kubeconfig, f"{PODS}/web")
    first = min(p50(connection, 1000) for _ in range(STRETCHES))
    for _ in range(MANY_REQUESTS):
        connection.get()
    last = min(p50(connection, 1000) for _ in range(STRETCHES))
    figures.show("GET of a pod, p50", first, "ms")
    figures.show(f"after {MANY_REQUESTS} requests", last / first, "times that", most=1.2)


def p50(client: KeepAlive, count: int) -> float:
    """Milliseconds."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        client.get()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def list_server_side(figures: Figures) -> None:
    """CPU of a list with managed fields, as clients get it, from the request to the bytes of the answer."""
    cluster = Cluster()
    headers = {"authorization": f"Bearer {cluster.token_for()}"}
    add_node(cluster, headers, LISTED)
    for number in range(LISTED):
        pod = orjson.dumps({**POD, "metadata": {"name": f"pod-{number}"}})
        cluster.handle(Request("POST", PODS, (), headers, pod))
    cluster.advance(60)
    request = Request("GET", PODS, (), headers, managed_fields=True)
    times = []
    for _ in range(50):
        started = time.process_time()
        cluster.handle(request).encode()
        times.append(1000 * (time.process_time() - started))
    figures.show(f"list of {LISTED} pods, server side", statistics.median(times), "ms of CPU", most=15)


def memory(figures: Figures) -> None:
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

    sizes = [rounds() for _ in range(7)]  # the record of requests takes 100,000 until it is full
    grown = sizes[-1] - sizes[-2]
    what = f"memory after {ROUNDS} more creations and deletions"
    figures.show(what, grown, "MiB", most=1, beside=f"of {sizes[-1]:.0f}")


def scale_up(figures: Figures) -> None:
    """Real time of ``kubectl create deployment --replicas=100`` until all run, where time moves in steps."""
    cluster = Cluster()
    token = cluster.token_for()
    headers = {"authorization": f"Bearer {token}"}
    add_node(cluster, headers, 200)
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
            figures.show(
                "100 replicas from kubectl create to Running", time.perf_counter() - started, "s", most=2
            )
    finally:
        served.close()


def add_node(cluster: Cluster, headers: dict[str, str], pods: int) -> None:
    machine = node("worker-1", now=cluster.clock.timestamp(), cpu="64", memory="256Gi", pods=pods)
    cluster.handle(Request("POST", "/api/v1/nodes", (), headers, orjson.dumps(machine)))


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
def real(running: Path | None) -> Iterator[str | None]:
    """The kubeconfig of a real cluster, if there is one or an image is named."""
    if running is not None:
        yield running.read_text()
        return
    image = os.environ.get("SELFREP_K3S_IMAGE")
    if image is None:
        print("no real Kubernetes beside it: neither --kubeconfig nor SELFREP_K3S_IMAGE", file=sys.stderr)
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
