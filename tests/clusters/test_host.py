"""The cluster of a run as its owner has it: one for all who ask, replaced once, with an audit log."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import docker
import pytest
from real_kubernetes import one_kubernetes

from pytest_selfrep.clusters.audit_log import AuditLog
from pytest_selfrep.clusters.host import Owning
from pytest_selfrep.clusters.https import Https, from_kubeconfig
from pytest_selfrep.clusters.k3s import CONTEXT, K3s
from pytest_selfrep.clusters.kube import ApiError, KubeClient
from pytest_selfrep.errors import ClusterError

pytestmark = pytest.mark.docker

ARGUMENTS_PASSED_ON = r"""
RUN if grep -q '^run apiserver kube-apiserver' /bin/k3s; then sed -i -e 's|^run apiserver kube-apiserver|\
passed=; for each in "$@"; do case $each in \
--kube-apiserver-arg=*) passed="$passed --${each#*-arg=}";; esac; done\n\
run apiserver kube-apiserver $passed|' /bin/k3s; fi
"""
"""For an image whose k3s ignores the API server's arguments, unlike Rancher's own."""

RBAC = "rbac.authorization.k8s.io"
ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
EDITOR = {
    "metadata": {"name": "editor"},
    "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
    "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "default"}],
}
TOKEN_REQUEST = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
AUTHORIZATION = "authorization.k8s.io/v1"
MAY_I = {
    "apiVersion": AUTHORIZATION,
    "kind": "SelfSubjectAccessReview",
    "spec": {"resourceAttributes": {"namespace": "default", "verb": "create", "resource": "configmaps"}},
}
PAINT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "paint"}, "data": {"colour": "blue"}}


@pytest.fixture(scope="module")
def auditing(request: pytest.FixtureRequest) -> Iterator[str]:
    """An image whose API server gets its arguments."""
    client = docker.from_env()
    text = f"FROM {one_kubernetes(request.config).image}\n{ARGUMENTS_PASSED_ON}"
    image = client.images.build(fileobj=io.BytesIO(text.encode()), rm=True)[0]
    yield str(image.id)
    client.images.remove(image.id, force=True)
    client.close()


@pytest.fixture(scope="module")
def host(auditing: str) -> Iterator[Owning]:
    host = Owning(auditing, keep=False)
    yield host
    host.close()


@pytest.fixture
def admin(host: Owning) -> Iterator[Https]:
    with administrator(host.server()) as transport:
        yield transport


@contextmanager
def administrator(cluster: K3s) -> Iterator[Https]:
    transport = from_kubeconfig(cluster.kubeconfig, CONTEXT)
    yield transport
    transport.close()


def test_all_who_ask_at_once_get_the_same_cluster(host: Owning) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = {each.result().id for each in [threads.submit(host.server) for _ in range(4)]}

    assert len(found) == 1


def test_its_kubeconfig_is_for_the_owner_alone(host: Owning) -> None:
    kubeconfig = host.server().kubeconfig

    assert kubeconfig.stat().st_mode & 0o777 == 0o600
    assert kubeconfig.parent.stat().st_mode & 0o777 == 0o700


def test_a_cluster_that_lives_is_not_replaced(host: Owning) -> None:
    cluster = host.server()

    assert host.lost(cluster) == cluster


def test_the_audit_log_has_writes_in_full_and_reads_by_name(admin: Https) -> None:
    client = KubeClient(admin)
    client.create(f"/apis/{RBAC}/v1/namespaces/default/rolebindings", EDITOR)
    account = admin.with_token(client.create(f"{ACCOUNT}/token", TOKEN_REQUEST)["status"]["token"])
    while not KubeClient(account).create(f"/apis/{AUTHORIZATION}/selfsubjectaccessreviews", MAY_I)["status"][
        "allowed"
    ]:
        # Bindings take effect after a moment.
        time.sleep(0.05)
    log = AuditLog(admin, client.get("/api/v1/nodes")["items"][0]["metadata"]["name"])

    assert log.open()
    for refused in ("/api/v1/nodes/here", f"/apis/{RBAC}/v1/clusterroles"):
        with pytest.raises(ApiError, match=r"cannot (get|list)"):
            KubeClient(account).get(refused)
    KubeClient(account).create("/api/v1/namespaces/default/configmaps", PAINT)
    client.get("/api/v1/namespaces")
    # In one namespace the account may create pods, in the other it is refused: either way all is told.
    for namespace in ("default", "kube-system"):
        assert log.shows(KubeClient(account), namespace)
    one, many, written = [each for each in log.poll() if each["user"]["username"] != "system:admin"]
    account.close()

    assert {each["user"]["username"] for each in (one, many, written)} == {
        "system:serviceaccount:default:default"
    }
    assert (one["level"], one["verb"], one["objectRef"]["name"]) == ("Metadata", "get", "here")
    assert (many["level"], many["verb"], many["responseStatus"]["code"]) == ("Metadata", "list", 403)
    assert (written["level"], written["verb"]) == ("RequestResponse", "create")
    assert written["requestObject"]["data"] == PAINT["data"]
    assert written["responseObject"]["metadata"]["resourceVersion"]
    assert log.poll() == []


def test_an_api_server_without_an_audit_log_is_said_to_have_none(admin: Https) -> None:
    assert not AuditLog(admin, "nowhere").open()


def test_a_cluster_that_dies_is_replaced_once(image: str) -> None:
    host = Owning(image, keep=False)
    try:
        first = host.server()
        kill(first)
        second = host.lost(first)
        with administrator(second) as transport:
            assert KubeClient(transport).get("/api/v1/nodes")["items"]

        assert second.id != first.id
        # Another trial may notice later.
        assert host.lost(first) == second

        kill(second)
        with pytest.raises(ClusterError, match="so did its replacement: its container is exited"):
            host.lost(second)
        with pytest.raises(ClusterError, match="so did its replacement"):
            host.server()
    finally:
        folder = host.folder
        host.close()
    assert not folder.exists()


def kill(cluster: K3s) -> None:
    client = docker.from_env()
    client.containers.get(cluster.id).kill()
    client.close()
