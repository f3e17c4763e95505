"""Workers get from their controller its cluster, or its error, and notice when it has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_selfrep.clusters.desk import Asking, Desk
from pytest_selfrep.clusters.k3s import K3s
from pytest_selfrep.errors import ClusterError

FIRST = K3s("1", "bold_name", "rancher/k3s:v1.32.4-k3s1", Path("/folder/config"))
SECOND = K3s("2", "other_name", "rancher/k3s:v1.32.4-k3s1", Path("/folder/config"))


class Prepared:
    """A host that says what it was told to."""

    def __init__(self) -> None:
        self.raised: Exception | None = None
        self.answering = threading.Event()
        self.answering.set()
        self.found_lost: list[K3s] = []

    def server(self) -> K3s:
        self.answering.wait()
        if self.raised is not None:
            raise self.raised
        return FIRST

    def lost(self, cluster: K3s) -> K3s:
        self.found_lost.append(cluster)
        return SECOND

    def close(self) -> None:
        """Has nothing."""


@pytest.fixture
def host() -> Prepared:
    return Prepared()


@pytest.fixture
def desk(host: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(host, tmp_path_factory.mktemp("d"))
    yield desk
    desk.close()


@pytest.fixture
def asking(desk: Desk) -> Iterator[Callable[[], Asking]]:
    where = desk.open()
    made: list[Asking] = []

    def ask() -> Asking:
        made.append(Asking(*where))
        return made[-1]

    yield ask
    for each in made:
        each.close()


def test_a_worker_gets_the_cluster_and_may_say_that_it_is_lost(
    host: Prepared, asking: Callable[[], Asking]
) -> None:
    worker = asking()

    assert worker.server() == FIRST
    assert worker.lost(FIRST) == SECOND
    assert host.found_lost == [FIRST]


def test_a_worker_gets_the_error(host: Prepared, asking: Callable[[], Asking]) -> None:
    worker = asking()
    host.raised = ClusterError("Docker does not run")

    with pytest.raises(ClusterError, match=r"^Docker does not run$"):
        worker.server()

    host.raised = KeyError("fault")
    with pytest.raises(ClusterError, match="KeyError: 'fault'"):
        worker.server()


def test_a_worker_that_waits_keeps_no_other_from_asking(host: Prepared, asking: Callable[[], Asking]) -> None:
    host.answering.clear()
    waiting = threading.Thread(target=asking().server)
    waiting.start()

    assert asking().lost(FIRST) == SECOND

    host.answering.set()
    waiting.join()


def test_a_worker_notices_that_the_controller_is_gone(desk: Desk, asking: Callable[[], Asking]) -> None:
    worker = asking()
    desk.close()

    with pytest.raises(ClusterError, match="the process that owns the cluster is gone"):
        worker.server()


def test_a_desk_closes_while_it_turns_from_one_worker_to_the_next(host: Prepared, tmp_path: Path) -> None:
    for number in range(200):
        folder = tmp_path / str(number)
        folder.mkdir()
        desk = Desk(host, folder)
        worker = Asking(*desk.open())
        assert worker.server() == FIRST
        desk.close()
        worker.close()


def test_who_does_not_know_the_key_gets_nothing(desk: Desk) -> None:
    address, key = desk.open()
    stranger, worker = Asking(address, "00" * 32), Asking(address, key)

    with pytest.raises(ClusterError):
        stranger.server()
    assert worker.server() == FIRST
    worker.close()


def test_a_path_too_long_for_a_socket_is_an_error_that_says_so(host: Prepared, tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()

    with pytest.raises(ClusterError, match="set TMPDIR to a folder with a shorter path"):
        Desk(host, folder).open()
