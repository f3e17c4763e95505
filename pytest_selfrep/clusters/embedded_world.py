"""One simulation as a trial sees it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_selfrep.clusters import furnishing
from pytest_selfrep.clusters.base import AuditEvent, Identity, Observed
from pytest_selfrep.clusters.inprocess import InProcess
from pytest_selfrep.clusters.kube import KubeClient, path_of
from pytest_selfrep.clusters.kubeconfig import private_file
from pytest_selfrep.clusters.manifests import user_name
from pytest_selfrep.errors import ClusterError, FloodError
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.nodes import machines
from pytest_selfrep.kubesim.store import Expired

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Toolbox, Watch
    from pytest_selfrep.kubesim.apiserver.audit import Entry
    from pytest_selfrep.kubesim.cluster import Cluster as Simulation
    from pytest_selfrep.kubesim.serving.server import Served
    from pytest_selfrep.scenarios.model import Scenario


@dataclass(frozen=True, slots=True)
class VirtualClock:
    """A simulation's time."""

    simulation: Simulation
    zero: float
    """The simulation's own seconds at which the world was ready."""

    def now(self) -> float:
        return self.at(self.simulation.clock.now)

    def at(self, seconds: float) -> float:
        """The simulation's own seconds, counted from ``zero``."""
        return round(seconds - self.zero, 6)

    def sleep(self, seconds: float) -> None:
        self.simulation.advance(seconds)


@dataclass(slots=True)
class EmbeddedWorld:
    """A simulation with the clients and the clock of one trial (see the World protocol)."""

    simulation: Simulation
    resources: ExitStack
    """What ends with the world."""
    scenario: Scenario
    admin: KubeClient
    agent: KubeClient
    pressure: KubeClient
    agent_user: str
    agent_token: str
    clock: VirtualClock
    audited: int
    """Entries of the audit trail that have been read."""
    approximations: Sequence[str] = ()
    sees_requests: bool = True
    _served: Served | None = field(default=None, init=False)
    _kubeconfigs: dict[str, Path] = field(default_factory=dict, init=False)
    """By token."""
    _others: set[str] = field(default_factory=set, init=False)
    """Users besides the agent and the operator whose requests are read."""

    @property
    def toolbox(self) -> Toolbox | None:
        return furnishing.toolbox(self.admin, self.clock, self.scenario)

    def ready_image(self, image: str) -> None:
        """Nothing is run from it."""

    def kubeconfig(self) -> Path:
        """Starts an HTTPS server when first called; from then on the cluster's time moves with the machine's.

        A client of the agent's own waits in real seconds, and would wait for ever in virtual time.

        Raises:
            ClusterError: no port can be had.
        """
        body = self.scenario.world.agent
        return self._kubeconfig(self.agent_token, (body.namespace, body.service_account))

    def identity(self, namespace: str, pod: str) -> Identity:
        found = furnishing.credential(self.admin, namespace, pod)
        user = user_name(*found.account)
        self._others.add(user)
        client = KubeClient(InProcess(self.simulation, found.token))
        return Identity(user, client, lambda: self._kubeconfig(found.token, found.account))

    def _kubeconfig(self, token: str, account: tuple[str, str]) -> Path:
        if token not in self._kubeconfigs:
            if self._served is None:
                self._served = self._serve()
            text = self._served.kubeconfig(token, *account)
            self._kubeconfigs[token] = self.resources.enter_context(private_file(text))
        return self._kubeconfigs[token]

    def _serve(self) -> Served:
        from pytest_selfrep.kubesim.serving.server import serve

        try:
            served = serve(self.simulation, real_time=True)
        except OSError as error:
            raise ClusterError(f"the cluster cannot be served on the loopback interface: {error}") from error
        self.resources.callback(served.close)
        return served

    def watch(self, group: str, version: str, plural: str) -> Watch:
        """Raises ClusterError for kinds that the cluster does not have."""
        kind = self.simulation.store.kinds.of_resource(group, version, plural)
        if kind is None:
            raise ClusterError(f"the embedded cluster has no {plural} in {group or 'core'}/{version}")
        return StoreWatch(self.simulation, kind, self.clock)

    def audit(self) -> Sequence[AuditEvent]:
        with self.simulation.lock:
            users = {self.agent_user, self.scenario.world.operator, *self._others}
            try:
                entries = [
                    entry for entry in self.simulation.audit.since(self.audited) if entry.user in users
                ]
            except LookupError as error:
                raise FloodError(f"requests were lost: {error}; give the trial tighter limits") from error
            self.audited = self.simulation.audit.length
        return [_audit_event(entry, self.clock) for entry in entries]

    def set_cpu(self, namespace: str, selector: str, cores: float) -> None:
        self.simulation.set_cpu(namespace, selector, cores)

    def call_off(self) -> None:
        """It soon ends by itself."""

    def resize_node(
        self, name: str, *, cpu: str | None, memory: str | None, extended: dict[str, int]
    ) -> None:
        """Raises ApiError if there is no such node."""
        node = self.admin.get(path_of("", "v1", "nodes", name=name))
        resized = machines.resized(node, cpu=cpu, memory=memory, extended=extended)
        self.admin.replace(path_of("", "v1", "nodes", name=name, subresource="status"), resized)

    def remove_node(self, name: str) -> None:
        """Raises ApiError if there is no such node."""
        self.admin.delete(path_of("", "v1", "nodes", name=name))


@dataclass(slots=True)
class StoreWatch:
    """Reads what the store logged of one kind since its first revision."""

    simulation: Simulation
    kind: Kind
    clock: VirtualClock
    revision: int = 0

    def poll(self) -> Sequence[Observed]:
        with self.simulation.lock:
            try:
                changes = list(self.simulation.store.changes_since(self.kind, self.revision))
            except Expired as error:
                raise FloodError(f"events of {self.kind.plural} were lost between two polls") from error
        if changes:
            self.revision = changes[-1].revision
        return [
            Observed(self.clock.at(change.seconds), change.revision, change.type, change.object)
            for change in changes
        ]


def _audit_event(entry: Entry, clock: VirtualClock) -> AuditEvent:
    request = entry.request if isinstance(entry.request, dict | list) else None
    return AuditEvent(
        seconds=clock.at(entry.seconds),
        revision=entry.revision,
        user=entry.user,
        verb=entry.verb,
        group=entry.group,
        resource=entry.resource,
        namespace=entry.namespace,
        name=entry.name,
        code=entry.code,
        reason=entry.reason,
        message=entry.message,
        request=request,
        response=entry.response,
        pod=entry.pod,
    )
