"""kubectl create clusterrole --aggregation-rule, auth reconcile, describe clusterrole."""

from __future__ import annotations

from kubectl_driver import Kubectl

ROLES = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: reconciled-part
  labels: {reconciled: "yes"}
rules:
- {apiGroups: [""], resources: [pods], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reconciled}
aggregationRule:
  clusterRoleSelectors:
  - matchLabels: {reconciled: "yes"}
"""


def test_create_clusterrole_with_an_aggregation_rule(kubectl: Kubectl) -> None:
    kubectl("create clusterrole pods-reader --verb=get,list --resource=pods")
    kubectl("label clusterrole pods-reader part=yes")
    said = kubectl("create clusterrole whole --aggregation-rule=part=yes")
    assert said == "clusterrole.rbac.authorization.k8s.io/whole created\n"
    described = kubectl("describe clusterrole whole").splitlines()
    assert [line.split() for line in described[-4:]] == [
        ["PolicyRule:"],
        ["Resources", "Non-Resource", "URLs", "Resource", "Names", "Verbs"],
        ["---------", "-----------------", "--------------", "-----"],
        ["pods", "[]", "[]", "[get", "list]"],
    ]
    kubectl("delete clusterrole pods-reader whole")


def test_auth_reconcile_knows_aggregated_roles(kubectl: Kubectl) -> None:
    kubectl.write("roles.yaml", ROLES)
    assert kubectl("auth reconcile -f roles.yaml").splitlines()[-1] == (
        "clusterrole.rbac.authorization.k8s.io/reconciled reconciled"
    )
    assert kubectl.json("get clusterrole reconciled")["rules"] == [
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    ]
    kubectl("auth reconcile -f roles.yaml")
    assert kubectl.json("get clusterrole reconciled")["aggregationRule"] == {
        "clusterRoleSelectors": [{"matchLabels": {"reconciled": "yes"}}]
    }
    kubectl("delete clusterrole reconciled reconciled-part")
