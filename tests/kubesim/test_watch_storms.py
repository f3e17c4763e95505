"""Ten thousand watches, opened and dropped: nothing of them stays, and the server answers as before."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Iterator

import psutil
import pytest
from kube_driver import PODS, Kube, eventually, pod

from pytest_selfrep.kubesim.apiserver.http import Request, Stream
from pytest_selfrep.kubesim.apiserver.watch import Watch
from pytest_selfrep.kubesim.serving.server import Served, serve

IN_PROCESS = 8_000
OVER_HTTPS = 2_000
AT_ONCE = 50


@pytest.fixture
def served(kube: Kube) -> Iterator[Served]:
    site = serve(kube.cluster)
    yield site
    site.close()


def watches() -> int:
    gc.collect()
    return sum(isinstance(each, Watch) for each in gc.get_objects())


def open_files() -> int:
    return int(psutil.Process().num_fds())


def test_thousands_of_watches_open_at_once_all_see_a_change_and_leave_nothing_behind(kube: Kube) -> None:
    headers = {"authorization": f"Bearer {kube.cluster.token_for()}"}
    streams: list[Stream] = []
    for _ in range(IN_PROCESS):
        response = kube.cluster.handle(Request("GET", PODS, {"watch": "true"}, headers))
        assert response.stream is not None
        streams.append(response.stream)
    kube.create(PODS, pod("a"))
    assert all(len(stream.poll()) >= 1 for stream in streams)

    for stream in streams:
        stream.close()
    del stream, response
    streams.clear()

    assert watches() == 0
    assert kube.pod("a")


def test_thousands_of_clients_that_vanish_from_their_watches_leave_nothing_behind(
    kube: Kube, served: Served
) -> None:
    files = open_files()
    token = kube.cluster.token_for()

    asyncio.run(_drop_watches(served, token))

    eventually(lambda: watches() == 0)
    eventually(lambda: open_files() <= files + 5)
    kube.create(PODS, pod("a"))
    assert kube.pod("a")


async def _drop_watches(served: Served, token: str) -> None:
    trust = ssl.create_default_context(cadata=served.ca_pem.decode())
    port = int(served.url.rpartition(":")[2])
    request = f"GET {PODS}?watch=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"

    async def drop_one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        writer.write(request.encode())
        assert b"200" in await reader.readline()
        writer.transport.abort()

    for _ in range(0, OVER_HTTPS, AT_ONCE):
        await asyncio.gather(*(drop_one() for _ in range(AT_ONCE)))
