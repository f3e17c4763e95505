"""Roles, bindings, and the words in which requests are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kube_driver import Kube, deployment

from pytest_selfrep.kubesim.auth.rbac import Rule, missing

GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{GROUP}/v1"
WEB = "system:serviceaccount:shop:web"
PODS = "/api/v1/namespaces/shop/pods"


def rule(verbs: str, resources: str, group: str = "", **fields: Any) -> dict[str, Any]:
    return {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split(), **fields}


def grant(kube: Kube, *rules: dict[str, Any], namespace: str = "shop", name: str = "web") -> None:
    """A Role in the namespace, or a ClusterRole without one, bound to the service account."""
    in_namespace = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
    kind = "Role" if namespace else "ClusterRole"
    kube.create(f"{in_namespace}/{kind.lower()}s", {"metadata": {"name": name}, "rules": list(rules)})
    bind(kube, kind, name, namespace)


def bind(kube: Kube, kind: str, role: str, namespace: str) -> None:
    path = f"{RBAC}/namespaces/{namespace}/rolebindings" if namespace else f"{RBAC}/clusterrolebindings"
    subject = {"kind": "ServiceAccount", "name": "web", "namespace": "shop"}
    ref = {"apiGroup": GROUP, "kind": kind, "name": role}
    kube.create(path, {"metadata": {"name": role}, "subjects": [subject], "roleRef": ref})


@pytest.fixture
def admin(kube: Kube) -> Kube:
    kube.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    kube.create("/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "web"}})
    return kube


@pytest.fixture
def web(admin: Kube) -> Kube:
    return Kube(admin.cluster, admin.cluster.token_for(WEB))


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        (
            "GET",
            PODS,
            f'pods is forbidden: User "{WEB}" cannot list resource "pods" in API group "" '
            'in the namespace "shop"',
        ),
        (
            "GET",
            f"{PODS}/a",
            f'pods "a" is forbidden: User "{WEB}" cannot get resource "pods" in API group "" '
            'in the namespace "shop"',
        ),
        (
            "GET",
            f"{PODS}/a/log",
            f'pods "a" is forbidden: User "{WEB}" cannot get resource "pods/log" in API group "" '
            'in the namespace "shop"',
        ),
        (
            "GET",
            "/api/v1/nodes",
            f'nodes is forbidden: User "{WEB}" cannot list resource "nodes" in API group "" '
            "at the cluster scope",
        ),
        (
            "POST",
            "/apis/apps/v1/namespaces/shop/deployments",
            f'deployments.apps is forbidden: User "{WEB}" cannot create resource "deployments" '
            'in API group "apps" in the namespace "shop"',
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/shop/deployments/web/scale",
            f'deployments.apps "web" is forbidden: User "{WEB}" cannot patch resource "deployments/scale" '
            'in API group "apps" in the namespace "shop"',
        ),
        (
            "DELETE",
            PODS,
            f'pods is forbidden: User "{WEB}" cannot deletecollection resource "pods" in API group "" '
            'in the namespace "shop"',
        ),
        (
            "GET",
            "/api/v1/namespaces/shop",
            f'namespaces "shop" is forbidden: User "{WEB}" cannot get resource "namespaces" in API group "" '
            'in the namespace "shop"',
        ),
        ("GET", "/metrics", f'forbidden: User "{WEB}" cannot get path "/metrics"'),
        (
            "GET",
            "/apis/acme.io/v1/widgets",
            f'widgets.acme.io is forbidden: User "{WEB}" cannot list resource "widgets" '
            'in API group "acme.io" at the cluster scope',
        ),
    ],
)
def test_what_is_not_granted_is_forbidden_in_kubernetes_words(
    web: Kube, method: str, path: str, message: str
) -> None:
    refused = web.refusal(method, path)
    assert (refused["code"], refused["reason"], refused["message"]) == (403, "Forbidden", message)


def test_a_refusal_names_the_object_in_its_details(web: Kube) -> None:
    refused = web.refusal("GET", "/apis/apps/v1/namespaces/shop/deployments/web")
    assert refused["details"] == {"name": "web", "group": "apps", "kind": "deployments"}


def test_a_role_grants_its_verbs_in_its_own_namespace_only(admin: Kube, web: Kube) -> None:
    grant(admin, rule("get list", "pods"))
    assert web.get(PODS)["items"] == []
    assert web.refusal("GET", f"{PODS}/a")["code"] == 404
    assert web.refusal("POST", PODS, {})["code"] == 403
    assert web.refusal("GET", "/api/v1/namespaces/default/pods")["code"] == 403
    assert web.refusal("GET", "/api/v1/pods")["code"] == 403


def test_a_cluster_role_bound_everywhere_holds_everywhere(admin: Kube, web: Kube) -> None:
    grant(admin, rule("list", "pods nodes"), namespace="")
    for path in (PODS, "/api/v1/pods", "/api/v1/nodes", "/api/v1/namespaces/default/pods"):
        web.get(path)


def test_a_cluster_role_bound_in_a_namespace_holds_there(admin: Kube, web: Kube) -> None:
    bind(admin, "ClusterRole", "view", "shop")
    web.get(PODS)
    assert web.refusal("GET", "/api/v1/pods")["code"] == 403
    assert web.refusal("GET", "/api/v1/namespaces/shop/secrets")["code"] == 403


def test_a_subresource_is_granted_by_its_own_name(admin: Kube, web: Kube) -> None:
    admin.create("/apis/apps/v1/namespaces/shop/deployments", deployment("web", 1))
    path = "/apis/apps/v1/namespaces/shop/deployments/web"
    grant(admin, rule("get", "deployments", "apps"))
    assert web.refusal("GET", f"{path}/scale")["code"] == 403
    grant(admin, rule("get", "*/scale", "apps"), name="scale")
    assert web.get(f"{path}/scale")["spec"] == {"replicas": 1}


def test_resource_names_narrow_a_rule_to_those_objects(admin: Kube, web: Kube) -> None:
    config_maps = "/api/v1/namespaces/shop/configmaps"
    for name in ("a", "b"):
        admin.create(config_maps, {"metadata": {"name": name}})
    grant(admin, rule("get list watch", "configmaps", resourceNames=["a"]))
    web.get(f"{config_maps}/a")
    assert web.refusal("GET", f"{config_maps}/b")["code"] == 403
    assert web.refusal("GET", config_maps)["code"] == 403
    assert len(web.get(config_maps, fieldSelector="metadata.name=a")["items"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"fieldSelector": "metadata.name!=a"},
        {"fieldSelector": "metadata.name=a,nonsense"},
        {"fieldSelector": "metadata.name=a", "limit": "many"},
        {"fieldSelector": "metadata.name=a", "timeoutSeconds": ""},
        {"fieldSelector": "metadata.name=a", "labelSelector": "!!"},
    ],
)
def test_a_list_whose_options_cannot_be_read_is_not_one_of_one_name(
    admin: Kube, web: Kube, query: dict[str, str]
) -> None:
    grant(admin, rule("list", "configmaps", resourceNames=["a"]))
    assert web.refusal("GET", "/api/v1/namespaces/shop/configmaps", query=query)["code"] == 403


def test_what_is_deleted_as_a_collection_is_never_one_name(admin: Kube, web: Kube) -> None:
    grant(admin, rule("deletecollection", "configmaps", resourceNames=["a"]))
    path, query = "/api/v1/namespaces/shop/configmaps", {"fieldSelector": "metadata.name=a"}
    refused = web.refusal("DELETE", path, query=query)
    assert refused["message"].startswith("configmaps is forbidden:")


def test_one_name_of_what_is_computed_or_unknown_is_a_name_too(admin: Kube, web: Kube) -> None:
    query = {"fieldSelector": "metadata.name=a"}
    for path in ("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods", "/api/v1/namespaces/shop/things"):
        refused = web.refusal("GET", path, query=query)
        assert refused["details"]["name"] == "a"


def test_a_selector_is_read_after_rights_were_checked(web: Kube) -> None:
    assert web.refusal("GET", PODS, query={"fieldSelector": "nonsense"})["code"] == 403


def test_one_object_is_got_whatever_the_query_says_of_watching(admin: Kube, web: Kube) -> None:
    admin.create("/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "a"}})
    grant(admin, rule("get", "configmaps"))
    found = web.get("/api/v1/namespaces/shop/configmaps/a", watch="1")
    assert found["metadata"]["name"] == "a"


def test_a_method_that_resources_do_not_have_is_no_verb(web: Kube) -> None:
    why = 'User "system:serviceaccount:shop:web" cannot  resource "pods" in API group ""'
    assert why in web.refusal("BREW", PODS)["message"]
    assert web.refusal("BREW", "/nothing")["message"].endswith('cannot brew path "/nothing"')


def test_what_follows_a_subresource_is_no_part_of_it(admin: Kube, web: Kube) -> None:
    assert 'cannot get resource "pods/log"' in web.refusal("GET", f"{PODS}/a/log/more")["message"]
    grant(admin, rule("get", "pods/log"))
    assert web.refusal("GET", f"{PODS}/a/log/more")["code"] == 404


def test_stars_stand_for_everything(admin: Kube, web: Kube) -> None:
    grant(admin, {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
    web.get(PODS)
    web.create("/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "a"}})
    assert web.refusal("GET", "/api/v1/nodes")["code"] == 403


def test_groups_and_users_are_subjects_too(admin: Kube) -> None:
    cluster = admin.cluster
    grant(admin, rule("list", "pods"))
    path = f"{RBAC}/namespaces/shop/rolebindings"
    ref = {"apiGroup": GROUP, "kind": "Role", "name": "web"}
    for kind, name in (("User", "ann"), ("Group", "ops")):
        subject = {"kind": kind, "apiGroup": GROUP, "name": name}
        admin.create(path, {"metadata": {"name": name}, "subjects": [subject], "roleRef": ref})
    Kube(cluster, cluster.token_for("ann")).get(PODS)
    Kube(cluster, cluster.token_for("bob", ("ops",))).get(PODS)
    assert Kube(cluster, cluster.token_for("eve")).refusal("GET", PODS)["code"] == 403


def test_rights_end_with_their_binding_or_role(admin: Kube, web: Kube) -> None:
    grant(admin, rule("list", "pods"))
    web.get(PODS)
    admin.merge(f"{RBAC}/namespaces/shop/roles/web", {"rules": []})
    assert web.refusal("GET", PODS)["code"] == 403
    admin.merge(f"{RBAC}/namespaces/shop/roles/web", {"rules": [rule("list", "pods")]})
    web.get(PODS)
    admin.delete(f"{RBAC}/namespaces/shop/rolebindings/web")
    assert web.refusal("GET", PODS)["code"] == 403


def test_a_binding_to_a_role_that_is_not_there_is_mentioned(admin: Kube, web: Kube) -> None:
    bind(admin, "ClusterRole", "gone", "shop")
    message = web.refusal("GET", PODS)["message"]
    assert message.endswith(f'in the namespace "shop": RBAC: clusterrole.{GROUP} "gone" not found')


def test_every_authenticated_user_may_discover_and_ask_about_itself(web: Kube) -> None:
    for path in ("/api", "/apis", "/version", "/api/v1", "/apis/apps/v1", "/healthz"):
        assert web.send("GET", path).status == 200
    assert can_i(web, verb="list", resource="pods", namespace="shop") is False


def can_i(kube: Kube, **attributes: str) -> bool:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = kube.create(path, {"spec": {"resourceAttributes": attributes}})
    return bool(answer["status"]["allowed"])


def test_a_self_subject_access_review_answers_as_the_request_itself_would(admin: Kube, web: Kube) -> None:
    grant(admin, rule("list", "pods"), rule("get", "deployments/scale", "apps"))
    assert can_i(web, verb="list", resource="pods", namespace="shop")
    assert not can_i(web, verb="list", resource="pods")
    assert not can_i(web, verb="delete", resource="pods", namespace="shop")
    assert can_i(web, verb="get", group="apps", resource="deployments", subresource="scale", namespace="shop")
    assert can_i(admin, verb="delete", resource="nodes")


def test_a_review_may_ask_about_a_path(web: Kube) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    for asked, allowed in (("/version", True), ("/metrics", False)):
        spec = {"nonResourceAttributes": {"verb": "get", "path": asked}}
        assert web.create(path, {"spec": spec})["status"]["allowed"] is allowed


def test_a_subject_access_review_asks_about_somebody_else_and_needs_the_right_to(
    admin: Kube, web: Kube
) -> None:
    grant(admin, rule("list", "pods"))
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    attributes = {"verb": "list", "resource": "pods", "namespace": "shop"}
    review = {"spec": {"user": WEB, "resourceAttributes": attributes}}
    assert admin.create(path, review)["status"]["allowed"] is True
    assert web.refusal("POST", path, review)["code"] == 403
    assert admin.refusal("POST", path, {"spec": {"resourceAttributes": attributes}})["code"] == 422


def test_a_self_subject_rules_review_lists_the_rules_that_hold_in_a_namespace(admin: Kube, web: Kube) -> None:
    grant(admin, rule("list", "pods"))
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    status = web.create(path, {"spec": {"namespace": "shop"}})["status"]
    assert rule("list", "pods") in status["resourceRules"]
    assert status["incomplete"] is False
    elsewhere = web.create(path, {"spec": {"namespace": "default"}})["status"]
    assert rule("list", "pods") not in elsewhere["resourceRules"]


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, 422), ({"spec": {}}, 422), ({"spec": {"resourceAttributes": "x"}}, 400), ({"spec": "x"}, 400)],
)
def test_a_review_without_a_question_is_refused(web: Kube, body: dict[str, Any], code: int) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert web.refusal("POST", path, body)["code"] == code


def test_nobody_writes_a_role_with_more_rights_than_they_have(admin: Kube, web: Kube) -> None:
    grant(admin, rule("create update", "roles", GROUP), rule("list", "pods"))
    path = f"{RBAC}/namespaces/shop/roles"
    web.create(path, {"metadata": {"name": "same"}, "rules": [rule("list", "pods")]})
    more = {"metadata": {"name": "more"}, "rules": [rule("get list", "secrets"), rule("list", "pods")]}
    refused = web.refusal("POST", path, more)
    assert refused["code"] == 403
    assert refused["message"] == (
        f'roles.{GROUP} "more" is forbidden: user "{WEB}" '
        '(groups=["system:serviceaccounts" "system:serviceaccounts:shop" "system:authenticated"]) '
        "is attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
    )
    assert web.refusal("PUT", f"{path}/same", {**more, "metadata": {"name": "same"}})["code"] == 403


def test_nobody_binds_a_role_with_more_rights_than_they_have(admin: Kube, web: Kube) -> None:
    grant(admin, rule("create", "rolebindings", GROUP))
    path = f"{RBAC}/namespaces/shop/rolebindings"
    binding = {
        "metadata": {"name": "more"},
        "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}],
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
    }
    refused = web.refusal("POST", path, binding)
    assert refused["code"] == 403
    assert "is attempting to grant RBAC permissions not currently held" in refused["message"]
    grant(admin, rule("bind", "clusterroles", GROUP), name="binder")
    web.create(path, binding)
    web.get(PODS)


def test_the_right_to_escalate_lifts_the_check_on_roles(admin: Kube, web: Kube) -> None:
    grant(admin, rule("create escalate", "roles", GROUP))
    role = {"metadata": {"name": "more"}, "rules": [rule("get", "secrets")]}
    web.create(f"{RBAC}/namespaces/shop/roles", role)


words = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=2, unique=True).map(tuple)
rules = st.builds(Rule, words, words, words, st.sampled_from([(), ("x",), ("x", "y")]))


@given(st.lists(rules, max_size=3))
def test_rules_cover_themselves(held: list[Rule]) -> None:
    assert missing(held, held) == []


@given(st.lists(rules, max_size=3), rules)
def test_what_is_missing_is_all_that_would_be_needed(held: list[Rule], wanted: Rule) -> None:
    assert missing([wanted], [*held, *missing([wanted], held)]) == []
