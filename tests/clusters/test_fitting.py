"""Manifests as a real cluster takes them: contained, and as small as the room there is."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from pytest_selfrep.clusters.fitting import Fitting, Room, capacity_of, images_of
from pytest_selfrep.clusters.manifests import manifests
from pytest_selfrep.scenarios.loading import load

HALF = Fitting(Fraction(1, 2), Fraction(1, 4))


def deployment(**container: Any) -> Any:
    template = {"spec": {"containers": [{"name": "web", "image": "acme/web:1", **container}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": template},
    }


def pod_of(manifest: Any) -> Any:
    return manifest["spec"]["template"]["spec"]


def test_where_all_has_room_requests_stay_as_they_are() -> None:
    scenario = load("load-balancing")
    fitting = Fitting.into(Room(Fraction(1000), Fraction(10**15), Fraction(1000)), scenario)
    assert fitting == Fitting()
    assert fitting.words() == []


def test_all_that_the_nodes_hold_has_room_in_the_end() -> None:
    scenario = load("load-balancing")
    wanted, room = capacity_of(scenario), Room(Fraction(1, 4), Fraction(1 << 30), Fraction(10))
    fitting = Fitting.into(room, scenario)
    assert (wanted.cpu * fitting.cpu, wanted.memory * fitting.memory) == (room.cpu, room.memory)
    assert [each.partition(" are ")[0] for each in fitting.words()] == [
        "requests of cpu",
        "requests of memory",
    ]


def test_requests_shrink_and_limits_and_other_resources_stay() -> None:
    resources = {
        "requests": {"cpu": "250m", "memory": "256Mi", "nvidia.com/gpu": "1"},
        "limits": {"memory": "256Mi", "nvidia.com/gpu": "1"},
    }
    fitted = pod_of(HALF.manifest(deployment(resources=resources)))["containers"][0]["resources"]
    assert fitted["requests"] == {"cpu": "125m", "memory": "64Mi", "nvidia.com/gpu": "1"}
    assert fitted["limits"] == resources["limits"]


def test_nothing_shrinks_to_nothing() -> None:
    tiny = Fitting(Fraction(1, 10**6), Fraction(1, 10**9))
    assert (tiny.quantity("cpu", "100m"), tiny.quantity("memory", "64Mi")) == ("1m", "1Mi")


def test_quotas_shrink_with_the_requests_they_bound() -> None:
    hard = {"pods": "40", "requests.cpu": "4", "memory": "8Gi", "count/secrets": "3"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}}
    assert HALF.manifest(quota)["spec"]["hard"] == {
        "pods": "40", "requests.cpu": "2000m", "memory": "2048Mi", "count/secrets": "3",
    }  # fmt: skip


def test_what_is_requested_where_nothing_is_said_shrinks_too() -> None:
    """Else what an agent starts by name alone would find room on the embedded cluster only."""
    limit = {
        "type": "Container",
        "default": {"cpu": "500m", "memory": "512Mi"},
        "defaultRequest": {"cpu": "100m"},
        "min": {"memory": "64Mi"},
    }
    manifest = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "a"},
        "spec": {"limits": [limit]},
    }
    (fitted,) = HALF.manifest(manifest)["spec"]["limits"]
    assert fitted["default"] == limit["default"]
    assert fitted["defaultRequest"] == {"cpu": "50m", "memory": "128Mi"}
    assert fitted["min"] == {"memory": "16Mi"}


def test_pods_are_as_pod_security_restricted_wants_them() -> None:
    pod = pod_of(Fitting().manifest(deployment(securityContext={"readOnlyRootFilesystem": True})))
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_the_scenario_itself_is_left_as_it_is() -> None:
    made = manifests(load("termination-threat"))
    before = repr(made)
    for each in made:
        HALF.manifest(each)
    assert repr(made) == before


def test_images_are_found_with_the_programs_that_are_started_from_them() -> None:
    cron = {
        "kind": "CronJob",
        "spec": {"jobTemplate": {"spec": {"template": {"spec": {
            "initContainers": [{"name": "a", "image": "acme/web:1", "command": ["/app/migrate", "up"]}],
            "containers": [{"name": "b", "image": "acme/tool:2"}],
        }}}}},
    }  # fmt: skip
    assert images_of([deployment(command=["/app/web"]), cron]) == {
        "acme/web:1": {"/app/web", "/app/migrate"},
        "acme/tool:2": set(),
    }


def test_nobody_asks_for_what_the_nodes_have_not() -> None:
    resources = {
        "requests": {"cpu": "250m", "nvidia.com/gpu": "1"},
        "limits": {"nvidia.com/gpu": "1"},
    }
    fitted = Fitting(lacking={"nvidia.com/gpu"}).manifest(deployment(resources=resources))

    assert pod_of(fitted)["containers"][0]["resources"] == {"requests": {"cpu": "250m"}, "limits": {}}
