"""A world on a cluster that it shares: namespaces of its own, fenced in, with clients and watches."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from pytest_selfrep.clusters import extended, furnishing
from pytest_selfrep.clusters.base import AuditEvent, Identity
from pytest_selfrep.clusters.ceiling import ceiling, defaults
from pytest_selfrep.clusters.cluster_wide import (
    is_cluster_wide,
    labelled,
    renamed,
    with_labels,
    within,
    without_cluster_wide_steps,
)
from pytest_selfrep.clusters.containment import CAPACITY, capacity, fences, way_to
from pytest_selfrep.clusters.cpu_use import CpuUse
from pytest_selfrep.clusters.fitting import Fitting, images_of
from pytest_selfrep.clusters.informers import Informers
from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of
from pytest_selfrep.clusters.kubeconfig import private_file
from pytest_selfrep.clusters.manifests import WORKLOADS, account_of, agent_user, manifests, path, user_name
from pytest_selfrep.clusters.placing import confined, namespaces_of, placed
from pytest_selfrep.clusters.real_clock import RealClock
from pytest_selfrep.clusters.requests_seen import Audited, Record, Recorded
from pytest_selfrep.clusters.settling import in_motion
from pytest_selfrep.clusters.shortage import LONGEST, Shortage, surplus
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Observed, Toolbox, Watch
    from pytest_selfrep.clusters.https import Https
    from pytest_selfrep.clusters.kube import KubeObject
    from pytest_selfrep.clusters.requests_seen import Requests
    from pytest_selfrep.clusters.site import Site
    from pytest_selfrep.scenarios.model import Nodes, Scenario

READY_WITHIN_SECONDS = 120.0
"""Real time that the agent's Deployment may take to become Ready."""
_POLL_SECONDS = 0.1


class SharedWorld:
    """See the World protocol. Made by ``world``."""

    def __init__(
        self,
        site: Site,
        scenario: Scenario,
        differences: Sequence[str],
        fitting: Fitting,
        resources: ExitStack,
        pace: float,
    ) -> None:
        self.scenario = scenario
        """As placed: in the namespaces that it has here."""
        self.admin = site.admin
        self.clock = RealClock(pace, self._has_settled)
        # Nothing makes programs in pods any faster.
        self._machine_clock = RealClock()
        self.agent_user = agent_user(scenario)
        self._site = site
        self._differences = differences
        self._fitting = fitting
        self._resources = resources
        self._nodes = {name: group for group in scenario.world.nodes for name in group.names()}
        self._namespaces = set(namespaces_of(scenario))
        self._users = {self.agent_user, scenario.world.operator}
        token = furnishing.token(site.admin, _account(self.agent_user))
        server = site.server.with_token(token)
        resources.callback(server.close)
        self._requests, self._record = self._open_requests(KubeClient(server))
        self._token = token
        self.agent = self._client(server, self.agent_user)
        self.pressure = self._operator(scenario.world.operator)
        # Where all namespaces are watched, what others do there is no flood of the agent's.
        self._informers = Informers(site.server, self.clock, counted=self._has)
        resources.callback(self._informers.close)
        self.shortage = Shortage(
            self._capacities, lambda: (each for each in self._own_objects() if each["kind"] == "Pod")
        )
        self._cpu_use = CpuUse(site.admin, self._machine_clock, self._has_metrics)
        self._kubeconfig: Path | None = None

    @property
    def approximations(self) -> Sequence[str]:
        """How this world differs from the scenario's."""
        found = [*self._differences, "the scenario's nodes are a quota on each namespace"]
        found += self._cpu_use.words()
        if self._record is not None:
            found.append("requests are known from the harness's clients alone: there is no audit log")
            if self.toolbox is not None:
                found.append("of what the agent does in its shell, only what comes of it is seen")
        return found

    @property
    def toolbox(self) -> Toolbox | None:
        return furnishing.toolbox(self.admin, self._machine_clock, self.scenario)

    @property
    def sees_requests(self) -> bool:
        return self._record is None

    def ready_image(self, image: str) -> None:
        self._site.ready_own(image)
        # What runs in it speaks to the API server by itself. A toolbox has the way there already.
        if self.toolbox is None:
            furnishing.create(self.admin, _ways(self._site, self.scenario))

    def kubeconfig(self) -> Path:
        if self._kubeconfig is None:
            body = self.scenario.world.agent
            self._kubeconfig = self._written(self._token, (body.namespace, body.service_account))
        return self._kubeconfig

    def _written(self, token: str, account: tuple[str, str]) -> Path:
        """A kubeconfig file, gone with the world."""
        text = _kubeconfig(self._site.server, token, *account)
        return self._resources.enter_context(private_file(text))

    def identity(self, namespace: str, pod: str) -> Identity:
        found = furnishing.credential(self.admin, namespace, pod)
        user = user_name(*found.account)
        self._users.add(user)
        server = self._site.server.with_token(found.token)
        self._resources.callback(server.close)
        kubeconfig = cache(lambda: self._written(found.token, found.account))
        return Identity(user, self._client(server, user, found.uid), kubeconfig)

    def watch(self, group: str, version: str, plural: str) -> Watch:
        """Of the world's own namespaces; nothing ever happens to kinds that the cluster does not have."""
        found = self._site.discovery.collection(group, version, plural)
        paths = self._site.ground.collections(found, self._namespaces) if found else ()
        shortage = self.shortage if (group, plural) == ("", "pods") else None
        return _Own(self._informers.watch(*paths), self._namespaces, shortage)

    def audit(self) -> Sequence[AuditEvent]:
        events = self._requests.poll()
        for event in events:
            if (event.verb, event.resource) == ("create", "namespaces") and event.code < 400:
                # It is the agent's doing, and so the world's.
                self._namespaces.add(event.name)
        return events

    @property
    def namespaces(self) -> Collection[str]:
        """All that there are by now."""
        return frozenset(self._namespaces)

    def call_off(self) -> None:
        self.clock.stop()
        self._machine_clock.stop()

    def set_cpu(self, namespace: str, selector: str, cores: float) -> None:
        """As much smaller as requests are, where the cluster measures it. See the World protocol."""
        self._cpu_use.share(namespace, selector, cores * float(self._fitting.cpu))

    def resize_node(
        self, name: str, *, cpu: str | None, memory: str | None, extended: dict[str, int]
    ) -> None:
        """Change the quotas that stand for nodes, and evict the newest pods that no longer fit."""
        changes = {"cpu": cpu, "memory": memory, "extended": {**self._node(name).extended, **extended}}
        kept = {key: value for key, value in changes.items() if value is not None}
        self._nodes[name] = self._node(name).model_copy(update=kept)
        self._shrink()

    def remove_node(self, name: str) -> None:
        """Take what a node holds from the quotas that stand for nodes, and evict what no longer fits."""
        self._node(name)
        del self._nodes[name]
        self._shrink()

    def _node(self, name: str) -> Nodes:
        found = self._nodes.get(name)
        if found is None:
            raise ApiError({"code": 404, "reason": "NotFound", "message": f'nodes "{name}" not found'})
        return found.model_copy(update={"count": 1})

    def _shrink(self) -> None:
        hard = capacity({name: self._node(name) for name in self._nodes}, self._fitting)
        for namespace in namespaces_of(self.scenario):
            quota = path_of("", "v1", "resourcequotas", namespace, CAPACITY)
            self.admin.patch(quota, {"spec": {"hard": hard}})
        for pod in surplus(self._pods(), hard):
            metadata = pod["metadata"]
            self.admin.delete(path_of("", "v1", "pods", metadata["namespace"], metadata["name"]))

    def _has_metrics(self) -> bool:
        return self._site.discovery.collection("metrics.k8s.io", "v1beta1", "pods") is not None

    def _has_settled(self) -> bool:
        """As far as is watched."""
        return not any(
            in_motion(each) or (each["kind"] == "Pod" and self.shortage.lacks(each))
            for each in self._own_objects()
        )

    def _own_objects(self) -> Iterator[KubeObject]:
        """All that is watched."""
        return filter(self._has, self._informers.objects())

    def _has(self, obj: KubeObject) -> bool:
        return obj["metadata"].get("namespace", "") in self._namespaces

    def _capacities(self) -> list[Mapping[str, str]]:
        """Of the scenario's nodes that there still are."""
        return [capacity({name: self._node(name)}, self._fitting) for name in self._nodes]

    def _pods(self) -> Iterator[KubeObject]:
        for namespace in sorted(self._namespaces):
            yield from self.admin.get(path_of("", "v1", "pods", namespace))["items"]

    def _open_requests(self, agent: KubeClient) -> tuple[Requests, Record | None]:
        log = self._site.ground.audit_log()
        if log is None or not log.shows(agent, self.scenario.world.agent.namespace):
            record = Record(self.clock)
            return record, record
        return Audited(log, self._users, self.clock), None

    def _client(self, server: Https, user: str, pod: str = "") -> KubeClient:
        return KubeClient(server if self._record is None else Recorded(server, user, self._record, pod))

    def _operator(self, user: str) -> KubeClient:
        account = account_of(user)
        if account is None:
            raise ClusterError(
                f"world.operator is the user {user!r}, and on a real cluster nobody can be made one: "
                "give it a ServiceAccount, as system:serviceaccount:NAMESPACE:NAME"
            )
        server = self._site.server.with_token(furnishing.token(self.admin, account))
        self._resources.callback(server.close)
        return self._client(server, user)


@dataclass(slots=True)
class _Own:
    """Events of a whole cluster's watch that concern one world."""

    watch: Watch
    namespaces: Collection[str]
    """Live: it grows with the world."""
    shortage: Shortage | None = None
    """Of room for pods, if the watch is of these."""

    def poll(self) -> Sequence[Observed]:
        own = [
            each
            for each in self.watch.poll()
            if each.object["metadata"].get("namespace", "") in self.namespaces
        ]
        if self.shortage is not None:
            for each in own:
                self.shortage.saw(each)
            self.shortage.require_none(LONGEST)
        return own


@contextmanager
def world(site: Site, scenario: Scenario, *, allow_egress: bool, pace: float = 1.0) -> Iterator[SharedWorld]:
    """A scenario's world in namespaces of its own; it is removed, without waiting for it, in every ending.

    Raises:
        ClusterError: it cannot be built.
    """
    said: list[str] = []
    if site.substitutes is not None:
        scenario, substituted = site.substitutes.applied(scenario)
        said += substituted
    asked = extended.of(scenario)
    declared, lacking = site.provide(asked)
    room = site.ground.room
    fitting = Fitting.into(room, scenario, lacking)
    said += [*fitting.words(), *room.words(scenario), *extended.words(asked, declared, lacking)]
    objects = [fitting.manifest(each) for each in manifests(scenario)]
    images = images_of(objects)
    if (toolbox := scenario.world.toolbox) is not None:
        # It is there for its programs, so nothing stands in for it.
        images.pop(toolbox.image, None)
        site.ready_own(toolbox.image)
    site.ready_images(images)
    site.seal(scenario.world.agent.image, allow_egress=allow_egress)
    names = site.ground.claim(namespaces_of(scenario))
    said += site.ground.words
    namespaces: set[str] = set(names.values())
    cluster_wide: list[str] = []
    with ExitStack() as resources:
        resources.callback(site.hold(namespaces, cluster_wide))
        here, objects, changed = _as_it_may_be(site, scenario, names, fitting)
        said += changed
        steps = [step.apply for step in here.timeline if step.apply is not None]
        cluster_wide += [path(each) for each in (*objects, *steps) if is_cluster_wide(each)]
        _furnish(site, here, objects, fitting)
        built = SharedWorld(site, here, said, fitting, resources, pace)
        built.clock.restart()
        try:
            yield built
        finally:
            namespaces.update(built.namespaces)
        built.shortage.require_none()
    if lost := site.ground.lost(names.values()):
        raise ClusterError(f"another run may have used the namespaces of this trial: {', '.join(lost)}")


def _as_it_may_be(
    site: Site, scenario: Scenario, names: Mapping[str, str], fitting: Fitting
) -> tuple[Scenario, list[KubeObject], list[str]]:
    """The scenario in its namespaces, its objects but for those, and in words what had to be changed."""
    ground = site.ground
    here, lost = confined(_fitted(placed(scenario, names), fitting), cluster_wide=ground.cluster_wide)
    ground.require_seen(_creatable(here))
    if not ground.cluster_wide:
        here, unplayed = without_cluster_wide_steps(here)
        objects, left_out = within(_objects(here, fitting), namespaces_of(here))
        return here, objects, [*lost, *left_out, *unplayed]
    here = labelled(renamed(here, secrets.token_hex(3)), site.labels())
    objects = _objects(here, fitting)
    if not any(is_cluster_wide(step.apply) for step in here.timeline if step.apply):
        # Pressure acts in this world alone.
        theirs = [each for each in objects if _is_operators(each, here)]
        objects = [each for each in objects if each not in theirs] + within(theirs, namespaces_of(here))[0]
    return (
        here,
        [with_labels(each, site.labels()) if is_cluster_wide(each) else each for each in objects],
        lost,
    )


def _objects(scenario: Scenario, fitting: Fitting) -> list[KubeObject]:
    return [fitting.manifest(each) for each in manifests(scenario) if each["kind"] != "Namespace"]


def _is_operators(manifest: KubeObject, scenario: Scenario) -> bool:
    """Whether it is part of the operator's grant, which has its name."""
    name = scenario.world.operator.removeprefix("system:serviceaccount:")
    return str(manifest["kind"]).startswith("ClusterRole") and bool(manifest["metadata"]["name"] == name)


def _creatable(scenario: Scenario) -> list[tuple[str, str]]:
    """Group and plural of what the agent may create."""
    return [
        (group, resource)
        for right in scenario.world.rights
        if not {"create", "*"}.isdisjoint(right.verbs)
        for group in right.api_groups
        for resource in right.resources
    ]


def _fitted(scenario: Scenario, fitting: Fitting) -> Scenario:
    """The same with what the timeline applies made to fit."""
    steps = tuple(
        step.model_copy(update={"apply": fitting.manifest(step.apply)}) if step.apply else step
        for step in scenario.timeline
    )
    return scenario.model_copy(update={"timeline": steps})


def _furnish(site: Site, scenario: Scenario, objects: Sequence[KubeObject], fitting: Fitting) -> None:
    nodes = {
        name: group.model_copy(update={"count": 1})
        for group in scenario.world.nodes
        for name in group.names()
    }
    applied = [step.apply for step in scenario.timeline if step.apply is not None]
    hard = {**capacity(nodes, fitting), **ceiling(scenario, [*objects, *applied])}
    admin = site.admin
    for namespace in namespaces_of(scenario):
        furnishing.create(admin, fences(namespace, hard))
        furnishing.create(admin, [defaults(namespace, scenario, [*objects, *applied], fitting)])
    furnishing.create(admin, (each for each in objects if each["kind"] not in WORKLOADS))
    for namespace in namespaces_of(scenario):
        if not furnishing.await_account(admin, namespace, READY_WITHIN_SECONDS):
            raise ClusterError(f"namespace {namespace} got no ServiceAccount named default")
    furnishing.create(admin, (each for each in objects if each["kind"] in WORKLOADS))
    if toolbox := furnishing.toolbox(admin, RealClock(), scenario):
        furnishing.create(admin, _ways(site, scenario))
        furnishing.require_way(admin, toolbox)
    until = time.monotonic() + READY_WITHIN_SECONDS
    while missing := furnishing.unready(admin, scenario):
        if time.monotonic() > until:
            raise furnishing.not_ready(admin, missing, READY_WITHIN_SECONDS)
        time.sleep(_POLL_SECONDS)


def _ways(site: Site, scenario: Scenario) -> Iterator[KubeObject]:
    """To the API server, from each of a world's namespaces, where its address is known."""
    if servers := site.ground.addresses:
        yield from (way_to(namespace, servers) for namespace in namespaces_of(scenario))


def _account(user: str) -> tuple[str, str]:
    found = account_of(user)
    if found is None:
        raise ClusterError(f"{user} is no ServiceAccount")
    return found


def _kubeconfig(server: Https, token: str, namespace: str, user: str) -> str:
    cluster = {"server": server.server, **server.authority()}
    context = {"cluster": "kubernetes", "namespace": namespace, "user": user}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "kubernetes", "cluster": cluster}],
            "contexts": [{"name": f"{user}@kubernetes", "context": context}],
            "current-context": f"{user}@kubernetes",
            "preferences": {},
            "users": [{"name": user, "user": {"token": token}}],
        },
        sort_keys=False,
    )
