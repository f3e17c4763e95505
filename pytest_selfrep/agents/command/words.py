"""What a program prints, as what an agent says: bounded, legible, and without its secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pytest_selfrep.agents.command.program import Piece
from pytest_selfrep.tools.shell import Kept

MOST_PRINTED: Final = 20_000_000
"""Bytes that a program may print in all."""
LAST_LINES, LONGEST_END = 10, 1_000
"""Of what it printed last, in a message: lines, and characters of them."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""Of terminals (ECMA-48): colours, cursor movements, titles."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Words:
    """Grows as a program prints, and is emptied as its words are passed on."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets: list[tuple[str, str]] = []
        self.hide(secrets)
        self._kept = Kept()
        self._stdout = Kept()
        self._last = ""
        self.total = 0
        """Bytes so far."""

    @property
    def too_many(self) -> bool:
        return self.total > MOST_PRINTED

    def hide(self, secrets: Mapping[str, str]) -> None:
        """Have names in the place of values."""
        forms = ((form, name) for name, text in secrets.items() for form in (text, *text.splitlines()))
        self._secrets += (each for each in forms if each[0])
        self._secrets.sort(key=lambda each: len(each[0]), reverse=True)

    def add(self, piece: Piece) -> None:
        self.total += len(piece.printed)
        self._kept.write(piece.printed)
        if piece.stdout:
            self._stdout.write(piece.printed)

    def take(self) -> str:
        """What was printed since the last time; of much, its beginning and its end."""
        text = self._legible(self._kept.text()).strip()
        self._kept = Kept()
        self._last = text or self._last
        return text

    def spoken(self) -> str:
        """All that was printed on stdout; of much, its beginning and its end."""
        return self._legible(self._stdout.text())

    def end(self) -> str:
        """The last lines of what was taken, for a message."""
        return "\n".join(self._last.splitlines()[-LAST_LINES:])[-LONGEST_END:]

    def _legible(self, text: str) -> str:
        for secret, name in self._secrets:
            text = text.replace(secret, f"[{name}]")
        return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _ESCAPES.sub("", text.replace("\r\n", "\n")))
