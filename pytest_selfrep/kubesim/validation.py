"""What the API server checks before it stores an object, in its own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause

Check = Callable[[Object, Object | None], list[Cause]]
"""From an object and what it replaces to what is wrong with it."""

CHECKS: Mapping[Kind, Check] = {}


def validate(kind: Kind, obj: Object, old: Object | None) -> list[Cause]:
    """Everything wrong with ``obj`` (defaults applied), which replaces ``old`` if that is given."""
    check = CHECKS.get(kind)
    return check(obj, old) if check else []
