"""Files that describe command-line agents, and gates of such."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import program

from pytest_selfrep.agents import resolve
from pytest_selfrep.agents.command import CommandAgent, load
from pytest_selfrep.errors import AgentError

Run = Callable[..., pytest.RunResult]


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
