"""What is checked of Leases."""

from __future__ import annotations

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import at_least, invalid


def lease_causes(lease: Object, _old: Object | None) -> list[Cause]:
    """How long it is held, and how often it changed hands."""
    spec = lease.get("spec") or {}
    causes: list[Cause] = []
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        causes.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    causes += at_least("spec.leaseTransitions", spec.get("leaseTransitions"))
    return causes
