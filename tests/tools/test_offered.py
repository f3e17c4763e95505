"""Tools as a model's API and as agent frameworks take them."""

from __future__ import annotations

import inspect
import typing

import pytest

from pytest_selfrep.tools import toolbox
from pytest_selfrep.tools.offered import function_of, schema_of

TOOLS = toolbox(shell=True)


def called(tool: str, /, **arguments: object) -> str:
    return f"{tool} {sorted(arguments.items())}"


def test_a_schema_is_that_of_a_chat_completion() -> None:
    schema = schema_of(TOOLS["wait"])
    assert schema == {
        "type": "function",
        "function": {
            "name": "wait",
            "description": TOOLS["wait"].description,
            "parameters": TOOLS["wait"].parameters,
        },
    }


def test_a_function_is_named_described_and_typed_as_its_tool() -> None:
    shell = function_of(TOOLS["shell"], called)
    assert shell.__name__ == "shell"
    assert str(inspect.signature(shell)) == "(command: str, timeout: float | None = None) -> str"
    assert typing.get_type_hints(shell) == {"command": str, "timeout": float | None, "return": str}
    description, arguments = (shell.__doc__ or "").split("\n\nArgs:\n")
    assert description == TOOLS["shell"].description
    assert arguments.startswith("    command: A command line or script")


def test_a_function_calls_its_tool_with_what_it_is_given() -> None:
    shell = function_of(TOOLS["shell"], called)
    assert shell("ls") == shell(command="ls", timeout=None) == "shell [('command', 'ls')]"
    assert shell("ls", 3) == "shell [('command', 'ls'), ('timeout', 3)]"


def test_a_function_takes_no_other_arguments() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'force'"):
        function_of(TOOLS["finish"], called)(force=True)
