"""A whole cluster as one deterministic state machine."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import RLock

from pytest_selfrep.kubesim.addresses import Addresses
from pytest_selfrep.kubesim.apiserver.api import Api
from pytest_selfrep.kubesim.apiserver.audit import Trail
from pytest_selfrep.kubesim.apiserver.calls import Backend
from pytest_selfrep.kubesim.apiserver.flowcontrol import Flow
from pytest_selfrep.kubesim.apiserver.http import Request, Response
from pytest_selfrep.kubesim.apiserver.watch import Watches
from pytest_selfrep.kubesim.auth.authn import AUTHENTICATED, MASTERS, Authenticator, User
from pytest_selfrep.kubesim.auth.rbac import Authorizer
from pytest_selfrep.kubesim.bootstrap import bootstrap
from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.containers.container import Software, no_software
from pytest_selfrep.kubesim.containers.runtime import Runtime
from pytest_selfrep.kubesim.controllers import controllers
from pytest_selfrep.kubesim.controllers.base import Context, Queue, Writer
from pytest_selfrep.kubesim.controllers.eventexpiry import EventExpiry
from pytest_selfrep.kubesim.events import Recorder
from pytest_selfrep.kubesim.kinds import SERVICE_ACCOUNT
from pytest_selfrep.kubesim.names import Names
from pytest_selfrep.kubesim.nodes.agents import node_agents
from pytest_selfrep.kubesim.nodes.heartbeats import Heartbeats
from pytest_selfrep.kubesim.nodes.usage import Usage
from pytest_selfrep.kubesim.objects import Key
from pytest_selfrep.kubesim.registry import Registry
from pytest_selfrep.kubesim.store import Store
from pytest_selfrep.kubesim.writer import ComponentWriter

START = datetime(2025, 5, 6, 8, 0, tzinfo=UTC)
LONGEST = 366 * 24 * 3600
"""Seconds that may pass at once."""
ADMIN = "kubernetes-admin"
_YEAR = 365 * 24 * 3600
_SERVICE_ACCOUNT = "system:serviceaccount:"


class Cluster:
    """API server, controllers, scheduler and nodes. The same seed and requests give the same cluster.

    ``lock`` guards everything: hold it while reading ``store``, ``clock`` or ``audit`` from another thread.
    """

    def __init__(
        self, seed: int = 0, start: datetime | None = None, software: Software = no_software
    ) -> None:
        """``software``: what images have besides the usual programs."""
        self.lock = RLock()
        self.seed = seed
        self.clock = Clock(start or START)
        self.store = Store(self.clock)
        self.names = Names(seed)
        self.queue = Queue(self.store, self.clock)
        self.audit = Trail()
        self.usage = Usage(self.store, self.clock)
        self._heartbeats = Heartbeats(self.store, self.clock, self.names)
        self._events = EventExpiry(self.store, self.clock)
        self._recorder = Recorder(self.store, self.clock, self.names)
        self._writers: dict[str, ComponentWriter] = {}
        self._authenticator = Authenticator(self.store, self.clock, self.names, seed)
        allocate = Addresses(self.store, self.names).allocate
        self._registry = Registry(self.store, self.clock, self.names, allocate)
        context = Context(self.store, self.clock, self.names, self.queue, self.writer)
        self._runtime = Runtime(self.store, self.clock, self._authenticator.pod_token, software)
        backend = Backend(
            context,
            self._registry,
            self._authenticator,
            Authorizer(self.store),
            Watches(self.store, self.clock),
            self.usage,
            self._runtime,
        )
        self._api = Api(backend, self.audit)
        self.queue.register(controllers(context))
        self.queue.register(node_agents(context, self.usage, self._runtime))
        bootstrap(self._registry, self.store, self.clock.timestamp())
        self.queue.run()

    def handle(self, request: Request) -> Response:
        """Answer a request, then let all controllers act on what it changed."""
        with self.lock:
            before = self.store.revision
            response = self._api.handle(request.readable())
            if self.store.revision != before:
                self.queue.run()
            return response

    def flow(self, request: Request) -> Flow | None:
        """How flow control takes a request; None if it does not come so far."""
        with self.lock:
            return self._api.flow(request)

    def advance(self, seconds: float) -> None:
        """Let time pass: timers fire in order, and controllers act after each.

        Raises ValueError for less than nothing and for more than LONGEST: all that happens is worked out, so
        that a day of a busy cluster takes seconds, and whoever waits for longer is better told.
        """
        if not 0 <= seconds <= LONGEST:
            raise ValueError(f"{seconds} is not from 0 to {LONGEST} seconds")
        with self.lock:
            until = self.clock.now + seconds
            while (action := self.clock.pop_due(until)) is not None:
                action()
                self.queue.run()
            self._heartbeats.beat()
            self._events.expire()
            self.queue.run()

    def writer(self, user: str) -> Writer:
        """For components of the cluster itself."""
        found = self._writers.get(user)
        if found is None:
            found = ComponentWriter(user, self._registry, self._recorder, self.store, self.clock, self.audit)
            self._writers[user] = found
        return found

    def token_for(self, user: str = ADMIN, groups: tuple[str, ...] = ()) -> str:
        """A bearer token for a user of that name, or for the service account that it names.

        ``groups`` holds for users only; the admin is a master anyway. Raises LookupError if there is no such
        service account.
        """
        with self.lock:
            if not user.startswith(_SERVICE_ACCOUNT):
                masters = (MASTERS,) if user == ADMIN else ()
                return self._authenticator.static_token(User(user, (*masters, *groups, AUTHENTICATED)))
            namespace, _, name = user.removeprefix(_SERVICE_ACCOUNT).partition(":")
            account = self.store.get(SERVICE_ACCOUNT, Key(namespace, name))
            if account is None:
                raise LookupError(f"no service account {name} in namespace {namespace}")
            return self._authenticator.service_account_token(account, _YEAR)

    def close(self) -> None:
        """Let go of everything; the cluster is of no use afterwards.

        Its parts know each other. Taken apart, they are freed at once, not by the next garbage collection,
        which would have to look for them among all objects of the process.
        """
        with self.lock:
            self.store.close()
            self.queue.close()
            self.clock.close()
            self.audit.close()
            self._runtime.close()
            self._writers.clear()
            del self._api

    def set_cpu(self, namespace: str, selector: str, cores: float) -> None:
        """Let the Ready pods that a label selector matches share ``cores`` of CPU use from now on."""
        with self.lock:
            self.usage.set_cpu(namespace, selector, cores)
            self.queue.run()
