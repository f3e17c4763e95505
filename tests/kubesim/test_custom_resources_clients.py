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
from pytest_selfrep.kubesim.server import serve

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
    def run(*words: str, sent: object = None) -> str:
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(config), *words],
            input=json.dumps(sent),
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "HOME": str(config.parent)},
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


def test_the_python_client_works_with_them(config: Path) -> None:
    from kubernetes import client
    from kubernetes.config import new_client_from_config

    api = new_client_from_config(str(config))
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
