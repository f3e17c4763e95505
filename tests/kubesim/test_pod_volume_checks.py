"""What the API server refuses of the files and the environment that containers get."""

from __future__ import annotations

import pytest
from kube_driver import PODS, Kube, Object, pod
from pod_complaints import QUALIFIED, WEB, complaints, of_container

POD_FIELDS = (
    '"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", '
    '"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"'
)


@pytest.mark.parametrize(
    ("value_from", "complaint"),
    [
        ({"fieldRef": {}}, "fieldRef.fieldPath: Required value"),
        (
            {"fieldRef": {"fieldPath": "spec.image"}},
            'fieldRef.fieldPath: Invalid value: "spec.image": error converting fieldPath: '
            "field label not supported: spec.image",
        ),
        (
            {"fieldRef": {"fieldPath": "metadata.labels"}},
            f'fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: {POD_FIELDS}',
        ),
        (
            {"fieldRef": {"fieldPath": "metadata.labels['a b']"}},
            f'fieldRef: Invalid value: "a b": {QUALIFIED}',
        ),
        ({"resourceFieldRef": {}}, "resourceFieldRef.resource: Required value"),
        (
            {"resourceFieldRef": {"resource": "cpu"}},
            'resourceFieldRef.resource: Unsupported value: "cpu": supported values: "limits.cpu", '
            '"limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", '
            '"requests.memory"',
        ),
    ],
)
def test_what_environments_say_of_their_pod(kube: Kube, value_from: Object, complaint: str) -> None:
    (found,) = complaints(kube, of_container(env=[{"name": "A", "valueFrom": value_from}]))
    assert found.startswith(f"{WEB}.env[0].valueFrom.{complaint}")


def test_what_environments_may_say_of_their_pod(kube: Kube) -> None:
    paths = ("metadata.annotations['Acme.io/Team']", "metadata.labels['app']", "status.podIPs")
    fields = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": path}}} for path in paths]
    resources = ("requests.cpu", "limits.hugepages-2Mi")
    sizes = [{"name": "B", "valueFrom": {"resourceFieldRef": {"resource": each}}} for each in resources]
    kube.create(PODS, of_container(env=[*fields, *sizes]))


@pytest.mark.parametrize(
    ("mount", "complaint"),
    [
        ({"subPath": "a/../b"}, "volumeMounts.subPath: Invalid value: \"a/../b\": must not contain '..'"),
        ({"subPath": "/a"}, 'volumeMounts.subPath: Invalid value: "/a": must be a relative path'),
        (
            {"subPath": "a", "subPathExpr": "b"},
            'volumeMounts[0].subPathExpr: Invalid value: "b": subPathExpr and subPath are mutually exclusive',
        ),
    ],
)
def test_mounts_stay_within_their_volume(kube: Kube, mount: Object, complaint: str) -> None:
    wrong = of_container(volumeMounts=[{"name": "data", "mountPath": "/data", **mount}])
    wrong["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    assert complaints(kube, wrong) == [f"{WEB}.{complaint}"]


MODES = "must be a number between 0 and 0777 (octal), both inclusive"


@pytest.mark.parametrize(("source", "name"), [("configMap", "name"), ("secret", "secretName")])
@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"defaultMode": 1000}, f"defaultMode: Invalid value: 1000: {MODES}"),
        ({"items": [{"path": "a"}]}, "items[0].key: Required value"),
        ({"items": [{"key": "a"}]}, "items[0].path: Required value"),
        (
            {"items": [{"key": "a", "path": "/a"}]},
            'items[0].path: Invalid value: "/a": must be a relative path',
        ),
        (
            {"items": [{"key": "a", "path": "a/../b"}]},
            "items[0].path: Invalid value: \"a/../b\": must not contain '..'",
        ),
        (
            {"items": [{"key": "a", "path": "..a"}]},
            "items[0].path: Invalid value: \"..a\": must not start with '..'",
        ),
        (
            {"items": [{"key": "a", "path": "a", "mode": -1}]},
            f"items[0].mode: Invalid value: -1: {MODES}",
        ),
    ],
)
def test_files_of_volumes(kube: Kube, source: str, name: str, fields: Object, complaint: str) -> None:
    volume = {"name": "data", source: {name: "settings", **fields}}
    assert complaints(kube, pod("a", volumes=[volume])) == [f"spec.volumes[0].{source}.{complaint}"]


def test_paths_of_the_host(kube: Kube) -> None:
    volume = {"name": "data", "hostPath": {"path": "/a/../b", "type": "Folder"}}
    assert complaints(kube, pod("a", volumes=[volume])) == [
        "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
        'spec.volumes[0].hostPath.type: Unsupported value: "Folder": supported values: "", "BlockDevice", '
        '"CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
    ]


def test_two_mounts_are_at_two_places(kube: Kube) -> None:
    mounts = [{"name": "data", "mountPath": "/data"}] * 2
    wrong = of_container(volumeMounts=mounts)
    wrong["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    assert complaints(kube, wrong) == [
        f'{WEB}.volumeMounts[1].mountPath: Invalid value: "/data": must be unique'
    ]
