"""Lists of objects in one manifest, which kubectl checks with the types that the server tells it of."""

from __future__ import annotations

import yaml
from kubectl_driver import Kubectl
from kubectl_objects import Object, config_map, deployment


def as_list(*objects: Object) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": list(objects)})


def test_a_list_is_created_replaced_and_applied(kubectl: Kubectl) -> None:
    both = as_list(config_map("a", k="v"), config_map("b", k="v"))
    assert kubectl("create -f -", both) == "configmap/a created\nconfigmap/b created\n"
    assert kubectl("replace -f -", both) == "configmap/a replaced\nconfigmap/b replaced\n"
    assert kubectl("apply -f -", as_list(deployment("web"))) == "deployment.apps/web created\n"
    assert kubectl("delete -f -", both) == 'configmap "a" deleted\nconfigmap "b" deleted\n'


def test_a_list_with_a_mistake_is_refused_as_a_whole(kubectl: Kubectl) -> None:
    wrong = as_list(config_map("a", k="v"), {**config_map("b", k="v"), "dta": {}})
    assert kubectl.fails("apply -f -", wrong) == (
        'error: error validating "STDIN": error validating data: '
        'ValidationError(ConfigMap): unknown field "dta" in io.k8s.api.core.v1.ConfigMap; '
        "if you choose to ignore these errors, turn validation off with --validate=false\n"
    )
    assert kubectl("get configmap a --ignore-not-found") == ""


def test_a_value_of_the_wrong_type_in_a_list_is_refused(kubectl: Kubectl) -> None:
    web = deployment("web")
    web["spec"]["replicas"] = "two"
    assert (
        'invalid type for io.k8s.api.apps.v1.DeploymentSpec.replicas: got "string", expected "integer"'
        in kubectl.fails("create -f -", as_list(web))
    )
