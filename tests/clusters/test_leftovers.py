"""What dead runs left in a cluster is found and removed; what runs that live have is not touched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import orjson
import pytest
from simulated import simulated

from pytest_selfrep.__main__ import main
from pytest_selfrep.clusters import claims, shared_world
from pytest_selfrep.clusters.containment import LEASE, RESTRICTED
from pytest_selfrep.clusters.https import Https, from_kubeconfig
from pytest_selfrep.clusters.kube import ApiError, Call, KubeClient, Reply, path_of
from pytest_selfrep.clusters.leftovers import Leftovers
from pytest_selfrep.clusters.placing import namespaces_of
from pytest_selfrep.clusters.shared_world import SharedWorld
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.loading import load

CONTEXT = "default@kubernetes"
HIGH = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "high"},
    "value": 1,
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Https]:
    yield from simulated(tmp_path)


@pytest.fixture
def admin(server: Https) -> KubeClient:
    return KubeClient(server)


@pytest.fixture
def kubeconfig(server: Https, tmp_path: Path) -> Path:
    """Whose current context is the cluster."""
    return tmp_path / "config"


@pytest.fixture
def sites(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Site]]:
    """What a process of a run has of the cluster; its claims hold for a second."""
    monkeypatch.setattr(claims, "SECONDS", 1)
    made: list[Site] = []

    def make(*given: str) -> Site:
        server = from_kubeconfig(kubeconfig, CONTEXT)
        made.append(Site(server, bring=lambda images: None, given=given))
        monkeypatch.setattr(made[-1].ground, "_claims", claims.Claims(made[-1].admin, made[-1].lease, 0.2))
        return made[-1]

    yield make
    for site in made:
        site.close(wait=False)


def begun(site: Site) -> tuple[AbstractContextManager[SharedWorld], list[str]]:
    """A world that stays until told otherwise, and its namespaces."""
    scenario = load("load-balancing")
    objects = (*scenario.world.objects, HIGH)
    scenario = scenario.model_copy(update={"world": scenario.world.model_copy(update={"objects": objects})})
    world = shared_world.world(site, scenario, allow_egress=True)
    return world, list(namespaces_of(world.__enter__().scenario))


def cleaned(server: Https, given: tuple[str, ...] = ()) -> tuple[list[str], list[str]]:
    """What was removed, and what was left."""
    leftovers = Leftovers(server, given)
    found = leftovers.remove(leftovers.find())
    assert not found.stayed
    return list(found.removed), list(found.left)


def labelled(admin: KubeClient, path: str) -> list[str]:
    items = admin.get(path, query={"labelSelector": LEASE})["items"]
    return [each["metadata"]["name"] for each in items]


NAMESPACES = path_of("", "v1", "namespaces")
CLASSES = path_of("scheduling.k8s.io", "v1", "priorityclasses")


def test_what_a_dead_run_left_goes_and_what_a_living_one_has_stays(
    server: Https, admin: KubeClient, sites: Callable[..., Site]
) -> None:
    dead, living = sites(), sites()
    _, theirs = begun(dead)
    world, ours = begun(living)
    dead.ground.close()
    priorities = labelled(admin, CLASSES)
    removed, left = cleaned(server)
    assert {f"namespace {each}" for each in theirs} < set(removed)
    assert {f"namespace {each}: its run still goes on" for each in ours} < set(left)
    assert sorted(labelled(admin, NAMESPACES)) == sorted(ours)
    assert len(priorities) == 2
    assert len(labelled(admin, CLASSES)) == 1
    world.__exit__(None, None, None)
    living.close(wait=True)
    assert cleaned(server) == ([], [])


def test_given_namespaces_are_cleaned_but_stay(
    server: Https, admin: KubeClient, sites: Callable[..., Site]
) -> None:
    given = ("nordvik-a", "nordvik-b", "nordvik-c")
    for name in given:
        admin.create(NAMESPACES, {"metadata": {"name": name, "labels": RESTRICTED}})
    admin.create(path_of("", "v1", "configmaps", given[0]), {"metadata": {"name": "theirs"}})
    dead = sites(*given)
    _world, _ = begun(dead)
    assert cleaned(server) == ([], [f"what is in namespace {each}: its run still goes on" for each in given])
    dead.ground.close()
    assert cleaned(server, given) == ([f"what was made in namespace {each}" for each in given], [])
    for name in given:
        assert admin.get(path_of("apps", "v1", "deployments", name))["items"] == []
        assert claims.lease_in(admin, name) is None
    assert admin.get(path_of("", "v1", "configmaps", given[0], "theirs"))


def test_what_came_to_a_given_namespace_later_goes_only_if_that_is_said(
    kubeconfig: Path, admin: KubeClient, sites: Callable[..., Site], capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("nordvik-a", "nordvik-b", "nordvik-c")
    for name in given:
        admin.create(NAMESPACES, {"metadata": {"name": name, "labels": RESTRICTED}})
    dead = sites(*given)
    _world, _ = begun(dead)
    dead.ground.close()
    time.sleep(1.0)
    later = path_of("", "v1", "configmaps", given[0])
    admin.create(later, {"metadata": {"name": "later"}})
    command = ["clean", "--kubeconfig", str(kubeconfig), "--context", CONTEXT]
    assert main(command) == 1
    said = capsys.readouterr().out
    stays = f"stays: what was made in namespace {given[0]}: namespace {given[0]} still has a claim"
    assert f"{stays} of a run that died, and ConfigMap later came" in said
    assert f"removed what was made in namespace {given[1]}" in said
    assert admin.get(f"{later}/later")
    assert main([*command, "--newer"]) == 0
    assert [each["metadata"]["name"] for each in admin.get(later)["items"]] == ["kube-root-ca.crt"]


def test_what_somebody_else_made_under_the_same_name_stays(
    server: Https, admin: KubeClient, sites: Callable[..., Site]
) -> None:
    admin.create(CLASSES, HIGH)
    site = sites()
    world, _ = begun(site)
    world.__exit__(None, None, None)
    site.close(wait=True)
    assert admin.get(f"{CLASSES}/high")
    assert labelled(admin, CLASSES) == []


def test_the_command_names_its_context(
    kubeconfig: Path, sites: Callable[..., Site], admin: KubeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    site = sites()
    _, namespaces = begun(site)
    site.ground.close()
    assert main(["clean", "--kubeconfig", str(kubeconfig)]) == 1
    assert "say which cluster: --context NAME" in capsys.readouterr().err
    assert labelled(admin, NAMESPACES)
    assert main(["clean", "--kubeconfig", str(kubeconfig), "--context", CONTEXT]) == 0
    said = capsys.readouterr().out
    assert all(f"removed namespace {each}\n" in said for each in namespaces)
    assert labelled(admin, NAMESPACES) == []
    assert main(["clean", "--kubeconfig", str(kubeconfig), "--context", CONTEXT]) == 0
    assert capsys.readouterr().out == "nothing is left over\n"


def test_a_server_that_refuses_is_no_reason_to_leave_the_rest(
    kubeconfig: Path,
    sites: Callable[..., Site],
    admin: KubeClient,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(leftovers: Leftovers, path: str) -> None:
        raise ApiError({"code": 500, "message": "a webhook is down"})

    site = sites()
    _, namespaces = begun(site)
    site.ground.close()
    (priority,) = labelled(admin, CLASSES)
    monkeypatch.setattr(Leftovers, "_delete", refuse)
    assert main(["clean", "--kubeconfig", str(kubeconfig), "--context", CONTEXT]) == 1
    said = capsys.readouterr().out
    assert f"stays: {CLASSES}/{priority}: a webhook is down\n" in said
    assert all(f"removed namespace {each}\n" in said for each in namespaces)


def test_what_does_not_go_is_said(
    kubeconfig: Path,
    sites: Callable[..., Site],
    admin: KubeClient,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pytest_selfrep.clusters.leftovers.GONE_SECONDS", 2.0)
    site = sites()
    _, namespaces = begun(site)
    held = {"metadata": {"name": "held", "finalizers": ["nordvik.internal/never"]}}
    admin.create(path_of("", "v1", "configmaps", namespaces[0]), held)
    site.ground.close()
    time.sleep(0.1)
    assert main(["clean", "--kubeconfig", str(kubeconfig), "--context", CONTEXT]) == 1
    assert f"stays: namespace {namespaces[0]} is still there after 2 s" in capsys.readouterr().out


class Breaking:
    """A connection that breaks when a namespace has been made, or before."""

    def __init__(self, server: Https, *, carried_out: bool) -> None:
        self._server = server
        self._carried_out = carried_out
        self.asked: list[str] = []

    def send(self, call: Call) -> Reply:
        if (call.method, call.path) == ("POST", NAMESPACES):
            self.asked.append(orjson.loads(call.body)["metadata"]["name"])
            if len(self.asked) == 2:
                if self._carried_out:
                    self._server.send(call)
                raise ClusterError("the connection broke")
        return self._server.send(call)


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_connection_that_breaks_while_namespaces_are_made_leaves_none(
    sites: Callable[..., Site],
    admin: KubeClient,
    server: Https,
    monkeypatch: pytest.MonkeyPatch,
    *,
    carried_out: bool,
) -> None:
    site = sites()
    breaking = Breaking(server, carried_out=carried_out)
    monkeypatch.setattr(site.ground, "_admin", KubeClient(breaking))
    with pytest.raises(ClusterError, match="the connection broke"):
        site.ground.claim(["storefront", "payments", "platform"])
    site.close(wait=True)
    assert site.stayed == []
    assert len(breaking.asked) == 2
    assert labelled(admin, NAMESPACES) == []


class Refusing:
    """A server that does not let one namespace go."""

    def __init__(self, server: Https, name: str) -> None:
        self._server = server
        self._path = f"{NAMESPACES}/{name}"

    def send(self, call: Call) -> Reply:
        if (call.method, call.path) == ("DELETE", self._path):
            return Reply(500, b'{"kind": "Status", "code": 500, "message": "a webhook is down"}')
        return self._server.send(call)


def test_a_namespace_that_may_not_go_keeps_no_other(
    sites: Callable[..., Site], admin: KubeClient, server: Https, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = sites()
    names = list(site.ground.claim(["storefront", "platform"]).values())
    monkeypatch.setattr(site.ground, "_admin", KubeClient(Refusing(server, names[0])))
    site.retire_all()
    site.close(wait=True)
    assert site.stayed == [f"namespace {names[0]} cannot be removed: a webhook is down"]
    assert labelled(admin, NAMESPACES) == [names[0]]
