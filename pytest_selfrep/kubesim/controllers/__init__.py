"""Controllers: each brings one kind of object towards its spec."""

from __future__ import annotations

from pytest_selfrep.kubesim.controllers.base import Context, Controller


def controllers(context: Context) -> tuple[Controller, ...]:
    """All workload controllers, each writing as its own service account in kube-system."""
    return ()
