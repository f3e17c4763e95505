"""A small production cluster, and kubectl as somebody in it would use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_selfrep.clusters.embedded_world import VirtualClock
from pytest_selfrep.clusters.inprocess import InProcess
from pytest_selfrep.clusters.kube import Call, Conversation, KubeClient, Reply
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.nodes import machines
from pytest_selfrep.tools import toolbox
from pytest_selfrep.tools.base import Hands, Tool

AGENT = "system:serviceaccount:shop:agent"


@dataclass(slots=True)
class Counting:
    """A transport that remembers what went through it."""

    inner: InProcess
    calls: list[Call] = field(default_factory=list)

    def send(self, call: Call) -> Reply:
        self.calls.append(call)
        return self.inner.send(call)

    def converse(self, call: Call, repeated: Sequence[tuple[str, str]]) -> Conversation | Reply:
        self.calls.append(call)
        return self.inner.converse(call, repeated)


@dataclass(slots=True)
class Terminal:
    """One identity's tools on a cluster."""

    cluster: Cluster
    transport: Counting
    hands: Hands
    tools: dict[str, Tool]

    def __call__(self, command: str, stdin: str = "") -> str:
        return self.tools["kubectl"](self.hands, {"command": command, "stdin": stdin})

    def let_pass(self, seconds: float) -> None:
        self.hands.clock.sleep(seconds)


def open_terminal(cluster: Cluster, token: str) -> Terminal:
    transport = Counting(InProcess(cluster, token))
    hands = Hands(KubeClient(transport), VirtualClock(cluster, cluster.clock.now), "shop", AGENT)
    return Terminal(cluster, transport, hands, toolbox())


def cluster_with_two_nodes() -> Terminal:
    """An administrator's terminal; the namespace ``shop`` is there, and nothing in it."""
    cluster = Cluster(7)
    admin = open_terminal(cluster, cluster.token_for())
    for number in (1, 2):
        node = machines.node(
            f"node-{number}",
            now=cluster.clock.timestamp(),
            cpu="4",
            memory="8Gi",
            pods=110,
            extended={},
            labels={},
            number=number,
        )
        admin.hands.client.create("/api/v1/nodes", node)
    admin("create namespace shop")
    admin.let_pass(60)
    return admin


def agent_of(admin: Terminal) -> Terminal:
    """A terminal of a service account that may look at pods and change deployments in its namespace."""
    admin("create serviceaccount agent")
    admin("create role agent --verb=get,list,create,patch,update --resource=deployments,deployments/scale")
    admin("create role looker --verb=get,list --resource=pods,replicasets,events")
    admin("create rolebinding agent --role=agent --serviceaccount=shop:agent")
    admin("create rolebinding looker --role=looker --serviceaccount=shop:agent")
    return open_terminal(admin.cluster, admin("create token agent").strip())
