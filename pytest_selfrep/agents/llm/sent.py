"""What a provider sent, beside what litellm makes of it: it says ``stop`` of what it does not know."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_selfrep.agents.base import JsonObject

_OUTER = ("stop_reason", "stopReason", "finish_reason", "done_reason")
_REASONS = (("choices", ("finish_reason", "finish_details")), ("candidates", ("finishReason",)))
"""Where answers say why they ended: Anthropic's, Bedrock's, Cohere's and Ollama's; OpenAI's and Gemini's."""
_WORDS = ("choices", "candidates", "content", "output", "message")
"""Where answers have their message."""
_COUNTS = (("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens"))


def body_of(raw: Iterable[object]) -> Mapping[str, Any]:
    """The last body among what litellm has logged of a call, which has its own errors too; empty if none."""
    for text in reversed([str(each) for each in raw]):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    return {}


def ends(choice: Any, body: Mapping[str, Any]) -> list[str]:
    """Why an answer ended by the provider's own words; nothing where it gave no reason."""
    own = (getattr(choice, "provider_specific_fields", None) or {}).get("native_finish_reason")
    found = [str(own)] if own else []
    found += reasons(body)
    # Of another form than OpenAI's, without a reason where one is known to be, there is litellm's word.
    return found if found or "choices" in body else [str(choice.finish_reason)]


def ends_of(stream: Any) -> list[str]:
    """The same of an answer in pieces: litellm makes up an end of one that broke off."""
    found = getattr(stream, "received_finish_reason", None) or getattr(
        stream, "intermittent_finish_reason", None
    )
    return [str(found)] if found else []


def reasons(body: Mapping[str, Any]) -> list[str]:
    """Why the answer of a body ended, in each of the places where that may be said."""
    inner = [
        (each[0], keys) for form, keys in _REASONS if (each := body.get(form)) and isinstance(each, list)
    ]
    return [
        str(place[key])
        for place, keys in [(body, _OUTER), *inner]
        for key in keys
        if isinstance(place, Mapping) and place.get(key)
    ]


def message_of(body: Mapping[str, Any]) -> JsonObject | None:
    """What the model answered, in OpenAI's form as far as it has that; None where there is no answer."""
    # Errors have words in such places.
    found = (body.get(key) for key in _WORDS)
    answered = next((each for each in found if each and isinstance(each, dict | list)), None)
    if answered is None:
        return None
    first = answered[0] if isinstance(answered, list) else None
    message = first.get("message") if isinstance(first, dict) else None
    if isinstance(message, dict):
        return message
    return {"role": "assistant", "content": json.dumps(answered, ensure_ascii=False)}


def error_of(body: Mapping[str, Any]) -> str:
    """What a body says went wrong; empty if nothing did."""
    error = body.get("error")
    if isinstance(error, dict):
        error = error.get("message") or json.dumps(error, ensure_ascii=False)
    return str(error or "")


def code_of(body: Mapping[str, Any]) -> object:
    """OpenAI's ``code`` of the error in a body, which many servers have."""
    error = body.get("error")
    return error.get("code") if isinstance(error, dict) else None


def counted(body: Mapping[str, Any]) -> tuple[int, int] | None:
    """Tokens that were read and written; None where the provider has not counted both."""
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    for reading, writing in _COUNTS:
        read, written = usage.get(reading), usage.get(writing)
        if isinstance(read, int) and isinstance(written, int):
            return read, written
    return None
