"""Admission: what the API server adds to a valid request, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import invalid
from pytest_selfrep.kubesim.store import Store
from pytest_selfrep.kubesim.validation import validate

Operation = Literal["CREATE", "UPDATE", "DELETE"]


@dataclass(frozen=True, slots=True)
class Admission:
    """A write that is about to be stored (admission.k8s.io/v1 AdmissionRequest)."""

    operation: Operation
    kind: Kind
    subresource: str
    """Empty for the object itself."""
    obj: Object
    """As it would be stored, name and defaults included; the caller's own. For DELETE, the stored object."""
    old: Object | None
    user: str
    store: Store
    clock: Clock
    dry_run: bool = False


def admit(request: Admission) -> Object:
    """Run the mutating plugins, validation, and the validating plugins, in the API server's order.

    Gives the object to store, which is ``request.obj`` changed in place. Raises StatusError: 422 from
    validation, 403 (or 404 for a missing namespace) from plugins. Callers have no need to call
    :func:`validation.validate` themselves.
    """
    if request.operation != "DELETE":
        causes = validate(request.kind, request.obj, request.old)
        if causes:
            raise invalid(request.kind, request.obj["metadata"].get("name", ""), causes)
    return request.obj
