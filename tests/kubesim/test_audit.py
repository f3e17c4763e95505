"""The audit trail: who asked for what, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kube_driver import Kube, deployment

from pytest_selfrep.kubesim.apiserver.audit import TRAIL_LENGTH, Entry, Trail

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
ADMIN = "kubernetes-admin"


class Since:
    """What came onto the record since it was made."""

    def __init__(self, kube: Kube) -> None:
        self._trail, self._first = kube.cluster.audit, kube.cluster.audit.length

    def of(self, user: str) -> list[Entry]:
        return [entry for entry in self._trail.since(self._first) if entry.user == user]

    def __iter__(self) -> Iterator[Entry]:
        return self._trail.since(self._first)


def test_a_write_is_recorded_with_its_body_and_what_was_stored(kube: Kube) -> None:
    since = Since(kube)
    sent = {"metadata": {"name": "a"}, "data": {"x": "y"}}
    made = kube.create(CONFIG_MAPS, sent)
    (entry,) = since.of(ADMIN)
    assert (entry.verb, entry.group, entry.resource) == ("create", "", "configmaps")
    assert (entry.namespace, entry.name, entry.code) == ("default", "a", 201)
    assert entry.request == sent
    assert entry.response == made
    assert entry.revision == int(made["metadata"]["resourceVersion"])


def test_a_generated_name_is_on_record(kube: Kube) -> None:
    since = Since(kube)
    made = kube.create(CONFIG_MAPS, {"metadata": {"generateName": "run-"}})
    (entry,) = since.of(ADMIN)
    assert entry.name == made["metadata"]["name"]


def test_reads_are_recorded_without_bodies(kube: Kube) -> None:
    since = Since(kube)
    kube.get(CONFIG_MAPS)
    kube.get(f"{CONFIG_MAPS}", watch="true")
    kube.refusal("GET", f"{CONFIG_MAPS}/gone")
    assert [(e.verb, e.name, e.code, e.request, e.response) for e in since.of(ADMIN)] == [
        ("list", "", 200, None, None),
        ("watch", "", 200, None, None),
        ("get", "gone", 404, None, None),
    ]


def test_a_refusal_is_recorded_with_its_reason_and_what_was_wanted(kube: Kube) -> None:
    kube.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    kube.create("/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "web"}})
    user = "system:serviceaccount:shop:web"
    agent, since = Kube(kube.cluster, kube.cluster.token_for(user)), Since(kube)
    wanted = deployment("copy", 3)
    refused = agent.refusal("POST", DEPLOYMENTS, wanted)
    (entry,) = since.of(user)
    assert (entry.verb, entry.group, entry.resource) == ("create", "apps", "deployments")
    assert (entry.namespace, entry.code, entry.reason) == ("default", 403, "Forbidden")
    assert entry.message == refused["message"]
    assert entry.response is None
    assert entry.request == wanted


def test_a_subresource_stands_behind_a_slash(kube: Kube) -> None:
    kube.create(DEPLOYMENTS, deployment("web", 1))
    since = Since(kube)
    kube.merge(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 2}})
    (entry,) = since.of(ADMIN)
    assert (entry.verb, entry.resource, entry.name) == ("patch", "deployments/scale", "web")
    assert entry.request == {"spec": {"replicas": 2}}


def test_a_request_without_a_valid_token_is_anonymous(kube: Kube) -> None:
    since = Since(kube)
    assert Kube(kube.cluster, "nonsense").send("GET", CONFIG_MAPS).status == 401
    (entry,) = since
    assert (entry.user, entry.code, entry.reason) == ("system:anonymous", 401, "Unauthorized")


def test_controllers_are_on_record_under_their_own_names(kube: Kube) -> None:
    since = Since(kube)
    kube.create(DEPLOYMENTS, deployment("web", 2))
    (made,) = [e for e in since if e.resource == "replicasets" and e.verb == "create"]
    assert made.user == "system:serviceaccount:kube-system:deployment-controller"
    assert made.user_agent.startswith("kube-controller-manager/v1.32.4")
    pods = [e for e in since if e.resource == "pods" and e.verb == "create"]
    assert {e.user for e in pods} == {"system:serviceaccount:kube-system:replicaset-controller"}
    assert len(pods) == 2
    assert all(e.response is not None and e.response["kind"] == "Pod" for e in pods)


def test_entries_are_in_order_and_numbered(kube: Kube) -> None:
    kube.create(DEPLOYMENTS, deployment("web", 2))
    entries = list(kube.cluster.audit.since(0))
    assert [entry.sequence for entry in entries] == list(range(len(entries)))
    assert [entry.revision for entry in entries] == sorted(entry.revision for entry in entries)


def test_a_reader_that_falls_behind_is_told(kube: Kube) -> None:
    kube.get(CONFIG_MAPS)
    (entry,) = list(kube.cluster.audit.since(kube.cluster.audit.length - 1))
    trail = Trail()
    for _ in range(TRAIL_LENGTH + 1):
        trail.append(entry)
    with pytest.raises(LookupError, match="audit entries 0 to 0 are no longer kept"):
        list(trail.since(0))
    assert len(list(trail.since(1))) == TRAIL_LENGTH
