"""Secrets of the environment stay out of whatever a run writes: every file and report goes through here."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar
from urllib.parse import unquote

from pytest_selfrep.report.values import SHORTEST, Values, forms_of

T = TypeVar("T")

SECRET_NAMES: Final = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|PASSCODE|CREDENTIAL|PRIVATE|BEARER|COOKIE"
    r"|(?:^|_)(?:PAT|PASS|AUTH|AUTHORIZATION|DSN)(?:_|\d|$)|_PWD(?:_|\d|$)",
    re.IGNORECASE,
)
"""Names of variables whose values are secrets, as far as one can tell from a name. In doubt they are."""

NO_SECRETS: Final = frozenset({"SSH_AUTH_SOCK"})
"""Whose names look so and whose values are paths that everybody may see."""

SCHEME: Final = re.compile(r"\s*(?:Bearer|Basic|Token|Api-?Key)\s+", re.IGNORECASE)
"""What stands before the secret itself in a header."""

PASSWORD: Final = re.compile(r"://([^\s/?#:@]*):([^\s/?#]+)@")
"""The user and the password in a URL."""


class Masking:
    """Takes the values out of texts, each for the name of its variable: ``[masked: OPENAI_API_KEY]``.

    Agents may set variables while they run, and take them away again: whatever was seen once is masked from
    then on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[tuple[str, str]] = set()
        self._signs: dict[str, str] = {}
        self._values: Values | None = None
        self.look()

    def look(self, environment: Mapping[str, str] | None = None) -> None:
        """See which secrets there are now, in the environment of the process if no other is given."""
        given = os.environ if environment is None else environment
        with self._lock:
            for name in list(given):
                # Another thread may have taken it away meanwhile.
                value = given.get(name)
                if value is not None and (name, value) not in self._seen:
                    self._seen.add((name, value))
                    self._hide(name, _secrets(name, value))

    def hide(self, named: Mapping[str, str]) -> None:
        """Take out further values, whatever their names look like."""
        with self._lock:
            for name, value in named.items():
                self._hide(name, {*_parts(value), *_passwords(value)})

    def _hide(self, name: str, secrets: Iterable[str]) -> None:
        for secret in secrets:
            new = forms_of(secret) - self._signs.keys() if len(secret) >= SHORTEST else set()
            if new:
                self._signs |= dict.fromkeys(new, f"[masked: {name}]")
                self._values = None

    def text(self, text: str) -> str:
        """The text without secrets."""
        self.look()
        return self._now().out_of(text)

    def tree(self, value: T) -> T:
        """A value of JSON's kinds without secrets in any of its texts."""
        self.look()
        return _tree(value, self._now())

    def _now(self) -> Values:
        with self._lock:
            if self._values is None:
                self._values = Values.of(dict(self._signs))
            return self._values


def _tree(value: T, values: Values) -> T:
    plain: object = value
    if isinstance(value, str):
        plain = values.out_of(value)
    elif isinstance(value, Mapping):
        plain = {_tree(name, values): _tree(each, values) for name, each in value.items()}
    elif isinstance(value, list | tuple):
        plain = type(value)(_tree(each, values) for each in value)
    # Each of JSON's kinds gives its own.
    return plain  # type: ignore[return-value]


def _secrets(name: str, value: str) -> set[str]:
    """What is secret in a variable, as far as one can tell."""
    named_so = name not in NO_SECRETS and SECRET_NAMES.search(name)
    return {*(_parts(value) if named_so else ()), *_passwords(value)}


def _parts(value: str) -> set[str]:
    """All of it, what is secret in a header, and its lines."""
    return {value, value.strip(), SCHEME.sub("", value), *map(str.strip, value.splitlines())}


def _passwords(value: str) -> Iterator[str]:
    """Those in URLs, but for one that is the user's name too: that is nobody's secret."""
    for user, password in PASSWORD.findall(value):
        if user != password:
            yield from {password, unquote(password, errors="surrogateescape")}
