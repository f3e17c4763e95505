"""``metadata.managedFields`` as it goes over the wire (meta/v1 ManagedFieldsEntry)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import orjson

from pytest_selfrep.kubesim.apply import fieldsets
from pytest_selfrep.kubesim.apply.managers import Claim, Managed, Manager
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.status import Cause


class Entries(list[Object]):
    """A list that is written often and never changed, so that it keeps what it looks like in JSON."""

    @cached_property
    def json(self) -> bytes:
        return orjson.dumps(list(self))


def encoded(managed: Managed) -> Entries:
    """Entries in the server's order: appliers first, then by time and name."""
    ordered = sorted(managed, key=lambda manager: (manager.operation, managed[manager].time, manager))
    return Entries(_entry(manager, managed[manager]) for manager in ordered)


def _entry(manager: Manager, claim: Claim) -> Object:
    entry: Object = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": claim.api_version,
    }
    if claim.time:
        entry["time"] = claim.time
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": claim.in_order}
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def resets(sent: Json) -> bool:
    """Whether a client asks to forget all managers: an empty list, or one empty entry."""
    return sent in ([], [{}])


def decoded(sent: Json) -> Managed:
    """The managers that a client sent; none if the entries are no good, as though it had sent none."""
    if not isinstance(sent, list):
        return {}
    managed: dict[Manager, Claim] = {}
    for entry in sent:
        if not isinstance(entry, dict) or entry.get("fieldsType") != "FieldsV1":
            return {}
        try:
            fields = fieldsets.parse(entry.get("fieldsV1") or {})
        except ValueError:
            return {}
        operation, version = entry.get("operation", ""), entry.get("apiVersion", "")
        manager = Manager(
            entry.get("manager", ""),
            "Apply" if operation == "Apply" else "Update",
            "" if operation == "Apply" else version,
            entry.get("subresource", ""),
        )
        if fields:
            managed[manager] = Claim(fields, version, entry.get("time") or "")
    return managed


def wrong_entries(sent: Json) -> Sequence[Cause]:
    """Why entries that a client sent are refused; empty if they are not."""
    wrong = []
    for entry in sent if isinstance(sent, list) else ():
        operation = entry.get("operation", "") if isinstance(entry, dict) and entry else "Apply"
        if operation not in ("Apply", "Update"):
            why = f'Invalid value: "{operation}": must be `Apply` or `Update`'
            wrong.append(Cause("FieldValueInvalid", why, "metadata.managedFields.operation"))
    return wrong
