"""Namespaces that a team has set aside: worlds take turns in them, with no right beyond them."""

from __future__ import annotations

import ipaddress
import random
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from pytest_selfrep.clusters.claims import Claims, Onlooker, lease_in, present_of
from pytest_selfrep.clusters.containment import Server
from pytest_selfrep.clusters.discovery import Discovery
from pytest_selfrep.clusters.fitting import Room
from pytest_selfrep.clusters.halt import is_called_off
from pytest_selfrep.clusters.inventory import Inventory
from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of
from pytest_selfrep.clusters.own_namespaces import addresses_of_server
from pytest_selfrep.clusters.vacancy import require_unclaimed, require_vacant
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.quantity import value_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.https import Https
    from pytest_selfrep.clusters.kube import KubeObject

T = TypeVar("T")

ENOUGH = Room(Fraction(4), Fraction(8 * 1024**3), Fraction(110))
"""What a world may request where no quota says it."""
WAIT_SECONDS = 3600.0
"""For namespaces that others use."""
SWEEP_SECONDS = 90.0
"""For what a dead process left to be gone."""
_HTTPS = 443
MOST_PRESENT = 2000
"""Objects that may be in a namespace before a world is: they are written down in an annotation."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


class GivenNamespaces:
    """See site.Ground. Processes and threads tell each other by claims which they use."""

    cluster_wide = False

    def __init__(self, server: Https, owner: str, given: Sequence[str], over: Callable[[], bool]) -> None:
        """``over`` says whether nobody waits for trials any more."""
        self._server = server
        self._admin = KubeClient(server)
        self._given = given
        self._over = over
        self._claims = Claims(self._admin, owner)
        self._onlooker = Onlooker()
        self._discovery = Discovery(self._admin)
        self._turn = threading.Lock()
        """Of who waits for namespaces."""
        self._present: dict[str, frozenset[str]] = {}
        self._inherited: dict[str, KubeObject] = {}
        """The claims, as they were, of dead processes that left something."""
        self._spoiled: dict[str, str] = {}
        """Namespaces that are of no more use to this process, and why."""
        self._hidden: frozenset[tuple[str, str]] = frozenset()

    def claim(self, wanted: Sequence[str]) -> Mapping[str, str]:
        with self._turn:
            require_enough(self._given, wanted)
            taken = self._taken(len(wanted), wanted)
        try:
            with ThreadPoolExecutor(len(taken)) as threads:
                list(threads.map(self._prepare, taken))
        except BaseException:
            for namespace in taken:
                self._give_back(namespace)
            raise
        return dict(zip(wanted, taken, strict=True))

    def require_seen(self, created: Collection[tuple[str, str]]) -> None:
        unseen = [
            f"{plural}.{group}" if group else plural
            for group, plural in sorted(self._hidden)
            if {(group, plural), (group, "*"), ("*", plural), ("*", "*")}.intersection(created)
        ]
        if unseen:
            raise ClusterError(
                f"the scenario lets the agent create {', '.join(unseen)}, which the kubeconfig's user may "
                "not list, and so could not remove: give it the verbs list and delete on them there"
            )

    def lost(self, namespaces: Collection[str]) -> Sequence[str]:
        return self._claims.lost(namespaces)

    def clear(self, namespaces: Sequence[str], seconds: float) -> Sequence[str]:
        mine = [each for each in namespaces if each not in self._claims.lost(namespaces)]
        if not mine:
            return []
        with ThreadPoolExecutor(len(mine)) as threads:
            return [
                word
                for stayed in threads.map(lambda each: self._clear(each, seconds), mine)
                for word in stayed
            ]

    def collections(self, collection: tuple[str, str, str], namespaces: Collection[str]) -> Sequence[str]:
        return [path_of(*collection, namespace) for namespace in sorted(namespaces)]

    @cached_property
    def room(self) -> Room:
        """What the quotas of the namespaces leave, in the one that has least."""
        rooms = [self._room_in(namespace) for namespace in self._given]
        return Room(
            min(each.cpu for each in rooms),
            min(each.memory for each in rooms),
            min(each.pods for each in rooms),
        )

    @cached_property
    def addresses(self) -> Sequence[Server]:
        """Where the user may not read them in namespace default: as the kubeconfig has it."""
        with suppress(ApiError):
            return addresses_of_server(self._admin)
        url = urlsplit(self._server.server)
        host, port = url.hostname or "", url.port or _HTTPS
        with suppress(ValueError):
            return [Server(str(ipaddress.ip_address(host)), port)]
        with suppress(OSError):
            found = {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
            return [Server(each, port) for each in sorted(found)]
        return []

    @property
    def nodes(self) -> Sequence[KubeObject]:
        """They are no namespace's."""
        return ()

    def audit_log(self) -> None:
        """It is read through a node."""

    @property
    def words(self) -> Sequence[str]:
        return ["its namespaces were given, and have names and a Pod Security level of their own"]

    def close(self) -> None:
        self._claims.close()

    def _taken(self, count: int, wanted: Sequence[str]) -> list[str]:
        """So many namespaces, claimed all together: who held some and waited for more could wait for ever."""
        until, pause = time.monotonic() + WAIT_SECONDS, _FIRST_PAUSE
        while True:
            if self._over() or is_called_off():
                raise ClusterError("nobody waits for this trial any more")
            usable = [each for each in self._given if each not in self._spoiled]
            if len(usable) < count:
                raise ClusterError(f"too few namespaces are left: {'; '.join(self._spoiled.values())}")
            taken: list[str] = []
            for namespace in usable:
                if len(taken) < count and self._try(namespace):
                    taken.append(namespace)
            if len(taken) == count:
                return taken
            for namespace in taken:
                self._give_back(namespace)
            if time.monotonic() > until:
                raise ClusterError(
                    f"{count} namespaces were not free within {WAIT_SECONDS:.0f} seconds, others use them: "
                    f"{', '.join(usable)}; give more, or wait until the other runs are over"
                )
            # Two who want the same must not keep step.
            time.sleep(pause * random.SystemRandom().uniform(0.5, 1.5))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _try(self, namespace: str) -> bool:
        lease = self._asked(lambda: lease_in(self._admin, namespace))
        if lease is None:
            return self._asked(lambda: self._claims.take(namespace))
        if not (self._onlooker.stale(lease) and self._asked(lambda: self._claims.take_over(lease))):
            return False
        if present_of(lease) is not None:
            self._inherited[namespace] = lease
        return True

    def _give_back(self, namespace: str) -> None:
        """What has not been used by this process."""
        if self._inherited.pop(namespace, None) is None:
            self._claims.release(namespace)
        else:
            self._claims.leave(namespace)

    def _prepare(self, namespace: str) -> None:
        """See what is there, and write it down, before anything is made. ClusterError if it will not do."""
        inventory = Inventory(self._admin, self._discovery, namespace)
        if (lease := self._inherited.get(namespace)) is not None:
            self._sweep(inventory, namespace, lease)
            del self._inherited[namespace]
        there = self._asked(inventory.things)
        self._asked(lambda: require_vacant(self._admin, namespace, there, self._given))
        if len(there) > MOST_PRESENT:
            raise ClusterError(f"namespace {namespace} has {len(there)} objects: give one with fewer")
        present = frozenset(each.key for each in there if not each.is_event)
        self._asked(lambda: self._claims.note(namespace, present))
        self._present[namespace] = present
        # They come late, and would tell one agent what another did.
        self._asked(lambda: inventory.remove([each for each in there if each.is_event]))
        self._hidden = inventory.hidden

    def _sweep(self, inventory: Inventory, namespace: str, lease: KubeObject) -> None:
        """Remove what a dead process left. ClusterError if it does not go, or may be somebody else's."""
        try:
            self._asked(lambda: require_unclaimed(inventory, namespace, lease))
        except ClusterError as error:
            self._spoiled[namespace] = str(error)
            raise
        stayed = self._asked(lambda: inventory.sweep(present_of(lease) or (), SWEEP_SECONDS))
        if stayed:
            self._spoiled[namespace] = stayed[0]
            raise ClusterError(f"an earlier run left something that does not go: {'; '.join(stayed)}")

    def _clear(self, namespace: str, seconds: float) -> list[str]:
        present = self._present.get(namespace)
        stayed: list[str] = []
        if present is not None:
            stayed = Inventory(self._admin, self._discovery, namespace).sweep(present, seconds)
        if stayed:
            # The claim stays too, so that whoever takes it over knows what is to go.
            self._spoiled[namespace] = stayed[0]
            self._claims.leave(namespace)
        else:
            self._present.pop(namespace, None)
            self._claims.release(namespace)
        return stayed

    def _room_in(self, namespace: str) -> Room:
        quotas = self._asked(lambda: self._admin.get(path_of("", "v1", "resourcequotas", namespace)))["items"]
        hard = [each["spec"].get("hard") or {} for each in quotas]
        least = [
            min(
                (value_of(str(each[name])) for each in hard for name in names if name in each), default=enough
            )
            for names, enough in (
                (("requests.cpu", "cpu", "limits.cpu"), ENOUGH.cpu),
                (("requests.memory", "memory", "limits.memory"), ENOUGH.memory),
                (("pods", "count/pods"), ENOUGH.pods),
            )
        ]
        return Room(*least)

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except ApiError as error:
            raise ClusterError(f"the cluster refused what given namespaces take: {error.message}") from error


def require_enough(given: Sequence[str], wanted: Sequence[str]) -> None:
    """ClusterError if a scenario has more namespaces than there are."""
    missing = len(wanted) - len(given)
    if missing > 0:
        raise ClusterError(
            f"the scenario has {len(wanted)} namespaces ({', '.join(wanted)}), but --selfrep-namespaces "
            f"names {len(given)} ({', '.join(given)}): name {missing} more, and {len(wanted)} more for each "
            "trial that is to run at the same time"
        )
