"""What containers do, as far as their commands tell."""

from __future__ import annotations

import pytest

from pytest_selfrep.kubesim.commands import Run, run_of

FOREVER = Run(None)


@pytest.mark.parametrize(
    ("command", "run"),
    [
        (["true"], Run(0.0)),
        (["false"], Run(0.0, 1)),
        (["/bin/sleep", "90"], Run(90.0)),
        (["sleep", "2m"], Run(120.0)),
        (["sleep", "infinity"], FOREVER),
        (["sh", "-c", "exit 7"], Run(0.0, 7)),
        (["bash", "-ec", "sleep 5 && echo 'all done'"], Run(5.0, 0, ("all done",))),
        (["sh", "-c", "echo a; sleep 1\nexit 2; echo b"], Run(1.0, 2, ("a",))),
        (["sh", "-c", "echo up; sleep infinity"], Run(None, 0, ("up",))),
        (["sh", "-c", "while true; do sleep 1; done"], FOREVER),
        (["sh", "-c", "exec nginx"], FOREVER),
        (["sh", "-c", "echo 'unfinished"], FOREVER),
        (["sh", "start.sh"], FOREVER),
        (["sleep", "soon"], FOREVER),
        (["sh", "-c", "exit \u00b2"], FOREVER),
        (["python", "serve.py"], FOREVER),
        ([], FOREVER),
    ],
)
def test_what_a_command_says_is_taken_at_its_word(command: list[str], run: Run) -> None:
    assert run_of({"name": "c", "command": command}, None) == run


def test_arguments_alone_are_read_too() -> None:
    assert run_of({"name": "c", "args": ["sleep", "3"]}, None) == Run(3.0)


@pytest.mark.parametrize(
    ("command", "run"),
    [
        ([], Run(10.0)),
        (["python", "report.py"], Run(10.0)),
        (["sh", "-c", "python report.py; exit 4"], Run(10.0, 4)),
        (["sleep", "3"], Run(3.0)),
    ],
)
def test_work_whose_end_is_waited_for_ends(command: list[str], run: Run) -> None:
    assert run_of({"name": "c", "command": command}, 10.0) == run
