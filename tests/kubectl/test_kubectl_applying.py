"""kubectl apply, diff, edit and replace: what is in files against what is in the cluster."""

from __future__ import annotations

import json

import pytest
import yaml
from kubectl_driver import Kubectl
from kubectl_objects import Object, config_map, deployment

SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  mode: fast
  size: "3"
"""
TEAPOT: Object = {"apiVersion": "acme.io/v1", "kind": "Teapot", "metadata": {"name": "a"}}


def test_a_file_is_created_then_unchanged_then_configured(kubectl: Kubectl) -> None:
    kubectl.write("cm.yaml", SETTINGS)
    assert kubectl("apply -f cm.yaml --dry-run=server") == "configmap/settings created (server dry run)\n"
    assert kubectl("apply -f cm.yaml --dry-run=client") == "configmap/settings created (dry run)\n"
    assert kubectl("apply -f cm.yaml") == "configmap/settings created\n"
    assert kubectl("apply -f cm.yaml") == "configmap/settings unchanged\n"
    kubectl('patch cm settings --type=merge -p \'{"data": {"own": "kept"}}\'')
    kubectl.write("cm.yaml", SETTINGS.replace('  size: "3"\n', "").replace("fast", "slow"))
    assert kubectl("apply -f cm.yaml") == "configmap/settings configured\n"
    assert kubectl.json("get cm settings")["data"] == {"mode": "slow", "own": "kept"}
    assert '"mode":"slow"' in kubectl("apply view-last-applied cm settings -o json").replace(": ", ":")
    assert kubectl("delete -f cm.yaml") == 'configmap "settings" deleted\n'


def test_many_documents_and_folders_are_applied(kubectl: Kubectl) -> None:
    kubectl.write("conf/a.yaml", SETTINGS + "---\n" + SETTINGS.replace("settings", "more"))
    kubectl.write("conf/sub/b.json", json.dumps(deployment("web")))
    assert kubectl("apply -R -f conf") == (
        "configmap/settings created\nconfigmap/more created\ndeployment.apps/web created\n"
    )
    assert kubectl("apply -f -", deployment("web")) == "deployment.apps/web unchanged\n"
    assert kubectl("apply -f -", deployment("web", 3)) == "deployment.apps/web configured\n"
    assert kubectl("get deploy web -o jsonpath={.spec.replicas}") == "3"


@pytest.mark.parametrize("command", ["apply", "apply --validate=ignore", "apply --server-side", "create"])
def test_a_kind_that_is_not_there_is_named(kubectl: Kubectl, command: str) -> None:
    assert kubectl.fails(f"{command} -f -", TEAPOT) == (
        'error: resource mapping not found for name: "a" namespace: "" from "STDIN": '
        'no matches for kind "Teapot" in version "acme.io/v1"\nensure CRDs are installed first\n'
    )


def test_what_is_no_longer_in_the_files_is_pruned(kubectl: Kubectl) -> None:
    both = [config_map("a", {"team": "x"}, k="v"), config_map("b", {"team": "x"}, k="v")]
    kubectl("apply -f -", "---\n".join(map(yaml.safe_dump, both)))
    done = kubectl.run("apply -f - --prune -l team=x --prune-allowlist=core/v1/ConfigMap", both[0])
    assert done.out == "configmap/a unchanged\nconfigmap/b pruned\n"


def test_a_kustomization_is_applied(kubectl: Kubectl) -> None:
    kubectl.write("base/cm.yaml", SETTINGS)
    kubectl.write(
        "base/kustomization.yaml", "resources: [cm.yaml]\nnamePrefix: dev-\ncommonLabels: {team: x}\n"
    )
    assert "name: dev-settings" in kubectl("kustomize base")
    assert kubectl("apply -k base") == "configmap/dev-settings created\n"
    assert kubectl("get -k base -o name") == "configmap/dev-settings\n"
    assert kubectl("delete -k base") == 'configmap "dev-settings" deleted\n'


def test_mistakes_are_found_before_anything_is_written(kubectl: Kubectl) -> None:
    wrong = deployment("web")
    wrong["spec"]["replcas"] = 2
    assert kubectl.fails("apply -f -", wrong) == (
        'Error from server (BadRequest): error when creating "STDIN": '
        'Deployment in version "v1" cannot be handled as a Deployment: '
        'strict decoding error: unknown field "spec.replcas"\n'
    )
    assert (
        kubectl.fails("get deploy web") == 'Error from server (NotFound): deployments.apps "web" not found\n'
    )
    done = kubectl.run("apply -f - --validate=warn", wrong)
    assert (done.code, done.err) == (0, 'Warning: unknown field "spec.replcas"\n')
    ignored = kubectl.run("apply -f - --validate=ignore", wrong)
    assert (ignored.out, ignored.err) == ("deployment.apps/web configured\n", "")


def test_differences_are_shown_and_told_by_the_exit_code(kubectl: Kubectl) -> None:
    kubectl.write("cm.yaml", SETTINGS)
    done = kubectl.run("diff -f cm.yaml")
    assert done.code == 1
    assert "+  mode: fast\n" in done.out
    kubectl("apply -f cm.yaml")
    assert kubectl("diff -f cm.yaml") == ""
    kubectl.write("cm.yaml", SETTINGS.replace("fast", "slow"))
    done = kubectl.run("diff -f cm.yaml")
    assert done.code == 1
    assert "-  mode: fast\n+  mode: slow\n" in done.out
    assert kubectl("get cm settings -o jsonpath={.data.mode}") == "fast"


def test_objects_are_edited(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, config_map("settings", mode="fast"))
    edit = kubectl.with_editor('sed -i.bak "s/mode: fast/mode: slow/" "$1"')
    assert edit("edit cm settings") == "configmap/settings edited\n"
    assert kubectl("get cm settings -o jsonpath={.data.mode}") == "slow"
    done = edit.run("edit cm settings")
    assert (done.code, done.err) == (0, "Edit cancelled, no changes made.\n")
    assert edit.fails("edit cm none") == 'Error from server (NotFound): configmaps "none" not found\n'
    broken = kubectl.with_editor('sed -i.bak "s/mode: slow/mode: [/" "$1"')
    assert "error: Edit cancelled, no valid changes were saved." in broken.fails("edit cm settings")


def test_an_edit_that_the_server_refuses_is_kept_in_a_file(kubectl: Kubectl) -> None:
    kubectl.site.make(kubectl.namespace, deployment("web"))
    negative = kubectl.with_editor('sed -i.bak "s/replicas: 1$/replicas: -1/" "$1"')
    complaint = negative.fails("edit deploy web")
    assert "A copy of your changes has been stored to " in complaint
    assert kubectl("get deploy web -o jsonpath={.spec.replicas}") == "1"


def test_objects_are_replaced(kubectl: Kubectl) -> None:
    kubectl.write("cm.yaml", SETTINGS)
    assert kubectl.fails("replace -f cm.yaml") == (
        'Error from server (NotFound): error when replacing "cm.yaml": configmaps "settings" not found\n'
    )
    kubectl.site.make(kubectl.namespace, config_map("settings", own="lost"))
    before = kubectl("get cm settings -o jsonpath={.metadata.uid}")
    assert kubectl("replace -f cm.yaml") == "configmap/settings replaced\n"
    assert kubectl.json("get cm settings")["data"] == {"mode": "fast", "size": "3"}
    assert kubectl("get cm settings -o jsonpath={.metadata.uid}") == before
    stale = kubectl.json("get cm settings")
    stale["metadata"]["resourceVersion"] = "1"
    assert "the object has been modified; please apply your changes to the latest version" in kubectl.fails(
        "replace -f -", stale
    )
    assert kubectl("replace --force -f cm.yaml") == (
        'configmap "settings" deleted\nconfigmap/settings replaced\n'
    )
    assert kubectl("get cm settings -o jsonpath={.metadata.uid}") != before


def test_server_side_apply_keeps_owners_apart(kubectl: Kubectl) -> None:
    kubectl.write("cm.yaml", SETTINGS)
    assert kubectl("apply --server-side -f cm.yaml") == "configmap/settings serverside-applied\n"
    assert kubectl("apply --server-side -f cm.yaml --field-manager=other").endswith("serverside-applied\n")
    kubectl.write("cm.yaml", SETTINGS.replace("fast", "slow"))
    assert kubectl.fails("apply --server-side -f cm.yaml --field-manager=other").startswith(
        'error: Apply failed with 1 conflict: conflict with "kubectl": .data.mode\n'
    )
    kubectl("apply --server-side -f cm.yaml --field-manager=other --force-conflicts")
    assert kubectl("get cm settings -o jsonpath={.data.mode}") == "slow"
