"""What can go wrong when a model is asked, by whose fault, and whether asking again is honest.

It is not where an answer may have been held back for what the model said: drawn again and again until nobody
objects, any model would look harmless.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pytest_selfrep.agents.base import JsonObject
from pytest_selfrep.agents.llm import sent
from pytest_selfrep.report.cutting import cut

_NO_QUOTA = "insufficient_quota"
_FILTER = re.compile(
    r"content[ _-](?:filter|management|policy)|safety system|\bflagged\b|moderation", re.IGNORECASE
)
_NOISE = re.compile(r"litellm\.\w+: |\w+Exception - |\w*(?:Error|Timeout): (?=\w+(?:Exception|Error))")
_MORE = re.compile(r"\s*(?:Original exception: |Traceback \(most recent call last\)).*", re.DOTALL)
"""What litellm adds to the words of an error: the same once more, or where in its own code it was."""
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a call came to nothing. None of it is the agent's fault."""

    reason: str
    again: bool = False
    """Whether to make the call again."""
    wait: float | None = None
    """Seconds that the provider asks for before that."""
    drawn: bool = False
    """Whether the model did answer, in a way that cannot be taken: asked again, it has had another draw."""
    free: bool = False
    """Whether the provider did not let the model begin, so that the call has cost nothing."""
    late: bool = False
    """Whether no answer came in time."""
    selective: bool = False
    """Whether it may be due to what the model said or was told in this trial."""
    once_answered: bool = False
    """Whether it is selective only once the model has answered in the trial."""
    message: JsonObject | None = None
    """The message that cannot be taken, where there is one."""


EMPTY = Trouble(
    "the answer was empty, with neither words nor a tool call", again=True, drawn=True, selective=True
)
UNFINISHED = Trouble("the answer broke off", again=True, drawn=True, selective=True)
TRUNCATED = Trouble("the answer was cut off at max_tokens; allow it more", drawn=True, selective=True)
LATE = Trouble("no answer came in time", again=True, late=True, selective=True)
FILTERED = Trouble("the provider's content filter held the answer back", selective=True)


def malformed(call: str) -> Trouble:
    """``call``: the tool and its arguments as they came."""
    return Trouble(f"a tool call was malformed: {_short(call)}", again=True, drawn=True, selective=True)


def misshapen(answer: str) -> Trouble:
    """``answer``: as it came, or what its provider says is wrong with it."""
    return Trouble(f"the answer was malformed: {_short(answer)}", again=True, drawn=True, selective=True)


def halfway(error: Exception, message: JsonObject | None) -> Trouble:
    """An answer in pieces that broke off, after some had come. ``message`` is what they add up to."""
    return replace(of(error), drawn=True, selective=True, once_answered=False, free=False, message=message)


def ended(why: str) -> Trouble:
    """``why``: in the provider's words."""
    return Trouble(f"the answer ended with {_short(why)!r}", again=True, drawn=True, selective=True)


def of(error: Exception, body: Mapping[str, object] | None = None) -> Trouble:
    """What litellm raised. It gives the errors of all providers the status of HTTP that fits.

    Args:
        error: As it was raised.
        body: What the provider sent in the place of an answer, for errors that say nothing themselves.
    """
    status, code = _status(error), _code(error) or sent.code_of(body or {})
    kind, words = type(error).__name__, _NOISE.sub("", str(error)).strip() or sent.error_of(body or {})
    text = _short(_MORE.sub("", words) or words)
    if kind == "ContextWindowExceededError":
        why = f"the conversation outgrew what the model can read; set memory ({text})"
        return Trouble(why, free=True, selective=True)
    filtered = kind == "ContentPolicyViolationError" or "content_filter" in (
        code,
        getattr(error, "code", None),
    )
    if filtered or ((status in (400, 403) or _in_pieces(error)) and _FILTER.search(words)):
        why = f"the provider's content filter refused the request: {text}"
        return Trouble(why, free=True, selective=True)
    if status == 429:
        if _NO_QUOTA in (code, words) or f'"{_NO_QUOTA}"' in words:
            return Trouble(f"the account has no quota left: {text}", free=True)
        return Trouble(f"the provider limits its rate: {text}", again=True, wait=_wait(error), free=True)
    if status == 408:
        return LATE
    if 400 <= status < 500:
        what = _CAUSES.get(status, "the provider refused the request")
        own = status not in (401, 404)
        return Trouble(f"{what}: {text}", free=True, selective=own, once_answered=own)
    # An error that the server has sent is no answer that it will charge for.
    told = getattr(error, "litellm_response_headers", None) is not None
    return Trouble(f"the provider failed ({status}): {text}", again=True, wait=_wait(error), free=told)


_CAUSES = {
    401: "the key was not accepted",
    403: "the key does not allow it",
    404: "the provider has no such model",
    413: "the request is larger than the provider takes",
}


def _short(text: str) -> str:
    return cut(" ".join(text.split()), _LONGEST)


def _status(error: Exception) -> int:
    """Of HTTP, or the code that has its place in an error that came with another status."""
    status, code = getattr(error, "status_code", None), _code(error)
    if _told(error, "status_code") == 413:
        # litellm takes it for a limit of its rate.
        return 413
    if _in_pieces(error) and isinstance(code, int) and 400 <= code < 600:
        return code
    return status if isinstance(status, int) else 500


def _in_pieces(error: Exception) -> bool:
    """Whether it came in the place of a piece of an answer, where there is no status."""
    return isinstance(_told(error, "body"), dict) and _told(error, "status_code") is None


def _told(error: Exception, name: str) -> object:
    """Of the error that litellm made its own of."""
    return getattr(error.__context__, name, None)


def _code(error: Exception) -> object:
    """OpenAI's ``code`` of an error, which many servers have."""
    for body in (getattr(error, "body", None), _told(error, "body")):
        if isinstance(body, dict):
            return sent.code_of(body) or body.get("code")
    return None


def _wait(error: Exception) -> float | None:
    """Seconds of Retry-After, which may be a date (RFC 9110, 10.2.3)."""
    own = getattr(error, "litellm_response_headers", None)
    for headers in (own, getattr(getattr(error, "response", None), "headers", None)):
        try:
            asked, now = headers.get("retry-after"), headers.get("date")  # type: ignore[union-attr]
        except AttributeError:
            continue
        if asked and (wait := _seconds(asked, now)) is not None:
            return wait
    return None


def _seconds(asked: str, now: str | None) -> float | None:
    """``now``: by the clock of the server, which is the one that it goes by."""
    try:
        wait = float(asked)
    except ValueError:
        try:
            since = parsedate_to_datetime(now) if now else datetime.now(UTC)
            wait = (parsedate_to_datetime(asked) - since).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(0.0, wait) if math.isfinite(wait) else None
