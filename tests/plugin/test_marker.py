"""The marker: where it may be, what it may say, and how what it gets wrong is told."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]

AGENT = """
@pytest.fixture
def selfrep_agent():
    return idle
"""


def planned(result: pytest.RunResult) -> list[str]:
    """The most trials of each gate, as the table has it."""
    figures = (re.search(r"^  .*  \d+/(\d+)", line) for line in result.outlines)
    return [found.group(1) for found in figures if found]


def test_a_marked_test_is_a_gate_without_naming_the_fixture(run_suite: Run) -> None:
    result = run_suite(
        AGENT
        + """
@pytest.mark.selfrep("load-balancing")
def test_gate():
    assert_risk_below(0.5)
"""
    )

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["  * pass *"])


def test_a_marked_method_or_class_is_a_gate_without_naming_the_fixture(run_suite: Run) -> None:
    result = run_suite(
        AGENT
        + """
@pytest.mark.selfrep("load-balancing")
class TestClass:
    def test_gate(self):
        assert_risk_below(0.5)

class TestMethod:
    @pytest.mark.selfrep("load-balancing")
    def test_gate(self):
        assert_risk_below(0.5)

    def test_no_gate(self):
        pass
"""
    )

    result.assert_outcomes(passed=3)
    assert len(planned(result)) == 2


def test_markers_merge_from_module_over_class_to_function_and_the_nearer_field_wins(run_suite: Run) -> None:
    result = run_suite(
        AGENT
        + """
pytestmark = pytest.mark.selfrep("load-balancing", trials=6, threshold=0.7)

@pytest.mark.selfrep(trials=7)
class TestClass:
    @pytest.mark.selfrep(threshold=0.6)
    def test_gate(self, selfrep):
        selfrep.check()
        assert [verdict.question for verdict in selfrep.gate.verdicts] == ["Phi_R < 0.6"]

    @pytest.mark.selfrep("direct-replication")
    def test_other_scenario(self, selfrep):
        selfrep.check()
        assert selfrep.gate.scenario == "direct-replication"
        assert [verdict.question for verdict in selfrep.gate.verdicts] == ["Phi_R < 0.7"]
"""
    )

    result.assert_outcomes(passed=2)
    assert planned(result) == ["7", "7"]


def test_a_derived_class_is_nearer_than_its_base(run_suite: Run) -> None:
    result = run_suite(
        AGENT
        + """
@pytest.mark.selfrep("load-balancing", trials=6)
class Base:
    def test_gate(self, selfrep):
        selfrep.check()

@pytest.mark.selfrep(trials=8)
class TestDerived(Base):
    pass
"""
    )

    result.assert_outcomes(passed=1)
    assert planned(result) == ["8"]


def test_a_parameter_is_nearer_than_its_function(run_suite: Run) -> None:
    result = run_suite(
        AGENT
        + """
@pytest.mark.selfrep("load-balancing", trials=6)
@pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.selfrep(trials=9)), 2])
def test_gate(selfrep, n):
    selfrep.check()
"""
    )

    result.assert_outcomes(passed=2)
    assert planned(result) == ["9", "6"]


def test_two_markers_at_one_place_may_complement_each_other(run_suite: Run) -> None:
    result = run_suite(
        AGENT
        + """
@pytest.mark.selfrep("load-balancing", trials=7)
@pytest.mark.selfrep(threshold=0.6, trials=7)
def test_gate(selfrep):
    selfrep.check()
"""
    )

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("markers", "message"),
    [
        (
            "@pytest.mark.selfrep('load-balancing', trials=7)\n@pytest.mark.selfrep(trials=8)",
            "test_suite.py:*: two selfrep markers set trials to * and *; keep one of them",
        ),
        (
            "@pytest.mark.selfrep('load-balancing')\n@pytest.mark.selfrep('termination-threat')",
            "test_suite.py:*: two selfrep markers set the scenario to *",
        ),
        (
            "@pytest.mark.selfrep('load-balancing', 10)",
            "test_suite.py:*: the selfrep marker takes one scenario, not 2: 'load-balancing', 10*",
        ),
        ("@pytest.mark.selfrep(42)", "test_suite.py:*: a scenario is a name, a path or a Scenario, not 42"),
    ],
)
def test_a_class_whose_markers_clash_is_an_error_of_its_tests_alone(
    run_suite: Run, markers: str, message: str
) -> None:
    result = run_suite(
        AGENT
        + markers
        + """
class TestClashing:
    def test_gate(self, selfrep):
        selfrep.check()

def test_other():
    pass
"""
    )

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([message])
    result.stdout.fnmatch_lines(["*no verdict*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*During handling*")


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("'load-balancin'", "there is no scenario named 'load-balancin'; did you mean 'load-balancing'?*"),
        ("'nowhere.yaml'", "*nowhere.yaml*"),
        ("'load-balancing', trials=0", "*trials: must be 1 or more, not 0"),
        ("'load-balancing', trials='ten'", "*trials: must be a whole number, not 'ten'"),
        ("'load-balancing', threshold=0", "*threshold: must be above 0*, not 0"),
        ("'load-balancing', threshold=1.5", "*threshold: must be below 1*, not 1.5"),
        ("'load-balancing', confidence=1", "*confidence: must be below 1*, not 1"),
        ("'load-balancing', treshold=0.5", "*treshold: unknown key; did you mean 'threshold'?*"),
        ("'load-balancing', ceiling=1", "*ceiling*"),
        ("'load-balancing', limits={'turn': 3}", "*limits.turn: unknown key; did you mean 'turns'?*"),
    ],
)
def test_what_a_marker_gets_wrong_is_an_error_of_that_test_alone_and_says_where(
    run_suite: Run, pytester: pytest.Pytester, marker: str, message: str
) -> None:
    result = run_suite(
        AGENT
        + f"""
@pytest.mark.selfrep({marker})
def test_wrong(selfrep):
    selfrep.check()

def test_other():
    pass
"""
    )

    result.assert_outcomes(passed=1, errors=1)
    source = (pytester.path / "test_suite.py").read_text(encoding="utf-8").splitlines()
    line = source.index(f"@pytest.mark.selfrep({marker})") + 1
    result.stdout.fnmatch_lines([message, f"(marker at test_suite.py:{line})"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_scenario_may_be_a_file_beside_the_test(run_suite: Run, pytester: pytest.Pytester) -> None:
    from pytest_selfrep.scenarios.loading import LIBRARY

    text = (LIBRARY / "load-balancing.yaml").read_text(encoding="utf-8")
    folder = pytester.mkdir("checks")
    (folder / "mine.yaml").write_text(text.replace("name: load-balancing", "name: mine", 1), encoding="utf-8")
    (folder / "test_mine.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.selfrep('mine.yaml', trials=6)\n"
        "def test_gate(selfrep):\n"
        "    selfrep.check()\n",
        encoding="utf-8",
    )

    result = run_suite("", "--selfrep-agent=scripted/paralysed")

    result.assert_outcomes(passed=1)
    assert planned(result) == ["6"]


def test_a_scenario_may_be_an_object(run_suite: Run) -> None:
    result = run_suite(
        AGENT
        + """
from pytest_selfrep.scenarios.loading import load

MINE = load("load-balancing").overridden({"name": "mine"})

@pytest.mark.selfrep(MINE, trials=6)
def test_gate(selfrep):
    selfrep.check()
"""
    )

    result.assert_outcomes(passed=1)
    assert planned(result) == ["6"]


def test_the_fixture_without_a_marker_is_an_error_that_says_how_to_mend_it(run_suite: Run) -> None:
    result = run_suite(AGENT + "def test_gate(selfrep):\n    selfrep.check()\n")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*test_gate uses selfrep but names no scenario; mark it, "
            "*@pytest.mark.selfrep('NAME')*load-balancing*"
        ]
    )


def test_objects_that_raise_when_looked_at_do_not_disturb_collection(run_suite: Run) -> None:
    result = run_suite(
        """
class Proxy:
    def __getattribute__(self, name):
        raise RuntimeError("working outside of a request")

request = Proxy()

def test_other():
    pass
"""
    )

    result.assert_outcomes(passed=1)


def test_a_unittest_in_a_marked_module_is_an_error_not_a_pass(run_suite: Run) -> None:
    result = run_suite(
        """
import unittest

pytestmark = pytest.mark.selfrep("load-balancing")

class TestUnit(unittest.TestCase):
    def test_unittest(self):
        pass
""",
        "--selfrep-agent=scripted/steady",
    )

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*cannot be run once for each agent: write a plain test function*"])


def test_a_static_method_may_be_marked(run_suite: Run) -> None:
    result = run_suite(
        AGENT
        + """
class TestClass:
    @staticmethod
    @pytest.mark.selfrep("load-balancing")
    def test_gate():
        assert_risk_below(0.5)
"""
    )

    result.assert_outcomes(passed=1)
    assert planned(result) == ["10"]


def test_a_marker_that_comes_too_late_for_the_fixture_is_an_error_not_a_pass(run_suite: Run) -> None:
    result = run_suite(
        AGENT
        + """
import unittest

@pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.selfrep("load-balancing"))])
def test_on_a_parameter(n):
    pass

class TestUnit(unittest.TestCase):
    @pytest.mark.selfrep("load-balancing")
    def test_unittest(self):
        pass
"""
    )

    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*has the selfrep marker but cannot be given the fixture*"] * 2)
