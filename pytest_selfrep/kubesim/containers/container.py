"""One container: its files and environment, what its own command does, and what is run in it besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.containers.environment import Sources, environment, expanded
from pytest_selfrep.kubesim.containers.files import DENIED, Directory, FileSystem
from pytest_selfrep.kubesim.containers.process import Process, Program, run
from pytest_selfrep.kubesim.containers.programs import PROGRAMS
from pytest_selfrep.kubesim.containers.programs.shells import run_file
from pytest_selfrep.kubesim.containers.rootfs import hosts, os_release, proc, resolv_conf, root
from pytest_selfrep.kubesim.containers.tasks import Engine, Reader, Task, Writer
from pytest_selfrep.kubesim.containers.volumes import Volumes
from pytest_selfrep.kubesim.containers.world import Listed, Network, World
from pytest_selfrep.kubesim.nodes.machines import KERNEL, KERNEL_BUILD
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.store import Store

Software = Callable[[str], Mapping[str, Program]]
"""Programs of an image besides those that every container has, by name. They run for whoever is in the
container; its own command that starts one is taken to run on, as any whose doing nobody knows."""


def no_software(image: str) -> Mapping[str, Program]:
    return {}


@dataclass(frozen=True, slots=True)
class Place:
    """What a container needs of its cluster and pod."""

    store: Store
    clock: Clock
    network: Network
    token: Callable[[Object, int], bytes]
    """Issues a token for a pod's service account."""
    pod: Callable[[], Object]
    """The pod as it is now."""
    kept: dict[str, Directory]
    """Volumes that the containers of the pod share."""
    software: Software = no_software


class NotRunnable(Exception):
    """A program that cannot be started; the message is the container runtime's."""


@dataclass(slots=True)
class Execution:
    """A program that was started in a container, with all that it started."""

    engine: Engine
    first: Task

    def run(self) -> bool:
        """Go on as far as there is something to do now; whether more is to do at once."""
        return self.engine.run(self.first)

    @property
    def code(self) -> int | None:
        return self.first.code

    def interrupt(self) -> None:
        """As Control-C does."""
        for task in self.engine.tasks:
            if task.code is None and task is not self.first:
                task.kill(130)
        if self.first.code is None:
            self.first.advance(interrupted=True)

    def kill(self, code: int) -> None:
        self.first.kill(code)
        self.engine.close()


@dataclass(eq=False)
class Container:
    """A container that runs or has run. Nothing of it is made before somebody looks."""

    place: Place
    spec: Object
    id: str
    started: float
    """Seconds of the cluster's clock."""
    sources: Sources
    beside: Container | None = None
    """Another one of the pod whose processes it sees, as if they were its own."""
    ended: float | None = None
    signalled: Callable[[int], bool] = lambda number: False
    """Has its own command receive a signal; whether it does."""
    executions: list[Execution] = field(default_factory=list)
    pid: int = 1
    """Of its own command."""
    _pids: int = 1

    def __post_init__(self) -> None:
        if self.beside is not None:
            self.pid = self.beside.next_pid()

    def next_pid(self) -> int:
        if self.beside is not None:
            return self.beside.next_pid()
        self._pids += 7
        return self._pids

    @property
    def hostname(self) -> str:
        pod = self.place.pod()
        if pod["spec"].get("hostNetwork"):
            return str(pod["spec"].get("nodeName") or "")
        return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:63]

    @cached_property
    def env(self) -> dict[str, str]:
        place = self.place
        return environment(place.store, place.pod(), self.spec, self.sources, self.hostname)

    @property
    def command(self) -> list[str]:
        """Its own command with references to its environment resolved; empty if the image's is meant."""
        words = [*(self.spec.get("command") or ()), *(self.spec.get("args") or ())]
        return [expanded(word, self.env) if "$(" in word or "$$" in word else word for word in words]

    @property
    def cwd(self) -> str:
        return self.spec.get("workingDir") or "/"

    @cached_property
    def world(self) -> World:
        world = self.new_world(lambda: self.place.clock.now, self.place.kept)
        world.processes = self._processes
        return world

    def share(self, world: World) -> None:
        """Give another world of this container the same files as those that are run in it see."""
        world.processes = self._processes
        self.world.files = world.files

    def new_world(self, now: Callable[[], float], kept: dict[str, Directory]) -> World:
        """The container as it is when it starts, at some other time and with other volumes to share."""
        pod, place = self.place.pod(), self.place
        spec, namespace = pod["spec"], pod["metadata"].get("namespace", "")
        aliases = [
            (each.get("ip", ""), each.get("hostnames") or ()) for each in spec.get("hostAliases") or ()
        ]
        address = (pod.get("status") or {}).get("podIP", "")
        etc = {
            "hostname": self.hostname + "\n",
            "hosts": hosts(address, self.hostname, aliases),
            "resolv.conf": resolv_conf(namespace, place.network.nameserver),
            **os_release(self.spec.get("image", "")),
        }
        programs = {**PROGRAMS, **place.software(self.spec.get("image", ""))}
        files = FileSystem(root(programs, etc, self.started), now)
        top = files.root
        top.entries["proc"] = proc(self._proc(), self.started)
        security = {**(spec.get("securityContext") or {}), **(self.spec.get("securityContext") or {})}
        if self.cwd != "/":
            files.make_directory(self.cwd, parents=True)
        world = World(
            files=files,
            hostname=self.hostname,
            now=now,
            date=lambda: place.clock.moment(now()),
            programs=programs,
            interpreter=run_file,
            network=place.network,
            processes=lambda: (),
            signal=self._signal,
            uid=int(security.get("runAsUser") or 0),
            gid=int(security.get("runAsGroup") or 0),
            seed=int(self.id[-7:], 16) if self.id else 1,
        )
        self._mount(files, kept)
        if security.get("readOnlyRootFilesystem"):
            _lock(top, kept)
        return world

    def _mount(self, files: FileSystem, kept: dict[str, Directory]) -> None:
        place, pod = self.place, self.place.pod()
        stamp = "..{:%Y_%m_%d_%H_%M_%S}.{:09d}".format(
            place.clock.moment(self.started), int(self.id[-7:] or "1", 16)
        )
        volumes = Volumes(
            place.store, pod, lambda seconds: place.token(pod, seconds), kept, self.started, stamp
        )
        for mount in self.spec.get("volumeMounts") or ():
            directory = volumes.directory(mount["name"])
            path = mount["mountPath"].rstrip("/") or "/"
            sub = mount.get("subPath")
            files.make_directory(path.rpartition("/")[0] or "/", parents=True)
            if sub:
                inner = FileSystem(directory, lambda: self.started)
                if not inner.exists("/" + sub):
                    inner.make_directory("/" + sub, parents=True)
                files.mount(path, inner.find("/" + sub))
            elif path != "/":
                files.mount(path, directory)

    def _proc(self) -> dict[str, Callable[[], bytes]]:
        first = self.beside or self

        def command() -> bytes:
            return b"\0".join(word.encode() for word in first.title_words()) + b"\0"

        return {
            "1/cmdline": command,
            "1/comm": lambda: first.title_words()[0].rpartition("/")[2][:15].encode() + b"\n",
            "1/environ": lambda: b"".join(f"{k}={v}\0".encode() for k, v in first.env.items()),
            "cpuinfo": lambda: (
                b"processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz\n"
            ),
            "loadavg": lambda: b"0.08 0.05 0.01 1/312 41\n",
            "meminfo": lambda: b"MemTotal:       16393244 kB\nMemFree:         9871204 kB\n",
            "uptime": lambda: (
                f"{self.place.clock.now + 86400:.2f} {self.place.clock.now + 80000:.2f}\n".encode()
            ),
            "version": lambda: f"Linux version {KERNEL} (buildd@lcy02-amd64-121) {KERNEL_BUILD}\n".encode(),
        }

    def title_words(self) -> list[str]:
        """What the list of processes shows for its own command."""
        from pytest_selfrep.kubesim.containers.entrypoints import entrypoint

        return self.command or entrypoint(self.spec["image"], self.spec["name"])

    def _processes(self) -> Sequence[Listed]:
        listed = [] if self.beside is None else [*self.beside._processes()]
        listed.append(Listed(self.pid, " ".join(self.title_words())))
        for execution in self.executions:
            listed += [Listed(task.pid, task.title) for task in execution.engine.tasks if task.code is None]
        return listed

    def _signal(self, pid: int, number: int) -> bool:
        if pid == self.pid:
            return not number or self.signalled(number)
        for execution in self.executions:
            for task in execution.engine.tasks:
                if task.pid == pid and task.code is None:
                    if number:
                        task.kill(128 + number)
                    return True
        return self.beside is not None and self.beside._signal(pid, number)

    def execute(
        self, argv: Sequence[str], stdin: Reader, stdout: Writer, stderr: Writer, *, terminal: bool = False
    ) -> Execution:
        """Start a program besides the container's own. Raises NotRunnable."""
        world = self.world
        self._remount()
        env = {**self.env, **({"TERM": "xterm"} if terminal else {})}
        found = world.program(argv[0], env["PATH"], self.cwd) if argv else "not found"
        if isinstance(found, str):
            raise NotRunnable(_refusal(argv[0] if argv else "", found))
        if any("\0" in word for word in argv):
            raise NotRunnable(_refusal(argv[0], "invalid argument"))
        pid = self.next_pid()
        engine = Engine(lambda: self.place.clock.now, pid)
        process = Process(world, engine, list(argv), env, self.cwd, stdin, stdout, stderr, pid, terminal)
        task = engine.spawn(" ".join(argv), run(found, process))
        process.pid = task.pid
        execution = Execution(engine, task)
        self.executions = [each for each in self.executions if each.code is None]
        self.executions.append(execution)
        return execution

    def _remount(self) -> None:
        """ConfigMaps and Secrets are shown as they are now."""
        self._mount(self.world.files, self.place.kept)

    def end(self) -> None:
        """It has ended, and with it all that runs in it."""
        self.ended = self.place.clock.now
        for execution in self.executions:
            execution.kill(137)
        self.executions.clear()


def _refusal(name: str, why: str) -> str:
    if why == "not found":
        why = (
            f"stat {name}: no such file or directory" if "/" in name else "executable file not found in $PATH"
        )
    elif why == DENIED:
        why = "permission denied"
    return f'unable to start container process: exec: "{name}": {why}'


def _lock(directory: Directory, kept: dict[str, Directory]) -> None:
    """Make directories read-only but for volumes that are kept."""
    if any(directory is each for each in kept.values()):
        return
    directory.read_only = True
    for node in directory.entries.values():
        if isinstance(node, Directory):
            _lock(node, kept)
