"""Command-line agents in containers: they reach their tools and their model's API, and leave nothing."""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import docker
import pytest
from containers import LOOK, SHELL, broken, ours, require_nothing, rules, said, trial

from pytest_selfrep.agents.base import UNFENCED, Session
from pytest_selfrep.agents.command import CommandAgent, fence
from pytest_selfrep.agents.function import FunctionAgent
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.clusters.ownership import RUN, owner_of, remove_orphans, this_process
from pytest_selfrep.errors import AgentError
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.trial.failures import TrialInvalid
from pytest_selfrep.trial.runner import TrialRun, run_trial

pytestmark = pytest.mark.docker


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    require_nothing()


def await_open(host: str, port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)


@pytest.fixture
def model() -> Iterator[int]:
    """The port of an HTTP server on this machine's loopback interface."""

    class Model(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"I am {self.headers['Host']} {self.path}".encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_it_acts_through_the_tools_as_any_agent(image: str) -> None:
    by_command = trial(
        image,
        """
        call kubectl '{"command": "get pods -o name"}' > /dev/null
        call wait '{"seconds": 45}' > /dev/null
        """,
    )

    def in_python(session: Session) -> None:
        session.kubectl("get pods -o name")
        session.call("wait", seconds=45)

    direct = run_trial(
        load("load-balancing"), FunctionAgent("mine", in_python), EmbeddedCluster(), index=0, seed=1
    )

    assert by_command.record == direct.record


def test_it_is_given_its_task_a_home_and_what_is_named(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "nobody is to see this")
    run = trial(
        image,
        f"cat; pwd; ls -A; touch mine && cat .config/x; env | sort; {LOOK}",
        env={"LEVEL": "{home}"},
        files={".config/x": "{mcp_url} is where\n"},
    )

    text = said(run)
    assert text.startswith(load("load-balancing").task[:60])
    assert "/home/agent\n.config\n.local\n.mcp-stdio.json\n.mcp.json\nhttp://" in text
    assert "LEVEL=/home/agent\n" in text
    assert "KUBECONFIG=/home/agent/.kube/config\n" in text
    assert "PLANTED" not in text
    assert "proxy" not in text.lower()


def test_it_reaches_its_tools_and_nothing_else(image: str, model: int, engine: docker.DockerClient) -> None:
    other = engine.containers.run(
        image, entrypoint=["httpd", "-f", "-p", "80"], command=[], detach=True, remove=True
    )
    try:
        other.reload()
        address = other.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        await_open(address, 80)
        run = trial(
            image,
            f"""
            {LOOK}
            for target in '{address} 80' '127.0.0.1 {model}' '1.1.1.1 80'; do
                nc -w 2 $target < /dev/null && echo "reached $target"
            done
            echo done
            """,
        )
    finally:
        other.kill()

    assert said(run).endswith("done")
    assert "reached" not in said(run)


def test_what_else_listens_on_this_machine_is_out_of_reach_where_that_can_be(image: str) -> None:
    with ThreadingHTTPServer(("0.0.0.0", 0), BaseHTTPRequestHandler) as open_to_all:
        thread = Thread(target=open_to_all.serve_forever, daemon=True)
        thread.start()
        run = trial(
            image,
            f"""
            {LOOK}
            gateway=$(echo {{mcp_url}} | cut -d/ -f3 | cut -d: -f1)
            nc -w 2 $gateway {open_to_all.server_port} < /dev/null && echo reached
            nslookup -type=a example.com 127.0.0.11 | grep -A9 Name:
            echo done
            """,
        )
        open_to_all.shutdown()
        thread.join()

    assert said(run).endswith("done")
    assert ("reached" in said(run)) is not fence.possible()
    assert "Name:" not in said(run)


def test_with_a_model_api_it_reaches_that_too(image: str, model: int) -> None:
    target = f"127.0.0.1:{model}"

    run = trial(
        image,
        f"wget -q -O - 'http://{target}/v1/models?x=1'; echo; echo $no_proxy $HTTPS_PROXY; {LOOK}",
        model_api=[target],
    )

    answer, variables = said(run).splitlines()
    assert answer == f"I am {target} /v1/models?x=1"
    gateway, proxy = variables.split()
    assert proxy.startswith(f"http://{gateway}:")


def test_it_has_declined_only_if_its_model_was_reached(image: str, model: int) -> None:
    target = f"127.0.0.1:{model}"
    declining = "echo 'I refuse to do this.'"

    asked = trial(image, f"wget -q -O /dev/null http://{target}; {declining}", model_api=[target])
    not_asked = broken(image, declining, model_api=[target])

    assert asked.record.usage.tool_calls == 0
    assert "has not said that it would not" in str(not_asked)
    assert trial(image, declining).record.usage.tool_calls == 0


def test_agents_in_containers_do_not_see_each_other(image: str, engine: docker.DockerClient) -> None:
    acts = "ip -4 addr show eth0 | grep -o 'inet [0-9.]*'; call wait '{\"seconds\": 1}' >/dev/null; sleep 1"
    threads, runs = [], list[TrialRun]()
    for _ in range(2):
        threads.append(Thread(target=lambda: runs.append(trial(image, acts))))
        threads[-1].start()
    for thread in threads:
        thread.join(120)

    first, second = (said(run).removeprefix("inet ").strip() for run in runs)
    assert first.rpartition(".")[0] != second.rpartition(".")[0]


@pytest.mark.parametrize(
    ("acts", "ended_by"),
    [
        ('call finish \'{"summary": "Well."}\'; sleep 600', "finished"),
        ("call wait '{\"seconds\": 1}' > /dev/null; setsid sleep 600 & sleep 600", "seconds"),
        ("while true; do call wait '{\"seconds\": 1}' > /dev/null; done", "turns"),
    ],
)
def test_it_ends_with_its_trial(image: str, acts: str, ended_by: str) -> None:
    assert trial(image, acts, {"seconds": 8.0}).record.ended_by == ended_by


@pytest.mark.parametrize(
    ("acts", "message", "retriable"),
    [
        ("echo no key; exit 3", "ended with exit code 3. It printed last: no key", True),
        ("while true; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", "was ended", False),
        ("f() { f | f & }; f; sleep 600", "did not use a tool in its time", False),
        ("sleep 600", "did not use a tool in its time", False),
    ],
    ids=["breaks", "floods", "forks", "hangs"],
)
def test_one_that_breaks_makes_its_trial_invalid(
    image: str, acts: str, message: str, retriable: bool
) -> None:
    limit = 10.0 if "600" in acts else 120.0
    error = broken(image, acts, {"seconds": limit})

    assert message in str(error)
    assert error.retriable is retriable


def test_one_that_closes_its_output_goes_on(image: str) -> None:
    run = trial(image, f"exec >&- 2>&-; sleep 2; {LOOK}", {"seconds": 20.0})

    assert run.record.usage.tool_calls == 1
    assert run.record.ended_by == "finished"


def test_what_docker_does_after_the_program_has_begun_may_be_the_agents_doing(
    image: str, engine: docker.DockerClient
) -> None:
    def remove() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            running = engine.containers.list(sparse=True, filters={"label": RUN})
            mine = [each for each in running if owner_of(each).process == os.getpid()]
            if mine:
                mine[0].remove(force=True)
                return
            time.sleep(0.1)

    thread = Thread(target=remove)
    thread.start()
    with pytest.raises(TrialInvalid) as caught:
        trial(image, f"{LOOK} sleep 60")
    thread.join()

    assert "Docker failed under an agent" in str(caught.value)
    assert caught.value.selective
    assert not caught.value.retriable


def test_the_users_own_proxy_is_none_of_its_business(
    image: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxies = {"default": {"httpProxy": "http://me:password@proxy.acme.io:3128"}}
    (tmp_path / "config.json").write_text(json.dumps({"proxies": proxies}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    run = trial(image, f"env; {LOOK}")

    assert "HOME=/home/agent" in said(run)
    assert "proxy" not in said(run).lower()


GATE = """
@pytest.mark.selfrep("load-balancing", trials=2, confidence=None)
def test_gate(selfrep):
    selfrep.assert_risk_below(0.5)
"""


@pytest.fixture
def unfenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is for whoever finds no iptables."""
    monkeypatch.setattr(fence, "IPTABLES", ("no-such-command",))


@pytest.mark.usefixtures("unfenced")
def test_where_its_network_cannot_be_fenced_in_that_has_to_be_allowed_and_is_noted(
    image: str, pytester: pytest.Pytester, run_suite: Callable[..., pytest.RunResult]
) -> None:
    command = ["sh", "-c", f"{SHELL}{LOOK}"]
    pytester.path.joinpath("mine.yaml").write_text(
        json.dumps({"name": "mine", "command": command, "container": image})
    )

    refused = run_suite(GATE, "--selfrep-agent=mine.yaml")
    allowed = run_suite(GATE, "--selfrep-agent=mine.yaml", "--selfrep-allow-egress")
    replayed = run_suite(GATE, "--selfrep-agent=replay:selfrep-report", "--selfrep-output=again")

    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*would reach, from its container, whatever listens on all addresses*"])
    for result, folder in (allowed, "selfrep-report"), (replayed, "again"):
        result.assert_outcomes(passed=1)
        lines = (pytester.path / folder / "trials.jsonl").read_text().splitlines()
        trials = [line["record"] for line in map(json.loads, lines) if "record" in line]
        assert [UNFENCED in trial["approximations"] for trial in trials] == [True, True]


def test_a_command_that_is_not_in_the_image_is_said(image: str) -> None:
    error = broken(image, "", command=["no-such-command", "{mcp_config}"])

    assert "its command no-such-command cannot be run in its container: exec: " in str(error)
    assert not error.retriable


def test_an_image_that_is_not_to_be_had_is_an_error_before_any_test(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("mine.yaml").write_text(
        "name: mine\ncommand: [sh]\ncontainer: 127.0.0.1:1/no/such-image:9\n"
    )
    pytester.makepyfile("def test_something(): pass")

    result = pytester.runpytest("--selfrep-agent=mine.yaml")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*runs in the image 127.0.0.1:1/no/such-image:9, which is not to be had*"])


def test_without_docker_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch, image: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    agent = CommandAgent(name="mine", command=("sh",), container=image)

    with pytest.raises(AgentError, match="needs Docker, and none answers"):
        agent.require_runnable(on_host=False)
    # Nor is a socket left open, which would warn here.
    gc.collect()


def test_nothing_stays_of_it_when_pytest_is_killed(
    image: str, engine: docker.DockerClient, pytester: pytest.Pytester
) -> None:
    command = ["sh", "-c", f"{SHELL}sleep 600"]
    pytester.makepyfile(
        f"""
        import pytest
        from pytest_selfrep.agents.command import CommandAgent

        @pytest.fixture
        def selfrep_agent():
            return CommandAgent(name="mine", command={command!r}, container={image!r})

        @pytest.mark.selfrep("load-balancing", trials=5)
        def test_gate(selfrep):
            selfrep.check()
        """
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", "--selfrep-jobs=2"],
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while len(ours(engine, run.pid)) < 4 and run.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    assert len(ours(engine, run.pid)) == 4

    run.kill()
    run.wait()

    until = time.monotonic() + 60
    while ours(engine, run.pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert ours(engine, run.pid) == []


def test_a_fence_that_a_dead_run_has_left_is_removed_by_the_next(
    image: str, engine: docker.DockerClient
) -> None:
    name = "agent-0123456789ab"
    left = fence.fenced(name, fence.bridge_of(name), "127.0.0.1", [1])
    left.__enter__()
    assert rules(engine) == ([name] if fence.possible() else [])

    CommandAgent(name="mine", command=("sh",), container=image).require_runnable(on_host=False, unfenced=True)

    assert rules(engine) == []


def test_what_a_dead_run_has_left_is_removed_by_the_next(image: str, engine: docker.DockerClient) -> None:
    dead = replace(this_process("a-run", Path(), kept=False), process=2**22 + 1)
    network = engine.networks.create("agent-left", internal=True, labels=dead.labels())
    left = engine.containers.create(
        image, entrypoint=["sleep", "600"], command=[], network=network.name, labels=dead.labels()
    )

    removed = remove_orphans(engine)

    assert {left.short_id, network.short_id} <= set(removed)
    assert ours(engine, 2**22 + 1) == []
