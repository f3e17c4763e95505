"""kubectl and the Python client where it matters who owns a field: --server-side, --show-managed-fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubectl_driver import Kubectl
from kubernetes import config as untyped_config
from kubernetes import dynamic as untyped_dynamic

# The client comes without types for these two.
config: Any = untyped_config
dynamic: Any = untyped_dynamic

SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: fast, size: '3'}\n"
OWNERS = (
    "get cm settings --show-managed-fields -o "
    "jsonpath='{range .metadata.managedFields[*]}{.manager} {.operation} {.fieldsV1}{\"\\n\"}{end}'"
)


def test_managers_are_shown_to_those_who_want_to_see_them(kubectl: Kubectl) -> None:
    kubectl("create configmap settings --from-literal=mode=fast")
    assert "managedFields" not in kubectl("get cm settings -o yaml")
    assert kubectl(OWNERS) == 'kubectl-create Update {"f:data":{".":{},"f:mode":{}}}\n'


def test_what_was_applied_on_the_clients_side_goes_over_to_the_server(kubectl: Kubectl) -> None:
    kubectl.write("cm.yaml", SETTINGS)
    kubectl("apply -f cm.yaml")
    assert kubectl("apply --server-side -f cm.yaml") == "configmap/settings serverside-applied\n"
    assert "kubectl-client-side-apply" not in kubectl(OWNERS)
    kubectl.write("cm.yaml", SETTINGS.replace(", size: '3'", ""))
    kubectl("apply --server-side -f cm.yaml")
    assert kubectl.json("get cm settings")["data"] == {"mode": "fast"}
    assert kubectl("apply -f cm.yaml") == "configmap/settings configured\n"


def test_conflicts_are_listed_with_what_to_do_about_them(kubectl: Kubectl) -> None:
    kubectl.write("cm.yaml", SETTINGS)
    kubectl("apply --server-side -f cm.yaml")
    kubectl.write("cm.yaml", SETTINGS.replace("fast", "slow").replace("3", "4"))
    complaint = kubectl.fails("apply --server-side --field-manager=other -f cm.yaml")
    assert complaint.startswith(
        'error: Apply failed with 2 conflicts: conflicts with "kubectl":\n- .data.mode\n- .data.size\nPlease'
    )
    forced = "--server-side --field-manager=other --force-conflicts -f cm.yaml"
    assert kubectl(f"apply {forced} --dry-run=server") == (
        "configmap/settings serverside-applied (server dry run)\n"
    )
    assert kubectl.json("get cm settings")["data"]["mode"] == "fast"
    compared = kubectl.run(f"diff {forced}")
    assert compared.code == 1
    changed = [line for line in compared.out.splitlines() if line.startswith(("-  ", "+  "))]
    assert changed == ["-  mode: fast", '-  size: "3"', "+  mode: slow", '+  size: "4"']
    kubectl(f"apply {forced}")
    assert kubectl.json("get cm settings")["data"]["mode"] == "slow"


def test_fields_that_nobody_knows_are_refused(kubectl: Kubectl) -> None:
    kubectl.write("cm.yaml", SETTINGS + "foo: 1\n")
    assert kubectl.fails("apply --server-side -f cm.yaml") == (
        "Error from server: failed to create typed patch object "
        f"({kubectl.namespace}/settings; /v1, Kind=ConfigMap): .foo: field not declared in schema\n"
    )


def test_the_last_applied_configuration_is_seen_set_and_edited(kubectl: Kubectl) -> None:
    kubectl.write("cm.yaml", SETTINGS)
    kubectl("create -f cm.yaml")
    assert (
        kubectl("apply set-last-applied -f cm.yaml --create-annotation") == "configmap/settings configured\n"
    )
    assert "mode: fast" in kubectl("apply view-last-applied cm settings")
    edit = kubectl.with_editor('sed -i.bak "s/mode: fast/mode: slow/" "$1"')
    assert edit("apply edit-last-applied cm settings") == "configmap/settings edited\n"
    assert "mode: slow" in kubectl("apply view-last-applied cm settings")
    assert kubectl.json("get cm settings")["data"]["mode"] == "fast"


def test_the_dynamic_client_applies(kubectl: Kubectl) -> None:
    client = dynamic.DynamicClient(config.new_client_from_config(str(kubectl.config)))
    maps = client.resources.get(api_version="v1", kind="ConfigMap")

    def apply(mode: str, manager: str, **more: Any) -> Any:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings"},
            "data": {"mode": mode},
        }
        return client.server_side_apply(
            maps, body=body, namespace=kubectl.namespace, field_manager=manager, **more
        )

    assert apply("fast", "one").data.mode == "fast"
    with pytest.raises(dynamic.exceptions.ConflictError) as refused:
        apply("slow", "two")
    assert json.loads(refused.value.body)["message"] == (
        'Apply failed with 1 conflict: conflict with "one": .data.mode'
    )
    assert apply("slow", "two", force_conflicts=True).data.mode == "slow"


def test_what_has_no_fields_that_the_server_knows_is_owned_as_a_whole(kubectl: Kubectl) -> None:
    revision = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "settings"},
        "data": {"spec": {"a": 1}},
        "revision": 1,
    }
    kubectl("apply --server-side -f -", revision)
    shown = kubectl(OWNERS.replace("cm", "controllerrevision"))
    assert shown == 'kubectl Apply {"f:data":{},"f:revision":{}}\n'
