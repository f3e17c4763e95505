"""Secrets of the environment stay out of whatever a run writes: every file and report goes through here."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar
from urllib.parse import quote

T = TypeVar("T")

SECRET_NAMES: Final = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|PASSCODE|CREDENTIAL|PRIVATE|BEARER|COOKIE"
    r"|(?:^|_)(?:PAT|PASS|AUTH|AUTHORIZATION|DSN)(?:_|\d|$)|_PWD(?:_|\d|$)",
    re.IGNORECASE,
)
"""Names of variables whose values are secrets, as far as one can tell from a name. In doubt they are."""

NO_SECRETS: Final = frozenset({"SSH_AUTH_SOCK"})
"""Whose names look so and whose values are paths that everybody may see."""

SHORTEST: Final = 8
"""Characters. What is shorter stands in ordinary text by chance."""

SCHEME: Final = re.compile(r"\s*(?:Bearer|Basic|Token|Api-?Key)\s+", re.IGNORECASE)
"""What stands before the secret itself in a header."""

CUT: Final = re.compile(r"[ '\"]{0,2}(?:\.\.\.|\[\.\.\.)")
"""What stands where a text was cut off, perhaps in the middle of a secret."""


class Masking:
    """Takes the values out of texts, each for the name of its variable: ``[masked: OPENAI_API_KEY]``.

    Agents may set variables while they run, and take them away again: whatever was seen once is masked from
    then on.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self.look()

    def look(self, environment: Mapping[str, str] | None = None) -> None:
        """See which secrets there are now, in the environment of the process if no other is given."""
        self._add(dict(_secrets(os.environ if environment is None else environment)))

    def hide(self, named: Mapping[str, str]) -> None:
        """Take out further values, whatever their names look like."""
        self._add(dict(each for name, value in named.items() for each in _met_as(name, value)))

    def _add(self, found: Mapping[str, str]) -> None:
        if found.keys() <= self._names.keys():
            return
        self._names = {**found, **self._names}
        longest_first = sorted(self._names, key=lambda value: (-len(value), value))
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str) -> str:
        """The text without secrets."""
        self.look()
        return self._masked(text)

    def tree(self, value: T) -> T:
        """A value of JSON's kinds without secrets in any of its texts."""
        self.look()
        return self._tree(value) if self._pattern else value

    def _masked(self, text: str) -> str:
        if self._pattern is None:
            return text
        whole = self._pattern.sub(lambda found: f"[masked: {self._names[found.group()]}]", text)
        return self._without_beginnings(whole)

    def _without_beginnings(self, text: str) -> str:
        """Without the beginnings of secrets that are left where a text was cut off."""
        pieces, done = [], 0
        for cut in CUT.finditer(text):
            for value, name in self._names.items():
                start = _begun(value, text, max(done, cut.start() - len(value)), cut.start())
                if start >= 0:
                    pieces += [text[done:start], f"[masked: {name}]"]
                    done = cut.start()
                    break
        return "".join([*pieces, text[done:]]) if pieces else text

    def _tree(self, value: T) -> T:
        plain: object = value
        if isinstance(value, str):
            plain = self._masked(value)
        elif isinstance(value, Mapping):
            plain = {self._tree(name): self._tree(each) for name, each in value.items()}
        elif isinstance(value, list | tuple):
            plain = type(value)(map(self._tree, value))
        # Each of JSON's kinds gives its own.
        return plain  # type: ignore[return-value]


def _begun(secret: str, text: str, start: int, end: int) -> int:
    """Where in ``text[start:end]`` the beginning of a secret is that goes on to its end; -1 if none is."""
    while (start := text.find(secret[:SHORTEST], start, end)) >= 0:
        if secret.startswith(text[start:end]):
            return start
        start += 1
    return -1


def _secrets(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each secret, in each of the forms in which it may be met, with the name of its variable."""
    for name, value in environment.items():
        if name not in NO_SECRETS and SECRET_NAMES.search(name):
            yield from _met_as(name, value)


def _met_as(name: str, value: str) -> Iterator[tuple[str, str]]:
    for secret in {value, value.strip(), SCHEME.sub("", value), *map(str.strip, value.splitlines())}:
        if len(secret) >= SHORTEST:
            yield from ((form, name) for form in _forms(secret))


def _forms(secret: str) -> set[str]:
    """As it is, and as JSON, Python, a URL and base64 have it."""
    # What follows it decides on the last characters of its base64.
    encoded = base64.b64encode(secret.encode(errors="surrogateescape")).decode().rstrip("=")
    whole = encoded[: len(encoded) - 1] if len(secret) % 3 else encoded
    return {
        secret,
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe="", errors="surrogateescape"),
        whole,
    }
