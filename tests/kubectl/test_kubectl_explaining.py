"""kubectl explain, api-resources and strict validation: what kubectl makes of discovery and OpenAPI."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from kubectl_driver import Kubectl, Outcome

AT_ONCE = 4
"""Commands that run side by side."""
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "nginx:1.27"}]},
        },
    },
}


def resources(kubectl: Kubectl) -> dict[str, list[str]]:
    """Name and group to cells, as ``-o wide`` prints them."""
    lines = kubectl("api-resources -o wide --no-headers").splitlines()
    return {" ".join(line.split()[:3]): line.split() for line in lines}


def test_a_kind_is_explained_with_group_version_and_fields(kubectl: Kubectl) -> None:
    told = kubectl("explain deployment")
    assert told.startswith("GROUP:      apps\nKIND:       Deployment\nVERSION:    v1\n\nDESCRIPTION:\n")
    assert "  spec\t<DeploymentSpec>\n" in told
    assert "<no description>" not in told


def test_a_field_is_explained_with_its_type_and_the_values_it_takes(kubectl: Kubectl) -> None:
    told = kubectl("explain pods.spec.containers.imagePullPolicy")
    assert "FIELD: imagePullPolicy <string>\nENUM:\n    Always\n    IfNotPresent\n    Never\n" in told


def test_fields_that_must_be_there_are_marked(kubectl: Kubectl) -> None:
    told = kubectl("explain pods.spec.containers")
    assert "FIELD: containers <[]Container>" in told
    assert "  name\t<string> -required-\n" in told
    assert "  image\t<string>\n" in told


def test_a_whole_tree_of_fields_is_listed(kubectl: Kubectl) -> None:
    told = kubectl("explain pods --recursive")
    assert len(told.splitlines()) > 900
    assert (
        "\n    volumes\t<[]Volume>\n      awsElasticBlockStore\t<AWSElasticBlockStoreVolumeSource>\n" in told
    )


def test_another_version_is_explained_if_it_is_asked_for(kubectl: Kubectl) -> None:
    told = kubectl("explain cronjobs --api-version=batch/v1")
    assert "GROUP:      batch\n" in told


def test_a_field_that_is_not_there_is_not_explained(kubectl: Kubectl) -> None:
    assert kubectl.fails("explain pods.spec.nonsense") == 'error: field "nonsense" does not exist\n'


def test_every_resource_is_explained(kubectl: Kubectl) -> None:
    begun = []
    for row in resources(kubectl).values():
        version = next(cell for cell in row[1:] if re.fullmatch(r"(.+/)?v\d\w*", cell))
        begun.append(kubectl.start(f"explain {row[0]} --api-version={version}"))
        if len(begun) == AT_ONCE:
            assert_explained(kubectl.finish(begun.pop(0)))
    for each in begun:
        assert_explained(kubectl.finish(each))


def assert_explained(page: Outcome) -> None:
    assert page.code == 0, page.err
    assert "VERSION:" in page.out
    assert "<no description>" not in page.out


def test_the_old_form_of_explanations_is_there_too(kubectl: Kubectl) -> None:
    told = kubectl("explain deployment.spec.strategy --output=plaintext-openapiv2")
    assert told.startswith(
        "KIND:     Deployment\nVERSION:  apps/v1\n\nRESOURCE: strategy <Object>\n\nDESCRIPTION:\n"
    )
    assert "\nFIELDS:\n   rollingUpdate\t<Object>\n" in told
    assert kubectl.fails("explain pod.nosuch --output=plaintext-openapiv2") == (
        'error: field "nosuch" does not exist\n'
    )


def test_resources_are_listed_by_group_name_and_namespace(kubectl: Kubectl) -> None:
    rows = kubectl.rows("api-resources --namespaced=false --api-group=rbac.authorization.k8s.io")
    assert [row[0] for row in rows] == ["NAME", "clusterrolebindings", "clusterroles"]
    by_name = kubectl("api-resources --sort-by=name -o name").split()
    assert by_name.index("configmaps") < by_name.index("deployments.apps") < by_name.index("pods")
    every = kubectl("api-resources --verbs=list,get --categories=all -o name").split()
    assert {"pods", "services", "deployments.apps", "jobs.batch"} <= set(every)
    assert "secrets" not in every


def test_wide_resources_tell_verbs_and_categories(kubectl: Kubectl) -> None:
    found = resources(kubectl)
    verbs = "create,delete,deletecollection,get,list,patch,update,watch"
    assert found["deployments deploy apps/v1"] == [
        "deployments",
        "deploy",
        "apps/v1",
        "true",
        "Deployment",
        verbs,
        "all",
    ]
    assert found["apiservices apiregistration.k8s.io/v1 false"][-1] == "api-extensions"


def test_versions_and_the_cluster_are_told(kubectl: Kubectl) -> None:
    versions = kubectl("api-versions").split()
    assert {"v1", "apps/v1", "batch/v1", "metrics.k8s.io/v1beta1", "apiregistration.k8s.io/v1"} <= set(
        versions
    )
    assert "Kubernetes control plane" in kubectl("cluster-info")
    assert kubectl.json("version")["serverVersion"]["gitVersion"] == "v1.32.4"
    assert kubectl("get --raw /readyz?verbose").endswith("readyz check passed\n")


def test_api_services_are_printed_with_who_serves_them(kubectl: Kubectl) -> None:
    rows = kubectl.rows("get apiservices v1.apps v1beta1.metrics.k8s.io")
    assert [[cell.strip() for cell in row[:3]] for row in rows] == [
        ["NAME", "SERVICE", "AVAILABLE"],
        ["v1.apps", "Local", "True"],
        ["v1beta1.metrics.k8s.io", "kube-system/metrics-server", "True"],
    ]


@pytest.mark.parametrize("where", ["client", "server"])
def test_a_dry_run_of_apply_passes_strict_validation(kubectl: Kubectl, where: str) -> None:
    said = kubectl(f"apply --dry-run={where} --validate=strict -f -", DEPLOYMENT)
    assert said.startswith("deployment.apps/web created (")


def test_strict_validation_asks_the_server_about_unknown_fields(kubectl: Kubectl) -> None:
    wrong: Any = json.loads(json.dumps(DEPLOYMENT))
    wrong["spec"]["replica"] = 3
    said = kubectl.fails("apply --dry-run=server --validate=strict -f -", wrong)
    assert 'unknown field "spec.replica"' in said
