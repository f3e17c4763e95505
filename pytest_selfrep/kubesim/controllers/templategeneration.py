"""The generation of a DaemonSet's template, which apps/v1 keeps as an annotation."""

from __future__ import annotations

from pytest_selfrep.kubesim.decoding.gonumbers import int_or
from pytest_selfrep.kubesim.objects import Object

ANNOTATION = "deprecated.daemonset.template.generation"


def template_generation(daemon_set: Object) -> int:
    """0 if there is none, or none that can be read."""
    return max(0, int_or((daemon_set["metadata"].get("annotations") or {}).get(ANNOTATION), 0))


def count_template(new: Object, old: Object | None) -> None:
    """Set it in a DaemonSet that is written: 1 at first, one more whenever the template changes."""
    if old is None:
        generation = max(1, template_generation(new))
    else:
        changed = new["spec"]["template"] != old["spec"]["template"]
        generation = template_generation(old) + changed
    new["metadata"]["annotations"] = {
        **(new["metadata"].get("annotations") or {}),
        ANNOTATION: str(generation),
    }
