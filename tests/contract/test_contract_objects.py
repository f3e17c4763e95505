"""Reading and writing objects: lists, selectors, patches, finalizers, dry runs, deletion."""

from __future__ import annotations

import pytest
from api_client import Kube, Object
from manifests import config_map, idle_pod, owned, workload


@pytest.fixture
def three(kube: Kube) -> Kube:
    """ConfigMaps a, b and c: a and b of the tier front, b and c of the colour blue."""
    kube.create("configmaps", config_map("a", {"tier": "front"}, text="1"))
    kube.create("configmaps", config_map("b", {"tier": "front", "colour": "blue"}, text="2"))
    kube.create("configmaps", config_map("c", {"colour": "blue"}, text="3"))
    return kube


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("tier=front", "ab"),
        ("tier==front", "ab"),
        ("tier!=front,colour", "c"),
        ("colour in (blue, red)", "bc"),
        ("colour notin (blue),tier", "a"),
        ("!colour,tier", "a"),
        ("tier,colour", "b"),
        ("tier=back", ""),
    ],
)
def test_labels_select(three: Kube, selector: str, found: str) -> None:
    assert three.names("configmaps", labelSelector=selector) == list(found)


def test_fields_select(three: Kube) -> None:
    three.create("pods", idle_pod("web"))

    assert three.names("configmaps", fieldSelector="metadata.name=b") == ["b"]
    assert "b" not in three.names("configmaps", fieldSelector="metadata.name!=b")
    assert three.names("pods", fieldSelector="status.phase=Pending,spec.nodeName=") == ["web"]
    assert three.names("pods", fieldSelector="status.phase!=Pending") == []
    assert three.names("pods", fieldSelector="spec.restartPolicy=Always,metadata.name=web") == ["web"]


def test_a_list_comes_in_pages_which_are_of_one_moment(three: Kube) -> None:
    pages = [three.get("configmaps", limit=1, labelSelector="tier=front")]
    three.create("configmaps", config_map("aa", {"tier": "front"}))
    while "continue" in pages[-1]["metadata"]:
        rest = {"continue": pages[-1]["metadata"]["continue"]}
        pages.append(three.get("configmaps", limit=1, labelSelector="tier=front", **rest))

    assert [each["metadata"]["name"] for page in pages for each in page["items"]] == ["a", "b"]
    assert len({page["metadata"]["resourceVersion"] for page in pages}) == 1
    assert "remainingItemCount" not in pages[0]["metadata"]


def test_a_page_says_how_many_are_left(three: Kube) -> None:
    everything = three.names("configmaps")

    assert three.get("configmaps", limit=1)["metadata"]["remainingItemCount"] == len(everything) - 1


def test_a_list_names_its_kind_and_its_items_do_not(three: Kube) -> None:
    listed = three.get("configmaps")

    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert not {"kind", "apiVersion"} & set(listed["items"][0])


PATCHED: Object = {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("kind", "patch", "data"),
    [
        ("merge", {"data": {"a": "9", "c": "3"}}, {"a": "9", "b": "2", "c": "3"}),
        ("merge", {"data": {"a": None}}, {"b": "2"}),
        ("strategic", {"data": {"b": None, "c": "3"}}, {"a": "1", "c": "3"}),
        ("strategic", {"data": {"$patch": "replace", "z": "0"}}, {"z": "0"}),
        ("json", [{"op": "replace", "path": "/data/a", "value": "9"}], {"a": "9", "b": "2"}),
        ("json", [{"op": "add", "path": "/data/c", "value": "3"}], {**PATCHED, "c": "3"}),
        ("json", [{"op": "remove", "path": "/data/a"}], {"b": "2"}),
        ("json", [{"op": "move", "from": "/data/a", "path": "/data/c"}], {"b": "2", "c": "1"}),
        ("json", [{"op": "copy", "from": "/data/a", "path": "/data/c"}], {**PATCHED, "c": "1"}),
        ("json", [{"op": "test", "path": "/data/a", "value": "1"}], PATCHED),
    ],
)
def test_patches(shared: Kube, kind: str, patch: object, data: Object) -> None:
    shared.send("DELETE", "configmaps/patched")
    before = shared.create("configmaps", config_map("patched", **PATCHED))
    after = shared.patch("configmaps/patched", patch, kind)

    assert after["data"] == data
    changed = after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    assert changed == (data != PATCHED)


@pytest.mark.parametrize(
    ("patch", "names"),
    [
        ({"containers": [{"name": "side", "image": "busybox:1.36.1"}]}, ["side", "web"]),
        ({"containers": [{"name": "web", "$patch": "delete"}, {"name": "b", "image": "b:1"}]}, ["b"]),
        (
            {
                "$setElementOrder/containers": [{"name": "web"}, {"name": "b"}],
                "containers": [{"name": "b", "image": "b:1"}],
            },
            ["web", "b"],
        ),
        ({"containers": [{"$patch": "replace"}, {"name": "c", "image": "c:1"}]}, ["c"]),
    ],
)
def test_strategic_patches_know_the_keys_of_lists(shared: Kube, patch: Object, names: list[str]) -> None:
    shared.send("DELETE", "deployments.apps/patched")
    shared.create("deployments.apps", workload("patched", replicas=0))
    after = shared.patch("deployments.apps/patched", {"spec": {"template": {"spec": patch}}}, "strategic")

    assert [each["name"] for each in after["spec"]["template"]["spec"]["containers"]] == names


def test_objects_get_what_the_server_alone_knows(kube: Kube) -> None:
    made = kube.create("configmaps", {"metadata": {"generateName": "settings-", "uid": "mine"}, "data": {}})
    meta = made["metadata"]

    assert len(meta["name"]) == len("settings-") + 5
    assert (meta["namespace"], meta["generateName"]) == (kube.namespace, "settings-")
    assert meta["uid"] != "mine"
    assert {"resourceVersion", "creationTimestamp"} <= set(meta)
    assert "generation" not in meta


def test_a_dry_run_leaves_nothing_behind(kube: Kube) -> None:
    made = kube.create("configmaps", config_map("a", text="1"), dryRun="All")

    assert made["metadata"]["uid"]
    assert "resourceVersion" not in made["metadata"]
    assert not kube.exists("configmaps/a")
    kube.create("configmaps", config_map("a", text="1"))
    kube.patch("configmaps/a", {"data": {"text": "2"}}, dryRun="All")
    kube.delete("configmaps/a", dryRun="All")
    assert kube.get("configmaps/a")["data"] == {"text": "1"}


def test_finalizers_hold_an_object_until_they_are_taken_off(kube: Kube) -> None:
    held = config_map("a", text="1")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    kube.create("configmaps", held)
    answer = kube.delete("configmaps/a")

    assert answer["kind"] == "ConfigMap"
    assert answer["metadata"]["deletionGracePeriodSeconds"] == 0
    there = kube.get("configmaps/a")["metadata"]
    assert (there["finalizers"], "deletionTimestamp" in there) == (["example.com/hold"], True)
    code, reason, message = kube.refusal(
        "PATCH",
        "configmaps/a",
        {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}},
        content_type="application/merge-patch+json",
    )
    assert (code, reason) == (422, "Invalid")
    assert message.startswith(
        'ConfigMap "a" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if '
        "the object is being deleted, found new finalizers "
    )
    kube.patch("configmaps/a", {"metadata": {"finalizers": None}})
    assert not kube.exists("configmaps/a")


def test_many_are_deleted_at_once(three: Kube) -> None:
    answer = three.delete("configmaps", labelSelector="tier=front")

    assert answer["kind"] == "ConfigMapList"
    assert [each["metadata"]["name"] for each in answer["items"]] == ["a", "b"]
    assert three.names("configmaps", labelSelector="colour") == ["c"]


@pytest.fixture
def family(kube: Kube) -> Kube:
    """A ConfigMap ``owner`` and one that it owns, ``owned``."""
    owner = kube.create("configmaps", config_map("owner"))
    kube.create("configmaps", owned(config_map("owned"), "ConfigMap", owner, blocks=True))
    return kube


def test_in_the_background_what_is_owned_goes_after_its_owner(family: Kube) -> None:
    family.delete("configmaps/owner", propagationPolicy="Background")

    assert not family.exists("configmaps/owner")
    family.gone("configmaps/owned")


def test_in_the_foreground_what_is_owned_goes_before_its_owner(family: Kube) -> None:
    family.patch("configmaps/owned", {"metadata": {"finalizers": ["example.com/hold"]}})
    family.delete("configmaps/owner", propagationPolicy="Foreground")
    family.eventually("configmaps/owned", lambda each: "deletionTimestamp" in each["metadata"])

    assert family.get("configmaps/owner")["metadata"]["finalizers"] == ["foregroundDeletion"]
    family.patch("configmaps/owned", {"metadata": {"finalizers": None}})
    family.gone("configmaps/owner")


def test_orphans_stay(family: Kube) -> None:
    family.delete("configmaps/owner", propagationPolicy="Orphan")
    family.gone("configmaps/owner")

    assert "ownerReferences" not in family.get("configmaps/owned")["metadata"]


def test_what_belongs_to_nobody_that_there_is_goes(kube: Kube) -> None:
    stranger = {"metadata": {"name": "nobody", "uid": "00000000-0000-4000-8000-000000000000"}}
    kube.create("configmaps", owned(config_map("owned"), "ConfigMap", stranger))

    kube.gone("configmaps/owned")


def test_a_namespace_takes_everything_in_it_along(kube: Kube) -> None:
    name = f"{kube.namespace}-b"
    there = type(kube)(kube.link, name, kube.folder)
    kube.create("/api/v1/namespaces", {"metadata": {"name": name}})
    held = config_map("a")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    there.create("configmaps", held)
    kube.delete(f"/api/v1/namespaces/{name}")
    path = f"/api/v1/namespaces/{name}"

    kube.eventually(path, lambda each: each["status"]["phase"] == "Terminating")
    assert there.refusal("POST", "configmaps", config_map("late")) == (
        403,
        "Forbidden",
        'configmaps "late" is forbidden: unable to create new content in namespace <namespace> '
        "because it is being terminated",
    )
    kube.eventually(path, lambda _: "NamespaceFinalizersRemaining" in kube.conditions(path))
    conditions = kube.conditions(path)
    assert conditions["NamespaceFinalizersRemaining"]["message"] == (
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    )
    assert conditions["NamespaceContentRemaining"]["message"] == (
        "Some resources are remaining: configmaps. has 1 resource instances"
    )
    there.patch("configmaps/a", {"metadata": {"finalizers": None}})
    kube.gone(path)


def test_a_namespace_that_is_not_there_takes_nothing(kube: Kube) -> None:
    nowhere = type(kube)(kube.link, f"{kube.namespace}-nowhere", kube.folder)

    assert nowhere.refusal("POST", "configmaps", config_map("a")) == (
        404,
        "NotFound",
        'namespaces "<namespace>" not found',
    )
    assert nowhere.names("configmaps") == []
