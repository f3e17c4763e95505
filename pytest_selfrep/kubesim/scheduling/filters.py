"""Why a pod cannot go to a node, in the scheduler's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_selfrep.kubesim.kinds import POD
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.scheduling import topology
from pytest_selfrep.kubesim.scheduling.nodeselection import selects, tolerates, untolerated
from pytest_selfrep.kubesim.scheduling.occupancy import Amounts, Taken
from pytest_selfrep.kubesim.storage.scheduling import reasons as volume_reasons
from pytest_selfrep.kubesim.store import Store

CORDONED = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
"""Who tolerates this taint may go to a cordoned node."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod before a node."""

    pod: Object
    asked: Amounts
    node: Object
    allocatable: Amounts
    taken: Taken
    store: Store
    anti_affinity: bool
    """Whether there are pods that keep others away."""
    claims: Sequence[Object] = ()
    """Those that the pod uses."""

    @property
    def spec(self) -> Object:
        """The pod's."""
        spec: Object = self.pod["spec"]
        return spec


Reasons = Iterable[str]


def _unschedulable(candidate: Candidate) -> Reasons:
    if not candidate.node.get("spec", {}).get("unschedulable"):
        return ()
    if any(tolerates(each, CORDONED) for each in candidate.spec.get("tolerations") or ()):
        return ()
    return ("node(s) were unschedulable",)


def _taints(candidate: Candidate) -> Reasons:
    for taint in untolerated(candidate.spec, candidate.node, ("NoSchedule", "NoExecute")):
        return (f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}",)
    return ()


def _node_affinity(candidate: Candidate) -> Reasons:
    if selects(candidate.spec, candidate.node):
        return ()
    return ("node(s) didn't match Pod's node affinity/selector",)


def host_ports(spec: Object) -> Iterator[tuple[str, int]]:
    for container in spec["containers"]:
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port.get("protocol", "TCP"), port["hostPort"]


def _ports(candidate: Candidate) -> Reasons:
    wanted = list(host_ports(candidate.spec))
    if not wanted:
        return ()
    for key in candidate.taken.pods:
        other = candidate.store.get(POD, key)
        if other is not None and any(port in wanted for port in host_ports(other["spec"])):
            return ("node(s) didn't have free ports for the requested pod ports",)
    return ()


def _fits(candidate: Candidate) -> Reasons:
    allocatable, taken = candidate.allocatable, candidate.taken
    reasons = []
    if len(taken.pods) + 1 > allocatable.get("pods", 0):
        reasons.append("Too many pods")
    for name, amount in candidate.asked.items():
        if amount and amount > allocatable.get(name, 0) - taken.amounts.get(name, 0):
            reasons.append(f"Insufficient {name}")
    return reasons


def _volumes(candidate: Candidate) -> Reasons:
    return volume_reasons(candidate.store, candidate.claims, candidate.node)


def _missing_topology(candidate: Candidate) -> Reasons:
    if topology.has_topology(candidate.pod, candidate.node):
        return ()
    return ("node(s) didn't match pod topology spread constraints (missing required label)",)


def _uneven(candidate: Candidate) -> Reasons:
    if topology.is_even(candidate.store, candidate.pod, candidate.node):
        return ()
    return ("node(s) didn't match pod topology spread constraints",)


def _pod_affinity(candidate: Candidate) -> Reasons:
    if topology.finds_company(candidate.store, candidate.pod, candidate.node):
        return ()
    return (NO_COMPANY,)


def _pod_anti_affinity(candidate: Candidate) -> Reasons:
    if not topology.keeps_apart(candidate.store, candidate.pod, candidate.node):
        return ("node(s) didn't match pod anti-affinity rules",)
    if candidate.anti_affinity and not topology.is_tolerated(candidate.store, candidate.pod, candidate.node):
        return ("node(s) didn't satisfy existing pods anti-affinity rules",)
    return ()


NO_COMPANY = "node(s) didn't match pod affinity rules"

FILTERS: Sequence[tuple[Callable[[Candidate], Reasons], bool]] = (
    (_unschedulable, False),
    (_taints, False),
    (_node_affinity, False),
    (_ports, True),
    (_fits, True),
    (_volumes, False),
    (_missing_topology, False),
    (_uneven, True),
    (_pod_affinity, False),
    (_pod_anti_affinity, True),
)
"""In the scheduler's order; whether removing pods from the node could help (else preemption is pointless)."""

_WITHOUT_CLAIMS = tuple(each for each in FILTERS if each[0] is not _volumes)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one node was refused."""

    reasons: Sequence[str]
    removing_pods_could_help: bool


def refusal(candidate: Candidate) -> Refusal | None:
    """What the first filter that says no has to say; None if the pod can go there."""
    for reasons_of, removing_pods_could_help in FILTERS if candidate.claims else _WITHOUT_CLAIMS:
        reasons = list(reasons_of(candidate))
        if reasons:
            return Refusal(reasons, removing_pods_could_help)
    return None


def explain(refusals: Sequence[Refusal]) -> str:
    """The message of FailedScheduling (scheduler/framework FitError)."""
    if not refusals:
        return "no nodes available to schedule pods"
    nodes = f"0/{len(refusals)} nodes are available: "
    preemption = (
        "No preemption victims found for incoming pod"
        if each.removing_pods_could_help
        else "Preemption is not helpful for scheduling"
        for each in refusals
    )
    reasons = (reason for each in refusals for reason in each.reasons)
    return f"{nodes}{_histogram(reasons)}. preemption: {nodes}{_histogram(preemption)}."


def explain_nowhere(why: str, nodes: int) -> str:
    """The same where the pod itself is what no node could take."""
    said = f"0/{nodes} nodes are available: "
    return f"{said}{why}. preemption: {said}{nodes} Preemption is not helpful for scheduling."


def _histogram(reasons: Iterable[str]) -> str:
    return ", ".join(sorted(f"{count} {reason}" for reason, count in Counter(reasons).items()))
