"""Trials in namespaces that were given: with rights in these alone, in turns, and without a trace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any
from zlib import crc32

import pytest
import yaml
from real_kubernetes import KUBERNETES, one_kubernetes
from simulated import simulated

from pytest_selfrep.agents import resolve as resolve_agent
from pytest_selfrep.clusters import claims, furnishing, preflight, shared_world
from pytest_selfrep.clusters.containment import CAPACITY, RESTRICTED
from pytest_selfrep.clusters.discovery import Discovery
from pytest_selfrep.clusters.https import Https, from_kubeconfig
from pytest_selfrep.clusters.inventory import Inventory
from pytest_selfrep.clusters.kube import ApiError, KubeClient, KubeObject, path_of
from pytest_selfrep.clusters.placing import namespaces_of
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.scenarios.model import Scenario
from pytest_selfrep.trial.runner import run_trial

KUBESIM = "kubesim"
PATIENCE = 120.0
ACCOUNT = ("ci", "runner")
RBAC = "rbac.authorization.k8s.io"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "where" in metafunc.fixturenames:
        real = [KUBERNETES] if one_kubernetes(metafunc.config).image else []
        wanted = [KUBESIM, *real] if metafunc.definition.get_closest_marker("really") else [KUBESIM]
        metafunc.parametrize("where", wanted, scope="module")


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


class Team:
    """Namespaces set aside by an administrator, and a user with rights in these alone."""

    def __init__(self, server: Https, prefix: str) -> None:
        self._server = server
        self._prefix = prefix
        self.admin = KubeClient(server)
        self.namespaces: list[str] = []
        self._sites: list[Site] = []
        self._make("", "namespaces", "", {"metadata": {"name": f"{prefix}-{ACCOUNT[0]}"}})
        self._account = (f"{prefix}-{ACCOUNT[0]}", ACCOUNT[1])
        self._make("", "serviceaccounts", self._account[0], {"metadata": {"name": self._account[1]}})
        self.user = server.with_token(furnishing.token(self.admin, self._account))

    def set_aside(self, count: int, labels: dict[str, str] | None = None) -> Sequence[str]:
        """More namespaces, without any right to them."""
        made = [f"{self._prefix}-{len(self.namespaces) + number}" for number in range(count)]
        for name in made:
            labelled = RESTRICTED if labels is None else labels
            self._make("", "namespaces", "", {"metadata": {"name": name, "labels": labelled}})
        self.namespaces += made
        return made

    def grant(self, namespace: str) -> None:
        rules = [
            {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
            for (group, resource), verbs in preflight.NEEDED_IF_GIVEN.items()
        ]
        metadata = {"name": "trials", "namespace": namespace}
        subject = {"kind": "ServiceAccount", "namespace": self._account[0], "name": self._account[1]}
        reference = {"apiGroup": RBAC, "kind": "Role", "name": "trials"}
        self._make(RBAC, "roles", namespace, {"metadata": metadata, "rules": rules})
        binding = {"metadata": metadata, "roleRef": reference, "subjects": [subject]}
        self._make(RBAC, "rolebindings", namespace, binding)

    def site(self, *namespaces: str) -> Site:
        """As one process of a run has it."""
        user = self._server.with_token(furnishing.token(self.admin, self._account))
        site = Site(user, bring=lambda images: None, given=namespaces or self.namespaces)
        self._sites.append(site)
        return site

    def contents(self) -> dict[str, list[str]]:
        """All that is in the namespaces, but for events."""
        discovery = Discovery(self.admin)
        found = {}
        for namespace in self.namespaces:
            things = Inventory(self.admin, discovery, namespace).things()
            found[namespace] = sorted(each.key for each in things if each.resource.plural != "events")
            lease = claims.lease_in(self.admin, namespace)
            found[namespace] += ["a claim"] if lease else []
        return found

    def close(self) -> None:
        for site in self._sites:
            site.close(wait=True)
        self.user.close()
        for name in [*self.namespaces, self._account[0]]:
            self.admin.delete(path_of("", "v1", "namespaces", name=name))

    def _make(self, group: str, plural: str, namespace: str, body: KubeObject) -> None:
        self.admin.create(path_of(group, "v1", plural, namespace), body)


@pytest.fixture
def team(server: Https, request: pytest.FixtureRequest) -> Iterator[Team]:
    team = Team(server, f"nordvik-{crc32(request.node.nodeid.encode()):08x}")
    yield team
    team.close()


@pytest.fixture
def granted(team: Team) -> Team:
    """With as many namespaces as two worlds of one namespace and the operator's take."""
    for namespace in team.set_aside(4):
        team.grant(namespace)
    return team


def small() -> Scenario:
    """Of two namespaces with the operator's, with an agent that any node can run, and quick."""
    scenario = load("load-balancing").overridden({"limits": {"turns": 2}})
    body = scenario.world.agent.model_copy(update={"image": "busybox:1.36.1", "command": ("sleep", "3600")})
    settings = [each for each in scenario.world.objects if each["kind"] in ("ConfigMap", "LimitRange")]
    kept = tuple(each for each in settings if each["metadata"]["namespace"] == body.namespace)
    world = scenario.world.model_copy(
        update={"agent": body, "objects": kept, "namespaces": (body.namespace,), "quota": {}}
    )
    rights = tuple(each for each in world.rights if each.namespace in (None, body.namespace))
    return scenario.model_copy(
        update={
            "world": world.model_copy(update={"rights": rights}),
            "turn_seconds": 1.0,
            "grace_seconds": 2.0,
            "settle_seconds": 1.0,
        }
    )


def eventually(true: Callable[[], object]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return found


class Here:
    """A site as a Cluster."""

    name = "here"

    def __init__(self, site: Site) -> None:
        self._site = site

    def world(self, scenario: Scenario, seed: int) -> Any:
        return shared_world.world(self._site, scenario, allow_egress=True)


@pytest.mark.really
def test_a_trial_takes_place_with_rights_in_the_given_namespaces_alone(granted: Team) -> None:
    preflight.require_given(KubeClient(granted.user), granted.namespaces)
    before = granted.contents()
    site = granted.site()
    run = run_trial(small(), resolve_agent("scripted/survivor"), Here(site), index=0, seed=3)
    assert {each.namespace for each in run.record.census.copies} <= set(granted.namespaces)
    assert run.record.census.peak > 1
    site.close(wait=True)
    assert site.stayed == []
    assert granted.contents() == before
