"""CustomResourceDefinitions: names are accepted, kinds come to be, and end with all their objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pytest_selfrep.kubesim.controllers.base import Context, Mapper
from pytest_selfrep.kubesim.controllers.common import with_status
from pytest_selfrep.kubesim.customresources.definition import FINALIZER
from pytest_selfrep.kubesim.customresources.version import versions_of
from pytest_selfrep.kubesim.kinds import ANY_CUSTOM, CUSTOM_RESOURCE_DEFINITION, Kind
from pytest_selfrep.kubesim.objects import Key, Object, condition, conditions_of, is_terminating, key_of
from pytest_selfrep.kubesim.store import Change

_NAMES = (
    ("plural", "PluralConflict"),
    ("singular", "SingularConflict"),
    ("shortNames", "ShortNamesConflict"),
    ("kind", "KindConflict"),
    ("listKind", "ListKindConflict"),
)
"""Fields of the names, each with the reason of the condition if it is taken."""
_NO_CONFLICTS = ("True", "NoConflicts", "no conflicts found")
_ESTABLISHED = ("True", "InitialNamesAccepted", "the initial names have been accepted")
_NOT_ACCEPTED = ("False", "NotAccepted", "not all names are accepted")
_DELETING = ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
_DELETED = ("False", "InstanceDeletionCompleted", "removed all instances")


class CustomResourceDefinitionController:
    """What the API server's own loops do: naming, establishing, finalizing.

    Its keys are those of definitions.
    """

    name = "customresourcedefinition-controller"

    def __init__(self, context: Context, user: str) -> None:
        self._context = context
        self._writer = context.writer(user)

    @property
    def watches(self) -> Mapping[Kind, Mapper]:
        return {CUSTOM_RESOURCE_DEFINITION: self._on_definition, ANY_CUSTOM: self._on_instance}

    def _on_definition(self, change: Change) -> Iterable[Key]:
        yield key_of(change.object)
        if change.type == "DELETED":
            # Its names are free now.
            yield from (key_of(each) for each in self._of_group(change.object))

    def _on_instance(self, change: Change) -> Iterable[Key]:
        if change.type != "DELETED":
            return ()
        definition = self._context.store.get(CUSTOM_RESOURCE_DEFINITION, Key("", change.kind.resource))
        return (key_of(definition),) if definition is not None and is_terminating(definition) else ()

    def _of_group(self, definition: Object) -> Iterator[Object]:
        group = definition["spec"]["group"]
        for each in self._context.store.list(CUSTOM_RESOURCE_DEFINITION):
            if each["spec"]["group"] == group:
                yield each

    def reconcile(self, key: Key) -> None:
        definition = self._context.store.get(CUSTOM_RESOURCE_DEFINITION, key)
        if definition is None:
            self._context.kinds.forget(key.name)
            return
        definition = self._name(definition)
        established = condition(definition, "Established")
        if established is not None and established["status"] == "True":
            self._context.kinds.define(key.name, *versions_of(definition, self._context.kinds.home(key.name)))
        if is_terminating(definition) and FINALIZER in (definition["metadata"].get("finalizers") or ()):
            self._finalize(definition)

    def _name(self, definition: Object) -> Object:
        """Accept those of the names that nobody else in the group has."""
        taken = self._taken(definition)
        names, status = definition["spec"]["names"], definition.get("status") or {}
        accepted, conflict = dict(status.get("acceptedNames") or {}), _NO_CONFLICTS
        for field, reason in _NAMES:
            wanted = names.get(field) or []
            used = [each for each in ([wanted] if isinstance(wanted, str) else wanted) if each in taken]
            if used:
                said = ", ".join(f'"{each}" is already in use' for each in used)
                conflict = ("False", reason, said)
            elif wanted:
                accepted[field] = wanted
            else:
                accepted.pop(field, None)
        accepted.pop("categories", None)
        accepted |= {"categories": list(names["categories"])} if names.get("categories") else {}
        conditions = self._set(list(conditions_of(definition)), "NamesAccepted", conflict)
        before = condition(definition, "Established")
        if before is None or before["status"] != "True":
            accepted_all = conflict is _NO_CONFLICTS
            conditions = self._set(conditions, "Established", _ESTABLISHED if accepted_all else _NOT_ACCEPTED)
        return self._written(
            definition, {**status, "acceptedNames": dict(sorted(accepted.items())), "conditions": conditions}
        )

    def _taken(self, definition: Object) -> set[str]:
        """The names that other definitions of the group have."""
        found: set[str] = set()
        for each in self._of_group(definition):
            if key_of(each) != key_of(definition):
                names = (each.get("status") or {}).get("acceptedNames") or {}
                for field, _ in _NAMES:
                    said = names.get(field) or []
                    found.update([said] if isinstance(said, str) else said)
        return found

    def _set(self, conditions: list[Object], type_: str, words: tuple[str, str, str]) -> list[Object]:
        """The conditions with one of them as it is now; unlike others these end in their type."""
        status, reason, message = words
        before = next((each for each in conditions if each["type"] == type_), None)
        if before is not None and (before["status"], before["reason"], before["message"]) == words:
            return conditions
        since = self._context.clock.timestamp()
        if before is not None and before["status"] == status:
            since = before["lastTransitionTime"]
        now = {
            "lastTransitionTime": since,
            "message": message,
            "reason": reason,
            "status": status,
            "type": type_,
        }
        if before is None:
            return [*conditions, now]
        return [now if each is before else each for each in conditions]

    def _written(self, definition: Object, status: Object) -> Object:
        if status == definition.get("status"):
            return definition
        self._writer.update_status(CUSTOM_RESOURCE_DEFINITION, with_status(definition, status))
        return self._context.store.get(CUSTOM_RESOURCE_DEFINITION, key_of(definition)) or definition

    def _finalize(self, definition: Object) -> None:
        """Delete all objects; let go of the definition once none is left."""
        home, key = self._context.kinds.home(definition["metadata"]["name"]), key_of(definition)
        conditions, status = list(conditions_of(definition)), definition["status"]
        if home is not None:
            deleting = self._set(conditions, "Terminating", _DELETING)
            definition = self._written(definition, {**status, "conditions": deleting})
            for obj in self._context.store.list(home):
                if not is_terminating(obj):
                    self._writer.delete(home, key_of(obj))
            if self._context.store.count(home):
                return
        deleted = self._set(list(conditions_of(definition)), "Terminating", _DELETED)
        definition = self._written(definition, {**definition["status"], "conditions": deleted})
        meta = dict(definition["metadata"])
        meta["finalizers"] = [each for each in meta["finalizers"] if each != FINALIZER]
        self._writer.update(CUSTOM_RESOURCE_DEFINITION, {**definition, "metadata": meta})
        if self._context.store.get(CUSTOM_RESOURCE_DEFINITION, key) is None:
            self._context.kinds.forget(key.name)
