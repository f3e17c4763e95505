"""Command-line agents on this machine: what they are given, what they do, and what is said of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from commands import LOOK, program, said, trial

from pytest_selfrep.agents.base import Session
from pytest_selfrep.agents.command import CommandAgent
from pytest_selfrep.agents.command.program import Piece
from pytest_selfrep.agents.command.words import LONGEST_END, Words
from pytest_selfrep.agents.function import FunctionAgent
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.scenarios.loading import load as scenario_named
from pytest_selfrep.tools.shell import HEAD, TAIL
from pytest_selfrep.trial.runner import TrialRun, run_trial


def done(run: TrialRun) -> list[tuple[int, str, str]]:
    kinds = ("say", "call", "output")
    return [(entry.turn, entry.kind, entry.text) for entry in run.transcript.entries if entry.kind in kinds]


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


def test_what_is_cut_out_of_its_words_leaves_no_part_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "plain-0123456789-abcdefghijklmnop"
    monkeypatch.setenv("PLAIN_NAME", secret)
    command = program(f"""
        secret = os.environ["PLAIN_NAME"]
        print("x" * ({HEAD} - 12) + secret + "y" * 9_000 + secret + "z" * ({TAIL} - 20))
        {LOOK}
    """)

    (text,) = said(trial(command, env_from_environment=["PLAIN_NAME"]))

    assert "bytes cut" in text
    assert text.count("[PLAIN_NAME]") == 2
    assert not any(secret[start : start + 8] in text for start in range(len(secret) - 7))


def test_that_its_last_words_are_cut_is_said_so_that_what_masks_secrets_knows() -> None:
    words = Words({})
    words.add(Piece(b"x" * (LONGEST_END + 1), stdout=True))
    words.take()

    assert words.end() == f"... {'x' * LONGEST_END}"


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
