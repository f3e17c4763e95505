"""The kinds that an API server has, as it says itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeObject


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind (meta/v1 APIResource)."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: frozenset[str]

    def path(self, namespace: str = "", name: str = "") -> str:
        return path_of(self.group, self.version, self.plural, namespace, name)


class Discovery:
    """What one server says; asked once."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    def collection(self, group: str, version: str, plural: str) -> tuple[str, str, str] | None:
        """The same in another version if that is not served; None if none is."""
        for each in (version, *self._versions(group)):
            if any(resource.plural == plural for resource in self._resources(group, each)):
                return group, each, plural
        return None

    @cached_property
    def removable(self) -> Sequence[Resource]:
        """All kinds whose objects can be listed and deleted, each in the version that the server prefers."""
        preferred = [
            ("", "v1"),
            *((each["name"], each["preferredVersion"]["version"]) for each in self._groups),
        ]
        return [
            resource
            for group, version in preferred
            for resource in self._resources(group, version)
            if {"list", "delete"} <= resource.verbs
        ]

    def _versions(self, group: str) -> Iterator[str]:
        for each in self._groups:
            if each["name"] == group:
                yield from (str(version["version"]) for version in each["versions"])

    @cached_property
    def _groups(self) -> Sequence[KubeObject]:
        found: list[KubeObject] = self._client.get("/apis")["groups"]
        return found

    def _resources(self, group: str, version: str) -> list[Resource]:
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            found = self._client.get(path)["resources"]
        except ApiError as error:
            # A group whose own server is down (503) has nothing that could be made there.
            if error.code in (404, 503):
                return []
            raise
        return [
            Resource(group, version, each["name"], each["kind"], each["namespaced"], frozenset(each["verbs"]))
            for each in found
            if "/" not in each["name"]
        ]
