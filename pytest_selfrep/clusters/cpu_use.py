"""CPU use of real pods follows the load: a small program in each of them is busy part of the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.kube import ApiError, path_of
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.tools.running import STDIN, exit_code, followed

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Clock
    from pytest_selfrep.clusters.kube import KubeClient, KubeObject

LONGEST_SECONDS = 3600
"""For which a program runs: it ends by itself where nobody is left to end it."""
_RENEWED_SECONDS = LONGEST_SECONDS / 2
_START_SECONDS = 15.0
"""Real time that starting a program may take."""
_AT_ONCE = 8
"""Pods in which programs are started."""
_STEP = 100
"""Parts of a core that are told apart."""
_SHELL = ("sh",)
"""It reads the program from its input, so that the list of processes does not show it."""
_STOP = """\
kill {pids} 2>/dev/null
"""
# Time is counted in hundredths of a second, and a round takes a hundred of them. Shells sleep with a program
# that may know whole seconds alone; without one there is nothing to be done. Redirections of a function would
# leave the shell's output open, and the harness waiting for its end.
_START = """\
clock() {{ read -r up rest </proc/uptime && now=${{up%.*}}${{up#*.}}; }}
spin() {{ i=0; while [ $i -lt 200 ]; do i=$((i + 1)); done; }}
pause() {{ sleep $(($1 / 100)).$(($1 / 10 % 10))$(($1 % 10)) || sleep 1 || exit 0; }}
work() {{
  trap 'exit 0' TERM
  clock || exit 0
  last=$((now + {longest}))
  while clock && [ $now -lt $last ]; do
    round=$((now + 100)) busy=$((now + {busy}))
    while clock && [ $now -lt $busy ]; do spin; done
    [ $now -ge $round ] || pause $((round - now))
  done
}}
read -r up </proc/uptime || exit 1
n=0
while [ $n -lt {processes} ]; do
  {{ exec </dev/null >/dev/null 2>&1; work; }} &
  echo $!
  n=$((n + 1))
done
"""
_END = "exit 0\n"


@dataclass(frozen=True, slots=True)
class _Place:
    """A container that runs."""

    namespace: str
    pod: str
    container: str
    id: str
    """Another one after each restart."""


@dataclass(frozen=True, slots=True)
class _Program:
    """What is busy in a container."""

    amount: int = 0
    """In hundredths of a core."""
    pids: tuple[str, ...] = ()
    since: float = field(default_factory=time.monotonic)

    def is_due(self, amount: int) -> bool:
        """Whether another has to take its place."""
        return amount != self.amount or (amount > 0 and self._age > _RENEWED_SECONDS)

    def replaced(self, amount: int) -> str:
        """What a shell does to end this one and start another."""
        # What ended by itself has left its numbers to others.
        stop = _STOP.format(pids=" ".join(self.pids)) if self.pids and self._age < LONGEST_SECONDS else ""
        if not amount:
            return stop + _END
        processes = ceil(amount / _STEP)
        busy = round(amount / processes)
        return stop + _START.format(longest=LONGEST_SECONDS * 100, busy=busy, processes=processes) + _END

    @property
    def _age(self) -> float:
        return time.monotonic() - self.since


class CpuUse:
    """CPU use of one world's pods, from where it is measured on."""

    def __init__(self, client: KubeClient, clock: Clock, measured: Callable[[], bool]) -> None:
        """``clock``: the machine's; ``measured``: whether anybody could see it."""
        self._client = client
        self._clock = clock
        self._measured = measured
        self._is_measured = False
        self._programs: dict[tuple[str, str], dict[_Place, _Program]] = {}
        """By namespace and selector."""
        self._beyond: set[_Place] = set()
        """Where no program can be started."""

    def share(self, namespace: str, selector: str, cores: float) -> None:
        """See World.set_cpu: ``cores`` of the cluster itself.

        Raises:
            ClusterError: the cluster does not answer.
        """
        self._is_measured = self._is_measured or self._measured()
        if not self._is_measured:
            return
        programs = self._programs.setdefault((namespace, selector), {})
        serving = list(self._serving(namespace, selector))
        amount = round(cores / len(serving) * _STEP) if serving else 0
        wanted = {**dict.fromkeys(programs, 0), **dict.fromkeys(serving, amount)}
        due = [
            (place, programs.get(place, _Program()), amount)
            for place, amount in wanted.items()
            if place not in self._beyond and programs.get(place, _Program()).is_due(amount)
        ]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            started = list(threads.map(lambda each: self._replaced(*each), due))
        for (place, _, _), program in zip(due, started, strict=True):
            programs.pop(place, None)
            if program is not None and program.amount:
                programs[place] = program

    def words(self) -> Iterator[str]:
        """Where it does not follow the load."""
        if not self._is_measured:
            yield "CPU use does not follow the load: the cluster serves no metrics"
        if self._beyond:
            yield "CPU use does not follow the load in pods in which the harness could not start a shell"

    def _serving(self, namespace: str, selector: str) -> Iterator[_Place]:
        """The first containers of the Ready pods that match."""
        query = {"labelSelector": selector}
        for pod in self._client.get(path_of("", "v1", "pods", namespace), query=query)["items"]:
            if _is_ready(pod) and (place := _place(pod)) is not None:
                yield place

    def _replaced(self, place: _Place, program: _Program, amount: int) -> _Program | None:
        """Another program instead; None where there is none."""
        try:
            said = self._answer(place, program.replaced(amount))
        except (ApiError, ClusterError):
            said = None
        if said is not None:
            return _Program(amount, tuple(said.split()))
        if self._is_there(place):
            self._beyond.add(place)
        return None

    def _answer(self, place: _Place, script: str) -> str | None:
        """What a shell prints; None if it fails. Raises ApiError and ClusterError."""
        path = path_of("", "v1", "pods", place.namespace, place.pod, "exec")
        query = {"container": place.container, "stdin": "true", "stdout": "true"}
        conversation = self._client.converse(
            "GET", path, query=query, repeated=[("command", word) for word in _SHELL]
        )
        said = bytearray()
        try:
            conversation.send(bytes((STDIN,)) + script.encode())
            status = followed(conversation, self._clock, _START_SECONDS, said.extend, lambda data: None)
        finally:
            conversation.close()
        return said.decode(errors="replace") if status is not None and exit_code(status) == 0 else None

    def _is_there(self, place: _Place) -> bool:
        """Whether the container still runs. Raises ClusterError."""
        try:
            pod = self._client.get(path_of("", "v1", "pods", place.namespace, place.pod))
        except ApiError:
            return False
        return "deletionTimestamp" not in pod["metadata"] and _place(pod) == place


def _is_ready(pod: KubeObject) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _place(pod: KubeObject) -> _Place | None:
    """Its first container, if it runs."""
    name = pod["spec"]["containers"][0]["name"]
    for each in (pod.get("status") or {}).get("containerStatuses") or ():
        if each["name"] == name and "running" in (each.get("state") or {}):
            metadata = pod["metadata"]
            return _Place(metadata["namespace"], metadata["name"], name, str(each.get("containerID", "")))
    return None
