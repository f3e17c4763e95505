"""One k3s for a run of pytest, whoever asks for it; nothing of it stays, however the run ends."""

from __future__ import annotations

import io
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import docker
import psutil
import pytest
from runs import Runs, until

from pytest_selfrep.__main__ import main
from pytest_selfrep.clusters.https import from_kubeconfig
from pytest_selfrep.clusters.kube import KubeClient

pytestmark = pytest.mark.docker

CONFTEST = """
import pytest
from pytest_selfrep import plugin

@pytest.fixture
def kubeconfig(request):
    return request.config.stash[plugin.HOST].server().kubeconfig
"""


@pytest.fixture
def runs(runs: Runs) -> Runs:
    runs.write(CONFTEST, to="conftest.py")
    return runs


SHARED_SUITE = """
import os, signal, time
import pytest

def see(kubeconfig):
    with open("seen", "a") as file:
        file.write(kubeconfig.read_text().encode().hex() + "\\n")

@pytest.mark.parametrize("number", range(4))
def test_shared(kubeconfig, number):
    see(kubeconfig)

def test_killed(kubeconfig):
    see(kubeconfig)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_all_workers_share_one_cluster_even_those_that_replace_the_dead(runs: Runs) -> None:
    runs.write(SHARED_SUITE)

    process = runs.start("-n2")
    output = runs.finish(process)

    assert "1 failed, 4 passed" in output
    assert "crashed while running 'test_suite.py::test_killed'" in output
    assert len(runs.seen()) == 5
    assert len(set(runs.seen())) == 1
    assert runs.containers(process) == []


def test_a_run_that_stops_at_its_first_failure_leaves_nothing(runs: Runs) -> None:
    runs.write(
        "def test_fails(kubeconfig):\n    assert not kubeconfig.exists()\ndef test_never():\n    pass\n"
    )

    process = runs.start("-x")
    output = runs.finish(process)

    assert process.returncode == 1
    assert "1 failed" in output
    assert "passed" not in output
    assert runs.containers(process) == []


WAITING_SUITE = "def test_waits(kubeconfig):\n    pass\n"


@pytest.fixture
def never_ready(image: str) -> Iterator[str]:
    """An image whose k3s starts for ever."""
    client = docker.from_env()
    text = f'FROM {image}\nENTRYPOINT ["/bin/sh", "-c", "sleep 3600"]\n'
    made = client.images.build(fileobj=io.BytesIO(text.encode()), rm=True, tag=f"starting:{os.getpid()}")[0]
    yield made.tags[0]
    client.images.remove(made.id, force=True)
    client.close()


@pytest.mark.parametrize(
    ("number", "options"),
    [
        (signal.SIGINT, ()),
        (signal.SIGINT, ("-n2",)),
        (signal.SIGTERM, ()),
        (signal.SIGTERM, ("-n2",)),
        (signal.SIGHUP, ()),
    ],
)
def test_a_signal_ends_a_start_and_the_run(
    runs: Runs, never_ready: str, number: signal.Signals, options: tuple[str, ...]
) -> None:
    runs.write(WAITING_SUITE)
    process = runs.start(*options, image=never_ready)
    runs.await_container(process)
    folder = runs.kubeconfigs(process)

    process.send_signal(number)
    output = runs.finish(process)

    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    assert runs.containers(process) == []
    assert not folder.exists()


LASTING_SUITE = """
import time

def test_lasts(kubeconfig):
    with open("seen", "a") as file:
        file.write("up\\n")
    time.sleep(3600)
"""


def test_ctrl_c_removes_a_cluster_that_is_in_use(runs: Runs) -> None:
    runs.write(LASTING_SUITE)
    process = runs.start("-n2")
    until(runs.seen)

    # A terminal sends it to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    runs.finish(process)

    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert runs.containers(process) == []


def test_what_a_killed_controller_leaves_is_cleaned(
    runs: Runs, never_ready: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write(WAITING_SUITE)
    process = runs.start("-n2", image=never_ready)
    runs.await_container(process)
    folder, workers = runs.kubeconfigs(process), psutil.Process(process.pid).children(recursive=True)
    assert main(["clean"]) == 0
    assert f"its run still goes on (process {process.pid})" in capsys.readouterr().out
    assert runs.containers(process)

    process.kill()
    runs.finish(process)
    until(lambda: not any(each.is_running() for each in workers))
    status = main(["clean"])

    assert status == 0
    assert runs.containers(process) == []
    assert not folder.exists()


def test_a_cluster_is_kept_if_asked_for_until_it_is_cleaned(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write("def test_asks(kubeconfig):\n    pass\n")

    process = runs.start("-n2", "--selfrep-keep-cluster")
    output = runs.finish(process)

    shown = re.search(r"kubectl --kubeconfig (\S+) get pods -A", output)
    assert shown is not None
    kubeconfig = Path(shown[1])
    transport = from_kubeconfig(kubeconfig, "default")
    assert KubeClient(transport).get("/api/v1/nodes")["items"]
    transport.close()
    assert re.search(r"docker exec -it \S+ sh", output)
    assert "python -m pytest_selfrep clean" in output

    (kept,) = runs.containers(process)
    assert main(["clean"]) == 0
    assert f"removed {kept[:12]}" in capsys.readouterr().out
    assert runs.containers(process) == []
    assert not kubeconfig.parent.exists()


def test_each_gate_is_told_why_there_is_no_docker(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    runs.write("def test_one(kubeconfig):\n    pass\ndef test_two(kubeconfig):\n    pass\n")

    output = runs.finish(runs.start("-n2"))

    assert "2 errors" in output
    assert output.count("ClusterError: Docker does not run at unix:///nowhere/docker.sock") >= 2
