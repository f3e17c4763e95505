"""What claims, volumes and their classes may say, and how much of it."""

from __future__ import annotations

import pytest
from kube_driver import Kube, Object
from storage_objects import CLAIMS, CLASSES, VOLUMES, claim, storage_class, volume
from workloads import CORE, quota


@pytest.fixture
def kube(three_nodes: Kube) -> Kube:
    return three_nodes


def complaint(kube: Kube, method: str, path: str, obj: Object) -> str:
    return str(kube.refusal(method, path, obj)["message"])


def test_quotas_count_claims_and_what_they_ask_for(kube: Kube) -> None:
    limits = {"requests.storage": "3Gi", "persistentvolumeclaims": "2"}
    limits["gold.storageclass.storage.k8s.io/requests.storage"] = "1Gi"
    kube.create(f"{CORE}/resourcequotas", quota("storage", **limits))
    kube.create(CLAIMS, claim("a", "2Gi"))
    refused = kube.refusal("POST", CLAIMS, claim("b", "2Gi"))
    assert refused["message"] == (
        'persistentvolumeclaims "b" is forbidden: exceeded quota: storage, requested: requests.storage=2Gi, '
        "used: requests.storage=2Gi, limited: requests.storage=3Gi"
    )
    golden = kube.refusal("POST", CLAIMS, claim("b", "1025Mi", storageClassName="gold"))
    assert "requested: gold.storageclass.storage.k8s.io/requests.storage=1025Mi" in golden["message"]
    kube.delete(f"{CLAIMS}/a")
    used = kube.get(f"{CORE}/resourcequotas/storage")["status"]["used"]
    assert (used["requests.storage"], used["persistentvolumeclaims"]) == ("0", "0")


def test_quotas_are_charged_for_what_claims_grow_by(kube: Kube) -> None:
    kube.create(CLASSES, storage_class("manual", allowVolumeExpansion=True))
    kube.create(VOLUMES, volume("disk", storageClassName="manual"))
    kube.create(CLAIMS, claim(storageClassName="manual"))
    kube.create(
        f"{CORE}/resourcequotas", quota("storage", requests_storage="3Gi", persistentvolumeclaims="1")
    )
    bound = kube.get(f"{CLAIMS}/data")

    def of_size(size: str) -> Object:
        return {**bound, "spec": {**bound["spec"], "resources": {"requests": {"storage": size}}}}

    assert complaint(kube, "PUT", f"{CLAIMS}/data", of_size("4Gi")) == (
        'persistentvolumeclaims "data" is forbidden: exceeded quota: storage, '
        "requested: requests.storage=3Gi, used: requests.storage=1Gi, limited: requests.storage=3Gi"
    )
    kube.replace(f"{CLAIMS}/data", of_size("2Gi"))
    used = kube.get(f"{CORE}/resourcequotas/storage")["status"]["used"]
    assert used == {"requests.storage": "2Gi", "persistentvolumeclaims": "1"}


def test_limit_ranges_bound_what_claims_ask_for(kube: Kube) -> None:
    bounds = {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}
    kube.create(f"{CORE}/limitranges", {"metadata": {"name": "sizes"}, "spec": {"limits": [bounds]}})
    said = 'persistentvolumeclaims "data" is forbidden: '
    assert complaint(kube, "POST", CLAIMS, claim(size="512Mi")) == (
        f"{said}minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 512Mi"
    )
    most = f"{said}maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"
    assert complaint(kube, "POST", CLAIMS, claim(size="3Gi")) == most

    kube.create(VOLUMES, volume("disk", storageClassName="manual"))
    kube.create(CLAIMS, claim(storageClassName="manual"))
    bound = kube.get(f"{CLAIMS}/data")
    grown = {**bound, "spec": {**bound["spec"], "resources": {"requests": {"storage": "3Gi"}}}}
    assert complaint(kube, "PUT", f"{CLAIMS}/data", grown) == most


def test_wrong_claims_are_refused(kube: Kube) -> None:
    wrong = claim("bad", "0", modes=("ReadWriteSome",), volumeMode="X", storageClassName="A_b")
    message = complaint(kube, "POST", CLAIMS, wrong)
    for said in (
        'spec.accessModes: Unsupported value: "ReadWriteSome": supported values: "ReadOnlyMany", '
        '"ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
        'spec.resources[storage]: Invalid value: "0": must be greater than zero',
        'spec.storageClassName: Invalid value: "A_b": a lowercase RFC 1123 subdomain',
        'spec.volumeMode: Unsupported value: "X": supported values: "Block", "Filesystem"',
    ):
        assert said in message
    assert complaint(kube, "POST", CLAIMS, {"metadata": {"name": "bad"}, "spec": {}}) == (
        'PersistentVolumeClaim "bad" is invalid: [spec.accessModes: Required value: at least 1 access '
        "mode is required, spec.resources[storage]: Required value]"
    )


def test_a_claim_stays_what_it_was(kube: Kube) -> None:
    kube.create(VOLUMES, volume("disk", storageClassName="manual"))
    bound = kube.create(CLAIMS, claim(storageClassName="manual"))
    bound = kube.get(f"{CLAIMS}/data")
    changed = {**bound, "spec": {**bound["spec"], "storageClassName": "other"}}
    assert complaint(kube, "PUT", f"{CLAIMS}/data", changed) == (
        'PersistentVolumeClaim "data" is invalid: spec: Forbidden: spec is immutable after creation except '
        "resources.requests and volumeAttributesClassName for bound claims\n"
        "  core.PersistentVolumeClaimSpec{\n"
        "  \t... // 2 identical fields\n"
        '  \tResources:        {Requests: {s"storage": {i: {...}, s: "1Gi", Format: "BinarySI"}}},\n'
        '  \tVolumeName:       "disk",\n'
        '- \tStorageClassName: &"other",\n'
        '+ \tStorageClassName: &"manual",\n'
        '  \tVolumeMode:       &"Filesystem",\n'
        "  \tDataSource:       nil,\n"
        "  \t... // 2 identical fields\n"
        "  }\n"
    )
    for size, why in (
        ("500Mi", "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"),
        (
            "2Gi",
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc ",
        ),
    ):
        resources = {"requests": {"storage": size}}
        resized = {**bound, "spec": {**bound["spec"], "resources": resources}}
        assert why in complaint(kube, "PUT", f"{CLAIMS}/data", resized)


def test_wrong_volumes_are_refused(kube: Kube) -> None:
    assert complaint(kube, "POST", VOLUMES, {"metadata": {"name": "bad"}, "spec": {}}) == (
        'PersistentVolume "bad" is invalid: [spec.accessModes: Required value, spec.capacity: Required '
        'value, spec.capacity: Unsupported value: core.ResourceList(nil): supported values: "storage", '
        "spec: Required value: must specify a volume type]"
    )
    assert complaint(kube, "POST", VOLUMES, volume("bad", local={"path": "/d"})) == (
        'PersistentVolume "bad" is invalid: spec.nodeAffinity: Required value: Local volume requires node '
        "affinity"
    )
    near = {"matchExpressions": [{"key": "zone", "operator": "Near", "values": ["a"]}]}
    affinity = {"required": {"nodeSelectorTerms": [near]}}
    assert complaint(kube, "POST", VOLUMES, volume("bad", nodeAffinity=affinity)) == (
        'PersistentVolume "bad" is invalid: '
        "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].operator: "
        'Invalid value: "Near": not a valid selector operator'
    )


def test_a_storage_class_stays_what_it_was(kube: Kube) -> None:
    made = kube.get(f"{CLASSES}/standard")
    assert made["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    wanted = {"provisioner": "a/b", "reclaimPolicy": "Retain", "volumeBindingMode": "Immediate"}
    changed = {**made, **wanted, "parameters": {"a": "b"}}
    assert complaint(kube, "PUT", f"{CLASSES}/standard", changed) == (
        'StorageClass.storage.k8s.io "standard" is invalid: [parameters: Forbidden: updates to parameters '
        "are forbidden., provisioner: Forbidden: updates to provisioner are forbidden., reclaimPolicy: "
        "Forbidden: updates to reclaimPolicy are forbidden., volumeBindingMode: Invalid value: "
        '"Immediate": field is immutable]'
    )


def test_the_newest_default_class_counts(kube: Kube) -> None:
    kube.advance(10)
    newer = storage_class("newer")
    newer["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    kube.create(CLASSES, newer)
    assert kube.create(CLAIMS, claim())["spec"]["storageClassName"] == "newer"
