"""kubectl as a program of simulated containers, with the credential that is mounted into their pod."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from pytest_selfrep.clusters.errands import Errand
from pytest_selfrep.clusters.inprocess import InProcess
from pytest_selfrep.clusters.kube import Call, KubeClient, Reply
from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.containers.files import NOT_FOUND, FileProblem
from pytest_selfrep.kubesim.containers.process import Process, Program
from pytest_selfrep.kubesim.containers.tasks import Steps, Wait
from pytest_selfrep.tools.base import Hands
from pytest_selfrep.tools.kubectl.tool import Kubectl, Printed

MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
START_SECONDS = 0.2
"""That one run takes at least, as on a real machine: a loop of them cannot go on for ever in no time."""
START_BYTES = 400 * 1024
"""What it has to work through for that, by which even many at once come to a bound."""
_NOBODY = (
    "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n"
)


def simulation_with(image: str | None, seed: int) -> Cluster:
    """A simulation in which containers of one image have kubectl."""

    def kubectl(process: Process) -> Steps:
        return run(simulation, process)

    def software(name: str) -> Mapping[str, Program]:
        return {"kubectl": kubectl} if name == image else {}

    simulation = Cluster(seed, software=software)
    return simulation


def run(simulation: Cluster, process: Process) -> Steps:
    """One kubectl."""
    process.engine.spend(START_BYTES)
    yield Wait(until=process.engine.now() + START_SECONDS)
    token = _mounted(process, "token")
    if not token:
        process.stderr.write(_NOBODY.encode())
        return 1
    stdin = ""
    if _reads_input(process.argv):
        stdin = (yield from process.read_all()).decode(errors="replace")
    errand = Errand[Printed](lambda self: _printed(simulation, process, token, stdin, self))
    steps = errand.steps()
    try:
        while True:
            seconds = next(steps)
            yield Wait(until=process.engine.now() + seconds)
    except StopIteration as ended:
        printed: Printed = ended.value
    finally:
        steps.close()
    process.engine.spend(len(printed.out))
    process.out(printed.out.encode())
    process.stderr.write(printed.errors.encode())
    return printed.code


def _printed(
    simulation: Cluster, process: Process, token: str, stdin: str, errand: Errand[Printed]
) -> Printed:
    client = KubeClient(_Asking(InProcess(simulation, token), errand))
    namespace = _mounted(process, "namespace") or "default"
    hands = Hands(
        client,
        _Sleeping(process.engine.now, errand),
        namespace,
        _user(token),
        files=lambda path: _contents(process, path),
    )
    return Kubectl().run(hands, process.argv[1:], stdin)


@dataclass(frozen=True, slots=True)
class _Asking:
    """A transport whose calls are made where the simulation is at work (clusters.kube.Transport)."""

    inner: InProcess
    errand: Errand[Printed]

    def send(self, call: Call) -> Reply:
        return self.errand.ask(lambda: self.inner.send(call))


@dataclass(frozen=True, slots=True)
class _Sleeping:
    """The time of a container (clusters.base.Clock)."""

    time: Callable[[], float]
    errand: Errand[Printed]

    def now(self) -> float:
        return self.time()

    def sleep(self, seconds: float) -> None:
        self.errand.sleep(seconds)


def _reads_input(words: list[str]) -> bool:
    return any(word in ("-", "-f-", "--filename=-") for word in words)


def _mounted(process: Process, name: str) -> str:
    try:
        return process.files.read(f"{MOUNT}/{name}").decode().strip()
    except FileProblem:
        return ""


def _contents(process: Process, path: str) -> bytes:
    try:
        return process.files.read(process.path(path))
    except FileProblem as problem:
        if str(problem) == NOT_FOUND:
            raise FileNotFoundError(path) from None
        raise OSError(str(problem)) from None


def _user(token: str) -> str:
    """Whose a token is, as it says itself (RFC 7519)."""
    claims = token.split(".")[1]
    return str(orjson.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"])
