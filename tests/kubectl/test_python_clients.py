"""The official Python client against a served cluster: typed, dynamic and asynchronous."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubectl_driver import Site
from kubectl_objects import budget, config_map, cron_job, deployment, job, pod, service, workload
from kubernetes import client as untyped_client
from kubernetes import config as untyped_config
from kubernetes import dynamic as untyped_dynamic
from kubernetes import utils as untyped_utils
from kubernetes import watch as untyped_watch

# The client's signatures say Optional everywhere: what comes back is looked into as it is.
client: Any = untyped_client
config: Any = untyped_config
dynamic: Any = untyped_dynamic
utils: Any = untyped_utils
watch: Any = untyped_watch


@pytest.fixture(scope="module")
def connection(site: Site) -> Iterator[Any]:
    settings = client.Configuration()
    kubeconfig = yaml.safe_load(site.served.kubeconfig(site.cluster.token_for()))
    config.load_kube_config_from_dict(kubeconfig, client_configuration=settings)
    with client.ApiClient(settings) as made:
        yield made
        made.rest_client.pool_manager.clear()


@pytest.fixture
def namespace(site: Site) -> str:
    return site.new_namespace()


TEAPOT = {
    "type": "object",
    "properties": {"spec": {"type": "object", "properties": {"cups": {"type": "integer"}}}},
}
TYPED = {
    "pod": ("CoreV1Api", pod("a")),
    "config_map": ("CoreV1Api", config_map("a", mode="fast")),
    "service": ("CoreV1Api", service("a")),
    "secret": ("CoreV1Api", {"metadata": {"name": "a"}, "stringData": {"k": "v"}}),
    "service_account": ("CoreV1Api", {"metadata": {"name": "a"}}),
    "resource_quota": ("CoreV1Api", {"metadata": {"name": "a"}, "spec": {"hard": {"pods": "9"}}}),
    "limit_range": ("CoreV1Api", {"metadata": {"name": "a"}, "spec": {"limits": [{"type": "Pod"}]}}),
    "deployment": ("AppsV1Api", deployment("a")),
    "replica_set": ("AppsV1Api", workload("ReplicaSet", "a", 1)),
    "stateful_set": ("AppsV1Api", workload("StatefulSet", "a", 1)),
    "daemon_set": ("AppsV1Api", workload("DaemonSet", "a")),
    "job": ("BatchV1Api", job("a")),
    "cron_job": ("BatchV1Api", cron_job("a")),
    "pod_disruption_budget": ("PolicyV1Api", budget("a", 1)),
    "lease": ("CoordinationV1Api", {"metadata": {"name": "a"}, "spec": {"holderIdentity": "me"}}),
    "role": (
        "RbacAuthorizationV1Api",
        {"metadata": {"name": "a"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    ),
    "role_binding": (
        "RbacAuthorizationV1Api",
        {
            "metadata": {"name": "a"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"},
        },
    ),
}


@pytest.mark.parametrize("kind", TYPED)
def test_typed_objects_are_created_read_changed_and_deleted(
    connection: Any, namespace: str, kind: str
) -> None:
    api_name, body = TYPED[kind]
    api = getattr(client, api_name)(connection)
    created = getattr(api, f"create_namespaced_{kind}")(namespace, body)
    assert created.metadata.uid
    read = getattr(api, f"read_namespaced_{kind}")("a", namespace)
    assert read.metadata.name == "a"
    labelled = {"metadata": {"labels": {"team": "x"}}}
    patched = getattr(api, f"patch_namespaced_{kind}")("a", namespace, labelled)
    assert patched.metadata.labels["team"] == "x"
    patched.metadata.annotations = {**(patched.metadata.annotations or {}), "note": "hello"}
    replaced = getattr(api, f"replace_namespaced_{kind}")("a", namespace, patched)
    assert replaced.metadata.annotations["note"] == "hello"
    listed = getattr(api, f"list_namespaced_{kind}")(namespace, label_selector="team=x")
    assert [each.metadata.name for each in listed.items] == ["a"]
    assert len(getattr(api, f"list_{kind}_for_all_namespaces")(label_selector="team=x").items) >= 1
    getattr(api, f"delete_namespaced_{kind}")("a", namespace, propagation_policy="Background")
    getattr(api, f"delete_collection_namespaced_{kind}")(namespace, label_selector="team=x")


def test_scales_evictions_logs_and_tokens(site: Site, connection: Any, namespace: str) -> None:
    core, apps = client.CoreV1Api(connection), client.AppsV1Api(connection)
    site.make(namespace, deployment("web"), pod("a", command="echo hello; sleep infinity"))
    apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 2}})
    site.cluster.advance(20)
    assert apps.read_namespaced_deployment_scale("web", namespace).status.replicas == 2
    assert core.read_namespaced_pod_log("a", namespace) == "hello\n"
    core.create_namespaced_pod_eviction("a", namespace, client.V1Eviction(metadata={"name": "a"}))
    request = client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=["vault"], expiration_seconds=600)
    )
    token = core.create_namespaced_service_account_token("default", namespace, request)
    assert token.status.token.count(".") == 2


def test_a_watch_goes_on_from_where_a_list_was(site: Site, connection: Any, namespace: str) -> None:
    core = client.CoreV1Api(connection)
    listed = core.list_namespaced_config_map(namespace)
    site.make(namespace, config_map("a"), config_map("b"))
    watching = watch.Watch()
    seen = []
    version = listed.metadata.resource_version
    for event in watching.stream(
        core.list_namespaced_config_map, namespace, resource_version=version, timeout_seconds=20
    ):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 2:
            watching.stop()
    assert seen == [("ADDED", "a"), ("ADDED", "b")]


def test_the_dynamic_client_finds_kinds_by_discovery(connection: Any, namespace: str) -> None:
    found = dynamic.DynamicClient(connection)
    kind = found.resources.get(api_version="apps/v1", kind="Deployment")
    assert kind.create(body=deployment("web"), namespace=namespace).metadata.name == "web"
    merge = "application/merge-patch+json"
    changed = kind.patch(name="web", namespace=namespace, body={"spec": {"replicas": 2}}, content_type=merge)
    assert changed.spec.replicas == 2
    applied = deployment("other")
    kind.server_side_apply(body=applied, name="other", namespace=namespace, field_manager="me")
    assert sorted(each.metadata.name for each in kind.get(namespace=namespace).items) == ["other", "web"]
    kind.delete(name="web", namespace=namespace)
    for event in kind.watch(namespace=namespace, timeout=2):
        assert event["object"].metadata.name == "other"
        break


def test_yaml_is_created_as_it_is(connection: Any, namespace: str) -> None:
    objects = [config_map("a"), deployment("web"), service("web")]
    for obj in objects:
        utils.create_from_dict(connection, obj, namespace=namespace)
    with pytest.raises(utils.FailToCreateError) as twice:
        utils.create_from_yaml(connection, yaml_objects=objects[:1], namespace=namespace)
    assert 'configmaps \\"a\\" already exists' in str(twice.value)


def test_the_asynchronous_client_reads_writes_and_watches(site: Site, namespace: str, tmp_path: Path) -> None:
    from kubernetes import aio as untyped_aio

    aio: Any = untyped_aio
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(site.served.kubeconfig(site.cluster.token_for()), encoding="utf-8")

    async def use() -> list[tuple[str, str]]:
        settings = aio.client.Configuration()
        await aio.config.load_kube_config(config_file=str(kubeconfig), client_configuration=settings)
        async with aio.client.ApiClient(settings) as connected:
            core = aio.client.CoreV1Api(connected)
            await core.create_namespaced_config_map(namespace, config_map("a", mode="fast"))
            assert (await core.read_namespaced_config_map("a", namespace)).data == {"mode": "fast"}
            seen = []
            async with aio.watch.Watch() as watching:
                async for event in watching.stream(
                    core.list_namespaced_config_map,
                    namespace,
                    field_selector="metadata.name=a",
                    timeout_seconds=20,
                ):
                    seen.append((event["type"], event["object"].metadata.name))
                    if len(seen) == 1:
                        await core.delete_namespaced_config_map("a", namespace)
                    else:
                        break
            return seen

    assert asyncio.run(use()) == [("ADDED", "a"), ("DELETED", "a")]


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_the_asynchronous_client_runs_commands_in_containers(
    site: Site, namespace: str, tmp_path: Path
) -> None:
    from kubernetes import aio as untyped_aio
    from kubernetes.aio import stream as untyped_stream

    aio: Any = untyped_aio
    stream: Any = untyped_stream
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(site.served.kubeconfig(site.cluster.token_for()), encoding="utf-8")
    site.make(namespace, pod("a"))
    site.cluster.advance(20)

    async def use() -> tuple[str, int]:
        settings = aio.client.Configuration()
        await aio.config.load_kube_config(config_file=str(kubeconfig), client_configuration=settings)
        async with stream.WsApiClient(settings) as connected:
            core = aio.client.CoreV1Api(connected)
            said = await core.connect_get_namespaced_pod_exec(
                "a", namespace, command=["echo", "hello"], stdout=True, stderr=True
            )
            opened = await core.connect_get_namespaced_pod_exec_without_preload_content(
                "a", namespace, command=["sh", "-c", "exit 3"], stdout=True, stderr=True
            )
            async with opened as channels:
                messages = [message.data async for message in channels]
        (error,) = [message[1:].decode() for message in messages if message[:1] == b"\x03"]
        return said, connected.parse_error_data(error)

    assert asyncio.run(use()) == ("hello\n", 3)
    # The client does not wait for its TLS connections to end: they are forgotten here, not amid another test.
    gc.collect()


def test_the_dynamic_client_meets_custom_resources(site: Site, connection: Any, namespace: str) -> None:
    site.create(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        {
            "metadata": {"name": "teapots.acme.io"},
            "spec": {
                "group": "acme.io",
                "scope": "Namespaced",
                "names": {"plural": "teapots", "kind": "Teapot"},
                "versions": [
                    {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": TEAPOT}}
                ],
            },
        },
    )
    site.cluster.advance(5)
    teapots = dynamic.DynamicClient(connection).resources.get(api_version="acme.io/v1", kind="Teapot")
    made = {"apiVersion": "acme.io/v1", "kind": "Teapot", "metadata": {"name": "a"}, "spec": {"cups": 2}}
    assert teapots.create(body=made, namespace=namespace).spec.cups == 2
    with pytest.raises(dynamic.exceptions.UnprocessibleEntityError) as refused:
        teapots.create(body={**made, "metadata": {"name": "b"}, "spec": {"cups": "two"}}, namespace=namespace)
    assert "spec.cups: Invalid value" in str(refused.value)
    plain = client.CustomObjectsApi(connection)
    listed = plain.list_namespaced_custom_object("acme.io", "v1", namespace, "teapots")
    assert [each["metadata"]["name"] for each in listed["items"]] == ["a"]
    plain.delete_namespaced_custom_object("acme.io", "v1", namespace, "teapots", "a")
    assert teapots.get(namespace=namespace).items == []
