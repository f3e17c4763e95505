"""What a program prints, as what an agent says: bounded, legible, and without its secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pytest_selfrep.agents.command.program import Piece
from pytest_selfrep.report.cutting import cut_before
from pytest_selfrep.report.values import SHORTEST, Values, forms_of
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
        self._signs: dict[str, str] = {}
        self._values = Values.of({})
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
        for name, secret in secrets.items():
            for text in (secret, *secret.splitlines()):
                # What is short stands by chance in what its other forms are met in.
                forms = forms_of(text) if len(text) >= SHORTEST else {text}
                self._signs |= dict.fromkeys(forms - self._signs.keys(), f"[{name}]")
        self._values = Values.of(dict(self._signs))

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
        return cut_before("\n".join(self._last.splitlines()[-LAST_LINES:]), LONGEST_END)

    def _legible(self, text: str) -> str:
        plain = self._values.out_of(text)
        return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _ESCAPES.sub("", plain.replace("\r\n", "\n")))
