"""The simple JSON paths of CustomResourceDefinitions: ``.spec.replicas``, ``.metadata.labels['app']``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from pytest_selfrep.kubesim.objects import Json, Object

_STEP = re.compile(
    r"""\.?(?P<name>[A-Za-z_$](?:\\.|[-\w/$])*)|\.?(?P<every>\*)|\[(?P<all>\*)\]|\[(?P<index>-?\d+)\]"""
    r"""|\[(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\]|\[\?\(@\.(?P<field>[\w.]+)\s*==\s*['"](?P<value>.*?)['"]\)\]"""
)


@lru_cache(maxsize=512)
def _steps(path: str) -> tuple[re.Match[str], ...]:
    """Raises ValueError for what is no path."""
    found, place = [], 0
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            raise ValueError(f"unrecognized character in path: {path[place:]}")
        found.append(step)
        place = step.end()
    return tuple(found)


def is_path(path: str) -> bool:
    """Whether it can be read."""
    try:
        return path.startswith(".") and bool(_steps(path))
    except ValueError:
        return False


def find(value: Json, path: str) -> Sequence[Json]:
    """All that a path leads to, in order; nothing where a step leads nowhere."""
    found = [value]
    for step in _steps(path):
        found = [inner for each in found for inner in _follow(each, step)]
    return found


def _follow(value: Json, step: re.Match[str]) -> Sequence[Json]:
    name = step["quoted"] if step["quoted"] is not None else step["name"]
    if name is not None:
        name = name.replace("\\", "")
        return [value[name]] if isinstance(value, dict) and name in value else []
    if step["every"] or step["all"]:
        return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if not isinstance(value, list):
        return []
    if step["index"] is not None:
        index = int(step["index"])
        return [value[index]] if -len(value) <= index < len(value) else []
    return [each for each in value if [step["value"]] == find(each, f".{step['field']}")]


def first(value: Json, path: str, default: Json = None) -> Json:
    """What a path leads to first."""
    found = find(value, path)
    return found[0] if found else default


def with_value(obj: Object, path: str, value: Json) -> Object:
    """A copy with a field at a dotted path; the objects on the way are made where they are missing."""
    name, _, rest = path.removeprefix(".").partition(".")
    inner = obj.get(name)
    if rest:
        value = with_value(inner if isinstance(inner, dict) else {}, rest, value)
    return {**obj, name: value}
