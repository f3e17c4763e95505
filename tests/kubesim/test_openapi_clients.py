"""The official client's dynamic form, which knows nothing of the API but what discovery tells it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from kube_driver import Kube, deployment
from kubernetes import client
from kubernetes import config as untyped_config
from kubernetes import dynamic as untyped_dynamic

from pytest_selfrep.kubesim.serving.server import Served, serve

config: Any = untyped_config
dynamic: Any = untyped_dynamic


@pytest.fixture
def served(three_nodes: Kube) -> Iterator[Served]:
    site = serve(three_nodes.cluster)
    yield site
    site.close()


@pytest.fixture
def api(three_nodes: Kube, served: Served) -> Iterator[Any]:
    settings = client.Configuration()
    kubeconfig = yaml.safe_load(served.kubeconfig(three_nodes.cluster.token_for()))
    config.load_kube_config_from_dict(kubeconfig, client_configuration=settings)
    with client.ApiClient(settings) as made:
        yield made


@pytest.fixture
def kubernetes(api: Any, tmp_path: Path) -> Any:
    return dynamic.DynamicClient(api, cache_file=str(tmp_path / "discovery.json"))


def test_kinds_are_found_by_version_and_name(kubernetes: Any) -> None:
    found = kubernetes.resources.get(api_version="apps/v1", kind="Deployment")
    assert (found.name, found.namespaced, found.short_names) == ("deployments", True, ["deploy"])
    assert "patch" in found.verbs
    assert set(found.subresources) == {"scale", "status"}


def test_every_group_is_found(kubernetes: Any) -> None:
    for version in ("v1", "batch/v1", "rbac.authorization.k8s.io/v1", "metrics.k8s.io/v1beta1"):
        assert list(kubernetes.resources.search(api_version=version)), version


def test_objects_are_written_and_read_by_what_was_found(kubernetes: Any, three_nodes: Kube) -> None:
    deployments = kubernetes.resources.get(api_version="apps/v1", kind="Deployment")
    made = deployments.create(body=deployment("web", 2), namespace="default")
    assert (made.kind, made.spec.replicas) == ("Deployment", 2)
    deployments.patch(
        name="web",
        namespace="default",
        body={"spec": {"replicas": 3}},
        content_type="application/merge-patch+json",
    )
    assert deployments.get(name="web", namespace="default").spec.replicas == 3
    three_nodes.advance(30)
    pods = kubernetes.resources.get(api_version="v1", kind="Pod")
    assert len(pods.get(namespace="default", label_selector="app=web").items) == 3


def test_documents_come_over_the_wire_once(three_nodes: Kube, served: Served) -> None:
    context = ssl.create_default_context(cadata=served.ca_pem.decode())
    headers = {"Authorization": f"Bearer {three_nodes.cluster.token_for()}"}
    with urllib3.PoolManager(ssl_context=context, headers=headers) as pool:
        index = pool.request("GET", f"{served.url}/openapi/v3").json()
        url = served.url + index["paths"]["api/v1"]["serverRelativeURL"]
        first = pool.request("GET", url)
        assert first.json()["openapi"] == "3.0.0"
        assert first.headers["Cache-Control"] == "public, immutable"
        known = {**headers, "If-None-Match": first.headers["ETag"]}
        again = pool.request("GET", url, headers=known)
    assert (again.status, again.data) == (304, b"")


def test_a_hash_of_yesterday_leads_over_the_wire_to_the_document_of_today(
    three_nodes: Kube, served: Served
) -> None:
    context = ssl.create_default_context(cadata=served.ca_pem.decode())
    headers = {"Authorization": f"Bearer {three_nodes.cluster.token_for()}"}
    with urllib3.PoolManager(ssl_context=context, headers=headers) as pool:
        answer = pool.request("GET", f"{served.url}/openapi/v3/apis/apps/v1?hash=0")
    assert answer.status == 200
    assert "io.k8s.api.apps.v1.Deployment" in answer.json()["components"]["schemas"]
