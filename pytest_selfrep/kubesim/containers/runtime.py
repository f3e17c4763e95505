"""The container runtime: every container of the cluster by its ID, from its start on."""

from __future__ import annotations

from collections.abc import Callable

from pytest_selfrep.kubesim.clock import Clock, Timer
from pytest_selfrep.kubesim.containers.container import Container, Place, Software, no_software
from pytest_selfrep.kubesim.containers.environment import sources_of
from pytest_selfrep.kubesim.containers.files import Directory
from pytest_selfrep.kubesim.containers.mains import Log, Main, OwnTime, Run, plan, settle
from pytest_selfrep.kubesim.containers.network import PodNetwork
from pytest_selfrep.kubesim.containers.tasks import Pipe
from pytest_selfrep.kubesim.kinds import POD
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.store import Change, Store

Token = Callable[[Object, int], bytes]
_KEPT_RUNS = 2
"""The present run of a container, and the one before."""


class Runtime:
    """Starts containers and knows them until their pod is gone."""

    def __init__(self, store: Store, clock: Clock, token: Token, software: Software) -> None:
        self._store = store
        self._clock = clock
        self._token = token
        self._software = software
        self._containers: dict[str, Running] = {}
        self._by_pod: dict[str, list[tuple[str, str]]] = {}
        self._volumes: dict[str, dict[str, Directory]] = {}
        store.listen(self._forget, (POD,))

    def start(
        self,
        pod: Object,
        spec: Object,
        container_id: str,
        work_seconds: float | None,
        exited: Callable[[int], None],
    ) -> Run:
        """A container starts; what will become of it. ``exited`` is called if that turns out otherwise."""
        key, uid = Key(pod["metadata"]["namespace"], pod["metadata"]["name"]), pod["metadata"]["uid"]
        place = Place(
            self._store,
            self._clock,
            PodNetwork(self._store, key, self.serves),
            self._token,
            lambda: self._store.get(POD, key) or pod,
            self._volumes.setdefault(uid, {}),
            self._software,
        )
        plain = container_id.rpartition("/")[2]
        sources = sources_of(self._store, key.namespace, spec)
        beside = self._named(uid, spec.get("targetContainerName") or "")
        container = Container(place, spec, plain, self._clock.now, sources, beside)
        run = plan(container, work_seconds)
        running = Running(container, run, work_seconds, exited, self._clock)
        self._containers[plain] = running
        self._remember(uid, spec["name"], plain)
        return run

    def _named(self, uid: str, name: str) -> Container | None:
        """The newest container of that name in a pod."""
        found = [plain for each, plain in self._by_pod.get(uid, ()) if each == name]
        return self._containers[found[-1]].container if found else None

    def _remember(self, uid: str, name: str, plain: str) -> None:
        ids = self._by_pod.setdefault(uid, [])
        ids.append((name, plain))
        older = [each for each in ids if each[0] == name][:-_KEPT_RUNS]
        for each in older:
            ids.remove(each)
            self._containers.pop(each[1], None)

    def get(self, container_id: str) -> Running | None:
        """By an ID with or without its scheme."""
        return self._containers.get(container_id.rpartition("/")[2])

    def serves(self, container_id: str) -> bool:
        """Whether a container runs a program of its own, not one that only sleeps, say."""
        found = self.get(container_id) if container_id else None
        return found is not None and found.run.serves

    def end(self, container_id: str) -> None:
        """A container has ended."""
        found = self.get(container_id)
        if found is not None:
            found.end()

    def _forget(self, change: Change) -> None:
        """Containers are there as long as their pod's object."""
        if change.type != "DELETED":
            return
        uid = change.object["metadata"]["uid"]
        for _, plain in self._by_pod.pop(uid, ()):
            found = self._containers.pop(plain, None)
            if found is not None:
                found.end()
        self._volumes.pop(uid, None)

    def close(self) -> None:
        for each in self._containers.values():
            each.close()
        self._containers.clear()
        self._by_pod.clear()
        self._volumes.clear()
        self._software = no_software


class Running:
    """A container with its own command, which is followed as far as somebody looks."""

    def __init__(
        self,
        container: Container,
        run: Run,
        work_seconds: float | None,
        exited: Callable[[int], None],
        clock: Clock,
    ) -> None:
        self.container = container
        self.run = run
        self._work_seconds = work_seconds
        self._exited = exited
        self._clock = clock
        self._time = OwnTime(container.started)
        self._main: Main | None = None
        self._timer: Timer | None = None
        self._followers = 0
        self.stdin: Pipe | None = Pipe() if container.spec.get("stdin") else None
        container.signalled = self._signal
        if self.stdin is not None:
            self._timer = clock.after(0, self.drive)

    @property
    def log(self) -> Log:
        """What it has printed until now."""
        return self._settled().log

    def settle(self) -> None:
        """Its command has done what it does up to now, as its files show."""
        self._settled()

    def _settled(self) -> Main:
        container = self.container
        if self._main is None:
            self._main = Main(
                container,
                container.new_world(lambda: self._time.now, container.place.kept),
                lambda: self._time.now,
                self._work_seconds,
                stdin=self.stdin,
            )
            # What it writes is there for whoever looks: one file system.
            container.share(self._main.world)
        now = self._clock.now if container.ended is None else container.ended
        settle(self._main, now, self._time)
        return self._main

    def feed(self, data: bytes) -> None:
        """Input for a command that reads."""
        if self.stdin is not None:
            self.stdin.write(data)
            self.drive()

    def end_input(self) -> None:
        if self.stdin is not None:
            self.stdin.end()
            self.drive()

    def interrupt(self) -> None:
        self._settled().execution.interrupt()
        self.drive()

    def follow(self, listen: Callable[[bytes], None]) -> Callable[[], None]:
        """Have what is printed from now on reported at its time; gives what ends that."""
        log = self.log
        log.listeners.append(listen)
        self._followers += 1
        self.drive()

        def leave() -> None:
            if listen in log.listeners:
                log.listeners.remove(listen)
                self._followers -= 1

        return leave

    def drive(self) -> None:
        """Let the command go on, now and whenever it has slept enough, while somebody follows it."""
        if self.container.ended is not None:
            return
        main = self._settled()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        code = main.execution.code
        if code is not None:
            if self.stdin is not None:
                self._exited(code % 256)
            return
        due = main.engine.next_due
        if due is not None and (self._followers or self.stdin is not None):
            self._timer = self._clock.after(due - self._clock.now, self.drive)

    def _signal(self, number: int) -> bool:
        """Its own command as the first process: only programs that handle signals hear of any."""
        if self.run.serves and number in (1, 2, 3, 15):
            self._clock.after(0.05, lambda: self._exited(128 + number if number != 3 else 0))
        return True

    def end(self) -> None:
        if self.container.ended is None:
            if self._main is not None:
                self._settled()
            self.container.end()
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """Take it apart: it and its container know each other."""
        self.container.signalled = _unheard
        self._main = None


def _unheard(number: int) -> bool:
    return False
