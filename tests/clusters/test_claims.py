"""Claims that are not renewed in time are lost, whatever keeps them from it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from simulated import simulated

from pytest_selfrep.clusters import claims
from pytest_selfrep.clusters.https import Https
from pytest_selfrep.clusters.kube import Call, KubeClient, Reply


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Https]:
    yield from simulated(tmp_path)


class Faulty:
    """A connection on which the thread that renews claims ends."""

    def __init__(self, server: Https) -> None:
        self._server = server

    def send(self, call: Call) -> Reply:
        if call.method == "PATCH":
            raise RuntimeError
        return self._server.send(call)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_claim_is_lost_when_the_thread_that_renews_it_is_gone(
    server: Https, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "SECONDS", 1)
    found = claims.Claims(KubeClient(Faulty(server)), "here", renew=0.1)
    assert found.take("default")
    until = time.monotonic() + 20.0
    while not found.lost(["default"]):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert found.lost(["other"]) == []
    found.close()
