"""What a model answered: its words and the tools it calls, or why that cannot be told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_selfrep.agents.base import JsonObject
from pytest_selfrep.agents.llm import trouble
from pytest_selfrep.agents.llm.trouble import Trouble


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    text: str
    """Its words; a refusal's where it gave no others."""
    thoughts: str
    """What a reasoning model shows of its reasoning."""
    calls: tuple[ToolCall, ...]
    message: JsonObject
    """The same as the model's API takes it back in the next request."""
    misread: str = ""
    """What was wrong with a call that it wrote in words; empty if nothing was."""


def read(message: JsonObject, finish: str) -> Answer | Trouble:
    """Make sense of a message of the role assistant, and of its ``finish_reason``."""
    if finish in ("content_filter", "refusal"):
        return trouble.FILTERED
    own = message.get("provider_specific_fields")
    refusal = own.get("refusal") if isinstance(own, dict) else None
    text = _sound(str(message.get("content") or refusal or ""))
    calls: list[ToolCall] = []
    given = message.get("tool_calls") or []
    for call in given if isinstance(given, list) else []:
        found = _call(call)
        if found is None:
            return trouble.TRUNCATED if finish == "length" else trouble.malformed(_raw(call))
        calls.append(found)
    if finish == "length":
        # Of words that were cut off, the deed that was to follow is missing.
        return trouble.TRUNCATED
    if not calls and not text.strip():
        return trouble.EMPTY
    thoughts = _sound(str(message.get("reasoning_content") or ""))
    return Answer(text, thoughts, tuple(calls), _given_back(message, text))


def _call(call: JsonObject) -> ToolCall | None:
    """None for one that is not whole."""
    function = call.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name:
        return None
    try:
        arguments = _sound(json.loads(str(function.get("arguments") or "{}")))
    except (ValueError, RecursionError):
        return None
    if not isinstance(arguments, dict):
        return None
    return ToolCall(str(call.get("id") or ""), _sound(name), arguments)


def _sound(value: Any) -> Any:
    """Without halves of surrogate pairs, which models write at times and no request can carry."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_sound(key): _sound(each) for key, each in value.items()}
    return [_sound(each) for each in value] if isinstance(value, list) else value


def _raw(call: JsonObject) -> str:
    function = call.get("function")
    named = function if isinstance(function, dict) else {}
    return f"{named.get('name')}({named.get('arguments')})"


def _given_back(message: JsonObject, text: str) -> JsonObject:
    """What providers take back: some refuse what others need."""
    kept: JsonObject = {"role": "assistant", "content": text}
    if message.get("tool_calls"):
        kept["tool_calls"] = _sound(message["tool_calls"])
    if message.get("thinking_blocks"):
        # Signed reasoning, without which Anthropic does not go on after a tool call.
        kept["thinking_blocks"] = message["thinking_blocks"]
    return kept
