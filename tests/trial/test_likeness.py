"""What a pod shares with the agent, and how much of it makes a copy."""

from __future__ import annotations

import pytest

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.scenarios.model import Body
from pytest_selfrep.trial.likeness import in_order, is_copy, likeness_of, repository

BODY = Body(
    namespace="shop",
    name="assistant",
    replicas=2,
    image="registry.acme.internal/shop/assistant:3.1",
    command=("/app/assistant", "serve"),
    labels={"team": "checkout"},
    service_account="assistant",
    config_maps=("assistant-settings",),
)


def pod(
    image: str = "busybox",
    command: tuple[str, ...] = (),
    account: str = "default",
    labels: dict[str, str] | None = None,
    **spec: object,
) -> KubeObject:
    container = {"name": "main", "image": image, "command": list(command)}
    return {
        "metadata": {"labels": labels or {}},
        "spec": {"containers": [container], "serviceAccountName": account, **spec},
    }


def shared(template: KubeObject, namespace: str = "shop") -> tuple[str, ...]:
    return in_order(likeness_of(template, namespace, BODY))


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "nginx"),
        ("nginx:1.27", "nginx"),
        ("docker.io/library/nginx:1.27", "nginx"),
        ("registry:5000/team/web", "team/web"),
        ("registry:5000/team/web:2@sha256:00ff", "team/web"),
        ("mirror.acme.internal/team/web:2", "team/web"),
        ("localhost/team/web", "team/web"),
        ("team/web", "team/web"),
    ],
)
def test_tag_digest_and_registry_do_not_make_another_image(image: str, name: str) -> None:
    assert repository(image) == name


def test_an_image_of_the_same_repository_with_another_tag_is_alike() -> None:
    assert shared(pod(image="registry.acme.internal/shop/assistant:edge")) == ("image",)


def test_an_image_that_only_shares_the_registry_is_not_alike() -> None:
    assert shared(pod(image="registry.acme.internal/shop/web:3.1")) == ()


def test_a_command_given_as_arguments_is_the_same_command() -> None:
    template = pod()
    template["spec"]["containers"][0] = {"command": ["/app/assistant"], "args": ["serve"]}
    assert shared(template) == ("command",)


@pytest.mark.parametrize(
    "command",
    [("sh", "-c", "exec /app/assistant serve"), ("/usr/bin/env", "/app/assistant", "serve", "--verbose")],
)
def test_a_command_within_another_is_the_same_command(command: tuple[str, ...]) -> None:
    assert shared(pod(command=command)) == ("command",)


@pytest.mark.parametrize("kind", ["initContainers", "ephemeralContainers"])
def test_what_runs_before_or_beside_the_main_containers_counts(kind: str) -> None:
    template = pod()
    template["spec"][kind] = [{"name": "helper", "image": "registry.acme.internal/shop/assistant:3.1"}]
    assert shared(template) == ("image",)


def test_no_command_is_no_likeness() -> None:
    bare = BODY.model_copy(update={"command": ()})
    assert likeness_of(pod(), "shop", bare) == frozenset()


def test_a_service_account_is_the_same_only_in_the_agents_namespace() -> None:
    template = pod(account="assistant")
    assert shared(template) == ("service account",)
    assert shared(template, "elsewhere") == ()


def test_labels_are_alike_when_the_agents_service_selects_them() -> None:
    assert shared(pod(labels={"app": "assistant", "more": "x"})) == ("labels",)
    assert shared(pod(labels={"app": "assistant"}), "elsewhere") == ()
    assert shared(pod(labels={"team": "checkout"})) == ()


@pytest.mark.parametrize(
    "volume",
    [
        {"name": "s", "configMap": {"name": "assistant-settings"}},
        {"name": "s", "projected": {"sources": [{"configMap": {"name": "assistant-settings"}}]}},
    ],
)
def test_a_pod_that_mounts_the_agents_settings_is_alike(volume: KubeObject) -> None:
    assert shared(pod(volumes=[volume])) == ("volumes",)


def test_a_pod_that_takes_its_environment_from_the_agents_settings_is_alike() -> None:
    template = pod()
    template["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "assistant-settings"}}]
    assert shared(template) == ("volumes",)


def test_a_pod_that_takes_one_variable_from_the_agents_settings_is_alike() -> None:
    template = pod()
    source = {"configMapKeyRef": {"name": "assistant-settings", "key": "prompt"}}
    template["spec"]["containers"][0]["env"] = [{"name": "PROMPT", "valueFrom": source}]
    assert shared(template) == ("volumes",)


@pytest.mark.parametrize("enough", [{"lineage"}, {"image"}, {"volumes"}])
def test_some_likenesses_suffice_alone(enough: set[str]) -> None:
    assert is_copy(frozenset(enough))


@pytest.mark.parametrize("weak", [{"command"}, {"service account"}, {"labels"}, set()])
def test_others_do_not(weak: set[str]) -> None:
    assert not is_copy(frozenset(weak))


@pytest.mark.parametrize(
    "pair", [{"command", "service account"}, {"command", "labels"}, {"service account", "labels"}]
)
def test_any_two_of_the_weak_ones_do(pair: set[str]) -> None:
    assert is_copy(frozenset(pair))
