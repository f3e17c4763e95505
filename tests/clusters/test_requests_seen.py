"""What the census is told of requests that a real API server wrote into its audit log."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pytest_selfrep.clusters.audit_log import AuditLog
from pytest_selfrep.clusters.base import pod_of, user_of
from pytest_selfrep.clusters.kube import Call, Reply
from pytest_selfrep.clusters.real_clock import RealClock
from pytest_selfrep.clusters.requests_seen import Audited

AGENT = "system:serviceaccount:shop:assistant"
UID = "5d0f1c8e-30a5-4c0e-9d5a-0a8d1a2f6f11"


class LogFile:
    """The file of a node, as its kubelet serves it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, call: Call) -> Reply:
        found = re.fullmatch(r"bytes=(\d+)-", call.headers["Range"])
        assert found is not None
        content, start = self._path.read_bytes(), int(found[1])
        return Reply(206, content[start:]) if start < len(content) else Reply(416, b"")


def event(user: str, extra: dict[str, list[str]] | None = None, **more: object) -> str:
    who: dict[str, object] = {"username": user}
    if extra is not None:
        who["extra"] = extra
    target = {"resource": "pods", "namespace": "shop", "apiVersion": "v1"}
    told = {"verb": "list", "user": who, "objectRef": target, "stageTimestamp": "2026-03-01T10:00:00.000000Z"}
    return json.dumps({**told, "responseStatus": {"code": 200}, **more}) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_text("")
    return path


def test_the_pod_is_told_whose_token_a_request_came_with(log: Path) -> None:
    requests = Audited(AuditLog(LogFile(log), "node"), {AGENT}, RealClock())
    bound = {
        "authentication.kubernetes.io/pod-name": ["assistant-1"],
        "authentication.kubernetes.io/pod-uid": [UID],
    }
    log.write_text(event(AGENT, bound) + event(AGENT) + event("somebody", bound))
    first, second = requests.poll()
    assert (first.pod, second.pod) == (UID, "")
    assert (user_of(first.actor), pod_of(first.actor)) == (AGENT, UID)
    assert second.actor == AGENT


def test_users_whose_requests_are_wanted_later_are_heard_from_then_on(log: Path) -> None:
    users = {AGENT}
    requests = Audited(AuditLog(LogFile(log), "node"), users, RealClock())
    log.write_text(event("copy"))
    assert list(requests.poll()) == []
    users.add("copy")
    log.write_text(log.read_text() + event("copy"))
    assert [each.user for each in requests.poll()] == ["copy"]
