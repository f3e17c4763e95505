"""What is checked of tolerations."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    formatted,
    invalid,
    invalid_go,
    label_value,
    one_of,
    qualified_name,
)

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def toleration_causes(toleration: Object, at: str) -> Iterable[Cause]:
    """One of a pod's tolerations."""
    key, effect = toleration.get("key") or "", toleration.get("effect") or ""
    operator, value = toleration.get("operator") or "", toleration.get("value") or ""
    if key:
        yield from formatted(f"{at}.key", key, qualified_name)
    elif operator != "Exists":
        why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield invalid(f"{at}.operator", operator, why)
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        yield invalid(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
    if operator in ("", "Equal"):
        yield from formatted(f"{at}.operator", value, label_value)
    elif operator != "Exists":
        yield from one_of(f"{at}.operator", operator, ("Equal", "Exists"))
    elif value:
        why = "value must be empty when `operator` is 'Exists'"
        yield invalid_go(f"{at}.operator", _go_toleration(toleration), why)
    if effect:
        yield from one_of(f"{at}.effect", effect, _EFFECTS)


def _go_toleration(toleration: Object) -> str:
    names = {"Key": "key", "Operator": "operator", "Value": "value", "Effect": "effect"}
    shown = ", ".join(f'{name}:"{toleration.get(field, "")}"' for name, field in names.items())
    return f"core.Toleration{{{shown}, TolerationSeconds:(*int64)(nil)}}"
