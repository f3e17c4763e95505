"""Claims and volumes: how they find each other, what waits for them, and what protects them."""

from __future__ import annotations

from typing import Any

import pytest
from kube_driver import NODES, Kube, Object
from storage_objects import CLAIMS, CLASSES, VOLUMES, claim, storage_class, volume
from workloads import CORE, SETTLED, STATEFUL_SETS, namespace, scale, workload

NO_CLASS = "no persistent volumes available for this claim and no storage class is set"


@pytest.fixture
def kube(three_nodes: Kube) -> Kube:
    return three_nodes


def use(kube: Kube, name: str = "p", *claims: str, **spec: Any) -> Any:
    """A pod that mounts claims."""
    used = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims or ("data",)]
    return kube.add_pod(name, volumes=used, **spec)


def phase(kube: Kube, name: str = "data") -> str:
    return str(kube.get(f"{CLAIMS}/{name}")["status"]["phase"])


def volume_phase(kube: Kube, name: str) -> str:
    return str(kube.get(f"{VOLUMES}/{name}")["status"]["phase"])


def reasons(kube: Kube, about: str) -> list[str]:
    return [reason for reason, _ in kube.events(about)]


def why_unschedulable(kube: Kube, pod: str = "p") -> str:
    return str(kube.condition(pod, "PodScheduled")["message"])


def everywhere(why: str) -> str:
    said = "0/3 nodes are available: "
    return f"{said}{why}. preemption: {said}3 Preemption is not helpful for scheduling."


# Provisioning


def test_a_claim_of_the_default_class_waits_for_a_pod(kube: Kube) -> None:
    made = kube.create(CLAIMS, claim())
    assert made["spec"]["storageClassName"] == "standard"
    assert made["spec"]["volumeMode"] == "Filesystem"
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    kube.advance(SETTLED)
    assert phase(kube) == "Pending"
    assert kube.events("data") == [
        ("WaitForFirstConsumer", "waiting for first consumer to be created before binding")
    ]


def test_a_volume_is_made_where_the_pod_is_to_run(kube: Kube) -> None:
    made = kube.create(CLAIMS, claim())
    use(kube)
    assert kube.node_of("p") == ""
    kube.advance(SETTLED)
    name = f"pvc-{made['metadata']['uid']}"
    found, bound = kube.get(f"{CLAIMS}/data"), kube.get(f"{VOLUMES}/{name}")
    assert found["spec"]["volumeName"] == name
    assert found["status"] == {
        "phase": "Bound",
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
    }
    assert bound["status"]["phase"] == "Bound"
    assert bound["spec"]["claimRef"]["uid"] == made["metadata"]["uid"]
    assert bound["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    (term,) = bound["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == [kube.node_of("p")]
    assert kube.pod("p")["status"]["phase"] == "Running"
    assert reasons(kube, "data")[1:] == ["ExternalProvisioning", "Provisioning", "ProvisioningSucceeded"]
    assert kube.events("data")[-1][1] == f"Successfully provisioned volume {name}"


def test_the_next_pod_goes_where_the_volume_is(kube: Kube) -> None:
    kube.create(CLAIMS, claim())
    use(kube, "first")
    kube.advance(SETTLED)
    home = kube.node_of("first")
    for number in range(3):
        use(kube, f"next-{number}")
        assert kube.node_of(f"next-{number}") == home
    kube.merge(f"{NODES}/{home}", {"spec": {"unschedulable": True}})
    use(kube, "late")
    assert why_unschedulable(kube, "late").startswith(
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had volume node affinity conflict. "
    )


def test_room_is_kept_for_pods_whose_volumes_are_being_made(kube: Kube) -> None:
    for number in range(3):
        kube.create(CLAIMS, claim(f"data-{number}"))
        use(kube, f"p-{number}", f"data-{number}", cpu="3")
    kube.advance(SETTLED)
    assert {kube.node_of(f"p-{number}") for number in range(3)} == {"worker-1", "worker-2", "worker-3"}


def test_a_pod_deleted_while_its_volume_is_made_leaves_no_room_taken(kube: Kube) -> None:
    for number in range(3):
        kube.create(CLAIMS, claim(f"data-{number}"))
        use(kube, f"p-{number}", f"data-{number}", cpu="3")
    for number in range(3):
        kube.delete(f"{CORE}/pods/p-{number}")
    for number in range(3):
        kube.add_pod(f"other-{number}", cpu="3")
    assert all(kube.node_of(f"other-{number}") for number in range(3))


def test_what_the_provisioner_cannot_make_it_says(kube: Kube) -> None:
    kube.create(CLAIMS, claim(modes=("ReadWriteMany",)))
    use(kube)
    kube.advance(60)
    message = (
        'failed to provision volume with StorageClass "standard": NodePath only supports ReadWriteOnce and '
        "ReadWriteOncePod (1.22+) access modes"
    )
    assert ("ProvisioningFailed", message) in kube.events("data")
    assert phase(kube) == "Pending"
    assert kube.node_of("p") == ""


def test_classes_without_a_provisioner_take_volumes_that_are_there(kube: Kube) -> None:
    delayed = {"volumeBindingMode": "WaitForFirstConsumer"}
    kube.create(CLASSES, storage_class("local", "kubernetes.io/no-provisioner", **delayed))
    kube.create(CLAIMS, claim(storageClassName="local"))
    use(kube)
    assert why_unschedulable(kube).startswith(
        "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind. "
    )
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["worker-2"]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}}
    disk = volume("disk", storageClassName="local", local={"path": "/mnt/disk"}, nodeAffinity=affinity)
    kube.create(VOLUMES, disk)
    kube.advance(SETTLED)
    assert kube.node_of("p") == "worker-2"
    assert kube.get(f"{CLAIMS}/data")["spec"]["volumeName"] == "disk"


# Binding


def test_without_a_class_only_a_volume_without_one_will_do(kube: Kube) -> None:
    kube.create(CLAIMS, claim(storageClassName=""))
    assert kube.events("data") == [("FailedBinding", NO_CLASS)]
    kube.create(VOLUMES, volume("classy", storageClassName="manual"))
    assert phase(kube) == "Pending"
    kube.create(VOLUMES, volume("plain", "2Gi"))
    found = kube.get(f"{CLAIMS}/data")
    assert (found["status"]["phase"], found["spec"]["volumeName"]) == ("Bound", "plain")
    assert found["status"]["capacity"] == {"storage": "2Gi"}
    assert found["metadata"]["annotations"] == {
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
    }


def test_the_smallest_volume_that_is_large_enough_is_taken(kube: Kube) -> None:
    for name, size in (("small", "500Mi"), ("large", "10Gi"), ("right", "2Gi")):
        kube.create(VOLUMES, volume(name, size, storageClassName="manual"))
    kube.create(CLAIMS, claim(storageClassName="manual"))
    assert kube.get(f"{CLAIMS}/data")["spec"]["volumeName"] == "right"
    assert volume_phase(kube, "large") == "Available"


def test_a_selector_and_access_modes_must_agree(kube: Kube) -> None:
    labelled = volume("ssd", storageClassName="manual")
    labelled["metadata"]["labels"] = {"disk": "ssd"}
    kube.create(VOLUMES, volume("hdd", storageClassName="manual"))
    kube.create(VOLUMES, labelled)
    kube.create(CLAIMS, claim("fast", storageClassName="manual", selector={"matchLabels": {"disk": "ssd"}}))
    kube.create(CLAIMS, claim("shared", modes=("ReadWriteMany",), storageClassName="manual"))
    assert kube.get(f"{CLAIMS}/fast")["spec"]["volumeName"] == "ssd"
    assert phase(kube, "shared") == "Pending"


def test_a_claim_may_name_its_volume_and_a_volume_its_claim(kube: Kube) -> None:
    reference = {"namespace": "default", "name": "reserved"}
    kube.create(VOLUMES, volume("one", storageClassName="manual", claimRef=reference))
    kube.create(VOLUMES, volume("two", "5Gi", storageClassName="manual"))
    assert volume_phase(kube, "one") == "Available"
    kube.create(CLAIMS, claim(storageClassName="manual", volumeName="two"))
    kube.create(CLAIMS, claim("reserved", storageClassName="manual"))
    kube.create(CLAIMS, claim("late", storageClassName="manual", volumeName="two"))
    kube.create(CLAIMS, claim("unborn", storageClassName="manual", volumeName="three"))
    assert kube.get(f"{VOLUMES}/two")["spec"]["claimRef"]["name"] == "data"
    assert kube.get(f"{CLAIMS}/reserved")["spec"]["volumeName"] == "one"
    assert kube.events("late") == [("FailedBinding", 'volume "two" already bound to a different claim.')]
    assert phase(kube, "unborn") == "Pending"


def test_a_named_volume_that_does_not_do_is_refused(kube: Kube) -> None:
    kube.create(VOLUMES, volume("small", storageClassName="manual"))
    kube.create(CLAIMS, claim(size="2Gi", storageClassName="manual", volumeName="small"))
    message = 'Cannot bind to requested volume "small": requested PV is too small'
    assert kube.events("data") == [("VolumeMismatch", message)]


def test_claims_of_a_class_that_is_not_there_wait_for_it(kube: Kube) -> None:
    kube.create(CLAIMS, claim(storageClassName="fast"))
    assert kube.events("data") == [("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')]
    kube.create(CLASSES, storage_class("fast", volumeBindingMode="WaitForFirstConsumer"))
    assert reasons(kube, "data") == ["ProvisioningFailed", "WaitForFirstConsumer"]


def test_a_claim_whose_volume_goes_is_lost(kube: Kube) -> None:
    kube.create(VOLUMES, volume("disk", storageClassName="manual"))
    kube.create(CLAIMS, claim(storageClassName="manual"))
    kube.delete(f"{VOLUMES}/disk")
    kube.merge(f"{VOLUMES}/disk", {"metadata": {"finalizers": None}})
    assert phase(kube) == "Lost"
    assert (
        "ClaimLost",
        "Bound claim has lost its PersistentVolume. Data on the volume is lost!",
    ) in kube.events("data")


# Scheduling


def test_pods_wait_for_claims_that_are_not_there(kube: Kube) -> None:
    use(kube)
    assert why_unschedulable(kube) == everywhere('persistentvolumeclaim "data" not found')
    kube.create(CLAIMS, claim())
    kube.advance(SETTLED)
    assert kube.pod("p")["status"]["phase"] == "Running"


def test_pods_wait_for_immediate_claims_to_be_bound(kube: Kube) -> None:
    kube.create(CLAIMS, claim(storageClassName=""))
    use(kube)
    assert why_unschedulable(kube) == everywhere("pod has unbound immediate PersistentVolumeClaims")
    kube.create(VOLUMES, volume("plain"))
    kube.advance(SETTLED)
    assert kube.pod("p")["status"]["phase"] == "Running"


def test_a_pod_put_on_a_node_by_hand_starts_when_its_claim_is_bound(kube: Kube) -> None:
    use(kube, "p", "data", nodeName="worker-1")
    message = (
        "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to "
        "process volumes=[data]: error processing PVC default/data: failed to fetch PVC from API server: "
        'persistentvolumeclaims "data" not found'
    )
    assert kube.events("p") == [("FailedMount", message)]
    kube.create(VOLUMES, volume("plain"))
    kube.create(CLAIMS, claim(storageClassName=""))
    kube.advance(SETTLED)
    assert kube.pod("p")["status"]["phase"] == "Running"


# Deleting


def test_a_claim_in_use_outlives_its_deletion(kube: Kube) -> None:
    kube.create(CLAIMS, claim())
    use(kube)
    kube.advance(SETTLED)
    kube.delete(f"{CLAIMS}/data")
    assert "deletionTimestamp" in kube.get(f"{CLAIMS}/data")["metadata"]
    use(kube, "late")
    assert why_unschedulable(kube, "late") == everywhere('persistentvolumeclaim "data" is being deleted')
    kube.delete(f"{CORE}/pods/late")
    kube.delete(f"{CORE}/pods/p")
    kube.advance(SETTLED)
    assert not kube.exists(f"{CLAIMS}/data")


def test_a_volume_that_was_made_goes_with_its_claim(kube: Kube) -> None:
    kube.create(CLAIMS, claim())
    use(kube)
    kube.advance(SETTLED)
    kube.delete(f"{CORE}/pods/p")
    kube.advance(SETTLED)
    kube.delete(f"{CLAIMS}/data")
    (left,) = kube.get(VOLUMES)["items"]
    assert left["status"]["phase"] == "Released"
    kube.advance(SETTLED)
    assert kube.get(VOLUMES)["items"] == []


def test_a_volume_that_is_retained_is_released_and_no_other_claim_gets_it(kube: Kube) -> None:
    kube.create(VOLUMES, volume("disk", storageClassName="manual"))
    kube.create(CLAIMS, claim(storageClassName="manual"))
    kube.delete(f"{CLAIMS}/data")
    kube.create(CLAIMS, claim(storageClassName="manual"))
    assert volume_phase(kube, "disk") == "Released"
    assert phase(kube) == "Pending"
    kube.merge(f"{VOLUMES}/disk", {"spec": {"claimRef": None}})
    assert phase(kube) == "Bound"


def test_a_volume_that_nobody_can_delete_has_failed(kube: Kube) -> None:
    kube.create(VOLUMES, volume("disk", storageClassName="manual", persistentVolumeReclaimPolicy="Delete"))
    kube.create(CLAIMS, claim(storageClassName="manual"))
    kube.delete(f"{CLAIMS}/data")
    why = "host_path deleter only supports /tmp/.+ but received provided /mnt/data"
    status = kube.get(f"{VOLUMES}/disk")["status"]
    assert (status["phase"], status["message"]) == ("Failed", why)
    assert kube.events("disk") == [("VolumeFailedDelete", why)]


def test_a_bound_volume_outlives_its_deletion(kube: Kube) -> None:
    kube.create(VOLUMES, volume("disk", storageClassName="manual"))
    kube.create(VOLUMES, volume("idle", storageClassName="other"))
    kube.create(CLAIMS, claim(storageClassName="manual"))
    for name in ("disk", "idle"):
        kube.delete(f"{VOLUMES}/{name}")
    assert kube.exists(f"{VOLUMES}/disk")
    assert not kube.exists(f"{VOLUMES}/idle")
    kube.delete(f"{CLAIMS}/data")
    assert not kube.exists(f"{VOLUMES}/disk")


def test_a_namespace_goes_with_its_claims(kube: Kube) -> None:
    kube.create("/api/v1/namespaces", namespace("team"))
    home = "/api/v1/namespaces/team"
    kube.create(f"{home}/persistentvolumeclaims", claim())
    mounted = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    containers = [{"name": "c", "image": "registry.acme.io/web:1.4"}]
    kube.create(
        f"{home}/pods", {"metadata": {"name": "p"}, "spec": {"containers": containers, "volumes": mounted}}
    )
    kube.advance(SETTLED)
    kube.delete(home)
    kube.advance(SETTLED)
    assert not kube.exists(home)
    assert kube.get(VOLUMES)["items"] == []


# StatefulSets


def stateful(replicas: int = 2, **spec: Any) -> Object:
    template = {"metadata": {"name": "data"}, "spec": claim()["spec"]}
    return workload(
        "StatefulSet", replicas=replicas, serviceName="web", volumeClaimTemplates=[template], **spec
    )


def claim_names(kube: Kube) -> list[str]:
    return [each["metadata"]["name"] for each in kube.get(CLAIMS)["items"]]


def test_every_pod_of_a_stateful_set_has_a_claim_of_its_own(kube: Kube) -> None:
    made = kube.create(STATEFUL_SETS, stateful())
    (template,) = made["spec"]["volumeClaimTemplates"]
    assert (template["kind"], template["apiVersion"]) == ("PersistentVolumeClaim", "v1")
    assert (template["status"], template["spec"]["volumeMode"]) == ({"phase": "Pending"}, "Filesystem")
    kube.advance(SETTLED)
    assert claim_names(kube) == ["data-web-0", "data-web-1"]
    assert {phase(kube, each) for each in claim_names(kube)} == {"Bound"}
    assert kube.get(f"{CLAIMS}/data-web-0")["metadata"]["labels"] == {"app": "web"}
    assert kube.events("web")[:2] == [
        ("SuccessfulCreate", "create Claim data-web-0 Pod web-0 in StatefulSet web success"),
        ("SuccessfulCreate", "create Pod web-0 in StatefulSet web successful"),
    ]


def test_claims_stay_when_a_stateful_set_shrinks_and_serve_it_again(kube: Kube) -> None:
    kube.create(STATEFUL_SETS, stateful())
    kube.advance(SETTLED)
    before = kube.get(f"{CLAIMS}/data-web-1")["metadata"]["uid"]
    scale(kube, 1, f"{STATEFUL_SETS}/web")
    kube.advance(SETTLED)
    assert claim_names(kube) == ["data-web-0", "data-web-1"]
    scale(kube, 2, f"{STATEFUL_SETS}/web")
    kube.advance(SETTLED)
    assert kube.get(f"{CLAIMS}/data-web-1")["metadata"]["uid"] == before
    kube.delete(f"{STATEFUL_SETS}/web")
    kube.advance(SETTLED)
    assert claim_names(kube) == ["data-web-0", "data-web-1"]


def test_claims_go_where_the_retention_policy_says_so(kube: Kube) -> None:
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    kube.create(STATEFUL_SETS, stateful(persistentVolumeClaimRetentionPolicy=policy))
    kube.advance(SETTLED)
    scale(kube, 1, f"{STATEFUL_SETS}/web")
    kube.advance(SETTLED)
    assert claim_names(kube) == ["data-web-0"]
    kube.delete(f"{STATEFUL_SETS}/web")
    kube.advance(SETTLED)
    assert claim_names(kube) == []
    assert kube.get(VOLUMES)["items"] == []
