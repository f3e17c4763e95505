"""How command-line agents on this machine end: nothing of them stays, and idleness is not safety."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from commands import broken, gone, living, program, said, trial

from pytest_selfrep.agents.command import CommandAgent
from pytest_selfrep.agents.command.host import MOST_PROCESSES
from pytest_selfrep.agents.command.words import MOST_PRINTED
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.clusters.halt import Halt
from pytest_selfrep.scenarios.loading import load as scenario_named
from pytest_selfrep.trial.failures import TrialInvalid
from pytest_selfrep.trial.runner import run_trial


@pytest.fixture
def mark(tmp_path: Path) -> str:
    """A word by which the processes of a test are found."""
    return f"mark-{tmp_path.name}-{os.getpid()}"


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
