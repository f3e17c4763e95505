"""Pods and Services through the API server's proxies, and through ``kubectl proxy``."""

from __future__ import annotations

import re
import subprocess
import urllib.request

import pytest
from kube_driver import PODS, Kube, deployment

from pytest_selfrep.kubesim.apiserver.http import Request

SERVICES = "/api/v1/namespaces/default/services"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"


@pytest.fixture
def kube(kube: Kube) -> Kube:
    kube.add_node("worker-1")
    kube.add_pod("a", ports=[{"containerPort": 8080}], labels={"app": "a"})
    front = deployment("front", 1, image="nginx:1.27", ports=[{"containerPort": 80}])
    kube.create("/apis/apps/v1/namespaces/default/deployments", front)
    for name in ("front", "nobody"):
        ports = [{"name": "http", "port": 8000, "targetPort": 80}]
        kube.create(
            SERVICES, {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": ports}}
        )
    kube.advance(10)
    return kube


@pytest.mark.parametrize(
    "path",
    [
        f"{SERVICES}/front/proxy/",
        f"{SERVICES}/front:8000/proxy/",
        f"{SERVICES}/http:front:http/proxy/index.html",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_service_answers_by_its_pods(kube: Kube, path: str, method: str) -> None:
    answer = kube.send(method, path)
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert "Welcome to nginx!" in str(answer.body)


def test_a_pod_answers_at_its_first_port_or_at_the_one_named(kube: Kube) -> None:
    for name in ("a", "a:8080"):
        assert kube.send("GET", f"{PODS}/{name}/proxy/healthz").body == "ok\n"
    assert kube.send("GET", f"{PODS}/a/proxy/nope").status == 404


def test_without_a_path_the_client_is_sent_on(kube: Kube) -> None:
    answer = kube.send("GET", f"{PODS}/a/proxy")
    assert (answer.status, answer.headers["Location"]) == (301, f"{PODS}/a/proxy/")


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        (f"{PODS}/z/proxy/", 404, 'pods "z" not found'),
        (f"{SERVICES}/z/proxy/", 404, 'services "z" not found'),
        (f"{SERVICES}/nobody/proxy/", 503, 'no endpoints available for service "nobody"'),
        (f"{SERVICES}/front:9/proxy/", 503, 'no service port "9" found for service "front"'),
    ],
)
def test_what_cannot_be_reached_is_said(kube: Kube, path: str, code: int, words: str) -> None:
    refused = kube.refusal("GET", path)
    assert (refused["code"], refused["message"]) == (code, words)


def test_a_port_where_nothing_listens_refuses(kube: Kube) -> None:
    address = kube.pod("a")["status"]["podIP"]
    assert kube.refusal("GET", f"{PODS}/a:81/proxy/")["message"] == (
        f"error trying to reach service: dial tcp {address}:81: connect: connection refused"
    )


def test_the_right_to_a_proxy_is_one_of_its_own(kube: Kube) -> None:
    rule = {"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["get"]}
    kube.create(f"{ROLES}/roles", {"metadata": {"name": "in"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "in"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "in"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "eve"}],
    }
    kube.create(f"{ROLES}/rolebindings", binding)
    headers = {"authorization": f"Bearer {kube.cluster.token_for('eve', groups=())}"}

    def asked(method: str, path: str) -> int:
        return kube.cluster.handle(Request(method, path, {}, headers)).status

    assert asked("GET", f"{SERVICES}/front/proxy/") == 200
    assert asked("POST", f"{SERVICES}/front/proxy/") == 403
    assert asked("GET", f"{PODS}/a/proxy/") == 403
    last = list(kube.cluster.audit.since(0))[-1]
    assert (last.user, last.verb, last.resource, last.name) == ("eve", "get", "pods/proxy", "a")


def test_kubectl_reads_through_the_proxy(kubectl: list[str]) -> None:
    words = [*kubectl, "get", "--raw", f"{PODS}/a:8080/proxy/healthz"]
    assert subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout == "ok\n"


def test_kubectl_proxy_carries_requests(kubectl: list[str]) -> None:
    process = subprocess.Popen([*kubectl, "proxy", "--port=0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        for path, part in ((f"{SERVICES}/front/proxy/", b"nginx"), ("/api/v1/nodes", b"worker-1")):
            with urllib.request.urlopen(f"http://{found[0]}{path}", timeout=10) as answer:
                assert part in answer.read()
    finally:
        process.kill()
        process.communicate()
