"""Images of the user's own on a k3s: taken from this Docker where it has them, and never stood in for."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from real_kubernetes import KUBERNETES, OWNER, one_kubernetes

from pytest_selfrep.clusters import k3s

pytestmark = pytest.mark.docker

IMAGE = "acme.local/team/agent:1.0"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cluster" in metafunc.fixturenames:
        metafunc.parametrize("kubernetes", [KUBERNETES])


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def cluster(kubernetes: str, engine: docker.DockerClient, request: pytest.FixtureRequest) -> k3s.K3s:
    """The one that all tests of this run have."""
    kubeconfig = one_kubernetes(request.config).kubeconfig()
    mine = {f"{socket.gethostname()}/{process}" for process in (os.getpid(), os.getppid())}
    (container,) = (each for each in engine.containers.list() if each.labels.get(OWNER) in mine)
    return k3s.K3s(str(container.id), str(container.name), "any", Path(kubeconfig))


@pytest.fixture
def in_docker(engine: docker.DockerClient) -> Iterator[str]:
    """An image that nobody but this Docker has."""
    rootfs, script = io.BytesIO(), b"#!/bin/sh\necho hello\n"
    with tarfile.open(fileobj=rootfs, mode="w") as tar:
        member = tarfile.TarInfo("agent")
        member.size = len(script)
        tar.addfile(member, io.BytesIO(script))
    engine.api.import_image_from_data(rootfs.getvalue(), repository="acme.local/team/agent", tag="1.0")
    yield IMAGE
    engine.images.remove(IMAGE, force=True)


def images(engine: docker.DockerClient, cluster: k3s.K3s) -> str:
    listed = engine.containers.get(cluster.id).exec_run(
        ["sh", "-c", "k3s ctr images ls -q 2>/dev/null || ctr -n k8s.io images ls -q"]
    )
    return str(listed.output.decode())


def test_what_docker_has_is_brought_under_its_name(
    engine: docker.DockerClient, cluster: k3s.K3s, in_docker: str
) -> None:
    k3s.bring_own(cluster, in_docker)
    assert in_docker in images(engine, cluster).splitlines()
    left = engine.containers.get(cluster.id).exec_run(["sh", "-c", "ls /tmp/own-*"])
    assert left.exit_code != 0


def test_what_docker_does_not_have_is_left_to_the_cluster(
    engine: docker.DockerClient, cluster: k3s.K3s
) -> None:
    k3s.bring_own(cluster, "acme.local/team/none:1.0")
    assert "acme.local/team/none" not in images(engine, cluster)
