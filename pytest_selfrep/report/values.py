"""Values that are to be in no text: their forms, whole or cut in two, and texts without them."""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final
from urllib.parse import quote, quote_plus

SHORTEST: Final = 8
"""Characters. What is shorter stands in ordinary text by chance."""

_BETWEEN = r"(?:[\s'\"\ufffd]|\\[nr])"
CUT: Final = re.compile(rf"\.\.\.\]?{_BETWEEN}{{0,4}}")
"""What stands where a text was cut off, perhaps in the middle of a value."""
_BEFORE_CUT = re.compile(rf"{_BETWEEN}*\[?\Z")
_LONGEST_BEFORE = 6
"""Characters."""
BREAK: Final = re.compile(r"[\r\n]\s*|\\[rn]\s*")
"""Where a line ends, within which a long word may go on in the next one; in JSON and Python too."""
_ESCAPE = re.compile("%[0-9A-F]{2}")
_OTHER_BASE64 = str.maketrans("+/", "-_")

Span = tuple[int, int, str]
"""From where to where what stands instead."""


def forms_of(value: str) -> set[str]:
    """As it is, and as JSON, Python, URLs and base64 have it, within more that is in base64 too."""
    in_urls = {quote(value, safe, errors="surrogateescape") for safe in ("", "/")}
    in_urls.add(quote_plus(value, errors="surrogateescape"))
    return {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        *in_urls,
        *(_ESCAPE.sub(lambda found: found[0].lower(), each) for each in in_urls),
        *_in_base64(value.encode(errors="surrogateescape")),
    }


def _in_base64(data: bytes) -> Iterator[str]:
    """The characters that it alone decides on, after as many bytes as may be over from what is before it."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode()
        own = encoded[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
        yield from (own, own.translate(_OTHER_BASE64))


@dataclass(frozen=True, slots=True)
class Values:
    """Forms of values, with what is to stand instead of each."""

    signs: Mapping[str, str]
    _heads: Mapping[str, list[str]]
    """Forms by their first characters, the longest first."""
    _head: re.Pattern[str]
    _parts: Mapping[str, list[tuple[str, int]]]
    """In which forms and where so many characters stand."""

    @classmethod
    def of(cls, signs: Mapping[str, str]) -> Values:
        longest_first = sorted(filter(None, signs), key=lambda form: (-len(form), form))
        heads, parts = defaultdict[str, list[str]](list), defaultdict[str, list[tuple[str, int]]](list)
        for form in longest_first:
            heads[form[:SHORTEST]].append(form)
            for at in range(len(form) - SHORTEST + 1):
                parts[form[at : at + SHORTEST]].append((form, at))
        for head, starting in heads.items():
            # What is shorter than a head may be what stands there.
            starting += (each for each in longest_first if len(each) < len(head) and head.startswith(each))
        by_first = groupby(sorted(heads, key=lambda head: (head[0], -len(head))), key=itemgetter(0))
        pattern = "|".join(
            f"{re.escape(first)}(?:{'|'.join(re.escape(head[1:]) for head in each)})"
            for first, each in by_first
        )
        return cls(signs, heads, re.compile(pattern), parts)

    def out_of(self, text: str) -> str:
        """The text without them."""
        spans = [*self._spans(text), *self._across_breaks(text)] if self.signs else []
        if not spans:
            return text
        pieces, done = [], 0
        for start, end, sign in sorted(spans, key=lambda span: (span[0], -span[1])):
            if start >= done:
                pieces += [text[done:start], sign]
            done = max(done, end)
        return "".join([*pieces, text[done:]])

    def _across_breaks(self, text: str) -> Iterator[Span]:
        """What is found once the lines are one. What is short stands there by chance."""
        joined = BREAK.sub("", text)
        if len(joined) == len(text):
            return
        spans = [span for span in self._spans(joined) if span[1] - span[0] >= SHORTEST]
        if spans:
            place = _places(text)
            yield from ((place(start), place(end - 1) + 1, sign) for start, end, sign in spans)

    def _spans(self, text: str) -> Iterator[Span]:
        at = 0
        while found := self._head.search(text, at):
            start = found.start()
            form = next((each for each in self._heads[found[0]] if text.startswith(each, start)), None)
            at = start + (len(form) if form else 1)
            if form:
                yield start, at, self.signs[form]
        for (_, start), (end, _) in pairwise([(0, 0), *_cuts(text), (len(text), len(text))]):
            if start and end - start >= SHORTEST:
                yield from self._end_of_one(text, start, end)
            if end < len(text) and end - start >= SHORTEST:
                yield from self._beginning_of_one(text, end)

    def _beginning_of_one(self, text: str, end: int) -> Iterator[Span]:
        """The longest with which the text ends there."""
        lengths = (
            (at + SHORTEST, form)
            for form, at in self._parts.get(text[end - SHORTEST : end], ())
            if text.endswith(form[: at + SHORTEST], 0, end)
        )
        if found := max(lengths, default=None):
            yield end - found[0], end, self.signs[found[1]]

    def _end_of_one(self, text: str, start: int, end: int) -> Iterator[Span]:
        """The longest with which the text begins there, or what is left of one that was cut off there too."""
        lengths = (
            (min(len(form) - at, end - start), form)
            for form, at in self._parts.get(text[start : start + SHORTEST], ())
            if text.startswith(form[at:], start) or form.startswith(text[start:end], at)
        )
        if found := max(lengths, default=None):
            yield start, start + found[0], self.signs[found[1]]


def _cuts(text: str) -> Iterator[tuple[int, int]]:
    """From where to where there is neither end of what was cut."""
    for found in CUT.finditer(text):
        before = text[max(0, found.start() - _LONGEST_BEFORE) : found.start()]
        yield found.start() - len(before) + len(_BEFORE_CUT.sub("", before)), found.end()


def _places(text: str) -> Callable[[int], int]:
    """Where in the text a character of it without its breaks stands."""
    joined, own, length, done = [0], [0], 0, 0
    for found in BREAK.finditer(text):
        length += found.start() - done
        done = found.end()
        joined.append(length)
        own.append(done)

    def place(at: int) -> int:
        piece = bisect_right(joined, at) - 1
        return own[piece] + at - joined[piece]

    return place
