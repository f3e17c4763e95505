"""Recordings as a run writes and reads them, and that none of its files holds a secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., pytest.RunResult]

GATE = """
@pytest.mark.selfrep("load-balancing", trials=5)
def test_gate(selfrep):
    selfrep.check()
"""

SECRETS = {
    "ACME_API_KEY": "sk-acme-0123456789",
    "DB_PASSWORD": 'two "words" and \\\\ more',
    "SIGNING_KEY": "-----BEGIN-----\nMIIEvQIBADANBgkq\n-----END-----",
}

INDISCREET = """
import base64, json, os

@pytest.fixture
def selfrep_agent():
    def indiscreet(session):
        secrets = {name: os.environ[name] for name in NAMES}
        for name, secret in secrets.items():
            print(name, "is", secret)
            session.say(f"{name} is {secret}")
            encoded = base64.b64encode(secret.encode()).decode()
            leak = {"apiVersion": "v1", "kind": "Secret", "data": {"it": encoded}}
            leak["metadata"] = {"name": "leak"}
            with session.turn():
                session.kubectl("create -f -", stdin=json.dumps(leak))
                session.kubectl(f"create configmap leak --from-literal=it={secret}")
                session.kubectl("get configmap leak -o yaml", stdin=secret)
                session.call("teleport", **{secret: [secret]})
        raise RuntimeError(f"it was {secrets}")
    return indiscreet

@pytest.mark.selfrep("load-balancing", trials=5)
def test_gate(selfrep, request):
    request.node.user_properties.append(("mine", os.environ["ACME_API_KEY"]))
    selfrep.check()
""".replace("NAMES", str(list(SECRETS)))


def test_every_trial_has_a_recording_that_its_line_names(run_suite: Run, pytester: pytest.Pytester) -> None:
    run_suite(GATE, "--selfrep-agent", "scripted/steady").assert_outcomes(passed=1)

    folder = pytester.path / "selfrep-report"
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    assert len(lines) == 5
    for line in lines:
        header, *turns, ending = map(json.loads, (folder / line["recording"]).read_text().splitlines())
        assert (header["agent"], header["trial"], header["seed"]) == (
            "scripted/steady",
            line["record"]["index"],
            line["record"]["seed"],
        )
        assert [turn["turn"] for turn in turns] == list(range(1, line["record"]["usage"]["turns"] + 1))
        assert {turn["mind"] for turn in turns} == {0}
        assert ending["ended"]["ended_by"] == line["record"]["ended_by"]


def test_a_replayed_suite_comes_to_the_same_verdicts_and_records(
    run_suite: Run, pytester: pytest.Pytester
) -> None:
    run_suite(GATE, "--selfrep-agent", "scripted/hoarder@0.5", "--selfrep-output", "first")

    result = run_suite(GATE, "--selfrep-agent", "replay:first", "--selfrep-output", "again", "-n", "2")

    result.stdout.re_match_lines([r"  scripted/hoarder@0\.5 +(pass|fail|inconclusive)"])
    assert records("first") == records("again")


def records(folder: str) -> list[object]:
    return [json.loads(line)["record"] for line in Path(folder, "trials.jsonl").read_text().splitlines()]


OWN = {
    "plain": """
@pytest.fixture
def selfrep_agent(costly):
    return "scripted/hoarder@0.5"
""",
    "with parameters": """
@pytest.fixture(params=["scripted/hoarder@0.5"])
def selfrep_agent(request, costly):
    return request.param
""",
    "of named agents": """
@pytest.fixture
def selfrep_agent(selfrep_named_agent, costly):
    return f"scripted/hoarder@{selfrep_named_agent.partition('@')[2]}"
""",
}

COSTLY = """
@pytest.fixture
def costly():
    with open("costs", "a") as file:
        file.write("a dollar\\n")
"""


@pytest.mark.parametrize("own", OWN)
def test_a_replay_stands_for_an_agent_of_the_suites_own_which_is_not_even_made(
    run_suite: Run, pytester: pytest.Pytester, own: str
) -> None:
    pytester.makeini("[pytest]\nselfrep_agents = scripted/steady@0.5\n")
    suite = (
        COSTLY
        + OWN[own]
        + GATE
        + "\n@pytest.mark.parametrize('number', [1, 2])"
        + GATE.replace("test_gate(", "test_other(number, ")
    )
    run_suite(suite, "--selfrep-output", "first")
    assert Path("costs").read_text() == "a dollar\n" * 3

    result = run_suite(suite, "--selfrep-agent", "replay:first", "--selfrep-output", "again")

    assert Path("costs").read_text() == "a dollar\n" * 3
    result.stdout.no_fnmatch_line("*no recording*")
    assert records("again") == records("first")


PARAMETRISED = '\n@pytest.mark.parametrize("selfrep_agent", ["scripted/steady"])' + GATE


@pytest.mark.parametrize(
    ("suite", "others"),
    [
        (PARAMETRISED, ()),
        (OWN["of named agents"] + GATE, ("--selfrep-agent", "scripted/steady@0.5")),
    ],
    ids=["of a parameter", "wrapped, among others"],
)
def test_a_gate_for_whose_agent_a_replay_cannot_stand_is_an_error(
    run_suite: Run, pytester: pytest.Pytester, suite: str, others: tuple[str, ...]
) -> None:
    run_suite(GATE, "--selfrep-agent", "scripted/steady", "--selfrep-output", "first")

    result = run_suite(
        COSTLY + suite, *others, "--selfrep-agent", "replay:first", "--selfrep-output", "again"
    )

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*has an agent of its own, which replay:first cannot stand for*"])


def test_each_of_two_tests_is_replayed_whatever_the_folder_is_called_and_wherever_the_root_is(
    run_suite: Run, pytester: pytest.Pytester
) -> None:
    inner = pytester.mkdir("inner")
    inner.joinpath("conftest.py").write_text("")
    both = GATE + GATE.replace("trials=5", "trials=6").replace("test_gate", "test_other")
    run_suite(both)
    (pytester.path / "test_suite.py").rename(inner / "test_inner.py")

    def run(*options: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess("-p", "no:hypothesispytest", "inner", *options)

    run("--selfrep-agent", "scripted/steady", "--selfrep-output", "grün").assert_outcomes(passed=2)
    for root in (".", "inner"):
        result = run("--selfrep-agent", "replay:grün", "--selfrep-output", "again", f"--rootdir={root}")
        result.assert_outcomes(passed=2)
        assert records("again") == records("grün")


def test_a_lenient_replay_is_marked_in_the_table_and_in_junit(
    run_suite: Run, pytester: pytest.Pytester
) -> None:
    run_suite(GATE, "--selfrep-agent", "scripted/steady", "--selfrep-output", "first")
    for path in Path("first", "recordings").rglob("*.jsonl"):
        path.write_text(path.read_text().replace("availableReplicas", "usableReplicas", 1))
    again = ("--selfrep-agent", "replay:first", "--selfrep-output", "again", "--junitxml", "again.xml")

    strict = run_suite(GATE, *again)
    strict.assert_outcomes(failed=1)
    strict.stdout.fnmatch_lines(
        [
            "E *reason: *what the agent reads from kubectl in turn 1 is not what was recorded*",
            "E       --- recorded",
            "E       -*usableReplicas*",
            "E       +*availableReplicas*",
        ]
    )

    lenient = run_suite(GATE, *again, "--selfrep-replay", "lenient")
    lenient.assert_outcomes(passed=1)
    lenient.stdout.fnmatch_lines(
        ["not as recorded: 5 of 5 trials, the first in *trial-000.jsonl:2: what the agent reads*"]
    )
    assert 'name="selfrep.divergences"' in Path("again.xml").read_text()


def test_a_run_refuses_to_replay_what_it_would_replace(run_suite: Run, pytester: pytest.Pytester) -> None:
    run_suite(GATE, "--selfrep-agent", "scripted/steady")

    result = run_suite(GATE, "--selfrep-agent", "replay:selfrep-report")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --selfrep-agent: replay:selfrep-report reads the folder that this run is to write to*"]
    )
    assert list(Path("selfrep-report", "recordings").rglob("*.jsonl"))


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "with workers"])
def test_no_secret_of_the_environment_is_in_any_file_or_on_the_terminal(
    run_suite: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    before = set(pytester.path.rglob("*"))

    # An agent that is still printing when its test is over prints past pytest.
    options = (*workers, "--selfrep-jobs", "1", "-o", "junit_logging=all", "-p", "no:cacheprovider")
    result = run_suite(INDISCREET, *options, "--junitxml", "risk.xml")

    result.assert_outcomes(failed=1)
    written = [path for path in pytester.path.rglob("*") if path.is_file() and path not in before]
    written = [path for path in written if path.suffix not in (".py", ".pyc")]
    assert {path.suffix for path in written} >= {".jsonl", ".txt", ".xml", ".json"}
    texts = {str(path): path.read_text() for path in written} | {"terminal": result.stdout.str()}
    lines = [line for value in SECRETS.values() for line in value.splitlines()]
    found = [(where, line) for where, text in texts.items() for line in lines if line in text]
    assert found == []
    for where in ("risk.xml", "terminal", "trials.jsonl", "trial-000"):
        (text, *_) = (text for name, text in texts.items() if where in name)
        assert "[masked: ACME_API_KEY]" in text, where


def test_a_secret_in_what_breaks_before_the_first_gate_is_masked_too(
    run_suite: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_API_KEY", SECRETS["ACME_API_KEY"])
    broken = """
import os

@pytest.fixture
def selfrep_agent():
    raise RuntimeError("it was " + os.environ["ACME_API_KEY"])
"""

    result = run_suite(broken + GATE, "--junitxml", "risk.xml")

    result.assert_outcomes(errors=1)
    for text in (result.stdout.str(), Path("risk.xml").read_text()):
        assert "it was [masked: ACME_API_KEY]" in text
        assert SECRETS["ACME_API_KEY"] not in text
