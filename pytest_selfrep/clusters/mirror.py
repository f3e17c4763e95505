"""What is known of a collection from its lists and watches, and which events bring somebody to the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeObject


class Change(NamedTuple):
    """One event, as a watch has it."""

    revision: int
    type: str
    object: KubeObject


@dataclass(frozen=True, slots=True)
class Listing:
    """A collection at one revision, as the server had it."""

    revision: int
    objects: Mapping[str, KubeObject]
    """By uid."""

    @classmethod
    def of(cls, answer: KubeObject) -> Listing:
        """From a list of any kind. Raises ClusterError if it is none."""
        try:
            # Objects in a list do not say of which kind they are; those in watches do.
            kind = {
                "kind": str(answer["kind"]).removesuffix("List"),
                "apiVersion": answer["apiVersion"],
            }
            items = answer.get("items") or ()
            objects = {str(each["metadata"]["uid"]): {**kind, **each} for each in items}
            return cls(int(answer["metadata"]["resourceVersion"]), objects)
        except (KeyError, TypeError, ValueError) as error:
            raise ClusterError(f"a list of the API server makes no sense: {error!r}") from error


class Mirror:
    """The collection as the events so far add up to it."""

    def __init__(self) -> None:
        self.revision = 0
        """Up to which everything is known."""
        self._objects: dict[str, KubeObject] = {}

    @property
    def objects(self) -> Collection[KubeObject]:
        """As they are by now."""
        return self._objects.values()

    def take(self, type_: str, obj: KubeObject) -> Change | None:
        """An event of a watch; None if it brings nothing new. Raises ClusterError if it makes no sense."""
        try:
            uid, revision = str(obj["metadata"].get("uid", "")), revision_of(obj)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ClusterError(f"an event of the API server makes no sense: {error!r}") from error
        known = revision <= self.revision
        self.revision = max(self.revision, revision)
        if type_ == "DELETED":
            return Change(self.revision, type_, obj) if self._objects.pop(uid, None) is not None else None
        if known or type_ == "BOOKMARK":
            return None
        # What is new to us is ADDED, whatever it is to the server.
        type_ = "MODIFIED" if uid in self._objects else "ADDED"
        self._objects[uid] = obj
        return Change(revision, type_, obj)

    def leap(self, listing: Listing) -> list[Change]:
        """The events that a list tells of, in an order in which they may have happened."""
        new = sorted(self._news(listing))
        # A name is free again before somebody else has it.
        reused = {_name(each.object): each.revision for each in new if each.type == "ADDED"}
        gone = [
            Change(reused.get(_name(obj), listing.revision), "DELETED", obj)
            for uid, obj in self._objects.items()
            if uid not in listing.objects
        ]
        self._objects = dict(listing.objects)
        self.revision = listing.revision
        return sorted([*gone, *new], key=lambda each: each.revision)

    def covers(self, listing: Listing) -> bool:
        """Whether all that led to the list is known here."""
        if self.revision >= listing.revision:
            return True
        return _versions(self._objects) == _versions(listing.objects)

    def _news(self, listing: Listing) -> Iterator[Change]:
        for uid, obj in listing.objects.items():
            mine = self._objects.get(uid)
            if mine is None:
                yield Change(revision_of(obj), "ADDED", obj)
            elif revision_of(mine) != revision_of(obj):
                yield Change(revision_of(obj), "MODIFIED", obj)


def revision_of(obj: KubeObject) -> int:
    """Raises ValueError, KeyError or TypeError for what is no object of a server."""
    return int(obj["metadata"]["resourceVersion"])


def _versions(objects: Mapping[str, KubeObject]) -> dict[str, str]:
    return {uid: str(each["metadata"]["resourceVersion"]) for uid, each in objects.items()}


def _name(obj: KubeObject) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
