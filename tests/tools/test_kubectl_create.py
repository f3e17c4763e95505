"""``kubectl create KIND`` and ``kubectl run``: objects from flags."""

from __future__ import annotations

import pytest
from tools_driver import Terminal

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  creationTimestamp: null
  labels:
    app: x
  name: x
spec:
  replicas: 3
  selector:
    matchLabels:
      app: x
  strategy: {}
  template:
    metadata:
      creationTimestamp: null
      labels:
        app: x
    spec:
      containers:
      - command:
        - a
        - b
        image: reg/foo/bar:1.2
        name: bar
        ports:
        - containerPort: 80
        resources: {}
status: {}
"""
POD = """apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: null
  labels:
    a: b
  name: x
spec:
  containers:
  - command:
    - sleep
    - "5"
    env:
    - name: A
      value: b
    image: "y"
    name: x
    ports:
    - containerPort: 80
    resources: {}
  dnsPolicy: ClusterFirst
  nodeName: node-1
  restartPolicy: Never
status: {}
"""
SERVICE = """apiVersion: v1
kind: Service
metadata:
  creationTimestamp: null
  labels:
    app: s
  name: s
spec:
  ports:
  - name: "80"
    port: 80
    protocol: TCP
    targetPort: 80
  - name: 443-8443
    port: 443
    protocol: TCP
    targetPort: 8443
  selector:
    app: s
  type: ClusterIP
status:
  loadBalancer: {}
"""
ROLE = """apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  creationTimestamp: null
  name: r
rules:
- apiGroups:
  - ""
  resourceNames:
  - x
  resources:
  - pods
  - pods/log
  verbs:
  - get
- apiGroups:
  - apps
  resourceNames:
  - x
  resources:
  - deployments
  verbs:
  - get
"""


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "create deploy x --image=reg/foo/bar:1.2 -r 3 --port=80 --dry-run=client -o yaml -- a b",
            DEPLOYMENT,
        ),
        (
            "run x --image=y --env=A=b --port=80 --labels=a=b --command --dry-run=client -o yaml "
            "--restart=Never "
            '--overrides=\'{"spec":{"nodeName":"node-1"}}\' -- sleep 5',
            POD,
        ),
        ("create service clusterip s --tcp=80 --tcp=443:8443 --dry-run=client -o yaml", SERVICE),
        (
            "create role r --verb=get --resource=pods,pods/log,deploy --resource-name=x --dry-run=client -o "
            "yaml",
            ROLE,
        ),
    ],
)
def test_what_flags_make(empty: Terminal, command: str, expected: str) -> None:
    assert empty(command) == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("create namespace back", "namespace/back created\n"),
        ("create deployment x --image=y", "deployment.apps/x created\n"),
        ("create deploy x --image=y --dry-run=client", "deployment.apps/x created (dry run)\n"),
        ("create deploy x --image=y --dry-run=server", "deployment.apps/x created (server dry run)\n"),
        ("create cm x --from-literal=a=b", "configmap/x created\n"),
        ("create secret generic x --from-literal=a=b", "secret/x created\n"),
        ("create sa x", "serviceaccount/x created\n"),
        ("create job x --image=y -- true", "job.batch/x created\n"),
        ("create cronjob x --image=y --schedule='*/5 * * * *' -- true", "cronjob.batch/x created\n"),
        ("create quota x --hard=pods=3", "resourcequota/x created\n"),
        ("create svc clusterip x --tcp=80:8080", "service/x created\n"),
        ("create service nodeport x --tcp=80", "service/x created\n"),
        ("create pdb x --selector=a=b --min-available=1", "poddisruptionbudget.policy/x created\n"),
        ("create role x --verb=get --resource=pods", "role.rbac.authorization.k8s.io/x created\n"),
        (
            "create clusterrole x --verb=get --resource=nodes",
            "clusterrole.rbac.authorization.k8s.io/x created\n",
        ),
        (
            "create rolebinding x --clusterrole=view --serviceaccount=shop:default",
            "rolebinding.rbac.authorization.k8s.io/x created\n",
        ),
        (
            "create clusterrolebinding x --clusterrole=view --user=u --group=g",
            "clusterrolebinding.rbac.authorization.k8s.io/x created\n",
        ),
        ("run x --image=y", "pod/x created\n"),
        ("run x --image=y --expose --port=80", "service/x created\npod/x created\n"),
        ("create ns shop", 'Error from server (AlreadyExists): namespaces "shop" already exists\n'),
        (
            "create deploy x --image=y -n nowhere",
            'error: failed to create deployment: namespaces "nowhere" not found\n',
        ),
        (
            "create cm",
            "error: exactly one NAME is required, got 0\nSee 'kubectl create configmap -h' for help and "
            "examples\n",
        ),
        ("create cm x --from-literal=b", "error: invalid literal source b, expected key=value\n"),
        (
            "create cm x --from-literal=a=b --from-literal=a=c",
            'error: cannot add key "a", another key by that name already exists in Data for ConfigMap "x"\n',
        ),
        (
            "create secret generic x --from-literal=a=b --from-literal=a=c",
            "error: cannot add key a, another key by that name already exists\n",
        ),
        ("create quota x --hard=cpu", "error: Invalid argument syntax cpu, expected <resource>=<value>\n"),
        (
            "create quota x --hard=cpu=foo",
            "error: quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'\n",
        ),
        ("create service loadbalancer x --tcp=80", "service/x created\n"),
        ("run x --image=", "error: --image is required\n"),
        ("create job x", "error: either --image or --from must be specified\n"),
        (
            "create job x --from=cronjob/nope",
            'Error from server (NotFound): cronjobs.batch "nope" not found\n',
        ),
        ("create svc clusterip s", "error: at least one tcp port specifier must be provided\n"),
        ("create role r", "error: at least one verb must be specified\n"),
        ("create role r --verb=get", "error: at least one resource must be specified\n"),
        ("create role r --verb=get --resource=foo", 'the server doesn\'t have a resource type "foo"\n'),
        ("create rolebinding x", "error: exactly one of clusterrole or role must be specified\n"),
        (
            "create rolebinding x --clusterrole=view --serviceaccount=a",
            "error: serviceaccount must be <namespace>:<name>\n",
        ),
        ("create token nope", 'error: failed to create token: serviceaccounts "nope" not found\n'),
        ("create foo", "error: Unexpected args: [foo]\nSee 'kubectl create -h' for help and examples\n"),
        ("run --image=x", "error: NAME is required for run\nSee 'kubectl run -h' for help and examples\n"),
        ("run x --image='BAD IMAGE'", 'error: Invalid image name "BAD IMAGE": invalid reference format\n'),
        (
            "run x --image=y --restart=foo",
            "error: invalid restart policy: foo\nSee 'kubectl run -h' for help and examples\n",
        ),
    ],
)
def test_what_is_said(empty: Terminal, command: str, expected: str) -> None:
    assert empty(command) == expected


def test_a_port_of_every_node_can_be_chosen(empty: Terminal) -> None:
    empty("create service nodeport x --tcp=80:8080 --node-port=30123")
    assert empty("get svc x -o jsonpath='{.spec.ports[0].nodePort} {.spec.type}'") == "30123 NodePort"


def test_a_disruption_budget_comes_with_its_counts(empty: Terminal) -> None:
    printed = empty("create pdb x --selector=a=b --max-unavailable=1 --dry-run=client -o yaml")
    assert printed.endswith(
        "status:\n  currentHealthy: 0\n  desiredHealthy: 0\n  disruptionsAllowed: 0\n  expectedPods: 0\n"
    )


def test_a_name_that_is_taken(kubectl: Terminal) -> None:
    assert kubectl("create deployment web --image=x") == (
        'error: failed to create deployment: deployments.apps "web" already exists\n'
    )


def test_a_job_can_be_made_from_a_cron_job(empty: Terminal) -> None:
    empty("create cronjob nightly --image=y --schedule='0 3 * * *' -- clean")
    assert empty("create job now --from=cronjob/nightly") == "job.batch/now created\n"
    path = "{.spec.template.spec.containers[0].command}"
    assert empty(f"get job now -o jsonpath='{path}'") == '["clean"]'


def test_a_token_is_printed(empty: Terminal) -> None:
    assert empty("create token default").count(".") == 2
