"""The page of a kind that has none of its own: all its fields, with their names spelled out."""

from __future__ import annotations

import re

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.tools.kubectl.describe.page import Page

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SHOWN_ABOVE = frozenset(("name", "namespace", "labels", "annotations", "managedFields"))
_NAMES = {"uid": "UID"}


def describe_generic(page: Page, obj: KubeObject) -> None:
    page.head(obj)
    rest = {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k not in _SHOWN_ABOVE}}
    _put_map(page, rest, 0)
    page.events(obj)


def _put_map(page: Page, mapping: KubeObject, level: int) -> None:
    for key in sorted(mapping, key=_name):
        value = mapping[key]
        if isinstance(value, dict):
            page.put(f"{_name(key)}:", level)
            _put_map(page, value, level + 1)
        elif isinstance(value, list):
            page.put(f"{_name(key)}:", level)
            for item in value:
                if isinstance(item, dict):
                    _put_map(page, item, level + 1)
                else:
                    page.put(_plain(item), level + 1)
        else:
            page.put(f"{_name(key)}:\t{_plain(value)}", level)


def _name(key: str) -> str:
    """``apiVersion`` as ``API Version``."""
    if key in _NAMES:
        return _NAMES[key]
    if any(letter in key for letter in "./-"):
        return key
    words = [word[:1].upper() + word[1:] for word in _WORDS.split(key)]
    return " ".join({"Api": "API", "Ip": "IP", "Uid": "UID"}.get(word, word) for word in words)


def _plain(value: object) -> str:
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)
