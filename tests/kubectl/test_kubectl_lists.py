"""Lists of objects in one manifest, which kubectl checks with the types that the server tells it of."""

from __future__ import annotations

import json

from kubectl_driver import Kubectl
from kubectl_objects import Object, config_map, deployment

TEAPOT: Object = {"apiVersion": "acme.io/v1", "kind": "Teapot", "metadata": {"name": "a"}}


def listed(*objects: Object) -> Object:
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}


def test_a_list_of_objects_is_handled_one_by_one(kubectl: Kubectl) -> None:
    kubectl.write("list.json", json.dumps(listed(config_map("a", k="v"), config_map("b", k="v"))))
    assert kubectl("apply -f list.json") == "configmap/a created\nconfigmap/b created\n"
    assert kubectl("apply --server-side -f list.json").count(" serverside-applied\n") == 2
    assert kubectl("diff -f list.json") == ""
    assert kubectl("delete -f list.json") == 'configmap "a" deleted\nconfigmap "b" deleted\n'
    assert kubectl("create -f list.json") == "configmap/a created\nconfigmap/b created\n"
    assert kubectl("replace -f list.json") == "configmap/a replaced\nconfigmap/b replaced\n"


def test_a_list_with_an_unknown_field_is_refused_as_a_whole(kubectl: Kubectl) -> None:
    assert kubectl.fails("apply -f -", listed(config_map("b"), {**config_map("a"), "dat": {}})) == (
        'error: error validating "STDIN": error validating data: ValidationError(ConfigMap): '
        'unknown field "dat" in io.k8s.api.core.v1.ConfigMap; '
        "if you choose to ignore these errors, turn validation off with --validate=false\n"
    )
    assert kubectl("get configmap b --ignore-not-found") == ""


def test_a_value_of_the_wrong_type_in_a_list_is_refused(kubectl: Kubectl) -> None:
    web = deployment("web")
    web["spec"]["replicas"] = "two"
    assert (
        'invalid type for io.k8s.api.apps.v1.DeploymentSpec.replicas: got "string", expected "integer"'
        in kubectl.fails("create -f -", listed(web))
    )


def test_what_the_cluster_has_of_a_list_is_made_and_the_rest_named(kubectl: Kubectl) -> None:
    refused = kubectl.run("apply -f -", listed(config_map("a"), TEAPOT))
    assert (refused.code, refused.out) == (1, "configmap/a created\n")
    assert refused.err == 'unable to recognize no matches for kind "Teapot" in version "acme.io/v1"\n'
