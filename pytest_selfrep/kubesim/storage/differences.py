"""How Kubernetes prints what differs between two specs of a claim (go-cmp's report)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.objects import Json, Object

_FIELDS: Final[Mapping[str, str]] = {
    "AccessModes": "accessModes",
    "Selector": "selector",
    "Resources": "resources",
    "VolumeName": "volumeName",
    "StorageClassName": "storageClassName",
    "VolumeMode": "volumeMode",
    "DataSource": "dataSource",
    "DataSourceRef": "dataSourceRef",
    "VolumeAttributesClassName": "volumeAttributesClassName",
}
_CONTEXT = 2
"""Equal fields that are shown before and after those that differ."""


def claim_difference(new: Object, old: Object) -> str:
    """The fields of two claim specs, the new value of what differs marked with a minus sign."""
    lines: list[tuple[str, str, str]] = []
    equal: list[tuple[str, str, str]] = []
    first = True
    for name, field in _FIELDS.items():
        before, after = old.get(field) or None, new.get(field) or None
        if before == after:
            equal.append((" ", name, _shown(name, after)))
            continue
        lines += _shortened(equal, at_start=first, at_end=False)
        equal, first = [], False
        lines += _changed(name, after, before)
    lines += _shortened(equal, at_start=first, at_end=True)
    body = "\n".join(_aligned(lines))
    return f"  core.PersistentVolumeClaimSpec{{\n{body}\n  }}\n"


def _shortened(
    equal: Sequence[tuple[str, str, str]], *, at_start: bool, at_end: bool
) -> list[tuple[str, str, str]]:
    count = len(equal)
    head = 0 if at_start else min(_CONTEXT, count)
    tail = 0 if at_end else min(_CONTEXT, count - head)
    if head + tail == count - 1:
        tail += 1
    left = count - head - tail
    if not left:
        return list(equal)
    return [*equal[:head], (" ", "", f"... // {left} identical fields"), *equal[count - tail :]]


def _changed(name: str, after: Json, before: Json) -> list[tuple[str, str, str]]:
    if name != "Resources":
        typed = name == "AccessModes"
        return [
            (sign, name, _shown(name, value, typed=typed)) for sign, value in (("-", after), ("+", before))
        ]
    lines = [(" ", "", "Resources: core.VolumeResourceRequirements{")]
    for inner in ("limits", "requests"):
        title = inner.title()
        pair = [(value or {}).get(inner) for value in (after, before)]
        if pair[0] == pair[1]:
            lines.append((" ", "", f"\t{title}: {_amounts(pair[0])},"))
            continue
        for sign, value in zip("-+", pair, strict=True):
            lines.append((sign, "", f"\t{title}: core.ResourceList{{"))
            for resource, text in (value or {}).items():
                lines.append((sign, "", f'\t\ts"{resource}": {_amount(text)},'))
            lines.append((sign, "", "\t},"))
    return [*lines, (" ", "", "},")]


def _amount(text: str, *, short: bool = False) -> str:
    inner = "..." if short else f"value: {quantity.whole(text)}"
    kind = "{...}" if short else f"resource.int64Amount{{{inner}}}"
    form = "BinarySI" if text.endswith("i") else "DecimalSI"
    return f'{{i: {kind}, s: "{text}", Format: "{form}"}}'


def _amounts(found: Mapping[str, str] | None) -> str:
    if not found:
        return "nil"
    return "{" + ", ".join(f's"{name}": {_amount(text, short=True)}' for name, text in found.items()) + "}"


def _shown(name: str, value: Json, *, typed: bool = False) -> str:
    if name == "VolumeName":
        return f'"{value or ""}"'
    if value is None:
        return "nil"
    if name == "AccessModes":
        kind = "[]core.PersistentVolumeAccessMode" if typed else ""
        listed = ", ".join(f'"{mode}"' for mode in value)
        return f"{kind}{{{listed}}}"
    if name == "Resources":
        said = {title: _amounts(value.get(title.lower())) for title in ("Limits", "Requests")}
        return "{" + ", ".join(f"{title}: {text}" for title, text in said.items() if text != "nil") + "}"
    return f"&{orjson.dumps(value).decode()}"


def _aligned(lines: Sequence[tuple[str, str, str]]) -> list[str]:
    """Values of neighbouring fields begin in one column."""
    result: list[str] = []
    run: list[tuple[str, str, str]] = []

    def flush() -> None:
        width = max((len(name) for _, name, _ in run), default=0) + 2
        result.extend(f"{sign} \t{name + ':':{width}}{text}," for sign, name, text in run)
        run.clear()

    for line in lines:
        if line[1]:
            run.append(line)
        else:
            flush()
            result.append(f"{line[0]} \t{line[2]}")
    flush()
    return result
