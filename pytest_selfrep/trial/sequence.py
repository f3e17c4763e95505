"""In which order changes and requests are taken in: causes before what they led to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from pytest_selfrep.clusters.base import AuditEvent, Observed
from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.trial.requests import DELETES


class Heard(Protocol):
    """A request."""

    @property
    def event(self) -> AuditEvent: ...

    @property
    def changed(self) -> bool:
        """Whether the cluster was changed by it."""


Request = TypeVar("Request", bound=Heard)


def in_sequence(
    changes: Sequence[tuple[str, Observed]], heard: Sequence[Request]
) -> Iterator[tuple[str, Observed] | Request]:
    """Changes and requests as they happened: writes before their changes, others after what they met.

    What was there when a watch began is told of as it is then: a Deployment whose status changed last, after
    its pods. Owners come first all the same.
    """
    added = {str(each.object["metadata"]["uid"]): each for _, each in changes if each.type == "ADDED"}
    keyed: list[tuple[int, int, int, int, tuple[str, Observed] | Request]] = []
    for index, change in enumerate(changes):
        revision, depth = _place(change[1], added)
        keyed.append((revision, 1, depth, index, change))
    for index, request in enumerate(heard):
        written = _version(request.event) if request.changed else 0
        keyed.append((written or request.event.revision, 0 if written else 2, 0, index, request))
    return (item for *_, item in sorted(keyed, key=lambda key: key[:4]))


def _place(change: Observed, added: Mapping[str, Observed]) -> tuple[int, int]:
    """The latest revision among an object and its new owners, and how many of these there are above it."""
    revision, depth, obj = change.revision, 0, change.object
    seen: set[str] = set()
    while (uid := str(obj["metadata"]["uid"])) not in seen:
        seen.add(uid)
        revision = max(revision, added[uid].revision if uid in added else 0)
        owner = added.get(_controller(obj))
        if owner is None:
            break
        obj, depth = owner.object, depth + 1
    return revision, depth


def _controller(obj: KubeObject) -> str:
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def _version(event: AuditEvent) -> int:
    """The revision of the object that a write stored; 0 where there is none."""
    if event.verb in DELETES:
        return 0
    version = str(((event.response or {}).get("metadata") or {}).get("resourceVersion", ""))
    return int(version) if version.isdecimal() else 0
