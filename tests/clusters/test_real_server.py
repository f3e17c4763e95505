"""The same transport and watches at a simulated and, where Docker answers, at a real Kubernetes."""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import yaml
from informer_bench import PACE, in_order, summed
from real_kubernetes import KUBERNETES, one_kubernetes
from simulated import simulated
from unruly import DROPPED, Unruly, answer, cut

from pytest_selfrep.clusters.base import Observed
from pytest_selfrep.clusters.https import Https, from_kubeconfig
from pytest_selfrep.clusters.informers import Informers
from pytest_selfrep.clusters.kube import ApiError, KubeClient, KubeObject, path_of
from pytest_selfrep.clusters.real_clock import RealClock
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.kubesim.serving.certificates import certificates

KUBESIM = "kubesim"
PATIENCE = 120.0
"""Seconds for what real nodes do on a busy machine."""
POD = {
    "terminationGracePeriodSeconds": 1,
    "containers": [{"name": "main", "image": "busybox:1.36.1", "command": ["sleep", "3600"]}],
}
COUNT = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done"
STDIN, STDOUT, STDERR, ERROR, CLOSE = 0, 1, 2, 3, 255


@dataclass
class Place:
    """A namespace of a cluster."""

    server: Https
    namespace: str

    @property
    def client(self) -> KubeClient:
        return KubeClient(self.server)

    def path(self, plural: str, name: str = "", subresource: str = "", group: str = "") -> str:
        return path_of(group, "v1", plural, self.namespace, name, subresource)

    def pod(self, name: str) -> KubeObject:
        self.client.create(self.path("pods"), {"metadata": {"name": name}, "spec": POD})
        return self.until("pods", name, lambda pod: pod["status"]["phase"] == "Running")

    def until(self, plural: str, name: str, true: Callable[[KubeObject], object]) -> KubeObject:
        deadline = time.monotonic() + PATIENCE
        while not true(found := self.client.get(self.path(plural, name))):
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        real = [KUBERNETES] if one_kubernetes(metafunc.config).image else []
        metafunc.parametrize("where", [KUBESIM, *real], scope="module")


@pytest.fixture(scope="module")
def server(
    where: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Https]:
    """The administrator's connection."""
    if where == KUBESIM:
        yield from simulated(tmp_path_factory.mktemp("kubesim"))
        return
    transport = from_kubeconfig(one_kubernetes(request.config).kubeconfig(), "default")
    yield transport
    transport.close()


@pytest.fixture(scope="module")
def certificate(where: str, request: pytest.FixtureRequest) -> str:
    """The authority (PEM) of the server."""
    if where == KUBESIM:
        return certificates().ca_pem.decode()
    config = yaml.safe_load(one_kubernetes(request.config).kubeconfig().read_text())
    return base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()


_numbers = itertools.count(1)


@pytest.fixture
def place(server: Https, request: pytest.FixtureRequest) -> Iterator[Place]:
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    found = Place(server, f"clusters-{worker}-{next(_numbers)}")
    # A cluster that has just been started says no in several ways.
    _insistently(lambda: found.client.create("/api/v1/namespaces", {"metadata": {"name": found.namespace}}))
    pod = {"metadata": {"name": "probe"}, "spec": POD}
    _insistently(lambda: found.client.request("POST", found.path("pods"), query={"dryRun": "All"}, body=pod))
    yield found
    found.client.delete(f"/api/v1/namespaces/{found.namespace}")


def _insistently(act: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            act()
        except (ApiError, ClusterError):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return


def said(
    place: Place, pod: str, *command: str, stdin: bytes | None = None
) -> tuple[bytes, bytes, KubeObject]:
    """What a program prints, in both ways, and its end."""
    query = {"container": "main", "stdout": "true", "stderr": "true"}
    if stdin is not None:
        query["stdin"] = "true"
    words = [("command", word) for word in command]
    conversation = place.client.converse("GET", place.path("pods", pod, "exec"), query=query, repeated=words)
    heard: dict[int, bytes] = {}
    deadline = time.monotonic() + PATIENCE
    try:
        if stdin is not None:
            conversation.send(bytes((STDIN,)) + stdin)
            conversation.send(bytes((CLOSE, STDIN)))
        while not conversation.closed:
            assert time.monotonic() < deadline
            for message in conversation.poll():
                heard[message[0]] = heard.get(message[0], b"") + message[1:]
            time.sleep(0.02)
    finally:
        conversation.close()
    return heard.get(STDOUT, b""), heard.get(STDERR, b""), orjson.loads(heard.get(ERROR, b"{}"))


def test_programs_run_in_containers(place: Place) -> None:
    place.pod("web")
    out, err, status = said(place, "web", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (out, err) == (b"out\n", b"err\n")
    assert [each["message"] for each in status["details"]["causes"]] == ["3"]
    out, _, status = said(place, "web", "sh", "-c", "read a; echo got $a", stdin=b"one two\n")
    assert (out, status["status"]) == (b"got one two\n", "Success")
    out, _, _ = said(place, "web", "sh", "-c", COUNT)
    assert out.splitlines() == [b"line %d" % number for number in range(3000)]


def test_a_conversation_that_is_not_allowed_is_refused_in_the_servers_words(place: Place) -> None:
    with pytest.raises(ApiError) as caught:
        said(place, "nobody", "true")
    assert (caught.value.code, caught.value.reason) == (404, "NotFound")
    assert caught.value.message == 'pods "nobody" not found'
    place.client.create(place.path("serviceaccounts"), {"metadata": {"name": "guest"}})
    theirs = place.server.with_token(account_token(place, "guest"))
    guest = Place(theirs, place.namespace)
    with pytest.raises(ApiError, match='cannot get resource "pods/exec"') as caught:
        said(guest, "web", "true")
    assert caught.value.reason == "Forbidden"
    with pytest.raises(ApiError, match='cannot create resource "pods/exec"'):
        guest.client.converse("POST", guest.path("pods", "web", "exec"), query={"stdout": "true"})
    theirs.close()


def test_what_only_a_post_could_open_is_said_to_be_beyond_this_client(place: Place) -> None:
    place.pod("web")
    with pytest.raises(ClusterError, match="a WebSocket is opened by GET"):
        place.client.converse(
            "POST",
            place.path("pods", "web", "exec"),
            query={"stdout": "true"},
            repeated=[("command", "true")],
        )


def account_token(place: Place, name: str) -> str:
    answer = place.client.create(place.path("serviceaccounts", name, "token"), {"spec": {}})
    return str(answer["status"]["token"])


def test_a_token_is_an_account_and_nothing_more(place: Place) -> None:
    place.client.create(place.path("serviceaccounts"), {"metadata": {"name": "guest"}})
    theirs = place.server.with_token(account_token(place, "guest"))
    guest = f"system:serviceaccount:{place.namespace}:guest"
    with pytest.raises(ApiError, match=f'User "{guest}" cannot list'):
        KubeClient(theirs).get("/api/v1/nodes")
    theirs.close()


def test_a_deployment_is_seen_from_its_beginning_to_its_end(place: Place) -> None:
    informers = Informers(place.server, RealClock())
    try:
        pods = informers.watch(place.path("pods"))
        sets = informers.watch(place.path("replicasets", group="apps"))
        assert pods.poll() == sets.poll() == []
        events: list[Observed] = []

        def until(true: Callable[[], object]) -> None:
            deadline = time.monotonic() + PATIENCE
            while not true():
                assert time.monotonic() < deadline, summed(events)
                events.extend(sorted([*pods.poll(), *sets.poll()], key=lambda each: each.revision))
                time.sleep(0.1)

        place.client.create(place.path("deployments", group="apps"), deployment("web", 2))
        until(lambda: len(_ready(events)) == 2)
        place.client.delete(place.path("deployments", "web", group="apps"))
        until(lambda: not summed(events))
        assert in_order(events)
        assert [each.seconds for each in events] == sorted(each.seconds for each in events)
        assert events[0].object["kind"] == "ReplicaSet"
        assert informers.gaps == []
    finally:
        informers.close()


@pytest.fixture
def unruly(place: Place, certificate: str) -> Iterator[Unruly]:
    proxy = Unruly(place.server.server, certificate)
    yield proxy
    proxy.close()


@pytest.fixture
def through(place: Place, unruly: Unruly, tmp_path: Path) -> Iterator[Https]:
    """An account that may do anything in the namespace, through the proxy."""
    place.client.create(place.path("serviceaccounts"), {"metadata": {"name": "boss"}})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
    boss = {"kind": "ServiceAccount", "name": "boss", "namespace": place.namespace}
    binding = {"metadata": {"name": "boss"}, "roleRef": role, "subjects": [boss]}
    place.client.create(place.path("rolebindings", group="rbac.authorization.k8s.io"), binding)
    (tmp_path / "ca.pem").write_bytes(certificates().ca_pem)
    cluster = {"server": unruly.url, "certificate-authority": str(tmp_path / "ca.pem")}
    config = {
        "clusters": [{"name": "here", "cluster": cluster}],
        "users": [{"name": "boss", "user": {"token": account_token(place, "boss")}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "boss"}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    transport = from_kubeconfig(tmp_path / "config", "here")
    yield transport
    transport.close()


def test_a_conversation_that_breaks_off_is_an_error(place: Place, unruly: Unruly, through: Https) -> None:
    place.pod("web")
    boss = Place(through, place.namespace)
    unruly.meet(cut(1000), where="/exec")
    with pytest.raises(ClusterError, match=f"{unruly.url} broke in the middle of a conversation"):
        said(boss, "web", "sh", "-c", COUNT)
    unruly.meet(DROPPED, where="/exec")
    with pytest.raises(ClusterError, match=rf"{unruly.url} opens no WebSocket for /api/v1/\S+/exec: "):
        said(boss, "web", "true")


def test_broken_connections_cost_no_event(place: Place, unruly: Unruly, through: Https) -> None:
    maps = place.path("configmaps")
    informers = Informers(through, RealClock(), PACE)
    try:
        watch = informers.watch(maps)
        events = list(watch.poll())
        made: list[int] = []
        busy = answer("429 Too Many Requests", b"busy", "Retry-After: 0")
        for number, fault in enumerate((DROPPED, cut(700), busy, cut(1500), DROPPED)):
            unruly.meet(fault, where="watch=true")
            unruly.cut_all()
            for name in (f"c{number}", f"d{number}"):
                obj = place.client.create(maps, {"metadata": {"name": name}})
                made.append(int(obj["metadata"]["resourceVersion"]))
            events += watch.poll()
        assert [each.revision for each in events if each.object["metadata"]["name"][1:].isdecimal()] == made
        assert in_order(events)
        assert informers.gaps == []
    finally:
        informers.close()


def test_a_revision_that_the_server_has_forgotten_is_worked_out(
    place: Place, unruly: Unruly, through: Https
) -> None:
    maps = place.path("configmaps")
    informers = Informers(through, RealClock(), PACE)
    try:
        watch = informers.watch(maps)
        place.client.create(maps, {"metadata": {"name": "a"}})
        events = list(watch.poll())
        gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
        unruly.meet(DROPPED, answer("410 Gone", orjson.dumps(gone)), where="watch=true")
        unruly.cut_all()
        place.client.delete(f"{maps}/a")
        place.client.create(maps, {"metadata": {"name": "a"}})
        events += watch.poll()
        assert [each.type for each in events if each.object["metadata"]["name"] == "a"] == [
            "ADDED",
            "DELETED",
            "ADDED",
        ]
        assert summed(events).keys() == {each["metadata"]["uid"] for each in place.client.get(maps)["items"]}
        assert len(informers.gaps) == 1
    finally:
        informers.close()


def deployment(name: str, replicas: int) -> KubeObject:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": POD}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def _ready(events: Sequence[Observed]) -> set[str]:
    return {
        uid
        for uid, each in summed(events).items()
        if each["kind"] == "Pod"
        and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in each["status"].get("conditions", ())
        )
    }
