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
from pytest_selfrep.clusters import claims, egress, furnishing, preflight, shared_world
from pytest_selfrep.clusters.containment import CAPACITY, RESTRICTED
from pytest_selfrep.clusters.discovery import Discovery
from pytest_selfrep.clusters.fitting import Fitting
from pytest_selfrep.clusters.halt import Halt
from pytest_selfrep.clusters.https import Https, from_kubeconfig
from pytest_selfrep.clusters.inventory import Inventory
from pytest_selfrep.clusters.kube import KubeClient, KubeObject, path_of
from pytest_selfrep.clusters.placing import namespaces_of
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.scenarios.model import Scenario
from pytest_selfrep.scenarios.quantity import value_of
from pytest_selfrep.trial.failures import HarnessBroke
from pytest_selfrep.trial.runner import run_trial

KUBESIM = "kubesim"
PATIENCE = 120.0
ACCOUNT = ("ci", "runner")
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
"""Of a volume."""
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

    def make(self, api: str, kind: str, namespace: str, name: str, spec: KubeObject | None) -> None:
        """As anybody may who has rights there."""
        manifest: KubeObject = {"apiVersion": api, "kind": kind}
        manifest["metadata"] = {"name": name, "namespace": namespace}
        if spec:
            manifest["spec"] = spec
        furnishing.create(self.admin, [Fitting().manifest(manifest)])

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


def with_claim(scenario: Scenario) -> Scenario:
    """Its agent may make none: what it claims would be outside of the world's nodes."""
    namespace = scenario.world.agent.namespace
    metadata = {"name": "archive", "namespace": namespace}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": CLAIM}
    world = scenario.world.model_copy(update={"objects": (*scenario.world.objects, claim)})
    return scenario.model_copy(update={"world": world})


def test_all_that_was_made_goes_and_what_was_there_stays(granted: Team) -> None:
    namespace = granted.namespaces[0]
    granted.make("v1", "ConfigMap", namespace, "theirs", {})
    before = granted.contents()
    site = granted.site()
    with shared_world.world(site, with_claim(small()), allow_egress=True) as world:
        assert world.scenario.world.agent.namespace == namespace
        pod = {"containers": [{"name": "a", "image": "busybox:1.36.1", "command": ["sleep", "3600"]}]}
        template = {"metadata": {"labels": {"app": "a"}}, "spec": pod}
        chosen = {"selector": {"matchLabels": {"app": "a"}}, "template": template}
        once = {"template": {**template, "spec": {**pod, "restartPolicy": "Never"}}}
        for api, kind, spec in (
            ("v1", "Pod", pod),
            ("apps/v1", "Deployment", chosen),
            ("apps/v1", "StatefulSet", {**chosen, "serviceName": "a"}),
            ("batch/v1", "Job", once),
            ("v1", "Service", {"ports": [{"port": 80}]}),
            ("v1", "ServiceAccount", None),
            ("v1", "Secret", None),
            ("v1", "ConfigMap", None),
        ):
            granted.make(api, kind, namespace, "copy", spec)
        granted.admin.delete(path_of("", "v1", "configmaps", namespace, "theirs"))
        granted.make("v1", "ConfigMap", namespace, "theirs", None)
    site.close(wait=True)
    assert site.stayed == []
    assert granted.contents() == before


def test_a_world_begins_without_the_events_of_the_last(granted: Team) -> None:
    namespace = granted.namespaces[0]
    metadata = {"name": "killing", "namespace": namespace}
    about = {"kind": "Pod", "name": "standby", "namespace": namespace}
    event = {"metadata": metadata, "involvedObject": about, "reason": "Killing", "type": "Normal"}
    events = path_of("", "v1", "events", namespace)
    granted.admin.create(events, event)
    with shared_world.world(granted.site(), small(), allow_egress=True):
        names = [each["involvedObject"]["name"] for each in granted.admin.get(events)["items"]]
    assert names
    assert "standby" not in names


def test_worlds_at_the_same_time_have_namespaces_of_their_own_and_others_wait(granted: Team) -> None:
    here, there = granted.site(), granted.site()
    entered = threading.Event()

    def wait_for_room() -> None:
        with shared_world.world(here, small(), allow_egress=True) as world:
            third.update(namespaces_of(world.scenario))
            entered.set()

    third: set[str] = set()
    waiting = threading.Thread(target=wait_for_room)
    with ExitStack() as worlds:
        first, second = (
            set(namespaces_of(worlds.enter_context(world).scenario))
            for world in (
                shared_world.world(here, small(), allow_egress=True),
                shared_world.world(there, small(), allow_egress=True),
            )
        )
        assert len(first | second) == 4
        waiting.start()
        assert not entered.wait(2.0)
    assert entered.wait(PATIENCE)
    waiting.join()
    assert third <= set(granted.namespaces)


@pytest.mark.parametrize("ends", ["the run", "its gate"])
def test_who_waits_for_a_namespace_stops_when_nobody_waits_for_the_trial(granted: Team, ends: str) -> None:
    here, there, halt = granted.site(), granted.site(), Halt()
    names = list(there.ground.claim(["storefront", "payments", "platform", "billing"]).values())
    said: list[str] = []

    def wait_for_room() -> None:
        run = Here(here)
        with pytest.raises(HarnessBroke) as caught:
            run_trial(small(), resolve_agent("scripted/steady"), run, index=0, seed=0, halt=halt)
        said.append(str(caught.value))

    waiting = threading.Thread(target=wait_for_room)
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    if ends == "the run":
        here.retire_all()
    else:
        halt.call()
    waiting.join(PATIENCE)
    assert "nobody waits for this trial any more" in said[0]
    there.retire(names, [])


def test_too_few_namespaces_are_one_error_that_says_how_many_are_missing(granted: Team) -> None:
    one = granted.namespaces[0]
    world = shared_world.world(granted.site(one), small(), allow_egress=True)
    with pytest.raises(
        ClusterError, match=rf"2 namespaces \(storefront, platform\).*names 1 \({one}\): name 1"
    ):
        world.__enter__()


def test_a_namespace_in_which_something_runs_is_refused(granted: Team) -> None:
    namespace = granted.namespaces[1]
    granted.make("v1", "Pod", namespace, "theirs", {"containers": [{"name": "a", "image": "b"}]})
    before = granted.contents()
    said = f"namespace {namespace} is in use, it has Pod theirs"
    with pytest.raises(ClusterError, match=said):
        preflight.require_given(KubeClient(granted.user), granted.namespaces)
    with pytest.raises(ClusterError, match=said):
        shared_world.world(granted.site(), small(), allow_egress=True).__enter__()
    assert granted.contents() == before


def test_what_a_dead_process_left_is_removed_by_the_next(
    granted: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "SECONDS", 2)
    before = granted.contents()
    dead, namespaces = granted.site(), granted.namespaces[:2]
    world = shared_world.world(dead, small(), allow_egress=True)
    world.__enter__()
    dead.ground.close()
    site = granted.site(*namespaces)
    with shared_world.world(site, small(), allow_egress=True) as successor:
        assert set(namespaces_of(successor.scenario)) == set(namespaces)
    site.close(wait=True)
    assert granted.contents() == before


def test_what_came_after_a_process_had_died_is_not_its_own_and_stays(
    granted: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "SECONDS", 2)
    namespaces = granted.namespaces[:2]
    dead = granted.site(*namespaces)
    # Kept, for it would end when nobody has it.
    world = shared_world.world(dead, small(), allow_egress=True)
    namespace = world.__enter__().scenario.world.agent.namespace
    dead.ground.close()
    time.sleep(1.0)
    # Kubernetes replaces it: it is newer, but belongs to what the dead process made.
    pods = path_of("", "v1", "pods", namespace)
    old = granted.admin.get(pods)["items"]
    granted.admin.delete(f"{pods}/{old[0]['metadata']['name']}", query={"gracePeriodSeconds": "0"})
    eventually(
        lambda: (
            {each["metadata"]["uid"] for each in granted.admin.get(pods)["items"]}
            - {each["metadata"]["uid"] for each in old}
        )
    )
    granted.make("v1", "ConfigMap", namespace, "theirs", None)
    before = granted.contents()
    said = f"namespace {namespace} still has a claim of a run that died, and ConfigMap theirs came"
    with pytest.raises(ClusterError, match=f"{said} there later"):
        preflight.require_given(KubeClient(granted.user), namespaces)
    for _ in range(2):
        # The second takes over from the first, which has taken over from the dead one.
        successor = granted.site(*namespaces)
        with pytest.raises(ClusterError, match=f"{said} there later.*clean with --newer"):
            shared_world.world(successor, small(), allow_egress=True).__enter__()
        successor.close(wait=True)
    assert granted.contents()[namespace] == before[namespace]
    granted.admin.delete(path_of("", "v1", "configmaps", namespace, "theirs"))
    with shared_world.world(granted.site(*namespaces), small(), allow_egress=True) as next_one:
        assert set(namespaces_of(next_one.scenario)) == set(namespaces)


def credential(kind: str) -> Callable[[Team, str], None]:
    return lambda team, namespace: team.make("v1", kind, namespace, "theirs", None)


def binding(kind: str, name: str) -> Callable[[Team, str], None]:
    def bind(team: Team, namespace: str) -> None:
        subject = {"kind": kind, "name": name.format(namespace=namespace, other=team.namespaces[1])}
        subject |= {"namespace": namespace} if kind == "ServiceAccount" else {"apiGroup": RBAC}
        reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"}
        body = {"metadata": {"name": "theirs"}, "roleRef": reference, "subjects": [subject]}
        team.admin.create(path_of(RBAC, "v1", "rolebindings", namespace), body)

    return bind


@pytest.mark.parametrize(
    ("add", "said"),
    [
        (credential("ServiceAccount"), "ServiceAccount theirs"),
        (credential("Secret"), "Secret theirs"),
        (binding("ServiceAccount", "default"), "RoleBinding theirs for ServiceAccount default"),
        (binding("ServiceAccount", "to-come"), "RoleBinding theirs for ServiceAccount to-come"),
        (binding("User", "system:serviceaccount:{other}:default"), "RoleBinding theirs for User system:"),
        (binding("Group", "system:authenticated"), "RoleBinding theirs for Group system:authenticated"),
        (binding("Group", "system:serviceaccounts:{namespace}"), "RoleBinding theirs for Group system:"),
    ],
)
def test_a_namespace_in_which_an_agent_would_find_rights_is_refused(
    granted: Team, add: Callable[[Team, str], None], said: str
) -> None:
    namespace = granted.namespaces[0]
    add(granted, namespace)
    said = f"namespace {namespace} has {said}.*remove or move what trials do not need"
    with pytest.raises(ClusterError, match=said):
        preflight.require_given(KubeClient(granted.user), granted.namespaces)
    with pytest.raises(ClusterError, match=said):
        shared_world.world(granted.site(), small(), allow_egress=True).__enter__()


def test_what_every_namespace_has_and_rights_of_others_are_no_reason(granted: Team) -> None:
    namespace = granted.namespaces[0]
    kept = {"kubernetes.io/service-account.name": "default"}
    secret = {"metadata": {"name": "default-token-x7k2p", "annotations": kept}}
    granted.admin.create(path_of("", "v1", "secrets", namespace), secret)
    binding("Group", "nordvik:developers")(granted, namespace)
    preflight.require_given(KubeClient(granted.user), granted.namespaces)


def test_who_lives_keeps_its_namespaces_and_who_lost_them_does_not_count(
    granted: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "SECONDS", 1)
    site, other = granted.site(*granted.namespaces[:2]), claims.Claims(granted.admin, "another")
    monkeypatch.setattr(site.ground, "_claims", claims.Claims(site.admin, site.lease, renew=0.2))
    trial = shared_world.world(site, small(), allow_egress=True)
    namespace, onlooker = trial.__enter__().scenario.world.agent.namespace, claims.Onlooker()
    until = time.monotonic() + 3.0
    while time.monotonic() < until:
        lease = claims.lease_in(granted.admin, namespace)
        assert lease is not None
        assert not onlooker.stale(lease)
        time.sleep(0.1)
    eventually(lambda: other.take_over(claims.lease_in(granted.admin, namespace) or {}))
    eventually(lambda: site.ground.lost([namespace]))
    with pytest.raises(ClusterError, match=f"may have used the namespaces.*{namespace}"):
        trial.__exit__(None, None, None)
    other.release(namespace)
    other.close()


def test_missing_rights_are_printed_as_roles_that_grant_them(team: Team) -> None:
    first, second = team.set_aside(2)
    team.grant(first)
    with pytest.raises(ClusterError) as caught:
        preflight.require_given(KubeClient(team.user), team.namespaces)
    role, binding = yaml.safe_load_all(str(caught.value).split("\n", 1)[1])
    assert (role["kind"], role["metadata"]["namespace"]) == ("Role", second)
    assert binding["kind"] == "RoleBinding"
    for manifest, plural in ((role, "roles"), (binding, "rolebindings")):
        team.admin.create(path_of(RBAC, "v1", plural, second), manifest)
    preflight.require_given(KubeClient(team.user), team.namespaces)


def test_a_namespace_that_lets_any_pod_in_is_refused(team: Team) -> None:
    (namespace,) = team.set_aside(1, labels={})
    team.grant(namespace)
    with pytest.raises(ClusterError, match=f"kubectl label namespace {namespace} pod-security.*=restricted"):
        preflight.require_given(KubeClient(team.user), team.namespaces)


def test_what_could_not_be_removed_may_not_be_created(granted: Team) -> None:
    scenario = small()
    right = scenario.world.rights[0].model_copy(
        update={"api_groups": ("policy",), "resources": ("poddisruptionbudgets",), "verbs": ("create",)}
    )
    world = scenario.world.model_copy(update={"rights": (*scenario.world.rights, right)})
    before = granted.contents()
    site = granted.site()
    with pytest.raises(
        ClusterError, match=r"lets the agent create poddisruptionbudgets\.policy.*list and delete"
    ):
        shared_world.world(site, scenario.model_copy(update={"world": world}), allow_egress=True).__enter__()
    site.close(wait=True)
    assert granted.contents() == before


def test_what_takes_rights_to_the_cluster_is_left_out_and_said(granted: Team) -> None:
    scenario = small()
    kind = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "high"},
        "value": 1,
    }
    world = scenario.world.model_copy(update={"objects": (*scenario.world.objects, kind)})
    with shared_world.world(
        granted.site(), scenario.model_copy(update={"world": world}), allow_egress=True
    ) as built:
        said = " | ".join(built.approximations)
        body = built.scenario.world.agent
        assert built.pressure.get(path_of("apps", "v1", "deployments", body.namespace, body.name))
    assert "its namespaces were given" in said
    assert "there is no PriorityClass high" in said
    assert "which takes rights to the whole cluster" in said


def test_a_quota_of_the_team_bounds_what_a_world_requests(granted: Team) -> None:
    namespace = granted.namespaces[0]
    hard = {"requests.cpu": "500m", "requests.memory": "1Gi"}
    granted.make("v1", "ResourceQuota", namespace, "team", {"hard": hard})
    with shared_world.world(granted.site(), small(), allow_egress=True) as world:
        ours = world.admin.get(path_of("", "v1", "resourcequotas", namespace, CAPACITY))["spec"]["hard"]
        assert value_of(ours["requests.cpu"]) <= value_of("510m")
        assert any("requests of cpu are" in each for each in world.approximations)


def test_the_probe_of_the_fences_takes_its_turn_in_a_given_namespace(
    granted: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Simulated containers have no nc.
    monkeypatch.setattr(egress, "START_SECONDS", 5.0)
    before = granted.contents()
    site = granted.site()
    with pytest.raises(ClusterError, match="could not be found out: the listener got no further"):
        site.seal("busybox:1.36.1", allow_egress=False)
    site.close(wait=True)
    assert site.stayed == []
    assert granted.contents() == before
