"""``metadata.managedFields``: who wrote which fields of an object, and who is told."""

from __future__ import annotations

from typing import Any

import pytest
from applying import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    MERGE,
    WEB,
    apply,
    ask,
    config_map,
    entries,
    owned,
)
from kube_driver import NODES, PODS, Kube, deployment, pod

from pytest_selfrep.kubesim.apply.history import MOST_GONE, MOST_LOOSE, MOST_NOTES, Author
from pytest_selfrep.kubesim.kinds import CONFIG_MAP
from pytest_selfrep.kubesim.objects import Key

C1 = f"{CONFIG_MAPS}/c1"
FROM_TEMPLATE: dict[str, Any] = {
    ".": {},
    "f:image": {},
    "f:imagePullPolicy": {},
    "f:name": {},
    "f:resources": {},
    "f:terminationMessagePath": {},
    "f:terminationMessagePolicy": {},
}


def test_those_who_do_not_ask_are_not_told(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, config_map("c1", {"a": "1"}))
    assert "managedFields" not in kube.get(C1)["metadata"]
    assert all("managedFields" not in each["metadata"] for each in kube.get(CONFIG_MAPS)["items"])


def test_an_entry_says_who_wrote_what_when_and_how(kube: Kube) -> None:
    ask(kube, "POST", CONFIG_MAPS, config_map("c1", {"a": "1"}), fieldManager="hand")
    assert list(entries(kube, C1).values()) == [
        {
            "manager": "hand",
            "operation": "Update",
            "apiVersion": "v1",
            "time": kube.cluster.clock.timestamp(),
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {".": {}, "f:a": {}}},
        }
    ]


@pytest.mark.parametrize(
    ("agent", "manager"),
    [
        ("kubectl/v1.32.4 (linux/amd64)", "kubectl"),
        ("", "unknown"),
        ("a\x07b/1", "ab"),
        ("x" * 200, "x" * 128),
    ],
)
def test_a_manager_that_is_not_named_is_the_client_program(kube: Kube, agent: str, manager: str) -> None:
    ask(kube, "POST", CONFIG_MAPS, config_map("c1", {"a": "1"}), agent=agent)
    assert list(owned(kube, C1)) == [(manager, "Update")]


def test_a_deployments_maker_owns_its_defaults_and_not_what_go_has_anyway(kube: Kube) -> None:
    ask(kube, "POST", DEPLOYMENTS, deployment("web", 0), fieldManager="hand")
    assert owned(kube, WEB)["hand", "Update"] == {
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {
            "f:progressDeadlineSeconds": {},
            "f:replicas": {},
            "f:revisionHistoryLimit": {},
            "f:selector": {},
            "f:strategy": {
                "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
                "f:type": {},
            },
            "f:template": {
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:spec": {
                    "f:containers": {'k:{"name":"web"}': FROM_TEMPLATE},
                    "f:dnsPolicy": {},
                    "f:restartPolicy": {},
                    "f:schedulerName": {},
                    "f:securityContext": {},
                    "f:terminationGracePeriodSeconds": {},
                },
            },
        },
    }


def test_what_admission_and_allocation_add_belongs_to_nobody(kube: Kube) -> None:
    ask(kube, "POST", PODS, pod("p"), fieldManager="hand")
    spec = owned(kube, f"{PODS}/p")["hand", "Update"]["f:spec"]
    assert spec == {
        "f:containers": {'k:{"name":"web"}': FROM_TEMPLATE},
        "f:dnsPolicy": {},
        "f:enableServiceLinks": {},
        "f:restartPolicy": {},
        "f:schedulerName": {},
        "f:securityContext": {},
        "f:terminationGracePeriodSeconds": {},
    }
    services = "/api/v1/namespaces/default/services"
    service = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    ask(kube, "POST", services, service, fieldManager="hand")
    spec = owned(kube, f"{services}/s")["hand", "Update"]["f:spec"]
    assert "f:clusterIP" not in spec
    key = 'k:{"port":80,"protocol":"TCP"}'
    assert spec["f:ports"] == {".": {}, key: {".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}}}


def test_a_job_has_a_selector_and_labels_that_nobody_asked_for(kube: Kube) -> None:
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    template = {"spec": pod("p", restartPolicy="Never")["spec"]}
    job = {"metadata": {"name": "j"}, "spec": {"suspend": True, "template": template}}
    ask(kube, "POST", jobs, job, fieldManager="hand")
    spec = owned(kube, f"{jobs}/j")["hand", "Update"]["f:spec"]
    assert "f:selector" not in spec
    assert set(spec["f:template"]) == {"f:spec"}


def test_an_update_takes_what_it_changes_from_others(kube: Kube) -> None:
    ask(kube, "POST", CONFIG_MAPS, config_map("c1", {"a": "1", "b": "1", "c": "1"}), fieldManager="one")
    ask(kube, "PATCH", C1, {"data": {"a": "2", "c": None, "d": "1"}}, MERGE, fieldManager="two")
    assert owned(kube, C1) == {
        ("one", "Update"): {"f:data": {".": {}, "f:b": {}}},
        ("two", "Update"): {"f:data": {"f:a": {}, "f:d": {}}},
    }


def test_controllers_and_kubelets_write_under_their_names(kube: Kube) -> None:
    kube.add_node("worker-1")
    kube.create(DEPLOYMENTS, deployment("web", 1))
    kube.advance(10)
    found = entries(kube, WEB)["kube-controller-manager", "Update"]
    assert found["subresource"] == "status"
    assert found["fieldsV1"]["f:metadata"] == {
        "f:annotations": {".": {}, "f:deployment.kubernetes.io/revision": {}}
    }
    (made,) = ask(kube, "GET", PODS).body["items"]
    by = {each["manager"]: each for each in made["metadata"]["managedFields"]}
    assert by["kubelet"]["subresource"] == "status"
    assert by["kubelet"]["fieldsV1"]["f:status"]["f:phase"] == {}
    owner = made["metadata"]["ownerReferences"][0]["uid"]
    claimed = by["kube-controller-manager"]["fieldsV1"]["f:metadata"]["f:ownerReferences"]
    assert claimed == {".": {}, f'k:{{"uid":"{owner}"}}': {}}
    assert all("f:nodeName" not in each["fieldsV1"].get("f:spec", {}) for each in by.values())
    kube.advance(400)
    assert "kubelet" in {manager for manager, _ in entries(kube, f"{NODES}/worker-1")}
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/worker-1"
    assert set(owned(kube, lease)) == {("kubelet", "Update")}


def test_answers_lists_tables_and_watches_carry_the_managers(kube: Kube) -> None:
    made = ask(kube, "POST", CONFIG_MAPS, config_map("c1", {"a": "1"}), fieldManager="one")
    assert made.body["metadata"]["managedFields"][0]["manager"] == "one"
    assert ask(kube, "GET", C1).body == made.body
    listed = ask(kube, "GET", CONFIG_MAPS).body["items"]
    assert {each["metadata"]["name"]: bool(each["metadata"]["managedFields"]) for each in listed} == {
        "c1": True,
        "kube-root-ca.crt": True,
    }
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    (row, _) = ask(kube, "GET", CONFIG_MAPS, accept=table).body["rows"]
    assert row["object"]["metadata"]["managedFields"] == made.body["metadata"]["managedFields"]
    gone = ask(kube, "DELETE", f"{CONFIG_MAPS}", fieldSelector="metadata.name=c1").body["items"]
    assert gone[0]["metadata"]["managedFields"] == made.body["metadata"]["managedFields"]


def test_watch_events_carry_the_managers_of_their_moment(kube: Kube) -> None:
    revision = str(kube.cluster.store.revision)
    stream = ask(kube, "GET", CONFIG_MAPS, watch="1", resourceVersion=revision).stream
    assert stream is not None
    ask(kube, "POST", CONFIG_MAPS, config_map("c1", {"a": "1"}), fieldManager="one")
    ask(kube, "PATCH", C1, {"data": {"a": "2"}}, MERGE, fieldManager="two")
    ask(kube, "DELETE", C1)
    events = stream.poll()
    assert [
        (event["type"], [each["manager"] for each in event["object"]["metadata"]["managedFields"]])
        for event in events
    ] == [("ADDED", ["one"]), ("MODIFIED", ["one", "two"]), ("DELETED", ["one", "two"])]


def test_what_is_replaced_as_it_was_read_keeps_its_managers(kube: Kube) -> None:
    ask(kube, "POST", CONFIG_MAPS, config_map("c1", {"a": "1"}), fieldManager="one")
    read = ask(kube, "GET", C1).body
    ask(kube, "PUT", C1, {**read, "data": {"a": "1", "b": "2"}}, fieldManager="two")
    assert owned(kube, C1) == {
        ("one", "Update"): {"f:data": {".": {}, "f:a": {}}},
        ("two", "Update"): {"f:data": {"f:b": {}}},
    }


@pytest.mark.parametrize("nothing", [[{}], []])
def test_managers_are_forgotten_when_a_client_says_so(kube: Kube, nothing: Any) -> None:
    apply(kube, C1, config_map("c1", {"a": "1"}))
    before = kube.get(C1)["metadata"]["resourceVersion"]
    ask(kube, "PATCH", C1, {"metadata": {"managedFields": nothing}}, MERGE)
    assert owned(kube, C1) == {}
    assert kube.get(C1)["metadata"]["resourceVersion"] != before
    ask(kube, "PATCH", C1, {"data": {"b": "1"}}, MERGE)
    assert owned(kube, C1) == {}


def test_clients_that_know_nothing_of_managers_leave_them_alone(kube: Kube) -> None:
    apply(kube, C1, config_map("c1", {"a": "1"}))
    kube.replace(C1, config_map("c1", {"a": "1"}))
    ask(kube, "PATCH", C1, {"metadata": {"managedFields": None}}, MERGE)
    assert set(owned(kube, C1)) == {("one", "Apply")}


def test_a_client_can_say_who_owns_what(kube: Kube) -> None:
    apply(kube, C1, config_map("c1", {"a": "1"}))
    entry = {
        "manager": "two",
        "operation": "Update",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}}},
    }
    patch = [{"op": "replace", "path": "/metadata/managedFields", "value": [entry]}]
    answer = ask(kube, "PATCH", C1, patch, "application/json-patch+json")
    assert answer.body["metadata"]["managedFields"] == [entry]
    wrong = {"metadata": {"managedFields": [{**entry, "operation": "Foo"}]}}
    answer = ask(kube, "PATCH", C1, wrong, MERGE)
    why = 'metadata.managedFields.operation: Invalid value: "Foo": must be `Apply` or `Update`'
    assert (answer.status, answer.body["message"]) == (422, f'ConfigMap "c1" is invalid: {why}')


def test_dry_runs_of_every_verb_show_managers_and_leave_none(kube: Kube) -> None:
    body = config_map("c1", {"a": "1"})
    made = ask(kube, "POST", CONFIG_MAPS, body, fieldManager="one", dryRun="All").body
    assert made["metadata"]["managedFields"][0]["manager"] == "one"
    assert made["metadata"]["uid"]
    ask(kube, "POST", CONFIG_MAPS, body, fieldManager="one")
    patched = ask(kube, "PATCH", C1, {"data": {"a": "2"}}, MERGE, fieldManager="two", dryRun="All").body
    assert [each["manager"] for each in patched["metadata"]["managedFields"]] == ["one", "two"]
    replaced = ask(kube, "PUT", C1, config_map("c1", {"b": "1"}), fieldManager="three", dryRun="All").body
    assert [each["manager"] for each in replaced["metadata"]["managedFields"]] == ["one", "three"]
    assert ask(kube, "DELETE", C1, dryRun="All").status == 200
    assert ask(kube, "DELETE", CONFIG_MAPS, dryRun="All").status == 200
    assert owned(kube, C1) == {("one", "Update"): {"f:data": {".": {}, "f:a": {}}}}


def test_many_managers_of_updates_are_summed_up(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, config_map("c1", {"a": "1"}))
    for number in range(15):
        kube.advance(1)
        ask(kube, "PATCH", C1, {"data": {f"k{number:02}": "1"}}, MERGE, fieldManager=f"m{number:02}")
    found = owned(kube, C1)
    assert len(found) <= 11
    assert set(found["ancient-changes", "Update"]["f:data"]) >= {"f:k00", "f:k01", "f:k02", "f:k03"}


def test_what_is_remembered_of_an_object_does_not_grow_with_its_updates(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, config_map("c1", {"a": "0"}))
    store = kube.cluster.store
    live = store.get(CONFIG_MAP, Key("default", "c1"))
    assert live is not None
    for number in range(10_000):
        new = {**live, "metadata": {**live["metadata"]}, "data": {"a": str(number)}}
        live = store.put(CONFIG_MAP, new, Author("loop"))
        assert store.managed.remembered(live) <= 2 * MOST_NOTES
    assert owned(kube, C1)["loop", "Update"] == {"f:data": {"f:a": {}}}


def test_who_wrote_an_object_is_known_after_any_number_of_other_writes(kube: Kube) -> None:
    ask(kube, "POST", CONFIG_MAPS, config_map("c1", {"a": "1"}), fieldManager="one")
    ask(kube, "PATCH", C1, {"data": {"b": "1"}}, MERGE, fieldManager="two")
    for number in range(MOST_LOOSE):
        kube.create(CONFIG_MAPS, config_map(f"other-{number}", {"a": "1"}))
    assert owned(kube, C1) == {
        ("one", "Update"): {"f:data": {".": {}, "f:a": {}}},
        ("two", "Update"): {"f:data": {"f:b": {}}},
    }


def test_nothing_is_remembered_of_objects_long_gone(kube: Kube) -> None:
    store, made = kube.cluster.store, []
    for number in range(MOST_GONE + 1):
        made.append(kube.create(CONFIG_MAPS, config_map(f"c{number}", {"a": "1"})))
        store.remove(CONFIG_MAP, Key("default", f"c{number}"))
    assert [store.managed.remembered(each) for each in made[:2]] == [0, 1]


def test_events_say_who_reported_them(three_nodes: Kube) -> None:
    three_nodes.add_pod("p")
    three_nodes.advance(5)
    items = ask(three_nodes, "GET", "/api/v1/namespaces/default/events").body["items"]
    managers = {each["source"]["component"]: each["metadata"]["managedFields"] for each in items}
    assert managers["kubelet"][0]["manager"] == "kubelet"
    assert managers["default-scheduler"][0]["manager"] == "kube-scheduler"
