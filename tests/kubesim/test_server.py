"""The HTTPS layer, as the official client sees it."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

import kubernetes
import orjson
import pytest
import urllib3
import yaml
from kube_driver import Kube, deployment, eventually, pod
from kubernetes import client
from kubernetes import config as untyped_config
from kubernetes import watch as untyped_watch
from workloads import workload

from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.serving.server import MAX_BODY, PANIC, Served, serve

ApiException = kubernetes.client.exceptions.ApiException
config: Any = untyped_config
watch: Any = untyped_watch
Connect = Callable[..., Any]
# Plain dicts are sent and whatever comes back is looked into: the client's models say Optional everywhere.


@pytest.fixture
def cluster(three_nodes: Kube) -> Cluster:
    return three_nodes.cluster


@pytest.fixture
def served(cluster: Cluster) -> Iterator[Served]:
    site = serve(cluster)
    yield site
    site.close()


@pytest.fixture
def connect(cluster: Cluster, served: Served) -> Iterator[Connect]:
    """From a user to a client of theirs; without one, the administrator's."""
    clients: list[Any] = []

    def made(user: str | None = None, token: str | None = None) -> Any:
        owned = token or (cluster.token_for(user) if user else cluster.token_for())
        settings = client.Configuration()
        config.load_kube_config_from_dict(
            yaml.safe_load(served.kubeconfig(owned)), client_configuration=settings
        )
        clients.append(client.ApiClient(settings))
        return clients[-1]

    yield made
    for each in clients:
        each.rest_client.pool_manager.clear()
        each.close()


@pytest.fixture
def core(connect: Connect) -> Any:
    return client.CoreV1Api(connect())


def connection(served: Served) -> http.client.HTTPSConnection:
    trusting = ssl.create_default_context(cadata=served.ca_pem.decode())
    port = int(served.url.rpartition(":")[2])
    return http.client.HTTPSConnection("127.0.0.1", port, context=trusting, timeout=10)


def test_typed_objects_can_be_created_read_and_listed(cluster: Cluster, core: Any) -> None:
    created = core.create_namespaced_pod("default", pod("a"))
    assert created.metadata.uid
    cluster.advance(10)
    assert core.read_namespaced_pod("a", "default").status.phase == "Running"
    assert [each.metadata.name for each in core.list_namespaced_pod("default").items] == ["a"]
    assert core.list_node().items[0].status.node_info.kubelet_version == "v1.32.4"


def test_typed_objects_can_be_patched_scaled_and_deleted(cluster: Cluster, connect: Connect) -> None:
    apps: Any = client.AppsV1Api(connect())
    apps.create_namespaced_deployment("default", deployment("web", 1))
    patched = apps.patch_namespaced_deployment("web", "default", {"metadata": {"labels": {"tier": "front"}}})
    assert patched.metadata.labels["tier"] == "front"
    apps.patch_namespaced_deployment("web", "default", {"spec": {"replicas": 3}})
    cluster.advance(10)
    assert apps.read_namespaced_deployment("web", "default").status.ready_replicas == 3
    apps.delete_namespaced_deployment("web", "default")
    with pytest.raises(ApiException) as missing:
        apps.read_namespaced_deployment("web", "default")
    assert missing.value.status == 404


@pytest.mark.parametrize("kind", ["ReplicaSet", "StatefulSet", "DaemonSet"])
def test_a_new_workload_has_a_status_that_typed_clients_can_read(connect: Connect, kind: str) -> None:
    kinds = {"ReplicaSet": "replica_set", "StatefulSet": "stateful_set", "DaemonSet": "daemon_set"}
    create = getattr(client.AppsV1Api(connect()), f"create_namespaced_{kinds[kind]}")
    assert create("default", workload(kind)).metadata.name == "web"


def test_a_new_autoscaler_has_a_status_that_typed_clients_can_read(connect: Connect) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"maxReplicas": 3, "scaleTargetRef": target}
    body = {"apiVersion": "autoscaling/v2", "metadata": {"name": "web"}, "spec": spec}
    create: Any = client.AutoscalingV2Api(connect()).create_namespaced_horizontal_pod_autoscaler
    assert create("default", body).status.desired_replicas == 0


def test_logs_and_evictions_work(cluster: Cluster, core: Any) -> None:
    core.create_namespaced_pod("default", pod("a", command=["sh", "-c", "echo hello; sleep infinity"]))
    cluster.advance(10)
    assert core.read_namespaced_pod_log("a", "default") == "hello\n"
    core.create_namespaced_pod_eviction("a", "default", client.V1Eviction(metadata={"name": "a"}))
    cluster.advance(10)
    assert core.list_namespaced_pod("default").items == []


def test_a_watch_sees_what_happens_while_it_is_open(cluster: Cluster, core: Any) -> None:
    seen: list[tuple[str, str, str]] = []

    def look() -> None:
        events = watch.Watch().stream(core.list_namespaced_pod, "default", timeout_seconds=30)
        for event in events:
            found = event["object"]
            seen.append((event["type"], found.metadata.name, found.status.phase))
            if event["type"] == "DELETED":
                return

    watcher = threading.Thread(target=look)
    watcher.start()
    core.create_namespaced_pod("default", pod("a"))
    until = time.monotonic() + 10
    while not seen and time.monotonic() < until:
        time.sleep(0.01)
    cluster.advance(10)
    core.delete_namespaced_pod("a", "default")
    cluster.advance(40)
    watcher.join(10)
    assert not watcher.is_alive()
    assert seen[0][:2] == ("ADDED", "a")
    assert ("MODIFIED", "a", "Running") in seen
    assert seen[-1][0] == "DELETED"


def test_a_watch_ends_when_its_time_is_up(core: Any) -> None:
    started = time.monotonic()
    assert list(watch.Watch().stream(core.list_namespaced_pod, "default", timeout_seconds=1)) == []
    assert 0.9 < time.monotonic() - started < 8


def test_a_followed_log_arrives_as_it_is_printed(cluster: Cluster, core: Any) -> None:
    core.create_namespaced_pod("default", pod("a"))
    cluster.advance(60)
    log = core.read_namespaced_pod_log("a", "default", follow=True, _preload_content=False)
    received = bytearray(log.read1())
    cluster.advance(60)
    whole = core.read_namespaced_pod_log("a", "default").encode()
    while len(received) < len(whole):
        received += log.read1()
    assert bytes(received) == whole
    log.close()


def test_an_unknown_token_is_unauthorized(connect: Connect) -> None:
    stranger: Any = client.CoreV1Api(connect(token="wrong"))
    with pytest.raises(ApiException) as refused:
        stranger.list_namespaced_pod("default")
    assert refused.value.status == 401
    body = orjson.loads(refused.value.body or "")
    assert (body["kind"], body["reason"], body["message"]) == ("Status", "Unauthorized", "Unauthorized")


def test_an_identity_without_the_right_is_forbidden(connect: Connect) -> None:
    agent: Any = client.CoreV1Api(connect("system:serviceaccount:default:default"))
    with pytest.raises(ApiException) as refused:
        agent.list_namespaced_secret("kube-system")
    assert refused.value.status == 403
    assert orjson.loads(refused.value.body or "")["message"] == (
        'secrets is forbidden: User "system:serviceaccount:default:default" cannot list resource "secrets" '
        'in API group "" in the namespace "kube-system"'
    )


def test_the_server_proves_itself_with_its_own_authority(served: Served) -> None:
    trusting = connection(served)
    trusting.request("GET", "/version", headers={"Authorization": "Bearer none"})
    assert trusting.getresponse().status in (200, 401)
    trusting.close()
    port = int(served.url.rpartition(":")[2])
    suspicious = http.client.HTTPSConnection("127.0.0.1", port, context=ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        suspicious.request("GET", "/version")
    suspicious.close()


def test_nothing_in_the_certificates_or_headers_names_a_library_or_a_test(served: Served) -> None:
    link = connection(served)
    link.request("GET", "/version")
    answer = link.getresponse()
    answer.read()
    assert isinstance(link.sock, ssl.SSLSocket)
    certificate = str(link.sock.getpeercert())
    link.close()
    shown = (certificate + str(answer.getheaders())).lower()
    for word in ("aiohttp", "python", "trustme", "test", "sim", "selfrep"):
        assert word not in shown


def test_a_body_beyond_three_megabytes_is_refused(cluster: Cluster, served: Served) -> None:
    link = connection(served)
    headers = {"Authorization": f"Bearer {cluster.token_for()}", "Content-Type": "application/json"}
    link.request("POST", "/api/v1/namespaces/default/configmaps", b" " * (MAX_BODY + 1), headers)
    answer = link.getresponse()
    status = orjson.loads(answer.read())
    link.close()
    assert (answer.status, status["reason"]) == (413, "RequestEntityTooLarge")
    assert status["message"] == "Request entity too large: limit is 3145728"


def test_many_clients_at_once_lose_nothing(cluster: Cluster, connect: Connect) -> None:
    def work(number: int) -> list[str]:
        mine: Any = client.CoreV1Api(connect())
        for each in range(10):
            body = {"metadata": {"name": f"c{number}-{each}"}, "data": {"n": str(each)}}
            mine.create_namespaced_config_map("default", body)
        return [
            mine.read_namespaced_config_map(f"c{number}-{each}", "default").data["n"] for each in range(10)
        ]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert results == [[str(each) for each in range(10)]] * 8
    everyone: Any = client.CoreV1Api(connect())
    listed = everyone.list_namespaced_config_map("default").items
    assert len([each for each in listed if each.metadata.name.startswith("c")]) >= 80


def test_several_clusters_are_served_apart_by_one_thread(cluster: Cluster, served: Served) -> None:
    before = threading.active_count()
    other = Cluster(seed=1)
    second = serve(other)
    assert second.url != served.url
    assert threading.active_count() == before
    second.close()
    link = connection(served)
    link.request("GET", "/version")
    assert link.getresponse().status
    link.close()


def test_a_client_that_vanishes_in_the_middle_of_a_watch_leaves_nothing_behind(
    cluster: Cluster, served: Served, core: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams: list[Any] = []
    handle = cluster.handle

    def noting(request: Request) -> Response:
        response = handle(request)
        if response.stream is not None:
            streams.append(response.stream)
        return response

    monkeypatch.setattr(cluster, "handle", noting)
    link = connection(served)
    headers = {"Authorization": f"Bearer {cluster.token_for()}"}
    link.request("GET", "/api/v1/pods?watch=true", headers=headers)
    link.getresponse()
    assert link.sock is not None
    link.sock.shutdown(socket.SHUT_RDWR)
    link.close()
    eventually(lambda: [each.closed for each in streams] == [True])
    core.create_namespaced_pod("default", pod("a"))
    assert core.read_namespaced_pod("a", "default")


def test_closing_ends_watches_threads_and_ports(cluster: Cluster) -> None:
    threads = threading.active_count()
    site = serve(cluster)
    link = connection(site)
    headers = {"Authorization": f"Bearer {cluster.token_for()}"}
    link.request("GET", "/api/v1/pods?watch=true", headers=headers)
    answer = link.getresponse()
    started = time.monotonic()
    site.close()
    site.close()
    assert time.monotonic() - started < 2
    assert answer.read() == b""
    link.close()
    assert threading.active_count() == threads
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2])), timeout=5)


def test_a_cluster_can_be_served_again(cluster: Cluster) -> None:
    for _ in range(3):
        site = serve(cluster)
        link = connection(site)
        link.request("GET", "/version")
        assert link.getresponse().status
        link.close()
        site.close()


def test_time_stands_still_unless_it_is_real(cluster: Cluster, core: Any) -> None:
    core.create_namespaced_pod("default", pod("a"))
    time.sleep(0.3)
    assert core.read_namespaced_pod("a", "default").status.phase == "Pending"


def test_time_that_no_longer_moves_on_is_an_error_in_the_end(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(seconds: float) -> None:
        raise ValueError("it is stuck")

    monkeypatch.setattr(cluster, "advance", stuck)
    site = serve(cluster, real_time=True)
    eventually(lambda: site.failure is not None)
    with pytest.raises(RuntimeError, match="the cluster's time did not move on: it is stuck"):
        site.close()
    site.close()


def test_in_real_time_pods_start_by_themselves(cluster: Cluster) -> None:
    site = serve(cluster, real_time=True)
    try:
        before = cluster.clock.now
        eventually(lambda: cluster.clock.now - before > 0.3)
    finally:
        site.close()
    after = cluster.clock.now
    time.sleep(0.2)
    assert cluster.clock.now == after


def test_a_kubeconfig_says_all_that_a_client_needs(cluster: Cluster, served: Served) -> None:
    parsed = yaml.safe_load(served.kubeconfig("secret", namespace="shop", user="web"))
    assert parsed["current-context"] == parsed["contexts"][0]["name"] == "web@kubernetes"
    assert parsed["contexts"][0]["context"]["namespace"] == "shop"
    assert parsed["users"][0]["user"] == {"token": "secret"}
    assert parsed["clusters"][0]["cluster"]["server"] == served.url


def test_what_is_not_http_does_no_harm(served: Served, core: Any) -> None:
    port = int(served.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as rude:
        rude.sendall(b"hello?\r\n\r\n")
    pool = urllib3.HTTPSConnectionPool("127.0.0.1", port, cert_reqs="CERT_NONE")
    with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
        assert pool.request("BREW", "/api/v1/pods").status >= 400
    pool.close()
    assert core.list_node().items


def test_nothing_that_the_server_sends_names_what_it_is_written_with(
    served: Served, cluster: Cluster
) -> None:
    bearer = f"Authorization: Bearer {cluster.token_for()}".encode()
    port = int(served.url.rpartition(":")[2])
    trust = ssl.create_default_context(cadata=served.ca_pem.decode())
    answers = []
    for sent in (
        b"BAD\r\n\r\n",
        b"GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + bearer + b"\r\n\r\n",
    ):
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(sent)
            with connection.makefile("rb") as received:
                answers.append(received.read())

    assert answers[0].endswith(b"400 Bad Request")
    assert answers[1].startswith(b"HTTP/1.1 200 OK")
    for answer in answers:
        assert b"ython" not in answer
        assert b"aiohttp" not in answer
        assert b"Server:" not in answer


def test_the_date_of_an_answer_is_the_clusters(served: Served, cluster: Cluster) -> None:
    connection = http.client.HTTPSConnection(
        "127.0.0.1",
        int(served.url.rpartition(":")[2]),
        context=ssl.create_default_context(cadata=served.ca_pem.decode()),
    )
    connection.request("GET", "/version", headers={"Authorization": f"Bearer {cluster.token_for()}"})

    date = connection.getresponse().headers["Date"]
    connection.close()

    assert parsedate_to_datetime(date).isoformat() == cluster.clock.timestamp().replace("Z", "+00:00")


@pytest.mark.parametrize(
    ("agent", "query", "pretty"),
    [
        ("curl/8.5.0", "", True),
        ("curl/8.5.0", "?pretty=false", False),
        ("kubectl/v1.32.4", "", False),
        ("kubectl/v1.32.4", "?pretty=true", True),
    ],
)
def test_answers_are_laid_out_for_people_to_read(
    cluster: Cluster, served: Served, agent: str, query: str, pretty: bool
) -> None:
    trust = ssl.create_default_context(cadata=served.ca_pem.decode())
    headers = {"Authorization": f"Bearer {cluster.token_for()}", "User-Agent": agent}

    with urllib3.PoolManager(ssl_context=trust, headers=headers) as pool:
        answer = pool.request("GET", f"{served.url}/api/v1/nodes{query}")

    assert answer.data.startswith(b'{\n  "kind": "NodeList",\n' if pretty else b'{"kind":"NodeList",')
    assert len(answer.json()["items"]) == 3


class Defective(Cluster):
    def handle(self, request: Request) -> Response:
        raise KeyError("an attribute of Python's")


def test_a_failure_of_the_servers_own_is_told_without_its_cause() -> None:
    cluster = Defective()
    served = serve(cluster)
    trust = ssl.create_default_context(cadata=served.ca_pem.decode())

    with urllib3.PoolManager(ssl_context=trust) as pool:
        answer = pool.request("GET", f"{served.url}/api/v1/pods")
    served.close()

    assert answer.status == 500
    assert answer.json()["message"] == PANIC
    assert b"ython" not in answer.data
