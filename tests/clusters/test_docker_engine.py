"""Whatever keeps a cluster in Docker from starting is one error that says what it is and what to do."""

from __future__ import annotations

import io
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import docker
import pytest

from pytest_selfrep import clusters
from pytest_selfrep.__main__ import main
from pytest_selfrep.clusters import k3s
from pytest_selfrep.clusters.docker_engine import engine
from pytest_selfrep.clusters.ownership import Owner, containers, this_process
from pytest_selfrep.errors import ClusterError

NOBODY = 65534
RUN = f"tests-{os.getpid()}"


def error_at(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(ClusterError) as caught, engine():
        pass
    return str(caught.value)


def test_no_package_for_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "testcontainers", None)

    with pytest.raises(ClusterError, match=r"not installed \(testcontainers\): pip install"), engine():
        pass


@pytest.mark.parametrize("name", clusters.REAL)
def test_no_package_for_kubernetes(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)

    with pytest.raises(ClusterError, match=r"\(kubernetes\): pip install 'pytest-selfrep\[k3s\]'"):
        clusters.require(name)
    clusters.require("embedded")


def test_no_package_for_clean(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("kubernetes", "urllib3", "pytest_selfrep.clusters.https"):
        monkeypatch.setitem(sys.modules, name, None)

    assert main(["clean", "--context", "team-test"]) == 1
    assert "pip install 'pytest-selfrep[k3s]'" in capsys.readouterr().err


def test_containers_of_another_pid_namespace_are_not_from_here_though_the_host_has_the_name(
    tmp_path: Path,
) -> None:
    labels = this_process("run", tmp_path, kept=False).labels()
    assert Owner.of(labels).here
    assert not Owner.of({**labels, "pytest-selfrep.space": "another-boot/4026531836"}).here
    # Of a version that did not say it.
    del labels["pytest-selfrep.space"]
    assert Owner.of(labels).here
    assert not Owner.of({**labels, "pytest-selfrep.host": "another"}).here


def test_no_docker_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    said = error_at(f"unix://{tmp_path}/docker.sock", monkeypatch)

    assert said.startswith("Docker is not installed")
    assert "DOCKER_HOST" in said
    assert "--selfrep-cluster embedded" in said


@pytest.fixture
def dead_socket() -> Iterator[Path]:
    """A socket's file without a server behind it."""
    folder = Path(f"/tmp/docker-{os.getpid()}")
    folder.mkdir()
    path = folder / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    yield path
    path.unlink()
    folder.rmdir()


def test_docker_is_not_running(monkeypatch: pytest.MonkeyPatch, dead_socket: Path) -> None:
    said = error_at(f"unix://{dead_socket}", monkeypatch)

    assert said.startswith(f"Docker does not run at unix://{dead_socket} ([Errno 111] Connection refused)")
    assert "start it" in said


def test_docker_elsewhere_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert error_at(f"tcp://127.0.0.1:{port}", monkeypatch).startswith(
        "Docker does not run at tcp://127.0.0.1"
    )


def test_docker_is_not_permitted(monkeypatch: pytest.MonkeyPatch, dead_socket: Path) -> None:
    # Imports what will be needed, for nobody else may be able to.
    error_at(f"unix://{dead_socket}", monkeypatch)
    dead_socket.chmod(0)

    with nobody():
        said = error_at(f"unix://{dead_socket}", monkeypatch)

    assert "does not permit this user: add the user to the group docker" in said


@contextmanager
def nobody() -> Iterator[None]:
    """Root may do everything."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(mine)


class Refusing(BaseHTTPRequestHandler):
    """Docker behind a plugin that authorises nobody."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def test_docker_refuses_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        said = error_at(f"tcp://127.0.0.1:{server.server_port}", monkeypatch)

        server.shutdown()
        thread.join()
    assert "does not permit this user" in said


def start(image: str, tmp_path: Path) -> str:
    """What a start that fails says. Nothing of it is left in Docker."""
    with pytest.raises(ClusterError) as caught:
        k3s.start(image, this_process(RUN, tmp_path, kept=False), threading.Event())
    with engine() as connection:
        assert containers(connection.client, RUN) == []
    return str(caught.value)


@pytest.mark.docker
def test_an_image_that_is_not_to_be_had(tmp_path: Path) -> None:
    said = start("127.0.0.1:9/nobody/k3s:v1.32.4-k3s1", tmp_path)

    assert said.startswith("the image 127.0.0.1:9/nobody/k3s:v1.32.4-k3s1 cannot be had: ")
    assert "--selfrep-k3s-image, SELFREP_K3S_IMAGE" in said


@pytest.fixture
def saying(image: str) -> Iterator[Callable[[str], str]]:
    """Makes an image whose k3s is a line of shell."""
    client = docker.from_env()
    made = []

    def make(shell: str) -> str:
        text = f"FROM {image}\nENTRYPOINT {['/bin/sh', '-c', shell]}\n".replace("'", '"')
        made.append(client.images.build(fileobj=io.BytesIO(text.encode()), rm=True)[0].id)
        return str(made[-1])

    yield make
    for each in made:
        client.images.remove(each, force=True)
    client.close()


@pytest.mark.docker
def test_a_host_without_cgroups(tmp_path: Path, saying: Callable[[str], str]) -> None:
    said = start(saying("echo level=fatal msg=failed to find memory cgroup; exit 1"), tmp_path)

    assert "the host lacks the cgroups that Kubernetes needs: mount them" in said


@pytest.mark.docker
def test_a_k3s_that_ends_at_once_has_its_last_words_in_the_error(
    tmp_path: Path, saying: Callable[[str], str]
) -> None:
    said = start(saying("for i in $(seq 100); do echo line $i; done; exit 3"), tmp_path)

    assert "did not come up: its container is exited" in said
    assert "\n  line 100" in said
    assert "\n  line 80\n" not in said
