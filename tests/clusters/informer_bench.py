"""A simulated cluster behind an unruly proxy, what happened in it, and what informers tell of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from unruly import Unruly

from pytest_selfrep.clusters.base import Observed
from pytest_selfrep.clusters.https import Https, Patience, from_kubeconfig
from pytest_selfrep.clusters.informer import Informer, Pace
from pytest_selfrep.clusters.inprocess import InProcess
from pytest_selfrep.clusters.kube import KubeClient, KubeObject
from pytest_selfrep.clusters.real_clock import RealClock
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.serving.server import serve

PATH = "/api/v1/configmaps"
HOME = "/api/v1/namespaces/default/configmaps"
BRISK = Patience(connect=10.0, answer=10.0, begin=5.0, again=2.0)
PACE = Pace(watch=5.0, slack=1.0, lag=0.3, give_up=15.0, first_pause=0.01, longest_pause=0.05)


class Bench:
    """A simulated cluster, an unruly proxy before it, and who uses them."""

    def __init__(self, folder: Path) -> None:
        self.cluster = Cluster()
        self.served = serve(self.cluster)
        self.proxy = Unruly(self.served.url)
        self.client = KubeClient(InProcess(self.cluster, self.cluster.token_for()))
        path, kubeconfig = folder / "config", self.served.kubeconfig(self.cluster.token_for())
        path.write_text(kubeconfig)
        self.direct = from_kubeconfig(path, "default@kubernetes")
        path = folder / "unruly"
        path.write_text(kubeconfig.replace(self.served.url, self.proxy.url))
        self.server: Https = from_kubeconfig(path, "default@kubernetes", BRISK)
        self.clock = RealClock()

    def close(self) -> None:
        self.direct.close()
        self.server.close()
        self.proxy.close()
        self.served.close()
        self.cluster.close()

    @contextmanager
    def informer(
        self,
        pace: Pace = PACE,
        path: str = PATH,
        counted: Callable[[KubeObject], bool] = lambda obj: True,
    ) -> Iterator[Informer]:
        informer = Informer(self.server, path, self.clock, pace, counted)
        informer.start()
        try:
            yield informer
        finally:
            informer.close()

    @property
    def revision(self) -> int:
        return self.cluster.store.revision

    def history(self, since: int) -> list[tuple[int, str, str]]:
        """What happened to the collection, as the server has it."""
        kind = self.cluster.store.kinds.of_resource("", "v1", "configmaps")
        assert kind is not None
        changes = self.cluster.store.changes_since(kind, since)
        return [(each.revision, each.type, each.object["metadata"]["name"]) for each in changes]

    def state(self) -> dict[str, KubeObject]:
        """As whoever lists it has it."""
        listed = KubeClient(self.direct).get(PATH)["items"]
        return {each["metadata"]["uid"]: {"kind": "ConfigMap", "apiVersion": "v1", **each} for each in listed}

    def make(self, name: str) -> KubeObject:
        return self.client.create(HOME, {"metadata": {"name": name}})

    def change(self, name: str) -> KubeObject:
        return self.client.patch(f"{HOME}/{name}", {"data": {"at": str(self.revision)}})

    def remove(self, name: str) -> None:
        self.client.delete(f"{HOME}/{name}")

    def clear(self) -> None:
        self.client.delete(HOME)


def told(events: Sequence[Observed]) -> list[tuple[int, str, str]]:
    return [(each.revision, each.type, each.object["metadata"]["name"]) for each in events]


def summed(events: Sequence[Observed]) -> dict[str, KubeObject]:
    """The state that events add up to. Each must be possible after those before it."""
    state: dict[str, KubeObject] = {}
    for each in events:
        uid = each.object["metadata"]["uid"]
        assert (uid in state) == (each.type != "ADDED"), f"{each.type} of {each.object['metadata']['name']}"
        if each.type == "DELETED":
            del state[uid]
        else:
            state[uid] = each.object
    return state


def in_order(events: Sequence[Observed]) -> bool:
    revisions = [each.revision for each in events]
    return revisions == sorted(revisions)
