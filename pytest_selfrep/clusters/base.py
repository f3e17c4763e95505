"""What every kind of cluster gives to a trial: a world of its own, an admin client and an agent's client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeClient, KubeObject
    from pytest_selfrep.scenarios.model import Scenario


class Clock(Protocol):
    """The cluster's time: virtual on the embedded cluster, real elsewhere."""

    def now(self) -> float:
        """Seconds since the world was ready."""

    def sleep(self, seconds: float) -> None:
        """Let that much of the cluster's time pass."""


class Observed(NamedTuple):
    """One event of a watch, with the cluster's time at which it happened."""

    seconds: float
    revision: int
    """Grows from event to event over all kinds and requests of one world."""
    type: str
    """``ADDED``, ``MODIFIED`` or ``DELETED``."""
    object: KubeObject


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One request that the API server answered (of an audit.k8s.io/v1 Event, what the census needs)."""

    seconds: float
    revision: int
    """The cluster's revision after the request; orders requests among :class:`Observed` events."""
    user: str
    verb: str
    """``get``, ``list``, ``watch``, ``create``, ``update``, ``patch``, ``delete`` or ``deletecollection``."""
    group: str
    resource: str
    """Plural, with the subresource behind a slash: ``deployments/scale``."""
    namespace: str
    name: str
    code: int
    """HTTP status of the answer; 403 for what RBAC, quota or admission refused."""
    reason: str
    """The answer's reason when it was an error: ``Forbidden``, ``Conflict``, ...; else empty."""
    message: str
    request: KubeObject | list[KubeObject] | None
    """The body as sent (object or patch); None for reads."""
    response: KubeObject | None
    """The object as the server stored it; None for reads and errors."""
    pod: str = ""
    """The uid of the pod that the user's token is bound to; empty for other credentials."""

    @property
    def actor(self) -> str:
        """Who asked, each pod of a service account by itself. ``user_of`` gives the user back."""
        return f"{self.user}\0{self.pod}" if self.pod else self.user


def user_of(actor: str) -> str:
    """The user behind an :attr:`AuditEvent.actor`."""
    return actor.partition("\0")[0]


def pod_of(actor: str) -> str:
    """The uid of the pod behind an :attr:`AuditEvent.actor`; empty if none is."""
    return actor.partition("\0")[2]


class Watch(Protocol):
    """Events of one kind over all namespaces, in order, none missing."""

    def poll(self) -> Sequence[Observed]:
        """What happened since the last call. Raises ClusterError if events were lost."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The Deployment in whose pod the agent has a shell, and the way there."""

    client: KubeClient
    """The harness's own: rights to exec would let the agent into other pods too."""
    clock: Clock
    """Of what runs in pods: on a real cluster that of the machine, whatever the scenario's pace."""
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Identity:
    """A pod as the API server knows it: by a token that is bound to it, and ends with it."""

    user: str
    """As the audit trail has it."""
    client: KubeClient
    kubeconfig: Callable[[], Path]
    """As :meth:`World.kubeconfig`."""


class World(Protocol):
    """One trial's surroundings. Worlds of concurrent trials do not see each other."""

    @property
    def scenario(self) -> Scenario:
        """What the world was made from, in the namespaces that it has here."""

    @property
    def approximations(self) -> Sequence[str]:
        """How it differs from what the scenario says, in words."""

    @property
    def sees_requests(self) -> bool:
        """Whether ``audit`` has requests of the agent's that went through none of these clients too, such as
        those of its pods."""

    @property
    def admin(self) -> KubeClient:
        """The harness's own client; the agent never sees it."""

    @property
    def agent(self) -> KubeClient:
        """A client with the credential of the agent's ServiceAccount, and no other."""

    @property
    def pressure(self) -> KubeClient:
        """A client with the identity under which pressure acts (the scenario's ``world.operator``)."""

    @property
    def agent_user(self) -> str:
        """The agent's user name as the audit trail has it."""

    @property
    def clock(self) -> Clock: ...

    def ready_image(self, image: str) -> None:
        """Have an image of the user's own to be run under its name. Raises ClusterError."""

    @property
    def toolbox(self) -> Toolbox | None:
        """Where the agent has a shell, if the scenario gives it one."""

    def kubeconfig(self) -> Path:
        """A kubeconfig file with the agent's credential, for clients of its own. Gone with the world."""

    def identity(self, namespace: str, pod: str) -> Identity:
        """What a program in a pod would act as. Its requests are in ``audit`` from now on.

        Raises:
            ApiError: there is no such pod, or its service account has gone.
        """

    def watch(self, group: str, version: str, plural: str) -> Watch:
        """A watch by the harness from the world's first object on."""

    def audit(self) -> Sequence[AuditEvent]:
        """Requests of the agent and of pressure since the last call, in order."""

    def set_cpu(self, namespace: str, selector: str, cores: float) -> None:
        """Let the Ready pods that match share this much CPU use from now on (0 for idle)."""

    def call_off(self) -> None:
        """Nobody waits for the trial any more: whoever sleeps in the cluster's time is woken by ClusterError.

        May be called by any thread. Virtual time does not pass long enough to be worth it.
        """

    def resize_node(
        self, name: str, *, cpu: str | None, memory: str | None, extended: dict[str, int]
    ) -> None:
        """Change what a node can hold; pods that no longer fit are evicted."""

    def remove_node(self, name: str) -> None:
        """Take a node away with its pods."""


class Cluster(Protocol):
    """A kind of cluster, as named by ``--selfrep-cluster``."""

    @property
    def name(self) -> str: ...

    def world(self, scenario: Scenario, seed: int) -> AbstractContextManager[World]:
        """Build the scenario's world, with the agent's Deployment Ready; tear it down on exit.

        Raises:
            ClusterError: it cannot be built; nothing of it stays behind.
        """
