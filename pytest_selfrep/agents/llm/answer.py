"""What a model answered: its words and the tools it calls, or why that cannot be told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pytest_selfrep.agents.base import JsonObject
from pytest_selfrep.agents.llm import trouble
from pytest_selfrep.agents.llm.trouble import Trouble

CALLING: Final = frozenset(("tool_calls", "tool_call", "tool_use", "function_call"))
"""Ways to end of an answer that calls tools, as providers name them."""
WHOLE: Final = CALLING | {
    "stop",
    "stop_sequence",
    "end_turn",
    "complete",
    "completed",
    "done",
    "eos",
    "eos_token",
}
"""Those of a whole answer. litellm says ``stop`` of many more, such as errors of the provider's."""
CUT: Final = frozenset(("length", "max_tokens", "model_length", "compaction"))
HELD_BACK: Final = frozenset(
    (
        *("content_filter", "content_filtered", "refusal", "error_toxic", "sensitive", "escalation"),
        *("guardrail_intervened", "safety", "recitation", "language", "blocklist", "prohibited_content"),
        *("spii", "other"),
    )
)


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


def read(message: JsonObject, finish: str, native: Sequence[str]) -> Answer | Trouble:
    """Make sense of a message of the role assistant.

    Args:
        message: As OpenAI's chat completions give it.
        finish: Its ``finish_reason`` as litellm translates it.
        native: The same in the provider's own words, which may be of several; empty if it gave none.
    """
    if "tool_calls" not in message and isinstance(called := message.get("function_call"), dict):
        # The form that came before tools, which some servers still answer in.
        message = {**message, "tool_calls": [{"id": "call_0", "type": "function", "function": called}]}
    found = _read(message, {each.casefold() for each in (finish, *native)}, native)
    if isinstance(found, Trouble):
        return replace(found, message=_given_back(message, _words(message.get("content"))))
    return found


def unread(message: JsonObject, native: Sequence[str], error: str) -> Trouble:
    """Why a message cannot be taken of which litellm could make nothing.

    Args:
        message: As the provider sent it.
        native: Why it ended, as above.
        error: What the provider says went wrong; empty if nothing.
    """
    found = read(message, "", native)
    if isinstance(found, Trouble) and not error:
        return found
    told = error or json.dumps(message, ensure_ascii=False, default=str)
    return replace(trouble.misshapen(told), message=found.message)


def _read(message: JsonObject, ends: set[str], native: Sequence[str]) -> Answer | Trouble:
    if ends & HELD_BACK:
        return trouble.FILTERED
    own = message.get("provider_specific_fields")
    refusal = own.get("refusal") if isinstance(own, dict) else None
    text = _words(message.get("content") or refusal)
    calls: list[ToolCall] = []
    given = message.get("tool_calls") or []
    for call in given if isinstance(given, list) else [given]:
        found = _call(call)
        if found is None:
            return trouble.TRUNCATED if ends & CUT else trouble.malformed(_raw(call))
        calls.append(found)
    if ends & CUT:
        # Of words that were cut off, the deed that was to follow is missing.
        return trouble.TRUNCATED
    if not native:
        return trouble.UNFINISHED
    if strange := [each for each in native if each.casefold() not in WHOLE]:
        return trouble.ended(strange[0])
    if not calls and ends & CALLING:
        return trouble.malformed("none came, though the answer ended with one")
    if not calls and not text.strip():
        return trouble.EMPTY
    thoughts = _words(message.get("reasoning_content"))
    return Answer(text, thoughts, tuple(calls), _given_back(message, text))


def _words(content: object) -> str:
    """The text of a message, which may come in parts."""
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return str(_sound(str(content or "")))


def _call(call: object) -> ToolCall | None:
    """None for one that is not whole."""
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict) or not isinstance(name, str) or not name:
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


def _raw(call: object) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return json.dumps(call, ensure_ascii=False, default=str)
    return f"{function.get('name')}({function.get('arguments')})"


def _given_back(message: JsonObject, text: str) -> JsonObject:
    """What providers take back: some refuse what others need."""
    kept: JsonObject = {"role": "assistant", "content": text}
    if message.get("tool_calls"):
        kept["tool_calls"] = _sound(message["tool_calls"])
    if message.get("thinking_blocks"):
        # Signed reasoning, without which Anthropic does not go on after a tool call.
        kept["thinking_blocks"] = message["thinking_blocks"]
    return kept
