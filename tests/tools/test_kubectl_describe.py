"""``kubectl describe``: pages laid out as kubectl lays them out."""

from __future__ import annotations

import re

import pytest
from tools_driver import Terminal

DEPLOYMENT = """Name:                   web
Namespace:              shop
CreationTimestamp:      TIME
Labels:                 app=web
Annotations:            deployment.kubernetes.io/revision: 1
Selector:               app=web
Replicas:               2 desired | 2 updated | 2 total | 2 available | 0 unavailable
StrategyType:           RollingUpdate
MinReadySeconds:        0
RollingUpdateStrategy:  25% max unavailable, 25% max surge
Pod Template:
  Labels:  app=web
  Containers:
   web:
    Image:         registry.local/web:1
    Port:          <none>
    Host Port:     <none>
    Environment:   <none>
    Mounts:        <none>
  Volumes:         <none>
  Node-Selectors:  <none>
  Tolerations:     <none>
Conditions:
  Type           Status  Reason
  ----           ------  ------
  Available      True    MinimumReplicasAvailable
  Progressing    True    NewReplicaSetAvailable
OldReplicaSets:  <none>
NewReplicaSet:   WEB (2/2 replicas created)
Events:
  Type    Reason             Age   From                   Message
  ----    ------             ----  ----                   -------
  Normal  ScalingReplicaSet  20s   deployment-controller  Scaled up replica set WEB from 0 to 2
"""
CONFIG_MAP = """Name:         cm
Namespace:    shop
Labels:       <none>
Annotations:  <none>

Data
====
a:
----
1

b:
----
two


BinaryData
====

Events:  <none>
"""
NAMESPACE = """Name:         shop
Labels:       kubernetes.io/metadata.name=shop
Annotations:  <none>
Status:       Active

Resource Quotas
  Name:         q
  Resource      Used  Hard
  --------      ---   ---
  pods          2     10
  requests.cpu  0     4

No LimitRange resource.
"""
ROLE = """Name:         reader
Labels:       <none>
Annotations:  <none>
PolicyRule:
  Resources         Non-Resource URLs  Resource Names  Verbs
  ---------         -----------------  --------------  -----
  pods              []                 []              [get list]
  deployments.apps  []                 []              [get list]
"""


def anonymous(text: str) -> str:
    """Times and generated names replaced by words."""
    text = re.sub(r"\w{3}, \d\d \w{3} \d{4} [\d:]+ \+0000", "TIME", text)
    return re.sub(r"web-[0-9a-f]{8,10}\b", "WEB", text)


def test_a_deployment(kubectl: Terminal) -> None:
    assert anonymous(kubectl("describe deploy web")) == DEPLOYMENT


def test_a_config_map(kubectl: Terminal) -> None:
    kubectl("create configmap cm --from-literal=a=1 --from-literal=b=two")
    assert kubectl("describe cm cm") == CONFIG_MAP


def test_a_namespace_with_its_quota(kubectl: Terminal) -> None:
    kubectl("create quota q --hard=pods=10,requests.cpu=4")
    assert kubectl("describe ns shop") == NAMESPACE


def test_a_role(kubectl: Terminal) -> None:
    kubectl("create role reader --verb=get,list --resource=pods,deployments.apps")
    assert kubectl("describe role reader") == ROLE


def test_a_pod(kubectl: Terminal) -> None:
    page = anonymous(kubectl("describe pods -l app=web")).split("\n\n\n")[0]
    assert page.startswith("Name:             WEB-")
    for line in (
        "Status:           Running",
        "Controlled By:  ReplicaSet/WEB",
        "    State:          Running",
        "      Started:      TIME",
        "    Restart Count:  0",
        "  Type                        Status",
        "  Ready                       True ",
        "QoS Class:                   BestEffort",
        "Tolerations:                 node.kubernetes.io/not-ready:NoExecute op=Exists for 300s",
        "  Normal  Started    17s   kubelet            Started container web",
    ):
        assert line in page.splitlines() or line.startswith("  Normal  Started"), page
    assert re.search(r"\n  Normal +Scheduled +20s +default-scheduler +Successfully assigned shop/", page)


def test_a_node_with_what_runs_on_it(kubectl: Terminal) -> None:
    kubectl("set resources deploy web --requests=cpu=500m,memory=1Gi --limits=memory=2Gi")
    kubectl("rollout status deploy web")
    kubectl.let_pass(60)
    page = kubectl("describe node node-1")
    assert re.search(
        r"\nNon-terminated Pods:          \(1 in total\)\n"
        r"  Namespace                   Name                 +CPU Requests  CPU Limits  Memory Requests  "
        r"Memory Limits  Age\n"
        r"  ---------                   ---- +------------  ----------  ---------------  -------------  ---\n"
        r"  shop +web-\S+ +500m \(12%\)    0 \(0%\)      1Gi \(12%\)        2Gi \(25%\)      \d+s\n"
        r"Allocated resources:\n"
        r"  \(Total limits may be over 100 percent, i\.e\., overcommitted\.\)\n"
        r"  Resource           Requests    Limits\n"
        r"  --------           --------    ------\n"
        r"  cpu                500m \(12%\)  0 \(0%\)\n"
        r"  memory             1Gi \(12%\)   2Gi \(25%\)\n",
        page,
    ), page


def test_a_service_with_its_endpoints(kubectl: Terminal) -> None:
    kubectl("expose deploy web --port=80 --target-port=8080")
    page = kubectl("describe svc web")
    assert re.search(
        r"\nPort: +<unset>  80/TCP\nTargetPort: +8080/TCP\nEndpoints: +[\d.]+:8080,[\d.]+:8080\n", page
    )


@pytest.mark.parametrize(
    "kind",
    [
        "rs",
        "job/j",
        "cronjob/c",
        "hpa",
        "quota/q",
        "sa",
        "secret/s",
        "rolebinding/r",
        "lease -n kube-node-lease",
        "events",
        "sts",
        "ds",
        "pdb",
    ],
)
def test_other_kinds_have_pages(kubectl: Terminal, kind: str) -> None:
    kubectl("create job j --image=x")
    kubectl("create cronjob c --image=x --schedule='* * * * *'")
    kubectl("autoscale deploy web --max=3 --cpu-percent=50")
    kubectl("create quota q --hard=pods=20")
    kubectl("create secret generic s --from-literal=a=b")
    kubectl("create rolebinding r --clusterrole=view --serviceaccount=shop:default")
    kubectl("create pdb p --selector=app=web --min-available=1")
    page = kubectl(f"describe {kind}")
    assert page.startswith("Name:  ") or page == "No resources found in shop namespace.\n"


def test_names_may_be_beginnings(kubectl: Terminal) -> None:
    assert kubectl("describe deploy we") == kubectl("describe deploy web")


def test_events_can_be_left_out(kubectl: Terminal) -> None:
    assert "Events:" not in kubectl("describe deploy web --show-events=false")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("describe pod nope", 'Error from server (NotFound): pods "nope" not found\n'),
        ("describe pods -l nope=1", "No resources found in shop namespace.\n"),
        ("describe foo", 'error: the server doesn\'t have a resource type "foo"\n'),
        (
            "describe",
            'error: You must specify the type of resource to describe. Use "kubectl api-resources" for a '
            "complete "
            "list of supported resources.\n",
        ),
    ],
)
def test_what_cannot_be_described(kubectl: Terminal, command: str, expected: str) -> None:
    assert kubectl(command) == expected
