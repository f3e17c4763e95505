"""Port forwards through kubectl and the official client, with real HTTP over them."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from kube_driver import Kube, deployment
from kubernetes import config as untyped_config
from kubernetes import stream as untyped_stream
from shell_driver import forget_sockets

from pytest_selfrep.kubesim.serving.server import Served, serve
from pytest_selfrep.kubesim.streams.spdy import BadFrame, Framer

config: Any = untyped_config
stream: Any = untyped_stream


@pytest.fixture
def served(kube: Kube) -> Iterator[Served]:
    kube.add_node("worker-1")
    kube.add_pod("n", image="nginx:1.27", ports=[{"containerPort": 80}])
    kube.advance(10)
    site = serve(kube.cluster)
    yield site
    site.close()
    forget_sockets()


def forwarding(
    kube: Kube, served: Served, folder: Path, port: int, target: str = "pod/n"
) -> tuple[subprocess.Popen[str], int]:
    path, program = folder / "kubeconfig", shutil.which("kubectl")
    path.write_text(served.kubeconfig(kube.cluster.token_for()))
    assert program is not None
    words = [
        program,
        "--kubeconfig",
        str(path),
        "port-forward",
        target,
        f"0:{port}",
        "--address",
        "127.0.0.1",
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
    assert found is not None
    return process, int(found[1])


def test_kubectl_forwards_requests_one_after_the_other(kube: Kube, served: Served, tmp_path: Path) -> None:
    process, port = forwarding(kube, served, tmp_path, 80)
    try:
        for path, status in (("/", 200), ("/nope", 404), ("/index.html", 200)):
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            link.request("GET", path)
            answer = link.getresponse()
            assert (answer.status, b"Welcome to nginx!" in answer.read()) == (status, status == 200)
            assert answer.headers["Server"] == "nginx/1.27.4"
            link.close()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("target", "port"), [("deploy/front", 80), ("svc/front", 8000)])
def test_kubectl_finds_the_pod_behind_a_workload(
    kube: Kube, served: Served, tmp_path: Path, target: str, port: int
) -> None:
    front = deployment("front", 2, image="nginx:1.27", ports=[{"containerPort": 80}])
    kube.create("/apis/apps/v1/namespaces/default/deployments", front)
    ports = [{"port": 8000, "targetPort": 80}]
    service = {"metadata": {"name": "front"}, "spec": {"selector": {"app": "front"}, "ports": ports}}
    kube.create("/api/v1/namespaces/default/services", service)
    kube.advance(10)
    process, local = forwarding(kube, served, tmp_path, port, target)
    link = http.client.HTTPConnection("127.0.0.1", local, timeout=10)
    try:
        link.request("GET", "/")
        assert link.getresponse().status == 200
    finally:
        link.close()
        process.kill()
        process.communicate()


def test_a_port_where_nothing_listens_refuses(kube: Kube, served: Served, tmp_path: Path) -> None:
    process, port = forwarding(kube, served, tmp_path, 81)
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    link.request("GET", "/")
    with pytest.raises((http.client.HTTPException, OSError)):
        link.getresponse()
    link.close()
    try:
        _, said = process.communicate(timeout=10)
    finally:
        process.kill()
    assert "failed to connect to localhost:81 inside namespace" in said
    assert "connect: connection refused" in said


def test_the_official_client_forwards(kube: Kube, served: Served) -> None:
    settings = kubernetes.client.Configuration()
    written = yaml.safe_load(served.kubeconfig(kube.cluster.token_for()))
    config.load_kube_config_from_dict(written, client_configuration=settings)
    core: Any = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(settings))
    forward = stream.portforward(core.connect_get_namespaced_pod_portforward, "n", "default", ports="80")
    sock = forward.socket(80)
    sock.setblocking(True)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n")
    received = b""
    while b"</html>" not in received:
        piece = sock.recv(4096)
        assert piece
        received += piece
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert forward.error(80) is None
    sock.close()


@pytest.mark.parametrize(
    "data", [b"\x80\x02\x00\x01\0\0\0\x00", b"\x80\x03\0\x01\0\0\0\x02xx", b"\0\0\0\1\0\xff\xff\xff"]
)
def test_what_is_no_spdy_ends_the_session(data: bytes) -> None:
    with pytest.raises(BadFrame):
        list(Framer().read(data))


def test_frames_may_come_byte_by_byte() -> None:
    frame = next(iter(Framer().data(5, b"hello", last=True)))
    reader = Framer()
    found = [each for byte in frame for each in reader.read(bytes((byte,)))]
    assert [(each.stream, each.data, each.flags) for each in found] == [(5, b"hello", 1)]


def test_the_dictionary_is_that_of_the_protocol() -> None:
    from importlib.resources import files

    data = files("pytest_selfrep.kubesim.streams").joinpath("spdy.dictionary").read_bytes()
    assert zlib.adler32(data) == 0xE3C6A7C2
