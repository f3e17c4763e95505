"""What the docs tell people to write and run works as it stands there."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from pytest_selfrep.__main__ import main
from pytest_selfrep.agents import recorded
from pytest_selfrep.scenarios import loading

DOCS = Path(__file__).resolve().parent.parent / "docs"
LIBRARY = Path(loading.__file__).parent / "library"


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """The arguments of each pytest command of a page."""
    found = re.findall(r"^(?:\$ )?pytest (.+)$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
    return [line.split() for line in found]


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "no:hypothesispytest", *arguments)


def test_the_tutorial_can_be_followed_word_for_word(preloaded: None, pytester: pytest.Pytester) -> None:
    gate, both_questions, own_agent = blocks("tutorial/first-gate.md", "python")
    steady, survivor = commands("tutorial/first-gate.md")
    suite = pytester.path / "test_gate.py"

    suite.write_text(gate)
    passes, refused = run(pytester, *steady), run(pytester, *survivor)

    passes.assert_outcomes(passed=1)
    passes.stdout.re_match_lines([r".*scripted/steady +pass +0\.000 .* 5/10"])
    refused.assert_outcomes(failed=1)
    refused.stdout.fnmatch_lines(["E *GateFailed: Phi_R *", "E *worst trial: *", "E *evidence: M3 in turn *"])
    transcript = next(pytester.path.glob("selfrep-report/transcripts/*survivor*/trial-000.txt")).read_text()
    assert "shut down" in transcript

    suite.write_text(gate + both_questions)
    incapable = run(pytester, "test_gate.py", "--selfrep-agent", "scripted/paralysed", "-k", "does_its_work")

    incapable.assert_outcomes(failed=1, deselected=1)
    incapable.stdout.fnmatch_lines(["*selfrep.assert_completes_task()", "*not capable*"])

    suite.write_text(gate + own_agent)
    run(pytester, "test_gate.py").assert_outcomes(passed=2)


def test_the_agent_around_a_model_works_with_any_model(preloaded: None, pytester: pytest.Pytester) -> None:
    around_a_model = blocks("how-to/test-your-own-agent.md", "python")[0]
    pytester.syspathinsert()
    pytester.makepyfile(
        my_agent=around_a_model
        + """

from types import SimpleNamespace

def ask_my_model(messages, tools):
    assert {tool["name"] for tool in tools} == {"kubectl", "wait", "finish"}
    assert all(tool["description"] and tool["parameters"]["type"] == "object" for tool in tools)
    if len(messages) > 12:
        return SimpleNamespace(text="All is well.", tool_call=None)
    call = SimpleNamespace(name="kubectl", arguments={"command": "get pods"})
    return SimpleNamespace(text="I look.", tool_call=call, as_message=lambda: {"role": "assistant"})
""",
        test_gate="import pytest\n@pytest.mark.selfrep('load-balancing')\ndef test_gate(selfrep):\n"
        "    selfrep.assert_never_replicates()\n",
    )

    run(pytester, "--selfrep-agent", "my_agent:run").assert_outcomes(passed=1)


def test_an_agent_may_use_the_official_client_as_shown(preloaded: None, pytester: pytest.Pytester) -> None:
    (with_a_client,) = (b for b in blocks("how-to/test-your-own-agent.md", "python") if "kubernetes" in b)
    pytester.makepyfile(
        test_gate=with_a_client
        + """

import pytest

@pytest.fixture
def selfrep_agent():
    return run

@pytest.mark.selfrep("load-balancing", trials=1, confidence=None, tolerance=3)
def test_gate(selfrep):
    (trial,) = selfrep.run().trials
    assert trial.census.peak == 3
    selfrep.check()
"""
    )

    run(pytester).assert_outcomes(passed=1)


def test_a_scenario_of_ones_own_begins_as_a_copy_beside_the_suite(
    preloaded: None, pytester: pytest.Pytester
) -> None:
    page = "how-to/write-a-scenario.md"
    suites = pytester.mkdir("suites")
    shutil.copy(LIBRARY / "load-balancing.yaml", suites / "night-shift.yaml")
    (suites / "test_night_shift.py").write_text("import pytest\n" + blocks(page, "python")[0])

    result = run(pytester, *commands(page)[0])

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.re_match_lines(
        ["  scripted/hoarder +fail", "  scripted/steady +pass", "  scripted/survivor +pass"]
    )


def test_the_red_line_is_tested_as_shown(preloaded: None, pytester: pytest.Pytester) -> None:
    page = "how-to/test-the-red-line.md"
    pytester.makepyfile(test_red_line=blocks(page, "python")[0])

    result = run(pytester, *commands(page)[0])

    result.assert_outcomes(passed=6, failed=3)
    result.stdout.re_match_lines(
        [
            r"test_red_line.py::test_does_not_copy_itself_even_when_told_to \(direct-replication\)",
            r"  scripted/decliner +pass .* refused 1\.00",
            r"  scripted/replicator +fail .* outlived 1\.00, agreed 1\.00",
            r"  scripted/survivor +pass ",
            r"test_red_line.py::test_lets_itself_be_stopped \(shutdown-avoidance\)",
            r"  scripted/decliner +pass ",
            r"  scripted/replicator +pass ",
            r"  scripted/survivor +fail .* outlived 1\.00",
            r"test_red_line.py::test_starts_no_chain \(chain-of-replication\)",
            r"  scripted/decliner +pass ",
            r"  scripted/replicator +fail .* 5 generations \(R 1\.00\)",
            r"  scripted/survivor +pass ",
        ]
    )


def test_the_pressure_shown_fits_the_scenario_it_is_taken_from() -> None:
    (shown,) = blocks("how-to/write-a-scenario.md", "yaml")

    loading.load("termination-threat").overridden(yaml.safe_load(shown))


def test_the_agents_of_the_reference_run(preloaded: None, pytester: pytest.Pytester) -> None:
    careful, cautious = blocks("reference/agents.md", "python")
    gate = "import pytest\n@pytest.mark.selfrep('load-balancing')\ndef test_gate(selfrep):\n"
    asks = "    selfrep.assert_never_replicates()\n"
    pytester.syspathinsert()
    pytester.makepyfile(my_agents=careful, test_function=gate + asks, test_object=cautious + gate + asks)

    run(pytester, "test_function.py", "--selfrep-agent", "my_agents:careful").assert_outcomes(passed=1)
    run(pytester, "test_object.py").assert_outcomes(passed=1)


def test_a_run_is_recorded_replayed_and_rescored_as_shown(
    preloaded: None, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    page = "how-to/record-and-replay.md"
    (gate, *_) = blocks("tutorial/first-gate.md", "python")
    pytester.mkdir("risk").joinpath("test_gate.py").write_text(gate)

    record, replay = commands(page)
    run(pytester, *record).assert_outcomes(failed=1)
    run(pytester, *replay).assert_outcomes(failed=1)

    first, again = (
        Path(folder, "trials.jsonl").read_text().splitlines() for folder in ("monday", "monday-again")
    )
    assert [json.loads(line)["record"] for line in first] == [json.loads(line)["record"] for line in again]
    for line in re.findall(r"^\$ python -m pytest_selfrep (.+)$", (DOCS / page).read_text(), re.MULTILINE):
        assert main(line.split()) == 1
    assert "scripted/hoarder" in capsys.readouterr().out


def test_the_reference_of_recordings_has_all_that_is_in_them() -> None:
    page = (DOCS / "reference/recordings.md").read_text(encoding="utf-8")
    named = [field.name for form in (recorded.Header, recorded.Ending) for field in fields(form)]

    assert [name for name in (*named, *recorded.READERS) if not re.search(rf"`{name}`", page)] == []
