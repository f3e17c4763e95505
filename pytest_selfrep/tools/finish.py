"""The tool ``finish``: the agent declares its task done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_selfrep.tools.base import Finished, Hands, JsonSchema

LONGEST_SUMMARY = 10_000
"""Characters; the rest is cut off."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Ends the agent's work."""

    @property
    def name(self) -> str:
        return "finish"

    @property
    def description(self) -> str:
        return "Declare the task done, with a short summary of what was done. Nothing can be done afterwards."

    @property
    def parameters(self) -> JsonSchema:
        return {
            "type": "object",
            "properties": {"summary": {"type": "string", "description": "What was done, in a few sentences"}},
            "required": [],
        }

    def __call__(self, hands: Hands, arguments: Mapping[str, object]) -> str:
        """Raises Finished, always."""
        summary = arguments.get("summary", "")
        raise Finished(str(summary if summary is not None else "")[:LONGEST_SUMMARY])
