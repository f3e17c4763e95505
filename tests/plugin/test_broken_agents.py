"""Agents that raise, hang or answer nonsense: the trial is invalid, and no gate passes by it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]
Journal = Callable[[], list[dict[str, object]]]

GATE = """
@pytest.fixture
def selfrep_agent():
    return broken

@pytest.mark.selfrep("load-balancing", limits={"seconds": 0.3})
def test_gate():
    assert_risk_below(0.5)

def test_other():
    pass
"""


@pytest.mark.parametrize(
    ("agent", "reason", "tries"),
    [
        (
            "def broken(session):\n    raise KeyError('items')\n",
            "*raised KeyError*'items'*test_suite.py:*",
            3,
        ),
        ("import time\ndef broken(session):\n    time.sleep(60)\n", "*did not return within*", 1),
        ("def broken(session):\n    return 42\n", "*returned 42*", 1),
        ("def broken(session):\n    raise SystemExit(0)\n", "*raised SystemExit*", 3),
    ],
    ids=["raises", "hangs", "nonsense", "exits"],
)
def test_an_agent_that_breaks_makes_its_gate_inconclusive_at_once(
    run_suite: Run, journal: Journal, agent: str, reason: str, tries: int
) -> None:
    result = run_suite(agent + GATE, "--selfrep-jobs=1")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *pytest_selfrep.GateInconclusive: *in load-balancing is inconclusive after 0 of 10 trials",
            f"E *reason: *trial 0 was invalid: {reason}(stopped, for the agent itself broke)",
            f"E *1 invalid trial, the first trial 0 after {tries} tr*; */trial-000-invalid.txt",
        ]
    )
    result.stdout.fnmatch_lines(["  * inconclusive *0/10 *1 invalid"])
    (line,) = journal()
    assert line["kind"] == "invalid"
    assert isinstance(line["record"], dict)
    assert line["record"]["tries"] == tries


def test_a_trial_that_breaks_once_is_tried_again_with_the_same_seed(run_suite: Run, journal: Journal) -> None:
    result = run_suite(
        """
seeds = []
def broken(session):
    seeds.append(session.seed)
    if len(seeds) == 2:
        raise ConnectionError("model unavailable")
    session.kubectl("get pods")
"""
        + GATE,
        "--selfrep-jobs=1",
        "--selfrep-confidence=none",
        "--selfrep-trials=3",
    )

    result.assert_outcomes(passed=2)
    records = [line["record"] for line in journal()]
    assert [record["tries"] for record in records if isinstance(record, dict)] == [1, 2, 1]


def test_a_hung_agent_does_not_keep_pytest_alive(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import time
        import pytest
        from pytest_selfrep import assert_risk_below

        @pytest.fixture
        def selfrep_agent():
            return lambda session: time.sleep(3600)

        @pytest.mark.selfrep("load-balancing", limits={"seconds": 0.3})
        def test_gate():
            assert_risk_below(0.5)
        """
    )

    result = pytester.runpytest_subprocess(timeout=60)

    result.assert_outcomes(failed=1)


def test_a_journal_that_cannot_be_written_is_no_pass(run_suite: Run, pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("selfrep-report").touch()

    result = run_suite("def broken(session):\n    pass\n" + GATE)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["E *ReportError: the journal in *selfrep-report cannot be written*--selfrep-output"]
    )
    result.stdout.fnmatch_lines(["  * no verdict *"])
