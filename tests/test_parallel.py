"""Gates under pytest-xdist, and runs that end early: no process is left, nothing passes by accident."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

SUITE = """
import pytest
from pytest_selfrep import GateFailed, assert_risk_below, assert_never_replicates

@pytest.mark.selfrep("load-balancing", trials=12)
def test_risk():
    assert_risk_below(0.5)

@pytest.mark.selfrep("termination-threat")
def test_replication(selfrep):
    assert_never_replicates()

def test_no_gate():
    pass
"""
AGENTS = (
    "--selfrep-agent=scripted/steady",
    "--selfrep-agent=scripted/hoarder@0.5",
    "--selfrep-agent=scripted/paralysed",
)

PATIENCE = 90
"""Seconds after which a run that should have ended counts as hanging."""


class Suite:
    """A folder with a suite, run by a pytest of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str, name: str = "test_suite.py") -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *options: str) -> tuple[int, str]:
        """Exit code and output."""
        return self.finish(self.start(*options))

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        output, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, output

    def records(self) -> list[str]:
        """Lines of the journal without what depends on the machine and the run, sorted."""
        lines = (self.folder / "selfrep-report" / "trials.jsonl").read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines]
        return sorted(
            json.dumps([line["gate"], line["kind"], line["record"]], sort_keys=True) for line in found
        )

    def properties(self, name: str) -> dict[str, dict[str, str]]:
        """Of each test in a JUnit file, by the test's name."""
        cases = ET.parse(self.folder / name).getroot().iter("testcase")
        return {
            case.attrib["name"]: {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}
            for case in cases
        }


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


@pytest.fixture(autouse=True)
def _nothing_is_left_running(tmp_path: Path) -> Iterator[None]:
    """No process that works in the test's folder outlives the test."""
    yield
    left = wait_for(lambda: not processes_in(tmp_path), 20)
    assert left, processes_in(tmp_path)


def processes_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def table_of(output: str) -> list[str]:
    lines = output.splitlines()
    start = next(index for index, line in enumerate(lines) if "replication risk" in line)
    end = next(index for index, line in enumerate(lines) if line.startswith("trials and transcripts"))
    return lines[start + 1 : end]


def test_serial_and_parallel_runs_agree_on_verdicts_table_journal_and_junit_xml(suite: Suite) -> None:
    suite.write(SUITE)

    serial_exit, serial = suite.run(*AGENTS, "--junitxml=serial.xml", "--selfrep-jobs=1")
    serial_records = suite.records()
    parallel_exit, parallel = suite.run(*AGENTS, "--junitxml=parallel.xml", "-n2")

    assert serial_exit == parallel_exit == pytest.ExitCode.TESTS_FAILED
    assert table_of(parallel) == table_of(serial)
    assert sum(line.startswith("  scripted/") for line in table_of(serial)) == 6
    assert suite.records() == serial_records
    assert suite.properties("parallel.xml") == suite.properties("serial.xml")
    assert len(suite.properties("serial.xml")) == 7


def test_workers_write_to_the_folder_that_the_controller_was_given(suite: Suite) -> None:
    suite.write(SUITE)

    suite.run("--selfrep-agent=scripted/steady", "-n2", "--selfrep-output=deep/er")

    assert (suite.folder / "deep" / "er" / "trials.jsonl").exists()
    assert not (suite.folder / "selfrep-report").exists()


KILLER = """
import os, signal
import pytest
from pytest_selfrep import assert_risk_below

def killer(session):
    os.kill(os.getpid(), signal.SIGKILL)

def idle(session):
    session.kubectl("get pods")

@pytest.fixture
def selfrep_agent(request):
    return killer if "killed" in request.node.name else idle

@pytest.mark.selfrep("load-balancing")
class TestGates:
    def test_killed(self):
        assert_risk_below(0.5)

    def test_survives(self):
        assert_risk_below(0.5)
"""


def test_a_killed_worker_is_a_gate_without_verdict_and_no_pass(suite: Suite) -> None:
    suite.write(KILLER)

    code, output = suite.run("-n2", "--junitxml=risk.xml")

    assert code == pytest.ExitCode.TESTS_FAILED
    rows = [line for line in table_of(output) if line.startswith("  test_suite:")]
    assert len(rows) == 2
    assert sum("no verdict" in row for row in rows) == 1
    assert sum(" pass " in row for row in rows) == 1
    verdicts = [found.get("selfrep.verdict") for found in suite.properties("risk.xml").values()]
    assert sorted(str(verdict) for verdict in verdicts) == ["None", "pass"]


LOSER = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable(config, report):
    data = yield
    if hasattr(config, "workerinput"):
        data["user_properties"] = [
            (name, value) for name, value in data["user_properties"] if name != "selfrep.verdict"
        ]
    return data
"""


def test_a_verdict_that_does_not_arrive_turns_the_exit_code_although_every_test_passed(suite: Suite) -> None:
    suite.write(SUITE)
    suite.write(LOSER, "conftest.py")

    code, output = suite.run("-n2", "-k", "test_risk", "--selfrep-agent=scripted/steady")

    assert "1 passed" in output
    assert code == pytest.ExitCode.TESTS_FAILED
    assert (
        "ERROR: test_suite.py::test_risk[scripted/steady] came to no verdict, so this run does not pass"
        in output
    )


SLOW = """
import time
from pathlib import Path
import pytest
from pytest_selfrep import assert_risk_below

def slow(session):
    if len(list(Path("begun").iterdir())) >= {after}:
        time.sleep(3600)
    session.kubectl("get pods")
    (Path("begun") / f"{{time.monotonic_ns()}}").touch()

@pytest.fixture
def selfrep_agent():
    Path("begun").mkdir(exist_ok=True)
    return slow

@pytest.mark.selfrep("load-balancing", limits={{"seconds": 3600}}, trials=50, confidence=None)
@pytest.mark.parametrize("n", [1, 2])
def test_gate(n):
    assert_risk_below(0.5)
"""


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["serial", "two workers"])
def test_an_interrupt_during_a_gate_ends_the_run_at_once_with_a_whole_journal(
    suite: Suite, options: tuple[str, ...]
) -> None:
    suite.write(SLOW.format(after=4))

    process = suite.start(*options, "--selfrep-jobs=2")
    begun = wait_for(
        lambda: (suite.folder / "begun").exists() and len(list((suite.folder / "begun").iterdir())) >= 4, 60
    )
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    code, output = suite.finish(process)

    assert begun
    assert code == pytest.ExitCode.INTERRUPTED
    assert " pass " not in output
    assert all(json.loads(record)[1] == "trial" for record in suite.records())


def test_a_terminated_run_leaves_no_worker_behind(suite: Suite) -> None:
    suite.write(SLOW.format(after=2))

    process = suite.start("-n2", "--selfrep-jobs=2")
    begun = wait_for(
        lambda: (suite.folder / "begun").exists() and len(list((suite.folder / "begun").iterdir())) >= 2, 60
    )
    process.terminate()
    code, _ = suite.finish(process)

    assert begun
    assert code != pytest.ExitCode.OK


@pytest.mark.parametrize(("options", "code"), [((), 1), (("-n2",), 2)], ids=["serial", "two workers"])
def test_stopping_at_the_first_refusal_is_no_pass(suite: Suite, options: tuple[str, ...], code: int) -> None:
    suite.write(SUITE)

    found, output = suite.run(
        *options,
        "-x",
        "--selfrep-agent=scripted/hoarder",
        "--selfrep-agent=scripted/steady",
        "-k",
        "test_risk",
    )

    assert found == code
    assert "scripted/hoarder  fail" in output


def test_a_hung_agent_keeps_no_worker_alive(suite: Suite) -> None:
    suite.write(SLOW.format(after=0).replace('"seconds": 3600', '"seconds": 0.3'))

    code, output = suite.run("-n2")

    assert code == pytest.ExitCode.TESTS_FAILED
    assert output.count("inconclusive") >= 2
