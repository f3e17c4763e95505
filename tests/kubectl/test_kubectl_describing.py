"""kubectl describe, kind by kind. Ages and random parts of names are left out of comparisons."""

from __future__ import annotations

import re

import pytest
from kubectl_driver import Kubectl, Site
from kubectl_objects import (
    budget,
    config_map,
    container,
    cron_job,
    deployment,
    job,
    pod,
    service,
    workload,
)

FRESH = "busybox:1.35"
"""An image that no other pod of the world has, so that it must be pulled."""
STARTED = ["Pulled", "Created", "Started"]
QUIET = (
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"token": "abc"}},
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}},
    {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"pods": "20", "requests.cpu": "4"}},
    },
    {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "bounds"},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "default": {"cpu": "1"}}]},
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}],
    },
)
"""What nothing happens to."""
POD = r"""Name:             a
Namespace:        TEAM
Priority:         0
Service Account:  default
Node:             worker-\d/10\.0\.10\.\d
Start Time:       TIME
Labels:           app=single
Annotations:      <none>
Status:           Running
IP:               (10\.244\.\d\.\d+)
IPs:
  IP:  \1
Init Containers:
  setup:
    Container ID:  containerd://[0-9a-f]{64}
    Image:         busybox:1\.35
    Image ID:      docker\.io/library/busybox@sha256:[0-9a-f]{64}
    Port:          <none>
    Host Port:     <none>
    Command:
      sh
      -c
      true
    State:          Terminated
      Reason:       Completed
      Exit Code:    0
      Started:      TIME
      Finished:     TIME
    Ready:          True
    Restart Count:  0
    Environment:    <none>
    Mounts:
      /var/run/secrets/kubernetes\.io/serviceaccount from kube-api-access-[a-z0-9]{5} \(ro\)
Containers:
  main:
    Container ID:  containerd://[0-9a-f]{64}
    Image:         busybox:1\.35
    Image ID:      docker\.io/library/busybox@sha256:[0-9a-f]{64}
    Port:          8080/TCP
    Host Port:     0/TCP
    Command:
      sleep
      infinity
    State:          Running
      Started:      TIME
    Ready:          True
    Restart Count:  0
    Limits:
      memory:  64Mi
    Requests:
      cpu:      50m
      memory:   32Mi
    Readiness:  exec \[true\] delay=0s timeout=1s period=2s #success=1 #failure=3
    Environment:
      MODE:   <set to the key 'mode' of config map 'settings'>  Optional: false
      PLAIN:  1
    Mounts:
      /etc/conf from conf \(rw\)
      /var/run/secrets/kubernetes\.io/serviceaccount from kube-api-access-[a-z0-9]{5} \(ro\)
  side:
(?s:.*)
Conditions:
  Type                        Status
  PodReadyToStartContainers   True[ ]
  Initialized                 True[ ]
  Ready                       True[ ]
  ContainersReady             True[ ]
  PodScheduled                True[ ]
Volumes:
  conf:
    Type:      ConfigMap \(a volume populated by a ConfigMap\)
    Name:      settings
    Optional:  false
  kube-api-access-[a-z0-9]{5}:
    Type:                    Projected \(a volume that contains injected data from multiple sources\)
    TokenExpirationSeconds:  3607
    ConfigMapName:           kube-root-ca\.crt
    ConfigMapOptional:       <nil>
    DownwardAPI:             true
QoS Class:                   Burstable
Node-Selectors:              <none>
Tolerations:                 node\.kubernetes\.io/not-ready:NoExecute op=Exists for 300s
                             node\.kubernetes\.io/unreachable:NoExecute op=Exists for 300s
Events:
(?s:.*)"""
"""The page of the pod ``a`` in the namespace TEAM, with what differs from run to run as patterns."""


def page(text: str) -> str:
    """With what changes from run to run replaced by capitals, and columns as they are."""
    text = re.sub(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000", "TIME", text)
    text = re.sub(r"\b(\d+[smhdy])+( \(x\d+ over (\d+[smhdy])+\))?(?=  )", "AGE", text)
    return re.sub(r"(web-)[0-9a-f]+(-[a-z0-9]{5})?\b", r"\1X", text)


def events(text: str) -> list[tuple[str, str, str, str]]:
    """Type, reason, origin and message of the events at the end of a page."""
    lines = text.partition("\nEvents:\n")[2].splitlines()[2:]
    found = [re.split(r"\s{2,}", line.strip(), maxsplit=4) for line in lines if line]
    return [(each[0], each[1], each[3], each[4]) for each in found]


@pytest.fixture(scope="module")
def world(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """A namespace with something of every kind, a minute old."""
    namespace = site.new_namespace()
    ready = {"exec": {"command": ["true"]}, "periodSeconds": 2}
    from_settings = {"configMapKeyRef": {"name": "settings", "key": "mode"}}
    main = container(
        "main",
        image=FRESH,
        ports=[{"name": "http", "containerPort": 8080}],
        env=[{"name": "MODE", "valueFrom": from_settings}, {"name": "PLAIN", "value": "1"}],
        resources={"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        readinessProbe=ready,
        volumeMounts=[{"name": "conf", "mountPath": "/etc/conf"}],
    )
    made = pod(
        "a",
        {"app": "single"},
        initContainers=[container("setup", "true", image=FRESH)],
        volumes=[{"name": "conf", "configMap": {"name": "settings"}}],
    )
    made["spec"]["containers"] = [main, container("side", image=FRESH)]
    site.make(
        namespace,
        config_map("settings", {"app": "web"}, mode="fast"),
        deployment("web", 2),
        workload("StatefulSet", "db", 1),
        workload("DaemonSet", "agent"),
        job("count"),
        cron_job("nightly"),
        service("web"),
        budget("web", 1),
        made,
        *QUIET,
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": namespace}],
        },
    )
    site.cluster.advance(60)
    return site.terminal(tmp_path_factory.mktemp("home"), namespace)


def test_a_pod(world: Kubectl) -> None:
    shown = page(world("describe pod a"))
    assert re.fullmatch(POD.replace("TEAM", world.namespace), shown), shown
    reasons = [(reason, origin) for _, reason, origin, _ in events(shown)]
    assert reasons[0] == ("Scheduled", "default-scheduler")
    # Containers do not share events.
    assert reasons[1:] == [(reason, "kubelet") for reason in ["Pulling", *STARTED, *STARTED, *STARTED]]


def test_workloads(world: Kubectl) -> None:
    shown = page(world("describe deployment web"))
    assert "Replicas:               2 desired | 2 updated | 2 total | 2 available | 0 unavailable\n" in shown
    assert "StrategyType:           RollingUpdate\n" in shown
    assert "RollingUpdateStrategy:  25% max unavailable, 25% max surge\n" in shown
    assert "  Available      True    MinimumReplicasAvailable\n" in shown
    assert "  Progressing    True    NewReplicaSetAvailable\nOldReplicaSets:  <none>\n" in shown
    assert "NewReplicaSet:   web-X (2/2 replicas created)\n" in shown
    assert events(shown) == [
        ("Normal", "ScalingReplicaSet", "deployment-controller", "Scaled up replica set web-X from 0 to 2")
    ]
    shown = page(world("describe rs -l app=web"))
    assert "Controlled By:  Deployment/web\nReplicas:       2 current / 2 desired\n" in shown
    assert (
        events(shown) == [("Normal", "SuccessfulCreate", "replicaset-controller", "Created pod: web-X")] * 2
    )
    shown = page(world("describe sts db"))
    assert "Replicas:           1 desired | 1 total\nUpdate Strategy:    RollingUpdate\n" in shown
    assert "Pods Status:        1 Running / 0 Waiting / 0 Succeeded / 0 Failed\n" in shown
    assert events(shown)[0][1:3] == ("SuccessfulCreate", "statefulset-controller")
    shown = page(world("describe ds agent"))
    assert "Annotations:    deprecated.daemonset.template.generation: 1\n" in shown
    assert "Desired Number of Nodes Scheduled: 3\n" in shown
    assert {each[1:3] for each in events(shown)} == {("SuccessfulCreate", "daemonset-controller")}


def test_jobs(world: Kubectl) -> None:
    shown = page(world("describe job count"))
    uid = world("get job count -o jsonpath={.metadata.uid}")
    labels = (
        f"batch.kubernetes.io/controller-uid={uid}\n{' ' * 18}batch.kubernetes.io/job-name=count\n"
        f"{' ' * 18}controller-uid={uid}\n{' ' * 18}job-name=count\n"
    )
    assert shown.startswith(
        f"Name:             count\nNamespace:        {world.namespace}\n"
        f"Selector:         batch.kubernetes.io/controller-uid={uid}\nLabels:           {labels}"
        "Annotations:      <none>\nParallelism:      1\nCompletions:      1\nCompletion Mode:  NonIndexed\n"
        "Suspend:          false\nBackoff Limit:    6\n"
    )
    assert "Pods Statuses:    0 Active (0 Ready) / 1 Succeeded / 0 Failed\n" in shown
    assert [each[1:3] for each in events(shown)] == [
        ("SuccessfulCreate", "job-controller"),
        ("Completed", "job-controller"),
    ]
    shown = world("describe cronjob nightly")
    assert "Schedule:                      0 3 * * *\nConcurrency Policy:            Allow\n" in shown
    assert "Last Schedule Time:  <unset>\nActive Jobs:         <none>\nEvents:              <none>\n" in shown


def test_a_service_with_its_endpoints(world: Kubectl) -> None:
    shown = world("describe svc web")
    ips = world("get pods -l app=web -o jsonpath='{.items[*].status.podIP}'").split()
    assert "Type:                     ClusterIP\nIP Family Policy:         SingleStack\n" in shown
    (endpoints,) = re.findall(r"^Endpoints: +(.*)$", shown, re.MULTILINE)
    assert sorted(endpoints.split(",")) == sorted(f"{ip}:80" for ip in ips)
    assert shown.endswith("Internal Traffic Policy:  Cluster\nEvents:                   <none>\n")


def test_what_has_data_or_rules(world: Kubectl) -> None:
    name = world.namespace
    assert world("describe cm settings") == (
        f"Name:         settings\nNamespace:    {name}\nLabels:       app=web\nAnnotations:  <none>\n\n"
        "Data\n====\nmode:\n----\nfast\n\n\nBinaryData\n====\n\nEvents:  <none>\n"
    )
    assert world("describe secret keys") == (
        f"Name:         keys\nNamespace:    {name}\nLabels:       <none>\nAnnotations:  <none>\n\n"
        "Type:  Opaque\n\nData\n====\ntoken:  3 bytes\n"
    )
    assert world("describe sa robot") == (
        f"Name:                robot\nNamespace:           {name}\nLabels:              <none>\n"
        "Annotations:         <none>\nImage pull secrets:  <none>\nMountable secrets:   <none>\n"
        "Tokens:              <none>\nEvents:              <none>\n"
    )
    assert world("describe role reader") == (
        "Name:         reader\nLabels:       <none>\nAnnotations:  <none>\nPolicyRule:\n"
        "  Resources  Non-Resource URLs  Resource Names  Verbs\n"
        "  ---------  -----------------  --------------  -----\n"
        "  pods/log   []                 []              [get list]\n"
        "  pods       []                 []              [get list]\n"
    )
    assert "  ServiceAccount  robot  " + name in world("describe rolebinding reader")
    assert "  *.*        []                 []              [*]\n" in world(
        "describe clusterrole cluster-admin"
    )


def test_what_limits_a_namespace(world: Kubectl) -> None:
    quota = world("describe quota small")
    assert re.search(r"Resource +Used +Hard\n-+ +-+ +-+\npods +\d+ +20\nrequests.cpu +50m +4\n", quota), quota
    assert "Container   cpu       -    2    1                1              -\n" in world(
        "describe limits bounds"
    )
    namespace = world(f"describe ns {world.namespace}")
    assert namespace.startswith(
        f"Name:         {world.namespace}\nLabels:       kubernetes.io/metadata.name={world.namespace}\n"
        "Annotations:  <none>\nStatus:       Active\n"
    )
    assert "Resource Quotas\n  Name:         small\n" in namespace
    assert "Resource Limits\n Type" in namespace
    assert (
        "Min available:  1\nSelector:       app=web\nStatus:\n    Allowed disruptions:  1\n"
        "    Current:              2\n    Desired:              1\n    Total:                2\n"
    ) in world("describe pdb web")


def test_a_node(world: Kubectl) -> None:
    name = world("get pod a -o jsonpath={.spec.nodeName}")
    shown = page(world(f"describe node {name}"))
    assert (
        f"Lease:\n  HolderIdentity:  {name}\n  AcquireTime:     <unset>\n  RenewTime:       TIME\n" in shown
    )
    assert "  Ready            True    TIME   TIME   KubeletReady                 kubelet is posting" in shown
    assert re.search(rf"  {world.namespace} +a +50m \(1%\) +0 \(0%\) +32Mi \(0%\) +64Mi \(0%\)", shown), shown
    assert "Taints:             <none>\nUnschedulable:      false\n" in shown
    assert ("Normal", "RegisteredNode", "node-controller") in [each[:3] for each in events(shown)]


def test_an_autoscaler_with_behavior_on_one_side_only(kubectl: Kubectl) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    down = {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}]}
    kubectl.site.make(
        kubectl.namespace,
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web"},
            "spec": {"maxReplicas": 5, "scaleTargetRef": target, "behavior": {"scaleDown": down}},
        },
    )
    assert (
        "Min replicas:                                          1\n"
        "Max replicas:                                          5\nBehavior:\n"
        "  Scale Up:\n    Stabilization Window: 0 seconds\n    Select Policy: Max\n    Policies:\n"
        "      - Type: Pods     Value: 4    Period: 15 seconds\n"
        "      - Type: Percent  Value: 100  Period: 15 seconds\n"
        "  Scale Down:\n    Stabilization Window: 60 seconds\n    Select Policy: Max\n    Policies:\n"
        "      - Type: Pods  Value: 1  Period: 30 seconds\n"
    ) in kubectl("describe hpa web")


def test_kinds_without_a_page_of_their_own(world: Kubectl) -> None:
    shown = world("describe lease worker-1 -n kube-node-lease")
    assert "API Version:  coordination.k8s.io/v1\nKind:         Lease\n" in shown
    assert "  Holder Identity:         worker-1\n  Lease Duration Seconds:  40\n" in shown
    revision = page(world("describe controllerrevision -l app=db"))
    assert re.match(
        rf"Name:         db-(\w+)\nNamespace:    {world.namespace}\nLabels:       app=db\n"
        r"              controller\.kubernetes\.io/hash=\1\nAnnotations:  <none>\nAPI Version:  apps/v1\n"
        r"Data:\n  Spec:\n    Template:\n      \$patch:  replace\n      Metadata:\n",
        revision,
    ), revision
    assert revision.endswith("\nRevision:                  1\nEvents:                    <none>\n"), revision
    assert re.search(r"Labels: +app=agent\n +controller-revision-hash=", world("describe controllerrevision"))


def test_what_is_not_there(world: Kubectl) -> None:
    assert world.fails("describe pod gone") == 'Error from server (NotFound): pods "gone" not found\n'
    assert (
        world.run("describe pods -l app=gone").err == f"No resources found in {world.namespace} namespace.\n"
    )
    # A name that begins like those of others means all of them.
    assert world("describe pod web-").count("\nName: ") + 1 == 2
    assert "Events:" not in world("describe pod a --show-events=false")
