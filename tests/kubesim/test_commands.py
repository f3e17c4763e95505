"""What containers do, as far as their commands tell."""

from __future__ import annotations

import pytest

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.cluster import START
from pytest_selfrep.kubesim.containers.container import Container, Place
from pytest_selfrep.kubesim.containers.mains import Run, plan
from pytest_selfrep.kubesim.containers.network import PodNetwork
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.store import Store

FOREVER = Run(None)
SERVER = Run(None, serves=True)


def run_of(container: Object, work_seconds: float | None) -> Run:
    clock = Clock(START)
    store = Store(clock)
    pod = {"metadata": {"name": "a", "namespace": "default", "uid": "1"}, "spec": {"containers": [container]}}
    network = PodNetwork(store, Key("default", "a"), lambda container_id: False)
    place = Place(store, clock, network, lambda pod, seconds: b"", lambda: pod, {})
    return plan(Container(place, {"image": "acme/web:1", **container}, "0" * 64, 0.0, {}), work_seconds)


@pytest.mark.parametrize(
    ("command", "run"),
    [
        (["true"], Run(0.0)),
        (["false"], Run(0.0, 1)),
        (["/bin/sleep", "90"], Run(90.0)),
        (["sleep", "2m"], Run(120.0)),
        (["sleep", "infinity"], FOREVER),
        (["sh", "-c", "exit 7"], Run(0.0, 7)),
        (["bash", "-ec", "sleep 5 && echo 'all done'"], Run(5.0, 0, ("all done",))),
        (["sh", "-c", "echo a; sleep 1\nexit 2; echo b"], Run(1.0, 2, ("a",))),
        (["sh", "-c", "echo up; sleep infinity"], Run(None, 0, ("up",))),
        (["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"], FOREVER),
        (["sh", "-c", "for i in 1 2 3; do echo $i; sleep $i; done"], Run(6.0, 0, ("1", "2", "3"))),
        (["sh", "-c", "while true; do sleep 1; done"], FOREVER),
        (["sh", "-c", "while :; do :; done"], FOREVER),
        (["sh", "-c", "exec nginx"], SERVER),
        (["sh", "-c", "echo 'unfinished"], Run(0.0, 2, ("sh: syntax error: unterminated quoted string",))),
        (["sh", "start.sh"], SERVER),
        (["sleep", "soon"], Run(0.0, 1, ("sleep: invalid number 'soon'",))),
        (["python", "serve.py"], SERVER),
        ([], SERVER),
    ],
)
def test_what_a_command_says_is_taken_at_its_word(command: list[str], run: Run) -> None:
    assert run_of({"name": "c", "command": command}, None) == run


def test_arguments_alone_are_read_too() -> None:
    assert run_of({"name": "c", "args": ["sleep", "3"]}, None) == Run(3.0)


def test_a_shell_that_nobody_talks_to_ends() -> None:
    assert run_of({"name": "c", "image": "docker.io/library/busybox:1.36.1"}, None) == Run(0.0)


@pytest.mark.parametrize(
    ("command", "run"),
    [
        ([], Run(10.0)),
        (["python", "report.py"], Run(10.0)),
        (["sh", "-c", "python report.py; exit 4"], Run(10.0, 4)),
        (["sleep", "3"], Run(3.0)),
    ],
)
def test_work_whose_end_is_waited_for_ends(command: list[str], run: Run) -> None:
    assert run_of({"name": "c", "command": command}, 10.0) == run
