"""kubectl auth, api-resources, explain, version, cluster-info, config and proxy."""

from __future__ import annotations

import json
import re
import urllib.request

from kubectl_driver import Kubectl


def test_who_one_is_and_what_one_may_do(kubectl: Kubectl) -> None:
    assert kubectl("auth whoami") == (
        "ATTRIBUTE   VALUE\nUsername    kubernetes-admin\nGroups      [system:masters system:authenticated]\n"
    )
    assert kubectl("auth can-i create pods") == "yes\n"
    assert kubectl("auth can-i '*' '*' -A") == "yes\n"
    assert kubectl("auth can-i get pods --subresource=log -q") == ""
    stranger = kubectl.site.terminal(kubectl.home / "ann", kubectl.namespace, "ann")
    refused = stranger.run("auth can-i list secrets")
    assert (refused.code, refused.out) == (1, "no\n")
    assert stranger.run("auth can-i list secrets -q").out == ""
    listed = stranger.rows("auth can-i --list")
    assert listed[:4] == [
        ["Resources", "Non-Resource URLs", "Resource Names", "Verbs"],
        ["selfsubjectreviews.authentication.k8s.io", "[]", "[]", "[create]"],
        ["selfsubjectaccessreviews.authorization.k8s.io", "[]", "[]", "[create]"],
        ["selfsubjectrulesreviews.authorization.k8s.io", "[]", "[]", "[create]"],
    ]
    assert {row[-1] for row in listed[4:]} == {"[get]"}
    assert listed == kubectl.rows("auth can-i --list --as=ann")
    assert kubectl.rows("auth can-i --list")[1] == ["*.*", "[]", "[]", "[*]"]
    assert stranger.fails("get pods") == (
        'Error from server (Forbidden): pods is forbidden: User "ann" cannot list resource "pods" '
        f'in API group "" in the namespace "{kubectl.namespace}"\n'
    )


def test_impersonation(kubectl: Kubectl) -> None:
    assert kubectl.run("auth can-i list pods --as=ann").out == "no\n"
    assert kubectl("auth whoami --as=ann --as-group=devs").endswith(
        "Username    ann\nGroups      [devs system:authenticated]\n"
    )
    kubectl("create rolebinding viewers --clusterrole=view --group=devs")
    assert kubectl("auth can-i list pods --as=ann --as-group=devs") == "yes\n"
    assert kubectl.fails("get secrets --as=ann --as-group=devs").startswith(
        "Error from server (Forbidden): secrets is forbidden: "
    )


def test_roles_are_reconciled_without_taking_anything_away(kubectl: Kubectl) -> None:
    kubectl("create role reader --verb=get --resource=pods,services")
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
    meta = {"name": "reader", "namespace": kubectl.namespace}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": [rule]}
    kubectl.write("role.json", json.dumps(role))
    assert "role.rbac.authorization.k8s.io/reader reconciled\n" in kubectl("auth reconcile -f role.json")
    rules = kubectl.json("get role reader")["rules"]
    assert {(each["resources"][0], *each["verbs"]) for each in rules} >= {("pods", "list")}
    assert any("services" in each["resources"] for each in rules)


def test_resources_and_versions_are_listed(kubectl: Kubectl) -> None:
    rows = [line.split() for line in kubectl("api-resources --no-headers --api-group=apps").splitlines()]
    assert rows[1] == ["daemonsets", "ds", "apps/v1", "true", "DaemonSet"]
    assert "pods" in kubectl("api-resources --namespaced=true --verbs=list,delete -o name").split()
    assert kubectl("api-resources --categories=all -o name").split()[:3] == [
        "pods",
        "replicationcontrollers",
        "services",
    ]
    versions = kubectl("api-versions").split()
    assert {"v1", "apps/v1", "batch/v1", "rbac.authorization.k8s.io/v1"} <= set(versions)
    wide = kubectl("api-resources -o wide --no-headers --api-group=apps").splitlines()
    assert wide[1].split()[5:] == ["create,delete,deletecollection,get,list,patch,update,watch", "all"]


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
    assert kubectl.fails("get flowschemas") == (
        'error: the server doesn\'t have a resource type "flowschemas"\n'
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
