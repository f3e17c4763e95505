"""What a client is told besides an answer, as far as an API server tells it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MOST = 4096
"""Characters of all together. Once there are more, each is cut, and they end with the first too many."""
CUT = 256
"""Characters that are left of one then."""


class Warnings:
    """Those of one request: each once, and no more than so many."""

    def __init__(self) -> None:
        self._texts: dict[str, None] = {}
        self._length = 0
        self._cuts = False

    def __bool__(self) -> bool:
        return bool(self._texts)

    def add(self, text: str) -> None:
        self.extend((text,))

    def extend(self, texts: Iterable[str]) -> None:
        """Takes no more of them than are told: whoever thinks them up need not go on."""
        for text in texts:
            if text in self._texts:
                continue
            if self._is_full:
                return
            self._texts[text] = None
            self._length += len(self._told(text))
            if self._length > MOST and not self._cuts:
                self._cuts = True
                self._length = sum(len(self._told(each)) for each in self._texts)

    def told(self) -> Sequence[str]:
        return [self._told(each) for each in self._texts]

    @property
    def _is_full(self) -> bool:
        return self._cuts and self._length >= MOST

    def _told(self, text: str) -> str:
        return text[:CUT] if self._cuts else text
