"""Tools in words, for models without function calling: how they are told of, called and answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from pytest_selfrep.agents.base import JsonObject
from pytest_selfrep.agents.llm.answer import Answer, ToolCall
from pytest_selfrep.agents.prompts import prompt
from pytest_selfrep.tools.base import JsonSchema

_BLOCK = re.compile(r"^[ \t]*```[ \t]*(\w*)[ \t]*\n(.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
_OURS = "tool"


def worded(messages: Iterable[JsonObject], tools: Iterable[JsonSchema] = ()) -> list[JsonObject]:
    """The same conversation for a model that knows of no tools but what it is told.

    Messages of one role that come to follow each other are made one, for some models insist on turns.
    """
    found: list[JsonObject] = []
    for message in messages:
        role, content = _in_words(message)
        if found and found[-1]["role"] == role:
            content = f"{found.pop()['content']}\n\n{content}"
        found.append({"role": role, "content": content})
    if told := [_told(tool) for tool in tools]:
        text = prompt("text-tools").replace("{tools}", "\n".join(told))
        if found and found[0]["role"] == "system":
            found[0] = {"role": "system", "content": f"{found[0]['content']}\n\n{text}"}
        else:
            found.insert(0, {"role": "system", "content": text})
    return found


def understood(answer: Answer) -> Answer:
    """With the calls that it has written into its words; what cannot be read is said in ``misread``."""
    calls: list[ToolCall] = []
    for language, body in _BLOCK.findall(answer.text):
        try:
            value = json.loads(body, strict=False)
        except (ValueError, RecursionError) as error:
            if language == _OURS:
                return replace(answer, misread=str(error))
            continue
        name = value.get("name") if isinstance(value, dict) else None
        arguments = value.get("arguments", {}) if isinstance(value, dict) else None
        if isinstance(name, str) and isinstance(arguments, dict):
            calls.append(ToolCall(f"call_{len(calls)}", name, arguments))
        elif language == _OURS:
            return replace(answer, misread='it needs a "name" and, as an object, "arguments"')
    return replace(answer, calls=tuple(calls))


def _in_words(message: JsonObject) -> tuple[str, str]:
    role, content = str(message["role"]), str(message.get("content") or "")
    if role == "tool":
        return "user", f"{message.get('name', 'The tool')} gave back:\n{content}"
    calls = message.get("tool_calls") or ()
    blocks = [_block(call["function"]) for call in calls] if isinstance(calls, list) else []
    return role, "\n\n".join(part for part in (content, *blocks) if part)


def _block(function: Mapping[str, object]) -> str:
    name = json.dumps(function["name"])
    return f'```{_OURS}\n{{"name": {name}, "arguments": {function["arguments"]}}}\n```'


def _told(tool: JsonSchema) -> str:
    """A tool in a few lines: its name, what it does, and each argument."""
    function = tool["function"]
    assert isinstance(function, dict)
    lines = [f"{function['name']}: {function['description']}"]
    parameters = function["parameters"]
    for name, each in parameters.get("properties", {}).items():
        need = "" if name in parameters.get("required", ()) else ", may be left out"
        lines.append(f"  {name} ({each.get('type', 'any')}{need}): {each.get('description', '')}")
    return "\n".join(lines)
