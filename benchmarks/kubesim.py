"""What the embedded Kubernetes costs in process: ``python benchmarks/kubesim.py``.

Prints each figure beside its budget, and beside a floor measured in the same run, so that a slow machine
slows both: the official client talking to a bare HTTPS server that always answers the same bytes, and orjson
encoding the same list. All are medians. Exits with 1 if a budget is missed. What it does over HTTPS in a
process of its own is measured by ``beside_kubernetes.py``.
"""

from __future__ import annotations

import ssl
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import yaml
from aiohttp import web
from figures import Figures
from kubernetes import client
from kubernetes import config as untyped_config

from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.nodes.machines import node
from pytest_selfrep.kubesim.serving.background import BackgroundLoop
from pytest_selfrep.kubesim.serving.certificates import certificates
from pytest_selfrep.kubesim.serving.server import serve

PODS = "/api/v1/namespaces/shop/pods"
LISTED = 500
config: Any = untyped_config


def main() -> None:
    figures = Figures()
    figures.show("world up: 37 objects, 6 pods Ready", cpu_milliseconds(world, 60), "ms of CPU", most=15)
    cluster, token = world()
    get = in_process(cluster, token, f"{PODS}/{first_pod(cluster, token)}")
    figures.show("GET of a pod, in process", 1000 * cpu_milliseconds(get, 5000), "us of CPU", most=20)
    show_through_the_client(figures, cluster, token)
    fill(cluster, token)
    listing = in_process(cluster, token, PODS)
    milliseconds = cpu_milliseconds(lambda: listing().encode(), 60)
    body = orjson.loads(listing().encode())
    floor = cpu_milliseconds(lambda: orjson.dumps(body), 60)
    beside = f"orjson alone {floor:.2f}"
    figures.show(f"list of {LISTED} pods, in process", milliseconds, "ms of CPU", most=15, beside=beside)
    figures.conclude()


def show_through_the_client(figures: Figures, cluster: Cluster, token: str) -> None:
    """Both servers share the interpreter with the client, which slows both."""
    name = first_pod(cluster, token)
    pod = in_process(cluster, token, f"{PODS}/{name}")().encode()
    served = serve(cluster)
    try:
        with bare_server(pod) as url:
            mine = served.kubeconfig(token)
            measured, floor = p50_of_gets((mine, mine.replace(served.url, url)), name)
    finally:
        served.close()
    beside = f"a bare server {floor:.2f}"
    figures.show("GET of a pod, official client, p50", measured, "ms", most=1, beside=beside)


def world() -> tuple[Cluster, str]:
    """Three nodes, three namespaces with quota, an agent with rights, and three Deployments with six pods."""
    cluster = Cluster()
    token = cluster.token_for()
    now = cluster.clock.timestamp()
    for number in (1, 2, 3):
        create(cluster, token, "/api/v1/nodes", node(f"worker-{number}", now=now, number=number))
    for name in ("shop", "platform", "spare"):
        create(cluster, token, "/api/v1/namespaces", {"metadata": {"name": name}})
        quota = {"metadata": {"name": "quota"}, "spec": {"hard": {"pods": "600", "requests.cpu": "64"}}}
        create(cluster, token, f"/api/v1/namespaces/{name}/resourcequotas", quota)
    create(cluster, token, "/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "agent"}})
    for path, obj in (*rights(), *settings(), *workloads()):
        create(cluster, token, path, obj)
    cluster.advance(10)
    return cluster, token


def rights() -> Iterator[tuple[str, Any]]:
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop"
    rule = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "patch"]}
    for number in range(5):
        name = f"right-{number}"
        yield f"{rbac}/roles", {"metadata": {"name": name}, "rules": [rule]}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        subject = {"kind": "ServiceAccount", "name": "agent", "namespace": "shop"}
        binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
        yield f"{rbac}/rolebindings", binding


def settings() -> Iterator[tuple[str, Any]]:
    for number in range(8):
        config_map = {"metadata": {"name": f"settings-{number}"}, "data": {"mode": "fast"}}
        yield "/api/v1/namespaces/shop/configmaps", config_map
    for number in range(6):
        service = {"metadata": {"name": f"web-{number}"}, "spec": {"ports": [{"port": 80}]}}
        yield "/api/v1/namespaces/shop/services", service


def workloads() -> Iterator[tuple[str, Any]]:
    for number, replicas in enumerate((3, 2, 1)):
        labels = {"app": f"web-{number}"}
        template = {"metadata": {"labels": labels}, "spec": pod_spec()}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        deployment = {"metadata": {"name": f"web-{number}"}, "spec": spec}
        yield "/apis/apps/v1/namespaces/shop/deployments", deployment


def pod_spec() -> dict[str, Any]:
    resources = {"requests": {"cpu": "50m", "memory": "64Mi"}}
    return {"containers": [{"name": "web", "image": "nginx:1.27", "resources": resources}]}


def fill(cluster: Cluster, token: str) -> None:
    """As many pods as are to be listed; those that find no room count as well."""
    there = len(in_process(cluster, token, PODS)().body["items"])
    for number in range(LISTED - there):
        create(cluster, token, PODS, {"metadata": {"name": f"pod-{number}"}, "spec": pod_spec()})
    cluster.advance(10)


def create(cluster: Cluster, token: str, path: str, obj: Any) -> None:
    headers = {"authorization": f"Bearer {token}"}
    response = cluster.handle(Request("POST", path, (), headers, orjson.dumps(obj)))
    if response.status != 201:
        raise RuntimeError(f"POST {path}: {response.body}")


def in_process(cluster: Cluster, token: str, path: str) -> Callable[[], Any]:
    request = Request("GET", path, (), {"authorization": f"Bearer {token}"})
    return lambda: cluster.handle(request)


def first_pod(cluster: Cluster, token: str) -> str:
    return str(in_process(cluster, token, PODS)().body["items"][0]["metadata"]["name"])


def p50_of_gets(kubeconfigs: Sequence[str], pod: str) -> list[float]:
    """Milliseconds from call to typed object for each server, by turns, after a warm-up."""
    clients = [connect(each) for each in kubeconfigs]
    times: list[list[float]] = [[] for _ in clients]
    for _ in range(1200):
        for core, taken in zip(clients, times, strict=True):
            started = time.perf_counter()
            core.read_namespaced_pod(pod, "shop")
            taken.append(1000 * (time.perf_counter() - started))
    for core in clients:
        core.api_client.rest_client.pool_manager.clear()
    return [statistics.median(taken[200:]) for taken in times]


def connect(kubeconfig: str) -> Any:
    settings = client.Configuration()
    config.load_kube_config_from_dict(yaml.safe_load(kubeconfig), client_configuration=settings)
    return client.CoreV1Api(client.ApiClient(settings))


@contextmanager
def bare_server(answer: bytes) -> Iterator[str]:
    """An HTTPS server on the same event loop machinery that answers everything with the same bytes."""
    loop = BackgroundLoop("bare")
    loop.take()
    site = loop.run(_start(answer, certificates().server))
    try:
        yield f"https://127.0.0.1:{site.addresses[0][1]}"
    finally:
        loop.run(site.cleanup())
        loop.give_back()


async def _start(answer: bytes, context: ssl.SSLContext) -> web.ServerRunner:
    async def handle(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(body=answer, content_type="application/json")

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    return runner


def cpu_milliseconds(work: Callable[[], object], times: int) -> float:
    """Median over runs, after one that fills caches."""
    work()
    taken: list[float] = []
    for _ in range(times):
        started = time.process_time_ns()
        work()
        taken.append((time.process_time_ns() - started) / 1e6)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
