"""Requests over HTTPS to a server that misbehaves: what is repeated, what is not, and what the errors say."""

from __future__ import annotations

import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
import urllib3
import yaml
from unruly import DROPPED, UNANSWERED, Fault, Unruly, answer, cut, eventually, stalled, stream

from pytest_selfrep.clusters import login
from pytest_selfrep.clusters.https import Https, Patience, from_kubeconfig
from pytest_selfrep.clusters.kube import ApiError, Call, KubeClient, KubeObject
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.serving.server import Served, serve

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
CONTEXT = "default@kubernetes"
BREAKS = [
    pytest.param(DROPPED, id="dropped"),
    pytest.param(UNANSWERED, id="unanswered"),
    pytest.param(cut(100), id="cut off in its head"),
    pytest.param(cut(500), id="cut off"),
]
"""What may become of an answer."""
BRISK = Patience(connect=2.0, answer=5.0, begin=2.0, again=2.0)
BUSY = (b"Too many requests, please try again later.", "Retry-After: 1")
Connect = Callable[..., Https]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def served(cluster: Cluster) -> Iterator[Served]:
    threads = threading.active_count()
    site = serve(cluster)
    yield site
    site.close()
    assert threading.active_count() == threads


@pytest.fixture
def proxy(served: Served) -> Iterator[Unruly]:
    unruly = Unruly(served.url)
    yield unruly
    unruly.close()


@pytest.fixture
def kubeconfig(cluster: Cluster, served: Served, proxy: Unruly, tmp_path: Path) -> Path:
    """The administrator's, through the proxy."""
    path = tmp_path / "config"
    path.write_text(served.kubeconfig(cluster.token_for()).replace(served.url, proxy.url))
    return path


@pytest.fixture
def connect(kubeconfig: Path) -> Iterator[Connect]:
    with ExitStack() as open_:

        def connected(patience: Patience = BRISK) -> Https:
            transport = from_kubeconfig(kubeconfig, CONTEXT, patience)
            open_.callback(transport.close)
            return transport

        yield connected


@pytest.fixture
def transport(connect: Connect) -> Https:
    return connect()


@pytest.fixture
def client(transport: Https) -> KubeClient:
    return KubeClient(transport)


def config_map(name: str) -> KubeObject:
    return {"metadata": {"name": name}}


def names(client: KubeClient) -> set[str]:
    return {each["metadata"]["name"] for each in client.get(CONFIG_MAPS)["items"]}


def edited(path: Path, change: Callable[[KubeObject], object]) -> None:
    config = yaml.safe_load(path.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config))


def test_answers_come_as_the_server_gave_them(transport: Https, client: KubeClient) -> None:
    made = client.create(CONFIG_MAPS, config_map("a"))
    assert client.get(f"{CONFIG_MAPS}/a") == made
    assert transport.send(Call("GET", f"{CONFIG_MAPS}/b")).status == 404
    with pytest.raises(ApiError, match='configmaps "b" not found'):
        client.get(f"{CONFIG_MAPS}/b")


@pytest.mark.parametrize("name", ["..", ".", "a?watch=true", "a#b", "a b", "a%2Fb", "ä"])
def test_a_name_stays_a_name_whatever_it_is(client: KubeClient, proxy: Unruly, name: str) -> None:
    with pytest.raises(ApiError):
        client.delete(f"{CONFIG_MAPS}/{name}")
    assert client.get("/api/v1/namespaces/default")["status"]["phase"] == "Active"
    (target,) = [each.split(" ")[1] for each in proxy.seen if each.startswith("DELETE")]
    assert target.startswith(f"{CONFIG_MAPS}/")
    assert not set(target.removeprefix(f"{CONFIG_MAPS}/")) & set("/?# ")


@pytest.mark.parametrize("fault", BREAKS)
def test_a_read_that_broke_off_is_repeated(client: KubeClient, proxy: Unruly, fault: Fault) -> None:
    proxy.meet(fault, fault)
    assert "kube-root-ca.crt" in names(client)
    assert len(proxy.seen) == 3


@pytest.mark.parametrize("fault", BREAKS)
def test_a_write_that_broke_off_is_not_repeated_and_the_error_says_that_it_is_open(
    client: KubeClient, proxy: Unruly, fault: Fault
) -> None:
    proxy.meet(fault)
    with pytest.raises(ClusterError, match="whether it was carried out is not known") as caught:
        client.create(CONFIG_MAPS, {"metadata": {"generateName": "copy-"}})
    assert proxy.url in str(caught.value)
    assert f"POST {CONFIG_MAPS}" in str(caught.value)
    made = [name for name in names(client) if name.startswith("copy-")]
    assert len(made) == (0 if fault is DROPPED else 1)


def test_a_write_is_repeated_when_the_server_says_when(client: KubeClient, proxy: Unruly) -> None:
    proxy.meet(answer("429 Too Many Requests", *BUSY))
    began = time.monotonic()
    client.create(CONFIG_MAPS, config_map("a"))
    assert time.monotonic() - began >= 1.0
    assert len(proxy.seen) == 2


def test_a_429_without_a_time_is_an_answer(client: KubeClient, proxy: Unruly) -> None:
    """So says the eviction of a pod that a disruption budget protects."""
    proxy.meet(answer("429 Too Many Requests", b"not now"))
    with pytest.raises(ApiError) as caught:
        client.create(CONFIG_MAPS, config_map("a"))
    assert caught.value.code == 429
    assert len(proxy.seen) == 1


def test_a_server_that_wants_to_be_left_alone_for_too_long_is_taken_at_its_word(
    client: KubeClient, proxy: Unruly
) -> None:
    proxy.meet(answer("429 Too Many Requests", b"busy", "Retry-After: 3600"))
    began = time.monotonic()
    with pytest.raises(ApiError, match="busy"):
        names(client)
    assert time.monotonic() - began < BRISK.again


def test_of_failing_servers_only_reads_are_asked_again_and_only_when_told_so(
    client: KubeClient, proxy: Unruly
) -> None:
    failing = answer("503 Service Unavailable", b"down", "Retry-After: 0")
    proxy.meet(failing)
    assert names(client)
    proxy.meet(failing)
    with pytest.raises(ApiError, match="down"):
        client.create(CONFIG_MAPS, config_map("a"))
    proxy.meet(answer("500 Internal Server Error", b"broken"))
    with pytest.raises(ApiError, match="broken"):
        names(client)


def test_a_server_that_does_not_answer_in_time_is_named(connect: Connect, proxy: Unruly) -> None:
    client = KubeClient(connect(Patience(connect=1.0, answer=0.3, again=0.0)))
    proxy.meet(stalled(30.0))
    with pytest.raises(ClusterError, match=rf"{proxy.url} does not answer GET .*overloaded"):
        names(client)


def test_an_answer_that_trickles_has_a_bound_as_a_whole(connect: Connect, proxy: Unruly) -> None:
    client = KubeClient(connect(Patience(answer=0.5, again=0.0)))
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    proxy.meet(Fault(head + b" " * 10_000, trickle=0.01))
    began = time.monotonic()
    with pytest.raises(ClusterError, match=r"bytes in 0\.5 seconds"):
        names(client)
    assert time.monotonic() - began < 5.0


def test_a_server_that_is_not_there_is_tried_again_and_then_named(connect: Connect, proxy: Unruly) -> None:
    client = KubeClient(connect(Patience(again=0.5)))
    proxy.close()
    began = time.monotonic()
    with pytest.raises(ClusterError, match=rf"{proxy.url} .*check that the cluster runs") as caught:
        client.create(CONFIG_MAPS, config_map("a"))
    assert "whether it was carried out" not in str(caught.value)
    assert 0.1 < time.monotonic() - began < 5.0


def test_a_write_waits_for_a_server_that_is_about_to_listen(
    cluster: Cluster, served: Served, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = tmp_path / "later"
    path.write_text(served.kubeconfig(cluster.token_for()).replace(served.url, f"https://127.0.0.1:{port}"))
    transport = from_kubeconfig(path, CONTEXT)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(KubeClient(transport).create, CONFIG_MAPS, config_map("a"))
        time.sleep(0.3)
        late = serve(cluster, port=port)
        assert made.result(20)["metadata"]["name"] == "a"
    transport.close()
    late.close()


def test_a_server_with_another_certificate_is_refused_at_once(kubeconfig: Path) -> None:
    import trustme

    other = trustme.CA().cert_pem.bytes()
    ca_file = kubeconfig.with_name("ca.pem")
    ca_file.write_bytes(other)

    def distrust(config: KubeObject) -> None:
        cluster = config["clusters"][0]["cluster"]
        del cluster["certificate-authority-data"]
        cluster["certificate-authority"] = str(ca_file)

    edited(kubeconfig, distrust)
    transport = from_kubeconfig(kubeconfig, CONTEXT)
    with pytest.raises(ClusterError, match="certificate-authority in the kubeconfig"):
        transport.send(Call("POST", CONFIG_MAPS))
    transport.close()


def unverified(config: KubeObject) -> None:
    cluster = config["clusters"][0]["cluster"]
    del cluster["certificate-authority-data"]
    cluster["insecure-skip-tls-verify"] = True


def test_a_server_that_nobody_verifies_is_an_error_where_warnings_are(
    kubeconfig: Path, connect: Connect
) -> None:
    edited(kubeconfig, unverified)
    client = KubeClient(connect())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ClusterError, match=r"ignore::urllib3\.exceptions\.InsecureRequestWarning"):
            names(client)
        warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
        assert names(client)


def test_a_redirect_is_followed_nowhere(client: KubeClient, proxy: Unruly) -> None:
    proxy.meet(answer("302 Found", b"", "Location: https://login.example.com/"))
    with pytest.raises(ClusterError, match=r"redirect to https://login\.example\.com/"):
        names(client)
    assert len(proxy.seen) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config["contexts"].clear(), "there is none of this name; there are: none"),
        (lambda config: config["contexts"][0].update(name=f"{CONTEXT}s"), f"did you mean '{CONTEXT}s'"),
        (lambda config: config["clusters"][0]["cluster"].update(server="nonsense"), "no URL"),
        (lambda config: config["users"][0]["user"].update({"as": "jane"}), "acts as somebody else"),
        (lambda config: config.update(contexts={}), "there are: none"),
        (lambda config: config.update(contexts={"a": 1}), "its contexts are no list"),
        (lambda config: config.update(contexts=[None]), "each of its contexts has to have a name"),
        (lambda config: config["contexts"][0].pop("name"), "each of its contexts has to have a name"),
        (lambda config: config["contexts"][0].update(context="a"), "a name and a context"),
        (lambda config: config["contexts"][0].pop("context"), "its cluster is None, and under clusters"),
        (
            lambda config: config["contexts"][0]["context"].update(user="jane"),
            "its user is 'jane', and under",
        ),
        (lambda config: config.pop("clusters"), "under clusters there is none of this name"),
        (lambda config: config["users"][0].pop("name"), "each of its users has to have a name"),
    ],
)
def test_a_kubeconfig_that_makes_no_sense_is_named(
    kubeconfig: Path, change: Callable[[KubeObject], object], said: str
) -> None:
    edited(kubeconfig, change)
    with pytest.raises(ClusterError, match=said) as caught:
        from_kubeconfig(kubeconfig, CONTEXT)
    assert str(kubeconfig) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "- a: [", "just words"])
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ClusterError, match=f"{path}: context {CONTEXT}: it is no"):
        from_kubeconfig(path, CONTEXT)


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", b""])
def test_a_page_instead_of_an_answer_is_an_error_that_says_what_to_check(
    client: KubeClient, proxy: Unruly, body: bytes
) -> None:
    proxy.meet(answer("200 OK", body))
    with pytest.raises(ClusterError, match="no API server does: check the server in the kubeconfig"):
        names(client)


def test_a_credential_that_was_replaced_in_the_file_is_read_again(
    cluster: Cluster, kubeconfig: Path, connect: Connect, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("outdated")
    edited(kubeconfig, lambda config: config["users"][0].update(user={"tokenFile": str(token)}))
    client = KubeClient(connect())
    token.write_text(cluster.token_for())
    client.create(CONFIG_MAPS, config_map("a"))
    assert "a" in names(client)


def test_a_credential_that_is_not_accepted_is_asked_for_only_once_in_a_while(
    kubeconfig: Path, connect: Connect, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    program = tmp_path / "login"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "wrong"},
    }
    program.write_text(f"#!/bin/sh\necho called >> {calls}\necho '{orjson.dumps(credential).decode()}'\n")
    program.chmod(0o700)
    exec_ = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(program),
        "interactiveMode": "Never",
    }
    edited(kubeconfig, lambda config: config["users"][0].update(user={"exec": exec_}))
    client = KubeClient(connect())
    for _ in range(3):
        with pytest.raises(ApiError) as caught:
            names(client)
        assert caught.value.code == 401
    assert calls.read_text().count("called") == 2
    assert login.RENEW_SECONDS > 1.0


def test_a_token_is_another_identity_at_the_same_server(
    cluster: Cluster, transport: Https, client: KubeClient
) -> None:
    theirs = transport.with_token(cluster.token_for("jane"))
    with pytest.raises(ApiError, match='User "jane" cannot list'):
        KubeClient(theirs).get(CONFIG_MAPS)
    assert names(client)
    theirs.close()


def test_threads_share_a_transport(client: KubeClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: client.create(CONFIG_MAPS, config_map(f"c{number}")), range(64)))
    assert {f"c{number}" for number in range(64)} <= names(client)


def test_nothing_is_left_open_and_nothing_sent_after_the_end(
    transport: Https, client: KubeClient, proxy: Unruly
) -> None:
    names(client)
    transport.close()
    eventually(lambda: proxy.connections == 0)
    with pytest.raises(ClusterError, match="after its connections were closed"):
        names(client)


def lines_of(transport: Https, silence: float = 5.0, **query: str) -> list[bytes]:
    with transport.stream(Call("GET", CONFIG_MAPS, query), silence) as lines:
        return list(lines)


def test_lines_of_a_stream_come_whole(transport: Https) -> None:
    said = lines_of(transport, watch="true", timeoutSeconds="1")
    assert [orjson.loads(each)["type"] for each in said] == ["ADDED"]


def test_a_stream_that_ends_within_a_line_has_broken(transport: Https, proxy: Unruly) -> None:
    proxy.meet(stream(b'{"type": "ADDED"}\n', b'{"type": "DEL'))
    with pytest.raises(ClusterError, match="ended within a line"):
        lines_of(transport)


def test_a_stream_that_breaks_off_says_so(transport: Https, proxy: Unruly) -> None:
    proxy.meet(cut(400))
    with pytest.raises(ClusterError, match=rf"connection to {proxy.url} broke"):
        lines_of(transport, watch="true")


def test_a_silent_stream_has_broken(transport: Https) -> None:
    with pytest.raises(ClusterError, match="broke"):
        lines_of(transport, 0.3, watch="true")


def test_a_refused_stream_says_when_to_come_again(transport: Https, proxy: Unruly) -> None:
    proxy.meet(answer("429 Too Many Requests", *BUSY))
    with pytest.raises(ApiError) as caught:
        lines_of(transport)
    assert caught.value.code == 429
    assert caught.value.status["details"]["retryAfterSeconds"] == 1.0
    assert len(proxy.seen) == 1


def test_a_stream_is_stopped_at_once_from_another_thread(transport: Https, proxy: Unruly) -> None:
    with transport.stream(Call("GET", CONFIG_MAPS, {"watch": "true"}), 60.0) as lines:
        threading.Timer(0.2, lines.stop).start()
        began = time.monotonic()
        with pytest.raises(ClusterError):
            list(lines)
        assert time.monotonic() - began < 5.0
    transport.close()
    eventually(lambda: proxy.connections == 0)
