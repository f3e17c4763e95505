"""Reads ``refusals.yaml``."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from manifests import config_map, idle_pod, job, workload

OBJECTS: dict[str, Any] = {
    "pod": idle_pod("web"),
    "workload": workload("web"),
    "job": job("web"),
    "settings": config_map("web", a="1"),
}


@dataclass(frozen=True)
class Refusal:
    """A request, and how it is answered."""

    request: str
    body: Any
    code: int
    reason: str
    message: str | None
    since: str | None


def refusals() -> list[Refusal]:
    text = Path(__file__).with_name("refusals.yaml").read_text(encoding="utf-8")
    return [_refusal(each) for each in yaml.safe_load(text)]


def _refusal(row: dict[str, Any]) -> Refusal:
    body = row["text"].encode() if "text" in row else row.get("body")
    if "object" in row:
        body = changed(OBJECTS[row["object"]], row.get("with") or {})
    return Refusal(row["request"], body, row["code"], row["reason"], row.get("message"), row.get("since"))


def changed(obj: Any, changes: dict[str, Any]) -> Any:
    """An object with something else (None: nothing) at paths such as ``spec.containers.0.image``."""
    whole = copy.deepcopy(obj)
    for path, value in changes.items():
        *parents, last = path.split(".")
        part = whole
        for step in parents:
            part = part[int(step)] if step.isdigit() else part.setdefault(step, {})
        if value is None:
            del part[last]
        else:
            part[last] = value
    return whole
