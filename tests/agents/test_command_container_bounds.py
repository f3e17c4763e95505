"""Command-line agents in containers have no more of this machine than they need."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from typing import Any

import docker
import pytest
from containers import LOOK, broken, ours, require_nothing, said, trial
from docker.models.containers import Container

from pytest_selfrep.agents.command import container
from pytest_selfrep.agents.command.container import MOST_PROCESSES

pytestmark = pytest.mark.docker


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    require_nothing()


def test_it_has_no_more_processes_and_no_more_rights_than_it_needs(
    image: str, engine: docker.DockerClient
) -> None:
    found: list[dict[str, Any]] = []

    def look() -> None:
        until = time.monotonic() + 60
        while not found and time.monotonic() < until:
            running = [each for each in ours(engine) if isinstance(each, Container)]
            with suppress(docker.errors.NotFound):
                found.extend(engine.api.inspect_container(each.id)["HostConfig"] for each in running)
            time.sleep(0.1)

    thread = Thread(target=look)
    thread.start()
    trial(image, f"{LOOK} sleep 2")
    thread.join()

    assert found[0]["PidsLimit"] == MOST_PROCESSES
    assert found[0]["Memory"] == found[0]["MemorySwap"] == 4 << 30
    assert 0 < found[0]["NanoCpus"] <= container.CPUS * 1_000_000_000
    assert found[0]["Tmpfs"]["/tmp"].startswith("size=1g")
    assert found[0]["CapDrop"] == ["ALL"]
    assert found[0]["SecurityOpt"] == ["no-new-privileges"]
    assert not found[0]["Privileged"]
    assert not found[0]["Binds"]


@pytest.mark.parametrize("file", ["file", "/etc/hosts"], ids=["its own", "lent"])
def test_one_that_writes_without_end_is_ended(image: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MOST_WRITTEN", 10 << 20)

    error = broken(image, f"{LOOK} dd if=/dev/zero of={file} bs=1M count=20 2>/dev/null; sleep 60")

    assert "wrote more than 10 MiB, and was ended" in str(error)
    assert not error.retriable


@pytest.fixture
def with_volumes(image: str, engine: docker.DockerClient) -> Iterator[str]:
    """An image that declares some."""
    plain = engine.containers.create(image)
    made = plain.commit("with-volumes", changes='VOLUME ["/data", "/home/agent/.cache"]')
    plain.remove(v=True)
    yield "with-volumes"
    engine.images.remove(made.id)


def test_what_it_writes_to_volumes_of_its_image_is_memory_of_its_own(with_volumes: str) -> None:
    run = trial(
        with_volumes,
        f"{LOOK} touch /data/x ~/.cache/x && grep -E ' (/data|/home/agent/.cache) ' /proc/mounts",
    )

    mounts = [line.split() for line in said(run).splitlines()]
    assert sorted(where for _, where, *_ in mounts) == ["/data", "/home/agent/.cache"]
    assert all(kind == "tmpfs" and "size=1048576k" in options for _, _, kind, options, *_ in mounts)


def test_files_that_are_to_be_in_a_volume_of_its_image_are_refused(with_volumes: str) -> None:
    error = broken(with_volumes, "", files={".cache/settings.json": "{}"})

    assert "declares the volume /home/agent/.cache, and /home/agent/.cache/settings.json is to" in str(error)
    assert not error.retriable
