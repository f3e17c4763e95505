"""Options of a write that are about its manager: ``fieldManager`` and ``force``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pytest_selfrep.kubesim.apiserver.http import TRUE
from pytest_selfrep.kubesim.apply.history import Author
from pytest_selfrep.kubesim.objects import Json
from pytest_selfrep.kubesim.status import Cause, StatusError

if TYPE_CHECKING:
    from pytest_selfrep.kubesim.apiserver.calls import Call

APPLY: Final = "application/apply-patch+yaml"
LONGEST_MANAGER: Final = 128
_OPTIONS: Mapping[str, str] = {"update": "UpdateOptions", "patch": "PatchOptions"}


def author_of(call: Call) -> Author:
    """Who makes a write: the manager that it names, or the client program. Raises StatusError 422."""
    author = _named(call)
    if b"managedFields" in call.request.body and not call.target.subresource and _empties(call.body):
        return author._replace(sent=[])
    return author


def _empties(body: Json) -> bool:
    """Whether a body says that there are no managers, which is more than not to speak of them."""
    meta = body.get("metadata") if isinstance(body, dict) else None
    return isinstance(meta, dict) and meta.get("managedFields") == []


def _named(call: Call) -> Author:
    manager = call.query.get("fieldManager", "")
    if not manager and "force" not in call.query and call.content_type != APPLY:
        return Author(program(call.request.headers.get("user-agent", "")), call.target.subresource)
    causes = _wrong(call, manager)
    if causes:
        options = _OPTIONS.get(call.verb, "CreateOptions")
        listed = ", ".join(f"{cause.field}: {cause.message}" for cause in causes)
        listed = f"[{listed}]" if len(causes) > 1 else listed
        details = {
            "group": "meta.k8s.io",
            "kind": options,
            "causes": [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes],
        }
        raise StatusError(422, "Invalid", f'{options}.meta.k8s.io "" is invalid: {listed}', details)
    agent = call.request.headers.get("user-agent", "")
    return Author(manager or program(agent), call.target.subresource)


def forced(call: Call) -> bool:
    """Whether an apply takes over what others own."""
    return call.query.get("force", "") in TRUE


def program(user_agent: str) -> str:
    """What a client calls itself up to the first slash, as far as it can be printed."""
    name = user_agent.partition("/")[0]
    if not name.isprintable():
        name = "".join(each for each in name if each.isprintable())
    return name[:LONGEST_MANAGER] or "unknown"


def _wrong(call: Call, manager: str) -> list[Cause]:
    found = []
    if call.verb == "patch" and call.content_type == APPLY:
        if not manager:
            why = "Required value: is required for apply patch"
            found.append(Cause("FieldValueRequired", why, "fieldManager"))
    elif call.verb == "patch" and "force" in call.query:
        why = "Forbidden: may not be specified for non-apply patch"
        found.append(Cause("FieldValueForbidden", why, "force"))
    if len(manager.encode()) > LONGEST_MANAGER:
        why = f"Too long: may not be more than {LONGEST_MANAGER} bytes"
        found.append(Cause("FieldValueTooLong", why, "fieldManager"))
    for place, character in enumerate(manager):
        if not character.isprintable():
            shown = manager.encode("unicode_escape").decode()
            why = f'Invalid value: "{shown}": invalid character U+{ord(character):04X} (at position {place})'
            found.append(Cause("FieldValueInvalid", why, "fieldManager"))
    return found
