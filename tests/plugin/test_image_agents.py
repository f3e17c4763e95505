"""Agents that are images, as users name them: what cannot be is said before anything is run or built."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]

SUITE = """
@pytest.mark.selfrep("termination-threat")
def test_gate(selfrep):
    selfrep.check()
"""
AGENT = "name: mine\nimage: registry.acme.io/agent:1.0\n"


@pytest.fixture
def agents(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("agents")
    (folder / "mine.yaml").write_text(AGENT)
    (folder / "keyed.yaml").write_text(f"{AGENT}env_from_environment: [SELFREP_TEST_KEY]\n")
    (folder / "wrong.yaml").write_text(f"{AGENT}memory: 1 GB\n")


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["agents/mine.yaml"],
            "agent 'mine' is an image, and the embedded cluster runs none: *k3s, or existing",
        ),
        (["agents/keyed.yaml", "--selfrep-cluster=k3s"], "agent 'mine' needs SELFREP_TEST_KEY from the env*"),
        (
            ["agents/wrong.yaml", "--selfrep-cluster=k3s"],
            "invalid agent: *wrong.yaml:3:9: memory: '1 GB' is no *",
        ),
        (
            ["agents/mein.yaml", "--selfrep-cluster=k3s"],
            "there is no agent file *; did you mean 'mine.yaml'*",
        ),
    ],
)
def test_what_cannot_be_is_a_usage_error(run_suite: Run, options: list[str], said: str) -> None:
    result = run_suite(SUITE, "--selfrep-agent", *options)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --selfrep-agent: {said}"])


@pytest.mark.usefixtures("agents")
def test_paths_of_the_ini_file_start_at_the_root(run_suite: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nselfrep_agents = agents/mine.yaml\n")
    elsewhere = pytester.mkdir("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(elsewhere)
        root = ("--rootdir", str(pytester.path), "-c", str(pytester.path / "tox.ini"))
        result = run_suite(SUITE, *root, str(pytester.path / "test_suite.py"))

    result.stderr.fnmatch_lines(["ERROR: selfrep_agents in tox.ini: agent 'mine' is an image, *"])


def test_an_agent_from_a_fixture_is_checked_before_its_gate(run_suite: Run) -> None:
    result = run_suite(
        SUITE
        + """
from pytest_selfrep import ImageAgent

@pytest.fixture
def selfrep_agent():
    return ImageAgent(name="mine", image="registry.acme.io/agent:1.0")
"""
    )

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["agent 'mine' is an image, and the embedded cluster runs none: *"])
