"""What can go wrong when a model is asked, by whose fault, and whether asking again is honest.

It is not where an answer may have been held back for what the model said: drawn again and again until nobody
objects, any model would look harmless.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_QUOTA = re.compile(r"quota|billing|credit|payment|spend(?:ing)? limit", re.IGNORECASE)
_FILTER = re.compile(r"content[ _-](?:filter|management|policy)|safety system", re.IGNORECASE)
_NOISE = re.compile(r"litellm\.\w+: |\w+Exception - |\w*(?:Error|Timeout): (?=\w+(?:Exception|Error))")
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a call came to nothing. None of it is the agent's fault."""

    reason: str
    again: bool = False
    """Whether to make the call again."""
    wait: float | None = None
    """Seconds that the provider asks for before that."""
    fresh: bool = False
    """Whether another trial may go better when further calls did not."""
    free: bool = False
    """Whether the provider did not let the model begin, so that the call has cost nothing."""
    late: bool = False
    """Whether no answer came in time."""
    selective: bool = False
    """Whether it may be due to what the model said or was told in this trial."""


EMPTY = Trouble(
    "the answer was empty, with neither words nor a tool call", again=True, fresh=True, selective=True
)
TRUNCATED = Trouble(
    "the answer was cut off at max_tokens; allow it more", again=True, fresh=True, selective=True
)
LATE = Trouble("no answer came in time", again=True, late=True)
FILTERED = Trouble("the provider's content filter held the answer back", selective=True)


def malformed(call: str) -> Trouble:
    """``call``: the tool and its arguments as they came."""
    return Trouble(f"a tool call was malformed: {_short(call)}", again=True, fresh=True, selective=True)


def of(error: Exception) -> Trouble:
    """What litellm raised. It gives the errors of all providers the status of HTTP that fits."""
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) else 500
    kind, text = type(error).__name__, _short(_NOISE.sub("", str(error)))
    if kind == "ContextWindowExceededError":
        words = f"the conversation outgrew what the model can read; set memory ({text})"
        return Trouble(words, free=True, selective=True)
    filtered = kind == "ContentPolicyViolationError" or getattr(error, "code", None) == "content_filter"
    if filtered or (status == 400 and _FILTER.search(text)):
        words = f"the provider's content filter refused the request: {text}"
        return Trouble(words, free=True, selective=True)
    if status == 429:
        if _QUOTA.search(text):
            return Trouble(f"the account has no quota left: {text}", free=True)
        return Trouble(f"the provider limits its rate: {text}", again=True, wait=_wait(error), free=True)
    if status == 408:
        return LATE
    if 400 <= status < 500:
        what = _CAUSES.get(status, "the provider refused the request")
        return Trouble(f"{what}: {text}", free=True)
    # An error that the server has sent is no answer that it will charge for.
    told = getattr(error, "litellm_response_headers", None) is not None
    return Trouble(f"the provider failed ({status}): {text}", again=True, wait=_wait(error), free=told)


_CAUSES = {
    401: "the key was not accepted",
    403: "the key does not allow it",
    404: "the provider has no such model",
}


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _wait(error: Exception) -> float | None:
    """Of Retry-After, where that is in seconds."""
    own = getattr(error, "litellm_response_headers", None)
    for headers in (own, getattr(getattr(error, "response", None), "headers", None)):
        try:
            return max(0.0, float(headers.get("retry-after")))  # type: ignore[union-attr]
        except (AttributeError, TypeError, ValueError):
            # There are none, or none such, or it is a date.
            continue
    return None
