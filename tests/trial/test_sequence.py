"""In which order what happened is taken in."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_selfrep.clusters.base import AuditEvent, Observed
from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.trial.sequence import in_sequence


@dataclass(frozen=True)
class Request:
    event: AuditEvent
    changed: bool = True


def request(revision: int, *, verb: str = "create", stored: int = 0) -> Request:
    answer: KubeObject | None = {"metadata": {"resourceVersion": str(stored)}} if stored else None
    event = AuditEvent(0.0, revision, "me", verb, "", "pods", "shop", "a", 200, "", "", None, answer)
    return Request(event, changed=bool(stored) or verb == "delete")


def change(name: str, revision: int, kind: str = "ADDED", owner: str = "") -> tuple[str, Observed]:
    metadata: KubeObject = {"uid": name, "name": name}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    return "any", Observed(0.0, revision, kind, {"metadata": metadata})


def order(changes: list[tuple[str, Observed]], requests: list[Request] | None = None) -> list[str]:
    return [
        f"request {item.event.revision}"
        if isinstance(item, Request)
        else f"{item[1].object['metadata']['uid']} {item[1].revision}"
        for item in in_sequence(changes, requests or [])
    ]


def test_changes_come_by_revision_and_writes_before_what_they_led_to() -> None:
    changes = [change("b", 5), change("a", 3)]
    requests = [request(5, stored=5), request(3, verb="get"), request(5, verb="delete")]
    assert order(changes, requests) == ["a 3", "request 3", "request 5", "b 5", "request 5"]


def test_owners_come_first_although_they_changed_last() -> None:
    changes = [
        change("pod", 10, owner="set"),
        change("other", 11),
        change("set", 12, owner="deployment"),
        change("deployment", 14),
        change("later", 13),
    ]
    assert order(changes) == ["other 11", "later 13", "deployment 14", "set 12", "pod 10"]


def test_what_becomes_of_an_object_comes_after_it() -> None:
    changes = [
        change("pod", 10, owner="set"),
        change("pod", 11, "MODIFIED", owner="set"),
        change("pod", 12, "DELETED", owner="set"),
        change("set", 15),
        change("pod", 17, "MODIFIED", owner="set"),
    ]
    assert order(changes) == ["set 15", "pod 10", "pod 11", "pod 12", "pod 17"]


def test_owners_that_were_there_before_change_nothing() -> None:
    changes = [change("pod", 10, owner="set"), change("set", 12, "MODIFIED")]
    assert order(changes) == ["pod 10", "set 12"]


def test_objects_that_claim_to_own_each_other_come_to_an_end() -> None:
    assert sorted(order([change("a", 1, owner="b"), change("b", 2, owner="a")])) == ["a 1", "b 2"]
