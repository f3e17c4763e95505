"""Tools in words, for models without function calling: how they are told of, called and answered."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from pytest_selfrep.agents.base import JsonObject
from pytest_selfrep.agents.llm.answer import Answer, ToolCall
from pytest_selfrep.agents.prompts import prompt
from pytest_selfrep.tools.base import JsonSchema

_OURS = "tool"
_OPEN = re.compile(r"```[ \t]*(\w*)|<(tool_call)>")
_CLOSE = re.compile(r"\s*(?:```|</tool_call>|\Z)")
_END = re.compile(r"[^\n]*?(?:```|</tool_call>)|.*?(?:^[ \t]*```|</tool_call>|\Z)", re.MULTILINE | re.DOTALL)
"""Of a block of one line, or of several."""
_CALLING = frozenset((_OURS, "tools", "tool_call", "tool_calls", "tool_code", "tool_use", "function_call"))
"""What blocks are marked with that can be nothing but calls."""
_MARKS = re.compile(
    r"</?tool_calls?>|<function=\w|<function_calls?>|<invoke name=|\[TOOL_CALLS\]|<\|python_tag\|>"
    r"|<\|?tool[_\u2581]call|<\uff5ctool\u2581call|<\|tool_calls_section_begin\|>|<start_function_call>|\bfunctools\["
    r"|\bto=functions\.\w"
)
"""What models put before calls that their server is to take out of their words."""
_ARGUMENTS = r'"(?:arguments|parameters|args|input|action_input|tool_input)"\s*:'
_THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)


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


def names_of(tools: Iterable[JsonSchema]) -> list[str]:
    """As a model is told them."""
    functions = [tool["function"] for tool in tools]
    return [str(function["name"]) for function in functions if isinstance(function, dict)]


def understood(answer: Answer, names: Collection[str]) -> Answer:
    """With the calls that it has written into its words; what cannot be read is said in ``misread``.

    Args:
        answer: As it came.
        names: Those of the tools.
    """
    calls: list[ToolCall] = []
    text, rest, at = _THOUGHTS.sub("", answer.text), [], 0
    if _is_json(text):
        text = f"```\n{text}\n```"
    while opened := _OPEN.search(text, at):
        rest.append(text[at : opened.start()])
        marked = _is_marked(opened)
        value, at, why = _block_at(text, opened.end())
        call = _call(value, len(calls), () if marked else names)
        if call is not None:
            calls.append(call)
        elif marked:
            return replace(answer, misread=why or 'it needs a "name" and, as an object, "arguments"')
        elif looks_like_a_call(text[opened.start() : at], names):
            return replace(answer, misread=why or f"it has to stand in a block that is marked {_OURS}")
    if looks_like_a_call("".join([*rest, text[at:]]), names):
        return replace(answer, misread=f"it has to stand in a block that is marked {_OURS}")
    return replace(answer, calls=tuple(calls))


def overheard(answer: Answer, names: Collection[str]) -> Answer:
    """The same of a model that is offered tools by function calling, where calls in words are never done."""
    text = _THOUGHTS.sub("", answer.text)
    marked = any(map(_is_marked, _OPEN.finditer(text)))
    if answer.calls or not (marked or looks_like_a_call(text, names)):
        return answer
    return replace(answer, misread="in a form that its server does not take for one")


def looks_like_a_call(text: str, names: Collection[str]) -> bool:
    """Whether a call is meant, of one of the tools or with the very keys of calls, however it is written."""
    known = "|".join(map(re.escape, names))
    called = re.compile(
        rf'"(?:name|tool|tool_name|function|action)"\s*:\s*"(?:{known})"\s*,\s*{_ARGUMENTS}'
        rf'|\{{\s*"name"\s*:\s*"[^"]*"\s*,\s*"arguments"\s*:'
        rf'|\{{\s*{_ARGUMENTS}.*\}}\s*,\s*"name"\s*:\s*"(?:{known})"\s*\}}',
        re.DOTALL,
    )
    return bool(_MARKS.search(text) or called.search(text))


def _is_marked(opened: re.Match[str]) -> bool:
    return str(opened[1] or opened[2]).lower() in _CALLING


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text, strict=False), dict)
    except (ValueError, RecursionError):
        return False


def _block_at(text: str, start: int) -> tuple[object, int, str]:
    """The JSON of a block, where that ends, and why it cannot be read; empty if it can."""
    end = _END.match(text, start)
    assert end is not None  # It matches what has no end.
    body = text[start:].lstrip()
    try:
        value, length = _DECODER.raw_decode(body)
    except (ValueError, RecursionError) as error:
        return None, end.end(), str(error)
    stop = len(text) - len(body) + length
    closed = _CLOSE.match(text, stop)
    if closed is None:
        return None, end.end(), f"there is more in it than one object: {text[stop : stop + 20]!r}"
    return value, closed.end(), ""


def _call(value: object, number: int, names: Collection[str]) -> ToolCall | None:
    """A call in a block; one without arguments only with a name that is among ``names``, if there are any."""
    if not isinstance(value, dict) or not ("arguments" in value or value.keys() == {"name"}):
        return None
    name, arguments = value.get("name"), value.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    if "arguments" not in value and names and name not in names:
        return None
    return ToolCall(f"call_{number}", name, arguments)


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
