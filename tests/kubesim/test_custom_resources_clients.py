"""Custom resources through kubectl and the official Python client."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from definitions import NAME, SCALE, definition, shirt, version

from pytest_selfrep.kubesim.cluster import Cluster
from pytest_selfrep.kubesim.serving.server import serve

Kubectl = Callable[..., str]


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    """A kubeconfig of the administrator of a served cluster."""
    cluster = Cluster()
    served = serve(cluster, real_time=True)
    path = tmp_path / "kubeconfig"
    path.write_text(served.kubeconfig(cluster.token_for(), "default"))
    yield path
    served.close()


@pytest.fixture
def kubectl(config: Path) -> Kubectl:
    def run(*words: str, sent: object = None, **environment: str) -> str:
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(config), *words],
            input=json.dumps(sent),
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "HOME": str(config.parent), **environment},
            check=False,
        )
        return done.stdout + done.stderr

    return run


def shirts() -> Any:
    return definition(
        "shirts",
        "Shirt",
        version(subresources={"status": {}, "scale": SCALE}),
        shortNames=["sh"],
        categories=["all"],
    )


def test_kubectl_works_with_them(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", sent=shirts())
    met = kubectl("wait", "--for", "condition=established", f"crd/{NAME}", "--timeout=20s")
    assert met == f"customresourcedefinition.apiextensions.k8s.io/{NAME} condition met\n"
    assert kubectl("apply", "-f", "-", sent=shirt()) == "shirt.stable.acme.io/red created\n"
    assert kubectl("get", "sh").splitlines()[0].split() == ["NAME", "AGE"]
    assert "shirt.stable.acme.io/red" in kubectl("get", "all")
    kubectl("scale", "sh", "red", "--replicas=3")
    assert kubectl("get", "sh", "red", "-o", "jsonpath={.spec.replicas}") == "3"
    assert "replicas\t<integer>" in kubectl("explain", "shirt.spec")
    assert kubectl("delete", "crd", NAME).endswith("deleted\n")
    assert "the server could not find the requested resource" in kubectl(
        "get", "--raw", "/apis/stable.acme.io/v1"
    )


@pytest.fixture
def api(config: Path) -> Iterator[Any]:
    """A client of the Python library, whose signatures are untyped or say Optional everywhere."""
    from kubernetes import config as untyped

    library: Any = untyped
    with library.new_client_from_config(str(config)) as made:
        yield made
        made.rest_client.pool_manager.clear()


def test_kubectl_edits_and_describes_them(kubectl: Kubectl, config: Path) -> None:
    kubectl("apply", "-f", "-", sent=shirts())
    kubectl("wait", "--for", "condition=established", f"crd/{NAME}", "--timeout=20s")
    kubectl("apply", "-f", "-", sent=shirt())
    editor = config.parent / "editor"
    editor.write_text("#!/bin/sh\nsed -i.bak 's/color: red/color: blue/' $1\n")
    editor.chmod(0o755)
    assert kubectl("edit", "shirt", "red", KUBE_EDITOR=str(editor)) == "shirt.stable.acme.io/red edited\n"
    described = [line.split() for line in kubectl("describe", "shirt", "red").splitlines()]
    assert ["Kind:", "Shirt"] in described
    assert ["Color:", "blue"] in described
    assert ["Events:", "<none>"] in described


def test_kubectl_shows_the_warning_of_a_deprecated_version(kubectl: Kubectl) -> None:
    old = version("v1beta1", storage=False, deprecated=True)
    kubectl("apply", "-f", "-", sent=definition("shirts", "Shirt", version(), old))
    kubectl("wait", "--for", "condition=established", f"crd/{NAME}", "--timeout=20s")
    shown = kubectl("get", "shirts.v1beta1.stable.acme.io")
    assert "Warning: stable.acme.io/v1beta1 Shirt is deprecated; use stable.acme.io/v1 Shirt\n" in shown


def test_the_dynamic_client_works_with_them(api: Any) -> None:
    from kubernetes import client
    from kubernetes import dynamic as untyped

    dynamic: Any = untyped
    client.ApiextensionsV1Api(api).create_custom_resource_definition(shirts())
    found: Any = dynamic.DynamicClient(api).resources.get(api_version="stable.acme.io/v1", kind="Shirt")
    found.create(body=shirt(), namespace="default")
    found.patch(
        name="red",
        namespace="default",
        body={"spec": {"replicas": 2}},
        content_type="application/merge-patch+json",
    )
    assert found.get(name="red", namespace="default").spec.replicas == 2
    (event,) = found.watch(namespace="default", timeout=1)
    assert (event["type"], event["object"].metadata.name) == ("ADDED", "red")
    found.delete(name="red", namespace="default")
    assert found.get(namespace="default").items == []


def test_the_python_client_watches_them(api: Any) -> None:
    from kubernetes import client
    from kubernetes import watch as untyped

    watch: Any = untyped
    client.ApiextensionsV1Api(api).create_custom_resource_definition(shirts())
    custom: Any = client.CustomObjectsApi(api)
    place = ("stable.acme.io", "v1", "default", "shirts")
    custom.create_namespaced_custom_object(*place, shirt())
    listed = custom.list_namespaced_custom_object(*place)["metadata"]["resourceVersion"]
    custom.patch_namespaced_custom_object(*place, "red", {"spec": {"replicas": 2}})
    custom.delete_namespaced_custom_object(*place, "red")
    seen = watch.Watch().stream(
        custom.list_namespaced_custom_object, *place, resource_version=listed, timeout_seconds=1
    )
    assert [each["type"] for each in seen] == ["MODIFIED", "DELETED"]


def test_the_python_client_works_with_them(api: Any) -> None:
    from kubernetes import client

    client.ApiextensionsV1Api(api).create_custom_resource_definition(shirts())
    custom: Any = client.CustomObjectsApi(api)
    place = ("stable.acme.io", "v1", "default", "shirts")
    custom.create_namespaced_custom_object(*place, shirt())
    custom.patch_namespaced_custom_object(*place, "red", {"spec": {"replicas": 2}})
    custom.patch_namespaced_custom_object_status(*place, "red", {"status": {"replicas": 1}})
    scale = custom.get_namespaced_custom_object_scale(*place, "red")
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (2, 1)
    assert [each["spec"]["color"] for each in custom.list_namespaced_custom_object(*place)["items"]] == [
        "red"
    ]
