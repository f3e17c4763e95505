"""An existing cluster: the one that is meant, with the rights that trials need, or one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from simulated import simulated

from pytest_selfrep.clusters import furnishing, preflight, shared_world
from pytest_selfrep.clusters.https import Https
from pytest_selfrep.clusters.kube import KubeClient, path_of
from pytest_selfrep.clusters.login import cluster_of
from pytest_selfrep.clusters.site import Site
from pytest_selfrep.errors import ClusterError
from pytest_selfrep.scenarios.loading import load


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Https]:
    yield from simulated(tmp_path_factory.mktemp("kubesim"))


def limited(server: Https, name: str, *rules: object) -> Https:
    """A service account of this name with these rights and no others."""
    admin, group, named = KubeClient(server), "rbac.authorization.k8s.io", {"metadata": {"name": name}}
    admin.create(path_of("", "v1", "serviceaccounts", "default"), named)
    admin.create(path_of(group, "v1", "clusterroles"), {**named, "rules": list(rules)})
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": name}
    subject = {"kind": "ServiceAccount", "namespace": "default", "name": name}
    binding = {**named, "roleRef": reference, "subjects": [subject]}
    admin.create(path_of(group, "v1", "clusterrolebindings"), binding)
    return server.with_token(furnishing.token(admin, ("default", name)))


@pytest.mark.parametrize(
    ("context", "server"),
    [
        ("acme-prod", "https://10.0.0.1"),
        ("eu/PRODUCTION", "https://10.0.0.1"),
        ("main", "https://api.live.acme.io"),
        ("prd1", "https://10.0.0.1"),
        ("acmeprod", "https://10.0.0.1"),
        ("prodeu", "https://10.0.0.1"),
        ("prodcluster", "https://10.0.0.1"),
        ("liveprod-2", "https://10.0.0.1"),
        ("acmeproduction", "https://10.0.0.1"),
    ],
)
def test_what_looks_like_production_has_to_be_named_once_more(context: str, server: str) -> None:
    with pytest.raises(ClusterError, match=f"say --selfrep-allow-context {context}"):
        preflight.require_meant(context, server, "")
    with pytest.raises(ClusterError, match="looks like production"):
        preflight.require_meant(context, server, "another")
    preflight.require_meant(context, server, context)


def test_the_name_of_its_cluster_in_the_kubeconfig_is_looked_at_too(tmp_path: Path) -> None:
    path = tmp_path / "config"
    config = {"contexts": [{"name": "main", "context": {"cluster": "acme_prod_eu", "user": "ci"}}]}
    path.write_text(yaml.safe_dump(config))
    cluster = cluster_of(path, "main")
    with pytest.raises(
        ClusterError, match=r"looks like production.*acme_prod_eu.*--selfrep-allow-context main"
    ):
        preflight.require_meant("main", "https://10.0.0.1", "", cluster)
    preflight.require_meant("main", "https://10.0.0.1", "main", cluster)


@pytest.mark.parametrize(
    "context",
    [
        "staging",
        "product-team-dev",
        "products",
        "olive",
        "reproduce",
        "reproduction",
        "delivery",
        "nonprod",
        "acme-non-prod-eu",
    ],
)
def test_other_contexts_are_taken_at_their_word(context: str) -> None:
    preflight.require_meant(context, "https://10.0.0.1", "")


def test_an_administrator_has_all_rights(server: Https) -> None:
    preflight.require_rights(KubeClient(server))


def test_missing_rights_are_printed_as_a_role_that_grants_them(server: Https, tmp_path: Path) -> None:
    user = limited(server, "ci", {"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]})
    with pytest.raises(ClusterError) as caught:
        preflight.require_rights(KubeClient(user))
    printed = yaml.safe_load(str(caught.value).split("\n", 1)[1])
    assert printed["kind"] == "ClusterRole"
    assert {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]} in printed["rules"]
    assert {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]} in printed["rules"]
    assert not [rule for rule in printed["rules"] if rule["resources"] == ["pods"]]
    path = path_of("rbac.authorization.k8s.io", "v1", "clusterroles", name="ci")
    admin = KubeClient(server)
    role = admin.get(path)
    admin.replace(path, {**role, "rules": [*role["rules"], *printed["rules"]]})
    preflight.require_rights(KubeClient(user))


def test_the_rights_that_are_asked_for_suffice_for_a_world(server: Https) -> None:
    user = limited(
        server,
        "trials",
        *(
            {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
            for (group, resource), verbs in preflight.NEEDED.items()
        ),
    )
    preflight.require_rights(KubeClient(user))
    site = Site(user, bring=lambda images: None)
    with shared_world.world(site, load("load-balancing"), allow_egress=True) as world:
        assert any("there is no audit log" in each for each in world.approximations)
    site.close(wait=True)
    assert site.stayed == []
