"""Programs that images have besides the usual ones, as whoever builds a cluster says."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from kube_driver import PODS, Kube
from shell_driver import execute

from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.containers.process import Process, Program


def greet(process: Process) -> int:
    process.out(f"hello {' '.join(process.argv[1:])}\n")
    return 7


def software(image: str) -> Mapping[str, Program]:
    return {"greet": greet} if image == "greeter:1" else {}


@pytest.fixture
def kube() -> Kube:
    """A cluster with a pod that has a program of its own, and one that has not."""
    cluster = Cluster(software=software)
    kube = Kube(cluster, cluster.token_for())
    kube.add_node("worker-1")
    for name, image in (("a", "greeter:1"), ("b", "greeter:2")):
        kube.add_pod(name, image=image, command=["sleep", "9h"])
    kube.advance(10)
    return kube


def test_an_image_has_its_own_programs_beside_the_usual(kube: Kube) -> None:
    ran = execute(kube, "sh", "-c", "which greet; greet you | cat; greet")

    assert ran.out == "/bin/greet\nhello you\nhello \n"
    assert ran.code == 7


def test_other_images_do_not_have_them(kube: Kube) -> None:
    ran = execute(kube, "sh", "-c", "greet you", pod="b")

    assert ran.err == "sh: greet: not found\n"


def test_as_a_containers_own_command_it_just_runs(kube: Kube) -> None:
    for name, command in (("c", ["greet"]), ("d", ["sh", "-c", "echo first; greet; echo last"])):
        kube.add_pod(name, image="greeter:1", command=command)
    kube.advance(3600)

    phases = [kube.get(f"{PODS}/{name}")["status"]["phase"] for name in ("c", "d")]
    assert phases == ["Running", "Running"]
    assert kube.get(f"{PODS}/d/log") == "first\n"
