"""The kinds of one cluster: Kubernetes' own, and those that its CustomResourceDefinitions add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_selfrep.kubesim.kinds import BY_KIND, BY_RESOURCE, KINDS, Kind


class ClusterKinds:
    """Looks kinds up. Clusters without custom resources share the tables of Kubernetes' own kinds."""

    def __init__(self) -> None:
        self._definitions: dict[str, tuple[Kind, tuple[Kind, ...]]] = {}
        self._by_resource: Mapping[tuple[str, str, str], Kind] = BY_RESOURCE
        self._by_kind: Mapping[tuple[str, str], Kind] = BY_KIND
        self._custom: tuple[Kind, ...] = ()

    def of_resource(self, group: str, version: str, plural: str) -> Kind | None:
        """As a request's path names it."""
        return self._by_resource.get((group, version, plural))

    def of_object(self, api_version: str, kind: str) -> Kind | None:
        """As an object or a reference to one names it; in the version in which such objects are stored."""
        found = self._by_kind.get((api_version, kind))
        return found.stored if found is not None else None

    @property
    def custom(self) -> tuple[Kind, ...]:
        """What definitions add, every version that is served."""
        return self._custom

    @property
    def stored(self) -> Sequence[Kind]:
        """Every kind that the store may hold objects of, once."""
        if not self._definitions:
            return KINDS
        return (*KINDS, *(home for home, _ in self._definitions.values()))

    def home(self, definition: str) -> Kind | None:
        """The kind as which the objects of a definition are stored, whatever their version."""
        found = self._definitions.get(definition)
        return found[0] if found is not None else None

    def define(self, definition: str, home: Kind, versions: Sequence[Kind]) -> None:
        """Take on what a definition says, instead of what it said before."""
        self._definitions[definition] = home, tuple(versions)
        self._index()

    def forget(self, definition: str) -> None:
        """The kinds of a definition that is gone are no more."""
        if self._definitions.pop(definition, None) is not None:
            self._index()

    def _index(self) -> None:
        self._custom = tuple(kind for _, versions in self._definitions.values() for kind in versions)
        self._by_resource = {
            **BY_RESOURCE,
            **{(kind.group, kind.version, kind.plural): kind for kind in self._custom},
        }
        self._by_kind = {**BY_KIND, **{(kind.api_version, kind.kind): kind for kind in self._custom}}
