"""Creating, reading and replacing objects."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from kube_driver import Kube, deployment, pod

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
NAMESPACES = "/api/v1/namespaces"


def config_map(name: str = "settings", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_a_created_object_gets_what_only_the_server_knows(kube: Kube) -> None:
    made = kube.create(CONFIG_MAPS, config_map(a="b"))
    meta = made["metadata"]
    assert list(made)[:3] == ["kind", "apiVersion", "metadata"]
    assert (meta["name"], meta["namespace"]) == ("settings", "default")
    assert meta["creationTimestamp"] == kube.cluster.clock.timestamp()
    assert len(meta["uid"]) == 36
    assert int(meta["resourceVersion"]) > 0
    assert kube.get(f"{CONFIG_MAPS}/settings") == made


def test_kind_and_version_are_those_of_the_path_when_left_out(kube: Kube) -> None:
    made = kube.create(CONFIG_MAPS, {"metadata": {"name": "bare"}})
    assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")


def test_clients_cannot_choose_uid_times_generation_or_status(kube: Kube) -> None:
    wanted = deployment("web", 1)
    wanted["metadata"] |= {
        "uid": "1",
        "creationTimestamp": "1999-01-01T00:00:00Z",
        "generation": 9,
        "deletionTimestamp": "1999-01-01T00:00:00Z",
    }
    wanted["status"] = {"replicas": 7}
    made = kube.create(DEPLOYMENTS, wanted)
    assert made["metadata"]["uid"] != "1"
    assert made["metadata"]["creationTimestamp"] == kube.cluster.clock.timestamp()
    assert made["metadata"]["generation"] == 1
    assert "deletionTimestamp" not in made["metadata"]
    assert made["status"] == {}


def test_a_name_is_taken_only_once(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, config_map())
    refused = kube.refusal("POST", CONFIG_MAPS, config_map())
    assert refused == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "settings" already exists',
        "reason": "AlreadyExists",
        "details": {"name": "settings", "kind": "configmaps"},
        "code": 409,
    }


def test_generate_name_appends_five_characters_that_differ_each_time(kube: Kube) -> None:
    names = [
        kube.create(CONFIG_MAPS, {"metadata": {"generateName": "run-"}})["metadata"]["name"] for _ in range(5)
    ]
    assert len(set(names)) == 5
    assert all(name.startswith("run-") and len(name) == len("run-") + 5 for name in names)


def test_a_long_generate_name_is_cut_so_that_the_name_fits(kube: Kube) -> None:
    made = kube.create(CONFIG_MAPS, {"metadata": {"generateName": "x" * 80}})
    assert len(made["metadata"]["name"]) == 63


def test_an_object_without_any_name_is_invalid(kube: Kube) -> None:
    refused = kube.refusal("POST", CONFIG_MAPS, {"metadata": {}})
    assert refused["code"] == 422
    assert "name or generateName is required" in refused["message"]


@pytest.mark.parametrize("path", [f"{CONFIG_MAPS}/gone", "/api/v1/nodes/gone"])
def test_what_does_not_exist_is_not_found(kube: Kube, path: str) -> None:
    refused = kube.refusal("GET", path)
    plural = path.split("/")[-2]
    assert (refused["code"], refused["reason"]) == (404, "NotFound")
    assert refused["message"] == f'{plural} "gone" not found'


def test_a_replacement_with_a_stale_resource_version_is_a_conflict(kube: Kube) -> None:
    seen = kube.create(DEPLOYMENTS, deployment("web", 1))
    kube.merge(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 2}})
    refused = kube.refusal("PUT", f"{DEPLOYMENTS}/web", seen)
    assert (refused["code"], refused["reason"]) == (409, "Conflict")
    assert refused["message"] == (
        'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


def test_a_replacement_without_a_resource_version_goes_through(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, config_map(a="1"))
    assert kube.replace(f"{CONFIG_MAPS}/settings", config_map(a="2"))["data"] == {"a": "2"}


def test_a_replacement_with_another_uid_is_a_conflict(kube: Kube) -> None:
    made = kube.create(CONFIG_MAPS, config_map())
    other = {**made, "metadata": {**made["metadata"], "uid": "0"}}
    assert kube.refusal("PUT", f"{CONFIG_MAPS}/settings", other)["reason"] == "Conflict"


def test_replacing_what_does_not_exist_is_not_found_but_creates_a_lease(kube: Kube) -> None:
    assert kube.refusal("PUT", f"{CONFIG_MAPS}/settings", config_map())["code"] == 404
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/leader"
    answer = kube.send("PUT", path, {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a"}})
    assert answer.status == 201
    assert kube.get(path)["spec"]["holderIdentity"] == "a"


def test_a_lease_is_not_replaced_without_a_resource_version(kube: Kube) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/leader"
    kube.replace(path, {"metadata": {"name": "leader"}})
    refused = kube.refusal("PUT", path, {"metadata": {"name": "leader"}})
    assert (
        "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update" in refused["message"]
    )


def test_a_write_that_changes_nothing_leaves_the_resource_version(kube: Kube) -> None:
    made = kube.create(CONFIG_MAPS, config_map(a="1"))
    assert kube.replace(f"{CONFIG_MAPS}/settings", made)["metadata"] == made["metadata"]


def test_generation_counts_changes_of_the_spec_and_not_of_labels_or_status(kube: Kube) -> None:
    path = f"{DEPLOYMENTS}/web"
    kube.create(DEPLOYMENTS, deployment("web", 1))
    assert kube.merge(path, {"metadata": {"labels": {"a": "b"}}})["metadata"]["generation"] == 1
    assert kube.merge(path, {"spec": {"replicas": 2}})["metadata"]["generation"] == 2
    status = {"status": {"observedGeneration": 1}}
    answer = kube.send("PATCH", f"{path}/status", status, content_type="application/merge-patch+json")
    assert answer.status == 200
    assert kube.get(path)["metadata"]["generation"] == 2


def test_deployments_count_changes_of_annotations_too(kube: Kube) -> None:
    kube.create(DEPLOYMENTS, deployment("web", 1))
    changed = kube.merge(f"{DEPLOYMENTS}/web", {"metadata": {"annotations": {"a": "b"}}})
    assert changed["metadata"]["generation"] == 2


def test_a_replacement_keeps_the_status(kube: Kube) -> None:
    made = kube.create(DEPLOYMENTS, deployment("web", 1))
    stored = kube.get(f"{DEPLOYMENTS}/web")
    made["metadata"].pop("resourceVersion")
    made["status"] = {"replicas": 77}
    assert kube.replace(f"{DEPLOYMENTS}/web", made)["status"] == stored["status"]


def test_null_fields_are_as_if_they_were_not_there(kube: Kube) -> None:
    sent = {**config_map(a="1"), "binaryData": None}
    sent["metadata"]["creationTimestamp"] = None
    made = kube.create(CONFIG_MAPS, sent)
    assert "binaryData" not in made
    assert made["metadata"]["creationTimestamp"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_dry_run_answers_as_usual_and_stores_nothing(kube: Kube, method: str) -> None:
    before = kube.create(CONFIG_MAPS, config_map(a="1"))
    path, body = {
        "POST": (CONFIG_MAPS, config_map("other", a="2")),
        "PUT": (f"{CONFIG_MAPS}/settings", config_map(a="2")),
        "PATCH": (f"{CONFIG_MAPS}/settings", {"data": {"a": "2"}}),
        "DELETE": (f"{CONFIG_MAPS}/settings", None),
    }[method]
    revision = kube.cluster.store.revision
    content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
    answer = kube.send(method, path, body, {"dryRun": "All"}, content_type)
    assert answer.status in (200, 201)
    if method != "DELETE":
        assert answer.body["data"] == {"a": "2"}
    assert kube.cluster.store.revision == revision
    assert kube.get(f"{CONFIG_MAPS}/settings") == before
    assert not kube.exists(f"{CONFIG_MAPS}/other")


def test_a_dry_run_is_all_or_nothing(kube: Kube) -> None:
    refused = kube.refusal("POST", CONFIG_MAPS, config_map(), {"dryRun": "Some"})
    assert (refused["code"], refused["message"]) == (
        422,
        'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: '
        '[]string{"Some"}: supported values: "All"',
    )


def test_a_cluster_starts_with_its_four_namespaces_and_a_service_for_the_api(kube: Kube) -> None:
    names = [item["metadata"]["name"] for item in kube.get(NAMESPACES)["items"]]
    assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
    assert kube.get("/api/v1/namespaces/default/services/kubernetes")["spec"]["ports"][0]["port"] == 443


def test_services_get_cluster_addresses_and_node_ports_of_their_own(kube: Kube) -> None:
    path = "/api/v1/namespaces/default/services"
    made = [
        kube.create(
            path,
            {
                "metadata": {"name": name},
                "spec": {"type": "NodePort", "ports": [{"name": "http", "port": 80}]},
            },
        )
        for name in ("a", "b")
    ]
    addresses = {each["spec"]["clusterIP"] for each in made}
    ports = {each["spec"]["ports"][0]["nodePort"] for each in made}
    assert len(addresses) == len(ports) == 2
    assert all(ip_address(address) in ip_network("10.96.0.0/12") for address in addresses)
    assert all(30000 <= port <= 32767 for port in ports)


def test_a_cluster_address_is_not_given_twice(kube: Kube) -> None:
    path = "/api/v1/namespaces/default/services"
    taken = kube.get(f"{path}/kubernetes")["spec"]["clusterIP"]
    service = {"metadata": {"name": "a"}, "spec": {"clusterIP": taken, "ports": [{"port": 80}]}}
    refused = kube.refusal("POST", path, service)
    assert refused["code"] == 422
    assert "provided IP is already allocated" in refused["message"]


def test_the_same_seed_and_requests_give_the_same_cluster() -> None:
    def world(seed: int) -> list[Any]:
        from pytest_selfrep.kubesim.cluster import Cluster

        cluster = Cluster(seed)
        kube = Kube(cluster, cluster.token_for())
        kube.add_node("worker-1")
        kube.create(DEPLOYMENTS, deployment("web", 3))
        kube.advance(60)
        paths = ("/api/v1/pods", "/api/v1/events", "/apis/apps/v1/replicasets")
        return [kube.get(path) for path in paths]

    assert world(7) == world(7)
    assert world(7) != world(8)


def test_an_object_in_another_namespace_than_the_path_is_refused(kube: Kube) -> None:
    wanted = pod("a")
    wanted["metadata"]["namespace"] = "kube-system"
    refused = kube.refusal("POST", "/api/v1/namespaces/default/pods", wanted)
    assert (refused["code"], refused["message"]) == (
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    )


def test_an_object_with_another_name_than_the_path_is_refused(kube: Kube) -> None:
    kube.create(CONFIG_MAPS, config_map())
    refused = kube.refusal("PUT", f"{CONFIG_MAPS}/settings", config_map("other"))
    assert (refused["code"], refused["message"]) == (
        400,
        "the name of the object (other) does not match the name on the URL (settings)",
    )


def test_yaml_bodies_are_understood(kube: Kube) -> None:
    from pytest_selfrep.kubesim.apiserver.http import Request

    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  day: '2025-01-01'\n"
    headers = {
        "authorization": f"Bearer {kube.cluster.token_for()}",
        "content-type": "application/yaml",
    }
    answer = kube.cluster.handle(Request("POST", CONFIG_MAPS, {}, headers, body))
    assert answer.status == 201
    assert answer.body["data"] == {"day": "2025-01-01"}
