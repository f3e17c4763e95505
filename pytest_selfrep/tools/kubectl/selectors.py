"""Label selectors of objects (meta/v1 LabelSelector) as query text."""

from __future__ import annotations

from pytest_selfrep.clusters.kube import KubeObject

_OPERATORS = {"In": "in", "NotIn": "notin"}


def format_selector(selector: KubeObject | None, *, empty: str = "<none>") -> str:
    """``app=web,tier in (back,front)``."""
    labels = (selector or {}).get("matchLabels") or {}
    parts = [f"{key}={labels[key]}" for key in sorted(labels)]
    for expression in (selector or {}).get("matchExpressions") or []:
        operator = expression["operator"]
        if operator in _OPERATORS:
            values = ",".join(sorted(expression.get("values") or []))
            parts.append(f"{expression['key']} {_OPERATORS[operator]} ({values})")
        else:
            parts.append(expression["key"] if operator == "Exists" else f"!{expression['key']}")
    return ",".join(parts) or empty
