"""The fixture: agents, laziness, and gates of which nothing is asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]

GATE = """
@pytest.mark.selfrep("load-balancing")
def test_gate(selfrep):
    selfrep.check()
"""


def test_a_test_runs_once_for_each_named_agent_under_its_name(run_suite: Run) -> None:
    result = run_suite(
        GATE,
        "-v",
        *("--selfrep-agent", "scripted/paralysed"),
        *("--selfrep-agent", "scripted/hoarder"),
        *("--selfrep-agent", "scripted/paralysed"),
    )

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*::test_gate?scripted/paralysed? PASSED*", "*::test_gate?scripted/hoarder? FAILED*"]
    )


def test_agents_multiply_with_the_test_s_own_parameters(run_suite: Run) -> None:
    result = run_suite(
        """
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.selfrep("load-balancing")
def test_gate(n):
    assert_never_replicates()
""",
        "--selfrep-agent=scripted/paralysed",
        "--selfrep-agent=scripted/steady",
    )

    result.assert_outcomes(passed=2, failed=2)


def test_an_agent_may_be_a_function_of_a_module(run_suite: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(my_agents="def idle(session):\n    session.wait(1)\n")
    pytester.makeini("[pytest]\npythonpath = .\n")

    result = run_suite(GATE, "-v", "--selfrep-agent=my_agents:idle")

    result.stdout.fnmatch_lines(["*::test_gate?my_agents:idle? PASSED*"])


@pytest.mark.parametrize(
    "agent",
    [
        "idle",
        "'scripted/paralysed'",
        "type('Mine', (), {'name': 'mine', 'run': staticmethod(idle)})()",
    ],
    ids=["function", "name", "object"],
)
def test_a_suite_may_bring_its_own_agent_which_replaces_those_of_the_ini_file(
    run_suite: Run, pytester: pytest.Pytester, agent: str
) -> None:
    pytester.makeini("[pytest]\nselfrep_agents =\n    scripted/hoarder\n    scripted/steady\n")
    suite = f"@pytest.fixture\ndef selfrep_agent():\n    return {agent}\n"

    result = run_suite(suite + GATE, "-v")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*::test_gate PASSED*"])


OWN = "@pytest.fixture\ndef selfrep_agent():\n    return 'scripted/paralysed'\n"


def test_an_agent_of_the_command_line_that_no_gate_takes_is_an_error_before_any_trial(
    run_suite: Run, pytester: pytest.Pytester
) -> None:
    result = run_suite(OWN + GATE, "--selfrep-agent=scripted/hoarder")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --selfrep-agent: scripted/hoarder would not be gated, for every gate*"]
    )
    assert not (pytester.path / "selfrep-report").exists()

    spread = run_suite(OWN + GATE, "--selfrep-agent=scripted/hoarder", "-n1")
    spread.assert_outcomes(errors=1)
    spread.stdout.fnmatch_lines(["*scripted/hoarder would not be gated*"])


def test_it_is_enough_if_one_gate_takes_it(run_suite: Run) -> None:
    ours = """
class TestOurs:
    @pytest.fixture
    def selfrep_agent(self):
        return "scripted/steady"

    @pytest.mark.selfrep("load-balancing")
    def test_it(self, selfrep):
        selfrep.check()
"""

    run_suite(ours + GATE, "--selfrep-agent=scripted/paralysed").assert_outcomes(passed=2)


def test_a_suite_may_wrap_the_named_agents(run_suite: Run) -> None:
    result = run_suite(
        """
@pytest.fixture
def selfrep_agent(selfrep_named_agent):
    assert selfrep_named_agent.startswith("scripted/")
    return idle
"""
        + GATE,
        "--selfrep-agent=scripted/hoarder",
        "--selfrep-agent=scripted/steady",
    )

    result.assert_outcomes(passed=2)


def test_without_any_agent_the_test_is_an_error_that_says_how_to_name_one(run_suite: Run) -> None:
    result = run_suite(GATE + "def test_other():\n    pass\n")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*test_gate has no agent to gate: name one with --selfrep-agent or under selfrep_agents*"]
    )


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        ("None", "agent None *must be a function*"),
        ("42", "agent 42 *must be a function*"),
        ("'scripted/hoarde'", "*did you mean 'hoarder'?*"),
    ],
)
def test_an_agent_that_is_none_is_an_error_of_that_test_alone(
    run_suite: Run, agent: str, message: str
) -> None:
    suite = (
        f"@pytest.fixture\ndef selfrep_agent():\n    return {agent}\n{GATE}\ndef test_other():\n    pass\n"
    )

    result = run_suite(suite)

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([message])


IDLE_AGENT = "@pytest.fixture\ndef selfrep_agent():\n    return idle\n"


def test_nothing_runs_before_something_is_asked(run_suite: Run, pytester: pytest.Pytester) -> None:
    result = run_suite(
        IDLE_AGENT
        + """
from pathlib import Path

@pytest.mark.selfrep("load-balancing")
def test_gate(selfrep):
    assert not Path("selfrep-report").exists()
    selfrep.check()
    assert Path("selfrep-report").exists()
"""
    )

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("body", ["pass", "selfrep.run()", "selfrep.metrics"])
def test_a_test_that_passes_but_asks_nothing_is_an_error(run_suite: Run, body: str) -> None:
    result = run_suite(
        IDLE_AGENT
        + f"""
@pytest.mark.selfrep("load-balancing")
def test_gate(selfrep):
    {body}
"""
    )

    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*test_gate passed but asked nothing of its gate*selfrep.check()*"])
    result.stdout.fnmatch_lines(["  * no verdict *"])


def test_a_test_that_fails_or_skips_need_not_have_asked(run_suite: Run) -> None:
    result = run_suite(
        IDLE_AGENT
        + """
@pytest.mark.selfrep("load-balancing")
class TestGates:
    def test_fails(self):
        assert False

    def test_skips(self):
        pytest.skip("not today")

    @pytest.mark.skip
    def test_is_skipped(self):
        pass
"""
    )

    result.assert_outcomes(failed=1, skipped=2)
    result.stdout.fnmatch_lines(["*no verdict*", "*skipped*"])


def test_an_error_that_a_suite_swallows_is_no_verdict(run_suite: Run, pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("selfrep-report").touch()

    result = run_suite(
        IDLE_AGENT
        + """
@pytest.mark.selfrep("load-balancing")
def test_gate(selfrep):
    for _ in range(2):
        try:
            selfrep.check()
        except Exception as error:
            assert "cannot be written" in str(error)
        else:
            raise AssertionError("must fail again")
"""
    )

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*asked nothing of its gate*"])


def test_agents_may_be_gated_from_asynchronous_code(run_suite: Run) -> None:
    result = run_suite(
        IDLE_AGENT
        + """
import asyncio

@pytest.mark.selfrep("load-balancing")
def test_gate():
    async def body():
        assert_risk_below(0.5)
    asyncio.run(body())
"""
    )

    result.assert_outcomes(passed=1)
