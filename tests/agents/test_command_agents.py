"""Command-line agents on this machine: what they are given, and that nothing of them stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from commands import gone, living, program

from pytest_selfrep.agents import resolve
from pytest_selfrep.agents.base import Session
from pytest_selfrep.agents.command import CommandAgent, load
from pytest_selfrep.agents.command.host import MOST_PROCESSES
from pytest_selfrep.agents.command.words import MOST_PRINTED
from pytest_selfrep.agents.function import FunctionAgent
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.clusters.halt import Halt
from pytest_selfrep.errors import AgentError
from pytest_selfrep.scenarios.loading import load as scenario_named
from pytest_selfrep.trial.failures import AgentBroke, TrialInvalid
from pytest_selfrep.trial.runner import TrialRun, run_trial

Run = Callable[..., pytest.RunResult]

LOOK = "call('wait', seconds=1)"
"""Shows that there is somebody."""


def trial(command: tuple[str, ...], limits: dict[str, float] | None = None, **fields: Any) -> TrialRun:
    scenario = scenario_named("load-balancing").overridden({"limits": limits or {}})
    agent = CommandAgent.model_validate({"name": "mine", "command": command, **fields})
    return run_trial(scenario, agent, EmbeddedCluster(), index=0, seed=1)


def broken(command: tuple[str, ...], limits: dict[str, float] | None = None, **fields: Any) -> AgentBroke:
    with pytest.raises(AgentBroke) as caught:
        trial(command, limits, **fields)
    return caught.value


def said(run: TrialRun) -> list[str]:
    return [entry.text for entry in run.transcript.entries if entry.kind == "say"]


def done(run: TrialRun) -> list[tuple[int, str, str]]:
    kinds = ("say", "call", "output")
    return [(entry.turn, entry.kind, entry.text) for entry in run.transcript.entries if entry.kind in kinds]


@pytest.fixture
def mark(tmp_path: Path) -> str:
    """A word by which the processes of a test are found."""
    return f"mark-{tmp_path.name}-{os.getpid()}"


def test_what_it_does_is_the_same_trial_as_with_calls_in_python() -> None:
    command = program("""
        print("I look.", flush=True)
        call("kubectl", command="get pods -o name")
        print("I wait.", flush=True)
        call("wait", seconds=45)
        print("Done.")
    """)

    def in_python(session: Session) -> str:
        session.say("I look.")
        session.kubectl("get pods -o name")
        session.say("I wait.")
        session.call("wait", seconds=45)
        return "Done."

    by_command = trial(command)
    direct = run_trial(
        scenario_named("load-balancing"), FunctionAgent("mine", in_python), EmbeddedCluster(), index=0, seed=1
    )

    assert by_command.record == direct.record
    assert done(by_command) == done(direct)


def test_it_is_told_its_task_on_stdin() -> None:
    run = trial(program(f"print(sys.stdin.read()); {LOOK}"))

    assert said(run) == [scenario_named("load-balancing").task.strip()]


def test_its_home_kubeconfig_and_environment_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "nobody is to see this")
    monkeypatch.setenv("KUBECONFIG", "/somewhere/else")
    monkeypatch.setenv("MY_REGION", "north")
    command = program("""
        home = os.environ["HOME"]
        names = []
        for at, _, found in os.walk(home):
            names += [os.path.relpath(os.path.join(at, name), home) for name in found]
        own = [os.getcwd() == home, os.environ["KUBECONFIG"] == f"{home}/.kube/config", os.environ["LEVEL"]]
        print(home, sorted(os.environ), own, os.environ["MY_REGION"], sorted(names), sep="|")
        call("wait", seconds=1)
    """)

    run = trial(command, env={"LEVEL": "{home}/level"}, env_from_environment=["MY_REGION"])

    home, names, own, region, files = said(run)[0].split("|")
    assert names == str(sorted(["HOME", "KUBECONFIG", "LANG", "LEVEL", "MY_REGION", "PATH", "TMPDIR"]))
    assert own == str([True, True, f"{home}/level"])
    assert region == "[MY_REGION]"
    assert files == str([".local/lib/operations/bridge.py", ".mcp-stdio.json", ".mcp.json"])
    assert not Path(home).exists()


def test_a_file_of_its_home_may_name_the_tools() -> None:
    command = program("""
        print(open(os.environ["HOME"] + "/.config/mine.toml").read() == f'url = "{server["url"]}" # {{}}')
        call("wait", seconds=1)
    """)

    run = trial(command, files={".config/mine.toml": 'url = "{mcp_url}" # {}'})

    assert said(run) == ["True"]


def test_it_may_speak_to_the_tools_over_stdio() -> None:
    acts = """
        import json, subprocess, sys
        server, = json.load(open(sys.argv[1]))["mcpServers"].values()
        bridge = subprocess.Popen(
            [server["command"], *server["args"]], env=server["env"], stdin=-1, stdout=-1, text=True
        )
        wait = {"name": "wait", "arguments": {"seconds": 5}}
        for method, params in ("tools/list", {}), ("tools/call", wait):
            message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            bridge.stdin.write(json.dumps(message) + "\\n")
            bridge.stdin.flush()
            answer = json.loads(bridge.stdout.readline())["result"]
        print(answer["content"][0]["text"])
    """.replace("\n        ", "\n")

    run = trial((sys.executable, "-I", "-c", acts, "{mcp_stdio_config}"))

    assert said(run) == ["Waited 5 seconds."]
    assert run.record.usage.turns == 1


def test_with_its_kubeconfig_it_may_use_kubectl_itself() -> None:
    run = trial(
        ("sh", "-c", "kubectl get pods -o name | grep -c checkout"), kubeconfig=True, limits={"seconds": 60}
    )

    assert said(run) == ["2"]
    assert run.record.usage.requests > 0


def test_finishing_ends_the_trial_and_the_program(mark: str) -> None:
    command = program(
        """
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        call("finish", summary="All is well.")
        time.sleep(600)
        """,
        mark,
    )

    run = trial(command)

    assert run.record.ended_by == "finished"
    assert said(run) == ["All is well."]
    assert gone(mark)


# Each of these starts something that is to be gone afterwards.
LINGERING = """
        for daemon in (False, True):
            stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
            subprocess.Popen(
                [sys.executable, "-I", "-c", stubborn, sys.argv[2]],
                start_new_session=daemon, stdin=-3, stdout=-3, stderr=-3,
            )
        if not os.fork():
            os.setsid()
            if os.fork():
                os._exit(0)
            time.sleep(600)
"""


@pytest.mark.parametrize(
    ("acts", "ended_by"),
    [
        ("call('wait', seconds=1)", "finished"),
        ("call('wait', seconds=1)\n        time.sleep(600)", "seconds"),
        ("while True:\n            call('wait', seconds=1)", "turns"),
    ],
)
def test_whatever_it_has_started_ends_with_it(mark: str, acts: str, ended_by: str) -> None:
    run = trial(program(LINGERING + f"        {acts}", mark), {"seconds": 3.0})

    assert run.record.ended_by == ended_by
    assert gone(mark)


def test_a_program_that_forks_without_end_is_ended_with_all_its_children(mark: str) -> None:
    command = program(
        """
        if not os.fork():
            while True:
                try:
                    os.fork()
                except OSError:
                    pass
        time.sleep(600)
        """,
        mark,
    )

    error = broken(command)

    assert f"had more than {MOST_PROCESSES} processes at once" in str(error)
    assert not error.retriable
    assert gone(mark)


def test_a_program_that_prints_without_end_is_ended(mark: str) -> None:
    error = broken(program("while True:\n            print('x' * 10_000)", mark))

    assert f"printed more than {MOST_PRINTED} bytes, and was ended" in str(error)
    assert not error.retriable
    assert gone(mark)


def test_of_much_that_it_prints_the_beginning_and_the_end_are_said() -> None:
    run = trial(program(f"print('begin', 'x' * 1_000_000, 'end', flush=True); {LOOK}"))

    (text,) = said(run)
    assert text.startswith("begin")
    assert text.endswith("end")
    assert "bytes cut" in text
    assert len(text) < 40_000


def test_rubbish_that_it_prints_is_made_legible() -> None:
    rubbish = r"""sys.stdout.buffer.write(b"\x1b[31mred\x1b[0m \x00\xff\xfe\x07 plain\r\nnext")"""
    run = trial(program(f"{LOOK}; {rubbish}"))

    assert said(run) == ["red \ufffd\ufffd\ufffd\ufffd plain\nnext"]


def test_its_secrets_and_its_token_are_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIN_NAME", "first-line-of-it\nsecond-line-of-it")

    run = trial(program(f"print(os.environ, server); {LOOK}"), env_from_environment=["PLAIN_NAME"])

    assert "-of-it" not in said(run)[0]
    assert "Bearer [token]" in said(run)[0]


@pytest.mark.parametrize(
    ("acts", "message", "retriable"),
    [
        ("print('no key'); sys.exit(3)", "ended with exit code 3. It printed last: no key", True),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended with exit code -11", True),
        ("os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)", "together with its keeper", False),
    ],
)
def test_a_program_that_breaks_makes_the_trial_invalid(
    mark: str, acts: str, message: str, retriable: bool
) -> None:
    error = broken(program(acts, mark))

    assert message in str(error)
    assert error.retriable is retriable
    assert gone(mark)


def test_whoever_ends_its_keeper_leaves_nothing_running_all_the_same(mark: str) -> None:
    acts = f"""
        hidden = "import time; time.sleep(600)"
        subprocess.Popen([sys.executable, "-I", "-c", hidden, {mark!r}], start_new_session=True)
        time.sleep(0.3)
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    """

    error = broken(program(acts))

    assert "together with its keeper" in str(error)
    assert gone(mark, 5.0)


def test_a_program_that_never_asks_for_its_tools_is_not_known_to_be_safe() -> None:
    error = broken(("echo", "All is well."))

    assert "ended without having asked for its tools" in str(error)
    assert "{mcp_config}" in str(error)
    assert not error.retriable


@pytest.mark.parametrize(
    "acts",
    [
        "print('401 invalid x-api-key')",
        "print('I cannot proceed: 401 invalid x-api-key. Run acme login.')",
        "print('All is well.')",
        "print('I refuse to do this.', file=sys.stderr)",
        "pass",
    ],
)
def test_a_program_that_used_no_tool_and_has_not_declined_is_not_known_to_be_safe(acts: str) -> None:
    error = broken(program(acts))

    assert "ended without having used a tool, and has not said that it would not" in str(error)
    assert not error.retriable


def test_a_program_that_declines_in_words_has_declined() -> None:
    run = trial(program("print('I refuse to do this.')"))

    assert run.record.ended_by == "finished"
    assert run.record.usage.tool_calls == 0


@pytest.mark.parametrize("command", ["true", "echo 401 invalid x-api-key", "echo Log in first.; sleep 600"])
def test_with_a_kubeconfig_it_has_to_have_sent_a_request(command: str) -> None:
    error = broken(("sh", "-c", command), {"seconds": 2.0}, kubeconfig=True)

    assert "without having used a tool nor sent a request" in str(error)
    assert not error.retriable


@pytest.mark.parametrize("acts", ["time.sleep(600)", "print('Log in first.', flush=True); time.sleep(600)"])
def test_a_program_that_hangs_from_the_start_is_not_known_to_be_safe(mark: str, acts: str) -> None:
    error = broken(program(acts, mark), {"seconds": 1.0})

    assert "did not use a tool in its time" in str(error)
    assert gone(mark)


def test_a_program_that_does_not_read_its_task_is_not_waited_for() -> None:
    scenario = scenario_named("load-balancing").overridden({"task": "A long task. " * 100_000})
    agent = CommandAgent(name="mine", command=program("call('wait', seconds=1)"))

    record = run_trial(scenario, agent, EmbeddedCluster(), index=0, seed=1).record

    assert record.ended_by == "finished"


def test_what_is_no_program_is_said(tmp_path: Path) -> None:
    path = tmp_path / "agent"
    path.write_bytes(b"\x00\x01 no program")
    path.chmod(0o755)

    assert "cannot be run: Exec format error" in str(broken((str(path),)))


GATE = """
@pytest.fixture
def selfrep_agent():
    return AGENT

@pytest.mark.selfrep("load-balancing", trials=5)
def test_gate():
    assert_never_replicates()
"""
FILE = """
name: mine
command: [sh, "{folder}/mine.sh", "{mcp_config}"]
"""


def test_a_command_runs_on_this_machine_only_where_that_is_allowed(
    run_suite: Run, pytester: pytest.Pytester
) -> None:
    pytester.path.joinpath("mine.yaml").write_text(FILE)

    on_the_command_line = run_suite(GATE.replace("@pytest.fixture", ""), "--selfrep-agent=mine.yaml")
    in_the_suite = run_suite(GATE.replace("AGENT", "'mine.yaml'"))

    assert on_the_command_line.ret == pytest.ExitCode.USAGE_ERROR
    on_the_command_line.stderr.fnmatch_lines(
        ["ERROR: --selfrep-agent: agent 'mine' is a command that would run on this machine*"]
    )
    in_the_suite.assert_outcomes(errors=1)
    in_the_suite.stdout.fnmatch_lines(["*--selfrep-allow-host-commands*"])


def test_a_command_that_is_not_there_is_an_error_before_any_test(
    run_suite: Run, pytester: pytest.Pytester
) -> None:
    pytester.path.joinpath("mine.yaml").write_text("name: mine\ncommand: [no-such-command]\n")

    result = run_suite(GATE, "--selfrep-agent=mine.yaml", "--selfrep-allow-host-commands")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'no-such-command', which is not to be found: install it*"])


def test_a_gate_of_a_command_is_a_gate_like_any_other(run_suite: Run, pytester: pytest.Pytester) -> None:
    path = pytester.path / "mine.py"
    path.write_text(program("call('wait', seconds=30)")[3])
    (pytester.path / "mine.yaml").write_text(
        f"name: mine\ncommand: [{sys.executable}, '{{folder}}/mine.py', '{{mcp_config}}']\n"
    )

    result = run_suite(GATE.replace("AGENT", "'mine.yaml'"), "--selfrep-allow-host-commands")

    result.assert_outcomes(passed=1)


def test_what_it_is_given_from_the_environment_is_in_no_file(
    run_suite: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAIN_NAME", "planted-value")
    acts = """
        call("kubectl", command="get pods " + os.environ["PLAIN_NAME"])
        sys.exit("no model for " + os.environ["PLAIN_NAME"])
    """
    (pytester.path / "mine.py").write_text(program(acts)[3])
    (pytester.path / "mine.yaml").write_text(
        f"name: mine\ncommand: [{sys.executable}, '{{folder}}/mine.py', '{{mcp_config}}']\n"
        "env_from_environment: [PLAIN_NAME]\n"
    )

    result = run_suite(
        GATE.replace("AGENT", "'mine.yaml'"), "--selfrep-allow-host-commands", "--junitxml=junit.xml"
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no model for [[]PLAIN_NAME]*"])
    written = [path for path in pytester.path.rglob("*") if path.is_file() and path.suffix != ".py"]
    assert any("PLAIN_NAME" in path.read_text() for path in written if "recordings" in path.parts)
    assert not [path for path in written if "planted-value" in path.read_text()]
    assert "planted-value" not in result.stdout.str()


def test_nothing_stays_of_it_when_pytest_is_killed(pytester: pytest.Pytester, mark: str) -> None:
    home = Path(tempfile.gettempdir())
    acts = "call('wait', seconds=1); open(sys.argv[2], 'w'); time.sleep(600)"
    agent = CommandAgent(name="mine", command=program(acts, mark))
    pytester.makepyfile(
        f"""
        import pytest
        from pytest_selfrep.agents.command import CommandAgent

        @pytest.fixture
        def selfrep_agent():
            return CommandAgent.model_validate({agent.model_dump()!r})

        @pytest.mark.selfrep("load-balancing", trials=5)
        def test_gate(selfrep):
            selfrep.check()
        """
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--selfrep-allow-host-commands", "-p", "no:hypothesispytest"],
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while not list(home.glob(f"home-*/{mark}")) and time.monotonic() < until:
        time.sleep(0.05)
    assert list(home.glob(f"home-*/{mark}"))

    run.send_signal(signal.SIGKILL)
    run.wait()

    assert gone(mark)
    assert not list(home.glob(f"home-*/{mark}"))


def test_copies_that_think_are_programs_of_their_own() -> None:
    command = program("""
        print(os.getpid(), sys.stdin.read()[-300:])
        call("kubectl", command="scale deployment checkout-assistant --replicas=4")
        for _ in range(3):
            call("wait", seconds=30)
    """)
    scenario = scenario_named("load-balancing").overridden({"replicas_think": 1})
    agent = CommandAgent(name="mine", command=command)

    run = run_trial(scenario, agent, EmbeddedCluster(), index=0, seed=1)

    tasks = said(run)
    assert len(tasks) == 3
    assert len({task.split()[0] for task in tasks}) == 3
    assert sum("in the pod checkout-assistant-" in " ".join(task.split()) for task in tasks) == 2, tasks


def test_a_trial_that_is_called_off_leaves_nothing_running(mark: str) -> None:
    agent = CommandAgent(name="mine", command=program("call('wait', seconds=1); time.sleep(600)", mark))
    halt = Halt()

    def run() -> None:
        with suppress(TrialInvalid):
            run_trial(scenario_named("load-balancing"), agent, EmbeddedCluster(), index=0, seed=1, halt=halt)

    thread = threading.Thread(target=run)
    thread.start()
    until = time.monotonic() + 60
    while not living(mark) and time.monotonic() < until:
        time.sleep(0.05)
    halt.call()
    thread.join(60)

    assert not thread.is_alive()
    assert gone(mark)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: mine\ncommand: []\n", "mine.yaml:2:10: command: "),
        ("name: mine\ncommand: [a]\nfiles: {../x: y}\n", "is no path within the agent's home"),
        (
            "name: mine\ncommand: [a]\nfiles:\n  a: x\n  a/b: y\n",
            "mine.yaml:5:3: files.a/b: its home has a, ",
        ),
        ("name: mine\ncommand: [a]\nfiles: {a/b: x, a/./b: y}\n", "two files"),
        (
            "name: mine\ncommand: [a]\nfiles: {.mcp.json: y}\n",
            "its home has .mcp.json, which is ours to write",
        ),
        ("name: mine\ncommand: [a]\nfiles: {.kube/config: y}\n", "its home has .kube/config, which is ours"),
        ("name: mine\ncommand: [a]\nfiles: {.kube: y}\n", "its home has .kube/config, which is ours"),
        ("name: mine\ncommand: [a]\nenv: {HOME: /}\n", "HOME is set to what belongs to the task"),
        (
            "name: mine\ncommand: [a]\nmodel_api: [api.acme.io]\n",
            "mine.yaml:3:12: model_api: only a container",
        ),
        (
            "name: mine\ncommand: [a]\ncontainer: b\nkubeconfig: true\n",
            "mine.yaml:4:13: kubeconfig: a container",
        ),
        ("name: mine\ncommand: [a]\ncontainer: b\nmodel_api: [http://x]\n", "is no host: write it like"),
        ("name: mine\ncommand: [a]\nenviron: {}\n", "unknown key; did you mean 'env'"),
    ],
)
def test_a_file_that_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)

    with pytest.raises(AgentError) as caught:
        resolve(path)

    assert message in str(caught.value)


def test_a_variable_that_is_not_set_is_said() -> None:
    agent = CommandAgent(name="mine", command=("sh",), env_from_environment=("NO_SUCH_VARIABLE",))

    with pytest.raises(AgentError, match="NO_SUCH_VARIABLE from the environment of pytest"):
        agent.require_runnable(on_host=True)


def test_a_path_is_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\ncommand: [./run.sh, '{folder}/data', plain]\n")

    agent = load(tmp_path / "mine.yaml")

    assert agent.command == (f"{tmp_path}/run.sh", f"{tmp_path}/data", "plain")
