"""Namespaces: what they come with, and how they empty themselves."""

from __future__ import annotations

import ssl

from kube_driver import Kube, deployment, pod
from workloads import NAMESPACES, condition, config_map, names, namespace, quota

SHOP = f"{NAMESPACES}/shop"


def shop(kube: Kube) -> None:
    kube.create(NAMESPACES, namespace("shop"))


def test_every_namespace_gets_a_default_service_account(kube: Kube) -> None:
    shop(kube)
    assert kube.exists(f"{SHOP}/serviceaccounts/default")


def test_the_default_service_account_comes_back_when_deleted(kube: Kube) -> None:
    shop(kube)
    before = kube.get(f"{SHOP}/serviceaccounts/default")["metadata"]["uid"]
    kube.delete(f"{SHOP}/serviceaccounts/default")
    assert kube.get(f"{SHOP}/serviceaccounts/default")["metadata"]["uid"] != before


def test_every_namespace_gets_the_clusters_ca_bundle_and_keeps_it_as_it_is(kube: Kube) -> None:
    shop(kube)
    path = f"{SHOP}/configmaps/kube-root-ca.crt"
    bundle = kube.get(path)["data"]
    assert ssl.PEM_cert_to_DER_cert(bundle["ca.crt"])
    assert kube.get(f"{NAMESPACES}/kube-system/configmaps/kube-root-ca.crt")["data"] == bundle
    kube.merge(path, {"data": {"ca.crt": "mine"}})
    assert kube.get(path)["data"] == bundle
    kube.delete(path)
    assert kube.get(path)["data"] == bundle


def test_a_quota_can_keep_the_default_service_account_away(kube: Kube) -> None:
    shop(kube)
    spec = {"hard": {"count/serviceaccounts": "0"}}
    kube.create(f"{SHOP}/resourcequotas", {**quota("none"), "spec": spec})
    kube.delete(f"{SHOP}/serviceaccounts/default")
    assert not kube.exists(f"{SHOP}/serviceaccounts/default")
    kube.delete(f"{SHOP}/resourcequotas/none")
    kube.advance(1)
    assert kube.exists(f"{SHOP}/serviceaccounts/default")


def test_a_new_namespace_is_active_and_carries_its_name_as_a_label(kube: Kube) -> None:
    shop(kube)
    found = kube.get(SHOP)
    assert found["status"] == {"phase": "Active"}
    assert found["spec"] == {"finalizers": ["kubernetes"]}
    assert found["metadata"]["labels"]["kubernetes.io/metadata.name"] == "shop"


def test_a_deleted_namespace_takes_everything_with_it(kube: Kube) -> None:
    shop(kube)
    kube.create("/apis/apps/v1/namespaces/shop/deployments", deployment("web", 2))
    kube.create(f"{SHOP}/configmaps", config_map("settings"))
    kube.delete(SHOP)
    kube.advance(5)
    assert not kube.exists(SHOP)
    for path in ("pods", "configmaps", "serviceaccounts", "events"):
        assert kube.get(f"{SHOP}/{path}")["items"] == []
    assert kube.get("/apis/apps/v1/namespaces/shop/replicasets")["items"] == []


def test_what_is_in_a_deleted_namespace_stays_for_five_seconds(kube: Kube) -> None:
    shop(kube)
    kube.create(f"{SHOP}/configmaps", config_map("settings"))
    kube.delete(SHOP)
    kube.advance(4)
    assert kube.get(SHOP)["status"] == {"phase": "Terminating"}
    kube.delete(f"{SHOP}/configmaps/settings")
    assert names(kube.get(f"{SHOP}/configmaps")["items"]) == ["kube-root-ca.crt"]
    kube.advance(1)
    assert not kube.exists(SHOP)


def test_it_is_terminating_while_pods_shut_down(three_nodes: Kube) -> None:
    kube = three_nodes
    shop(kube)
    kube.create(f"{SHOP}/pods", pod("a"))
    kube.advance(30)
    kube.delete(SHOP)
    kube.advance(5)
    found = kube.get(SHOP)
    assert found["status"]["phase"] == "Terminating"
    remaining = condition(found, "NamespaceContentRemaining")
    assert remaining["status"] == "True"
    assert remaining["message"] == "Some resources are remaining: pods. has 1 resource instances"
    assert condition(found, "NamespaceDeletionContentFailure")["status"] == "False"
    kube.advance(31)
    assert not kube.exists(SHOP)


def test_it_waits_for_finalizers_and_says_so(kube: Kube) -> None:
    shop(kube)
    kube.create(f"{SHOP}/configmaps", config_map("held", finalizers=["acme.io/backup"]))
    kube.delete(SHOP)
    kube.advance(5)
    waiting = condition(kube.get(SHOP), "NamespaceFinalizersRemaining")
    said = "Some content in the namespace has finalizers remaining: acme.io/backup in 1 resource instances"
    assert waiting["message"] == said
    kube.merge(f"{SHOP}/configmaps/held", {"metadata": {"finalizers": None}})
    assert not kube.exists(SHOP)


def test_nothing_new_goes_into_a_terminating_namespace(kube: Kube) -> None:
    shop(kube)
    kube.create(f"{SHOP}/configmaps", config_map("held", finalizers=["acme.io/backup"]))
    kube.delete(SHOP)
    refusal = kube.refusal("POST", f"{SHOP}/configmaps", config_map("late"))
    assert refusal["code"] == 403
    assert refusal["message"] == (
        'configmaps "late" is forbidden: unable to create new content in namespace shop '
        "because it is being terminated"
    )
    assert refusal["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace shop is being terminated",
            "field": "metadata.namespace",
        }
    ]


def test_nothing_goes_into_a_namespace_that_does_not_exist(kube: Kube) -> None:
    refusal = kube.refusal("POST", f"{NAMESPACES}/nowhere/configmaps", config_map("a"))
    assert (refusal["code"], refusal["reason"]) == (404, "NotFound")
    assert refusal["message"] == 'namespaces "nowhere" not found'


def test_the_namespaces_that_a_cluster_needs_may_not_be_deleted(kube: Kube) -> None:
    refusal = kube.refusal("DELETE", f"{NAMESPACES}/kube-system")
    assert refusal["code"] == 403
    assert refusal["message"] == 'namespaces "kube-system" is forbidden: this namespace may not be deleted'


def test_a_name_may_be_used_again_once_its_namespace_is_gone(kube: Kube) -> None:
    shop(kube)
    first = kube.get(SHOP)["metadata"]["uid"]
    kube.delete(SHOP)
    kube.advance(5)
    shop(kube)
    assert kube.get(SHOP)["metadata"]["uid"] != first
