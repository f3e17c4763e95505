"""Exec and attach, as kubectl and the official client use them, and what is refused before they begin."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from kube_driver import PODS, Kube
from kubernetes import config as untyped_config
from kubernetes import stream as untyped_stream
from shell_driver import ask, execute, forget_sockets, gathered, session

from pytest_selfrep.kubesim.serving.server import Served

config: Any = untyped_config
stream: Any = untyped_stream
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def kube(one_pod: Kube) -> Kube:
    return one_pod


@pytest.fixture
def core(kube: Kube, served: Served) -> Iterator[Any]:
    settings = kubernetes.client.Configuration()
    written = yaml.safe_load(served.kubeconfig(kube.cluster.token_for()))
    config.load_kube_config_from_dict(written, client_configuration=settings)
    api: Any = kubernetes.client.ApiClient(settings)
    yield kubernetes.client.CoreV1Api(api)
    api.rest_client.pool_manager.clear()
    api.close()
    forget_sockets()


@pytest.fixture
def ran(kubectl: list[str]) -> Run:
    """Runs kubectl to its end."""

    def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*kubectl, *words], input=stdin, capture_output=True, text=True, timeout=30, check=False
        )

    return run


def test_the_official_client_runs_a_command(core: Any) -> None:
    opened = stream.stream(
        core.connect_get_namespaced_pod_exec,
        "a",
        "default",
        command=["sh", "-c", "echo out; echo err >&2"],
        stdout=True,
        stderr=True,
        stdin=False,
        tty=False,
        _preload_content=False,
    )
    opened.run_forever(timeout=10)
    assert (opened.read_stdout(), opened.read_stderr()) == ("out\n", "err\n")
    opened.close()


def test_the_official_client_writes_and_learns_the_exit_code(core: Any) -> None:
    opened = stream.stream(
        core.connect_get_namespaced_pod_exec,
        "a",
        "default",
        command=["sh"],
        stdout=True,
        stderr=True,
        stdin=True,
        tty=False,
        _preload_content=False,
    )
    opened.write_stdin("echo $((6 * 7))\nexit 5\n")
    opened.run_forever(timeout=10)
    assert opened.read_stdout() == "42\n"
    assert opened.returncode == 5
    opened.close()


def test_kubectl_exec_prints_and_exits_as_the_command_does(ran: Run) -> None:
    got = ran("exec", "a", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (got.stdout, got.returncode) == ("out\n", 3)
    assert got.stderr == "err\ncommand terminated with exit code 3\n"


def test_kubectl_exec_passes_standard_input_on(ran: Run) -> None:
    assert ran("exec", "-i", "a", "--", "cat", stdin="one\ntwo\n").stdout == "one\ntwo\n"


def test_kubectl_exec_says_what_cannot_be_run(ran: Run) -> None:
    said = ran("exec", "a", "--", "foo").stderr
    assert said.startswith(
        "error: Internal error occurred: Internal error occurred: error executing command in "
    )
    assert (
        'unable to start container process: exec: "foo": executable file not found in $PATH: unknown' in said
    )


def test_kubectl_run_attaches_and_removes(ran: Run) -> None:
    words = ("run", "x", "--rm", "-i", "--restart=Never", "--image=busybox", "--")
    got = ran(*words, "sh", "-c", "read x; echo got $x", stdin="it\n")
    assert "got it" in got.stdout
    assert 'pod "x" deleted' in got.stdout


def test_there_is_nothing_to_attach_to_in_a_container_that_has_ended(kube: Kube) -> None:
    kube.add_pod("over", command=["true"], restartPolicy="Never")
    kube.advance(10)
    status = gathered(session(kube, pod="over", kind="attach")).status
    assert status["message"].endswith(
        "unable to upgrade connection: container web not found in pod over_default"
    )


def test_kubectl_cp_goes_both_ways(ran: Run, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("some words\n")
    assert ran("cp", str(tmp_path / "there"), "a:/tmp/there").returncode == 0
    assert ran("exec", "a", "--", "cat", "/tmp/there").stdout == "some words\n"
    assert ran("cp", "a:/tmp/there", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_text() == "some words\n"


def test_a_container_must_be_one_of_the_pods(kube: Kube) -> None:
    refused = ask(kube, "true", container="z")
    assert (refused.status, refused.body["message"]) == (400, "container z is not valid for pod a")


def test_one_of_several_containers_must_be_named(kube: Kube) -> None:
    containers = [{"name": name, "image": "nginx:1.27"} for name in ("x", "y")]
    kube.create(PODS, {"metadata": {"name": "b"}, "spec": {"containers": containers}})
    kube.advance(10)
    assert ask(kube, "true", pod="b").body["message"] == (
        "a container name must be specified for pod b, choose one of: [x y]"
    )


def test_a_container_that_does_not_run_is_not_found(kube: Kube) -> None:
    kube.add_pod("done", command=["true"], restartPolicy="Never")
    kube.advance(10)
    status = execute(kube, "true", pod="done").status
    assert status["message"] == (
        'Internal error occurred: unable to upgrade connection: container not found ("web")'
    )


def test_a_websocket_asks_for_get_and_not_for_create(kube: Kube) -> None:
    entries = [each for each in kube.cluster.audit.since(0) if each.resource == "pods/exec"]
    assert not entries
    session(kube, "true").close()
    assert [each.verb for each in kube.cluster.audit.since(0) if each.resource == "pods/exec"] == ["get"]


def test_what_runs_besides_ends_with_its_container(kube: Kube) -> None:
    opened = session(kube, "sleep", "1000")
    kube.delete(f"{PODS}/a")
    kube.advance(40)
    assert gathered(opened).code == 137


def test_programs_start_and_see_volumes_where_nothing_may_be_written(kube: Kube) -> None:
    settings = {"metadata": {"name": "settings"}, "data": {"mode": "fast"}}
    kube.create("/api/v1/namespaces/default/configmaps", settings)
    container = {
        "name": "main",
        "image": "busybox:1.36.1",
        "command": ["sleep", "3600"],
        "securityContext": {"readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": "settings", "mountPath": "/etc/settings"}],
    }
    volumes = [{"name": "settings", "configMap": {"name": "settings"}}]
    kube.create(PODS, {"metadata": {"name": "b"}, "spec": {"containers": [container], "volumes": volumes}})
    kube.advance(10)

    ran = execute(kube, "sh", "-c", "cat /etc/settings/mode; echo > /tmp/a", pod="b")

    assert (ran.out, ran.code) == ("fast", 1)
    assert "Read-only file system" in ran.err


def test_dropped_sessions_leave_nothing_behind(kube: Kube) -> None:
    before = kube.cluster.clock.next_due()
    for _ in range(1000):
        opened = session(kube, "sh", "-c", "sleep 1", stdin="true")
        assert before is None or kube.cluster.clock.next_due() != before
        opened.close()
    running = kube.cluster._runtime.get(kube.pod("a")["status"]["containerStatuses"][0]["containerID"])
    assert running is not None
    assert sum(each.code is None for each in running.container.executions) == 0
    assert kube.cluster.clock.next_due() == before


def test_clients_that_vanish_are_forgotten(kube: Kube, served: Served) -> None:
    import aiohttp

    async def vanish() -> None:
        headers = {"Authorization": f"Bearer {kube.cluster.token_for()}"}
        url = f"{served.url}{PODS}/a/exec?command=sleep&command=1000&stdout=true"
        async with aiohttp.ClientSession(headers=headers) as client:
            for _ in range(20):
                link = await client.ws_connect(url, ssl=False, protocols=("v5.channel.k8s.io",))
                connection = link._response.connection
                assert connection is not None
                assert connection.transport is not None
                connection.transport.abort()

    asyncio.run(vanish())
    running = kube.cluster._runtime.get(kube.pod("a")["status"]["containerStatuses"][0]["containerID"])
    assert running is not None
    until = time.monotonic() + 10
    while any(each.code is None for each in running.container.executions) and time.monotonic() < until:
        time.sleep(0.02)
    assert all(each.code is not None for each in running.container.executions)
