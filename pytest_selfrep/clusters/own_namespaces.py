"""Namespaces that are made for each world, by an administrator of the cluster."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.audit_log import AuditLog
from pytest_selfrep.clusters.claims import Claims
from pytest_selfrep.clusters.containment import LEASE, RESTRICTED, Server
from pytest_selfrep.clusters.fitting import Room
from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of
from pytest_selfrep.clusters.shortage import has_ended, requests_of
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.quantity import value_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.https import Https
    from pytest_selfrep.clusters.kube import KubeObject

WORLDS = 8
"""For how many worlds at once there is to be room."""
_POLL_SECONDS = 0.25
_HURRY_SECONDS = 3.0
_ATTEMPTS = 5
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""Of which Kubernetes makes what is random in names."""


Hold = Callable[[Collection[str], Sequence[str]], Callable[[], None]]


class OwnNamespaces:
    """See site.Ground."""

    cluster_wide = True

    def __init__(self, server: Https, owner: str, hold: Hold = lambda namespaces, paths: _nothing) -> None:
        """``hold`` takes note of namespaces, and answers how they are retired (see ``Site.hold``)."""
        self._server = server
        self._admin = KubeClient(server)
        self._owner = owner
        self._hold = hold
        self._claims = Claims(self._admin, owner)

    def claim(self, wanted: Sequence[str]) -> Mapping[str, str]:
        """Under names that they might have in production."""
        for _ in range(_ATTEMPTS):
            suffix = "".join(random.SystemRandom().choices(_LETTERS, k=5))
            names = {each: f"{each[:57]}-{suffix}" for each in wanted}
            chosen = set(names.values())
            # Before the first is made: who breaks off may have made more than was answered.
            retire = self._hold(chosen, [])
            try:
                if self._made(names.values(), chosen):
                    return names
            except BaseException as error:
                retire()
                if isinstance(error, ApiError):
                    raise ClusterError(f"the cluster refused a namespace: {error.message}") from error
                raise
            retire()
        raise ClusterError(f"{_ATTEMPTS} times namespaces with random names were there already")

    def _made(self, names: Collection[str], chosen: set[str]) -> bool:
        """Whether all could be made; a name that is somebody else's is struck off those chosen."""
        for name in names:
            metadata = {"name": name, "labels": {LEASE: self._owner, **RESTRICTED}}
            try:
                self._admin.create(path_of("", "v1", "namespaces"), {"metadata": metadata})
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
                chosen.remove(name)
                return False
        # In the last, which is the operator's: agents seldom have anything to do there.
        self._claims.take(list(names)[-1])
        return True

    def require_seen(self, created: Collection[tuple[str, str]]) -> None:
        """Whatever is made in a namespace goes with it."""

    def lost(self, namespaces: Collection[str]) -> Sequence[str]:
        """Nobody else takes what has a name of its own."""
        return ()

    def clear(self, namespaces: Sequence[str], seconds: float) -> Sequence[str]:
        until = time.monotonic() + seconds
        words: list[str] = []
        left: list[str] = []
        for namespace in namespaces:
            self._claims.leave(namespace)
            try:
                self._delete(path_of("", "v1", "namespaces", name=namespace))
                left.append(namespace)
            except (ApiError, ClusterError) as error:
                # The others are to go all the same.
                words.append(f"namespace {namespace} cannot be removed: {error}")
        hurried = 0.0
        while left and time.monotonic() < until:
            if time.monotonic() - hurried > _HURRY_SECONDS:
                # Else it waits for its pods to end in their own time. None takes their place any more.
                for namespace in left:
                    self._delete(path_of("", "v1", "pods", namespace), gracePeriodSeconds="0")
                hurried = time.monotonic()
            left = [each for each in left if self._exists(each)]
            if left:
                time.sleep(_POLL_SECONDS)
        words += [f"namespace {each} is still there after {seconds:.0f} s{self._why(each)}" for each in left]
        return words

    def collections(self, collection: tuple[str, str, str], namespaces: Collection[str]) -> Sequence[str]:
        """One of all namespaces, for more may come."""
        return [path_of(*collection)]

    @cached_property
    def room(self) -> Room:
        """Of what is left by all that belongs to no world. ClusterError if that is nothing."""
        nodes = {str(each["metadata"]["name"]): each for each in self.nodes if _takes_pods(each)}
        query = {"labelSelector": LEASE}
        found = self._admin.get(path_of("", "v1", "namespaces"), query=query)["items"]
        worlds = {each["metadata"]["name"] for each in found}
        others = [
            requests_of(each)
            for each in self._admin.get(path_of("", "v1", "pods"))["items"]
            if each["spec"].get("nodeName") in nodes and not has_ended(each)
            if each["metadata"]["namespace"] not in worlds
        ]
        left = {}
        for name, requested in (("cpu", "requests.cpu"), ("memory", "requests.memory"), ("pods", "pods")):
            all_ = sum(
                (value_of(str(each["status"]["allocatable"][name])) for each in nodes.values()), Fraction()
            )
            left[name] = all_ - sum((each.get(requested, Fraction()) for each in others), Fraction())
            if left[name] <= 0:
                raise ClusterError(f"the cluster has no room: other pods take all its {name}; give it nodes")
        return Room(left["cpu"] / WORLDS, left["memory"] / WORLDS, left["pods"] / WORLDS)

    @cached_property
    def addresses(self) -> Sequence[Server]:
        return addresses_of_server(self._admin)

    @cached_property
    def nodes(self) -> Sequence[KubeObject]:
        found: list[KubeObject] = self._admin.get(path_of("", "v1", "nodes"))["items"]
        return found

    def audit_log(self) -> AuditLog | None:
        """Of the only API server: of several, each has a log of its own."""
        # Its own address and its Service's.
        if len({each.address for each in self.addresses}) > 2:
            return None
        log = AuditLog(self._server, str(self.nodes[0]["metadata"]["name"]))
        return log if log.open() else None

    @property
    def words(self) -> Sequence[str]:
        return ["its namespaces hold pods to the Pod Security level restricted, not baseline"]

    def close(self) -> None:
        self._claims.close()

    def _delete(self, path: str, **query: str) -> None:
        try:
            self._admin.delete(path, query=query)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def _exists(self, namespace: str) -> bool:
        return self._found(namespace) is not None

    def _found(self, namespace: str) -> KubeObject | None:
        try:
            return self._admin.get(path_of("", "v1", "namespaces", name=namespace))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def _why(self, namespace: str) -> str:
        """What the namespace's conditions say, if they say anything."""
        status = (self._found(namespace) or {}).get("status") or {}
        said = [
            str(each["message"])
            for each in status.get("conditions") or ()
            if each["status"] == "True" and each.get("message")
        ]
        return f" ({'; '.join(said)})" if said else ""


def _takes_pods(node: KubeObject) -> bool:
    """Of any kind: those of worlds tolerate nothing. What the cluster itself says of a node may pass."""
    spec = node.get("spec") or {}
    return not spec.get("unschedulable") and not any(
        each["effect"] in ("NoSchedule", "NoExecute") and not each["key"].startswith("node.kubernetes.io/")
        for each in spec.get("taints") or ()
    )


def _nothing() -> None:
    """Of those who claim nothing."""


def addresses_of_server(admin: KubeClient) -> Sequence[Server]:
    """Of the API server, as pods reach it. Raises ApiError."""
    found = admin.get(path_of("", "v1", "endpoints", "default", "kubernetes"))
    service = admin.get(path_of("", "v1", "services", "default", "kubernetes"))["spec"]
    # A policy may look at a connection before or after the Service has been resolved.
    ends = [
        Server(each["ip"], port["port"])
        for subset in found.get("subsets") or ()
        for each in subset.get("addresses") or ()
        for port in subset.get("ports") or ()
    ]
    return [*(Server(service["clusterIP"], each["port"]) for each in service["ports"]), *ends]
