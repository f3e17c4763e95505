"""kubectl auth, api-resources, explain, version, cluster-info, config and proxy."""

from __future__ import annotations

import json
import re
import urllib.request

from kubectl_driver import Kubectl


def test_who_one_is_and_what_one_may_do(kubectl: Kubectl) -> None:
    assert "Username    kubernetes-admin\n" in re.sub(" {4,}", "    ", kubectl("auth whoami"))
    assert kubectl("auth can-i create pods") == "yes\n"
    assert kubectl("auth can-i '*' '*' -A") == "yes\n"
    assert kubectl("auth can-i get pods --subresource=log -q") == ""
    stranger = kubectl.site.terminal(kubectl.home / "ann", kubectl.namespace, "ann")
    refused = stranger.run("auth can-i list secrets")
    assert (refused.code, refused.out) == (1, "no\n")
    assert stranger.run("auth can-i list secrets -q").out == ""
    listed = stranger("auth can-i --list")
    assert listed.startswith("Resources ")
    assert re.search(r"selfsubjectreviews.authentication.k8s.io +\[\] +\[\] +\[create\]", listed)
    assert stranger.fails("get pods") == (
        f'Error from server (Forbidden): pods is forbidden: User "ann" cannot list resource "pods" in API group "" '
        f'in the namespace "{kubectl.namespace}"\n'
    )


def test_impersonation(kubectl: Kubectl) -> None:
    assert kubectl.run("auth can-i list pods --as=ann").out == "no\n"
    assert "ann" in kubectl("auth whoami --as=ann --as-group=devs")
    kubectl("create rolebinding viewers --clusterrole=view --group=devs")
    assert kubectl("auth can-i list pods --as=ann --as-group=devs") == "yes\n"
    assert kubectl.fails("get secrets --as=ann --as-group=devs").startswith(
        "Error from server (Forbidden): secrets is forbidden: "
    )


def test_resources_and_versions_are_listed(kubectl: Kubectl) -> None:
    rows = [line.split() for line in kubectl("api-resources --no-headers --api-group=apps").splitlines()]
    assert rows[1] == ["daemonsets", "ds", "apps/v1", "true", "DaemonSet"]
    assert "pods" in kubectl("api-resources --namespaced=true --verbs=list,delete -o name").split()
    assert kubectl("api-resources --categories=all -o name").split()[:2] == ["pods", "services"]
    versions = kubectl("api-versions").split()
    assert {"v1", "apps/v1", "batch/v1", "rbac.authorization.k8s.io/v1"} <= set(versions)
    assert "[create delete deletecollection get list patch update watch]" in kubectl(
        "api-resources -o wide --api-group=apps"
    ) or "create,delete,deletecollection,get,list,patch,update,watch" in kubectl("api-resources -o wide")


def test_fields_are_explained(kubectl: Kubectl) -> None:
    page = kubectl("explain deployment.spec.replicas")
    assert page.startswith(
        "GROUP:      apps\nKIND:       Deployment\nVERSION:    v1\n\nFIELD: replicas <integer>\n"
    )
    assert "  replicas\t<integer>\n" in kubectl("explain deploy --recursive")
    assert kubectl.fails("explain pod.none") == 'error: field "none" does not exist\n'


def test_versions_and_addresses(kubectl: Kubectl) -> None:
    shown = json.loads(kubectl("version -o json"))
    assert shown["serverVersion"]["gitVersion"] == "v1.32.4"
    info = kubectl("cluster-info")
    assert f"Kubernetes control plane is running at {kubectl.site.served.url}\n" in re.sub(
        r"\x1b\[[\d;]*m", "", info
    )
    assert kubectl("config current-context") == "admin@kubernetes\n"
    assert "token: REDACTED" in kubectl("config view")
    assert kubectl("config view --minify -o jsonpath='{.contexts[0].context.namespace}'") == kubectl.namespace


def test_kinds_that_are_not_there_are_named(kubectl: Kubectl) -> None:
    assert kubectl.fails("certificate approve a") == (
        'error: the server doesn\'t have a resource type "certificatesigningrequests"\n'
    )
    assert kubectl.fails("get persistentvolumes") == (
        'error: the server doesn\'t have a resource type "persistentvolumes"\n'
    )


def test_a_proxy_passes_requests_on(kubectl: Kubectl) -> None:
    with kubectl.start("proxy --port=0") as proxy:
        assert proxy.stdout is not None
        said = proxy.stdout.readline()
        port = re.fullmatch(r"Starting to serve on 127\.0\.0\.1:(\d+)\n", said)
        assert port, said
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port[1]}/api/v1/namespaces/default", timeout=20
        ) as answer:
            found = json.load(answer)
        proxy.terminate()
    assert found["metadata"]["name"] == "default"
