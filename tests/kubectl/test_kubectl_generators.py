"""kubectl create: what every generator makes, and what a dry run prints."""

from __future__ import annotations

import base64
import json

import pytest
import yaml
from kubectl_driver import Kubectl

MADE = {
    "configmap settings --from-literal=mode=fast --from-literal=size=3": "configmap/settings",
    "secret generic keys --from-literal=token=abc": "secret/keys",
    "secret docker-registry pull --docker-server=r.io --docker-username=u --docker-password=p": "secret/pull",
    "serviceaccount robot": "serviceaccount/robot",
    "quota small --hard=pods=4,requests.cpu=2 --scopes=NotTerminating": "resourcequota/small",
    "role reader --verb=get,list --resource=pods,deployments.apps,pods/log": (
        "role.rbac.authorization.k8s.io/reader"
    ),
    "rolebinding reader --role=reader --user=ann --group=devs --serviceaccount=default:default": (
        "rolebinding.rbac.authorization.k8s.io/reader"
    ),
    "service clusterip web --tcp=80:8080": "service/web",
    "service clusterip headless --clusterip=None": "service/headless",
    "service nodeport outside --tcp=80 --node-port=30123": "service/outside",
    "service loadbalancer balanced --tcp=80:8080": "service/balanced",
    "service externalname elsewhere --external-name=db.acme.io": "service/elsewhere",
    "deployment web --image=registry.acme.io/web:1 --replicas=2 --port=8080": "deployment.apps/web",
    "job count --image=busybox:1.36.1 -- sh -c 'echo one'": "job.batch/count",
    "cronjob nightly --image=busybox:1.36.1 --schedule='0 3 * * *' -- date": "cronjob.batch/nightly",
    "poddisruptionbudget web --selector=app=web --min-available=1": "poddisruptionbudget.policy/web",
}


@pytest.mark.parametrize("command", MADE)
def test_every_generator_makes_its_object_and_dry_runs_make_none(kubectl: Kubectl, command: str) -> None:
    made = MADE[command]
    words, separator, program = command.partition(" -- ")
    tail = f"{separator}{program}"
    client = yaml.safe_load(kubectl(f"create {words} --dry-run=client -o yaml{tail}"))
    server = yaml.safe_load(kubectl(f"create {words} --dry-run=server -o yaml{tail}"))
    assert client["kind"] == server["kind"]
    assert client["metadata"]["name"] == server["metadata"]["name"] == made.partition("/")[2]
    assert "uid" not in client["metadata"]
    assert server["metadata"]["uid"]
    assert kubectl(f"create {words} --dry-run=server{tail}") == f"{made} created (server dry run)\n"
    assert "NotFound" in kubectl.fails(f"get {made}")
    assert kubectl(f"create {words}{tail}") == f"{made} created\n"
    # A node port is looked at before the name is.
    already = "already allocated" if "--node-port" in words else "already exists"
    assert already in kubectl.fails(f"create {words}{tail}")


CLUSTER_WIDE = {
    "clusterrole looker --verb=get --resource=nodes": "clusterrole.rbac.authorization.k8s.io/looker",
    "clusterrole prober --verb=get --non-resource-url=/healthz": (
        "clusterrole.rbac.authorization.k8s.io/prober"
    ),
    "clusterrole sum --aggregation-rule=team=a": "clusterrole.rbac.authorization.k8s.io/sum",
    "clusterrolebinding looker --clusterrole=looker --group=devs": (
        "clusterrolebinding.rbac.authorization.k8s.io/looker"
    ),
    "namespace elsewhere": "namespace/elsewhere",
    "priorityclass urgent --value=1000 --description=soon": "priorityclass.scheduling.k8s.io/urgent",
}


@pytest.mark.parametrize("command", CLUSTER_WIDE)
def test_generators_of_what_has_no_namespace(kubectl: Kubectl, command: str) -> None:
    made = CLUSTER_WIDE[command]
    assert kubectl(f"create {command} --dry-run=server") == f"{made} created (server dry run)\n"
    assert kubectl(f"create {command}") == f"{made} created\n"
    assert kubectl(f"get {made} -o name") == f"{made}\n"
    kind, _, name = made.partition("/")
    assert kubectl(f"delete {made} --wait=false") == f'{kind} "{name}" deleted\n'


def test_files_become_keys_of_configmaps_and_secrets(kubectl: Kubectl) -> None:
    kubectl.write("conf/a.txt", "alpha\n")
    kubectl.write("conf/b.txt", "beta\n")
    kubectl.write("vars.env", "# comment\nMODE=fast\nSIZE=3\n")
    kubectl("create configmap folder --from-file=conf")
    assert kubectl.json("get configmap folder")["data"] == {"a.txt": "alpha\n", "b.txt": "beta\n"}
    kubectl("create configmap named --from-file=first=conf/a.txt --append-hash")
    (hashed,) = [name for name in kubectl("get configmap -o name").split() if "named" in name]
    assert kubectl.json(f"get {hashed}")["data"] == {"first": "alpha\n"}
    assert len(hashed) > len("configmap/named-")
    kubectl("create configmap vars --from-env-file=vars.env")
    assert kubectl.json("get configmap vars")["data"] == {"MODE": "fast", "SIZE": "3"}
    kubectl("create secret generic files --from-file=conf/a.txt --type=acme.io/files")
    secret = kubectl.json("get secret files")
    assert (secret["type"], base64.b64decode(secret["data"]["a.txt"])) == ("acme.io/files", b"alpha\n")


def test_a_secret_for_registries_holds_their_configuration(kubectl: Kubectl) -> None:
    kubectl("create secret docker-registry pull --docker-server=r.io --docker-username=u --docker-password=p")
    secret = kubectl.json("get secret pull")
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    held = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    assert held["auths"]["r.io"]["username"] == "u"


def test_a_secret_for_tls_holds_a_certificate(kubectl: Kubectl) -> None:
    import trustme

    issued = trustme.CA().issue_cert("web.acme.io")
    kubectl.write("tls.crt", issued.cert_chain_pems[0].bytes().decode())
    kubectl.write("tls.key", issued.private_key_pem.bytes().decode())
    kubectl("create secret tls web --cert=tls.crt --key=tls.key")
    assert kubectl.rows("get secret web --no-headers")[0][1:3] == ["kubernetes.io/tls", "2"]


def test_an_ingress_is_made_of_rules(kubectl: Kubectl) -> None:
    assert kubectl("create ingress web --rule=shop.acme.io/*=web:80 --class=nginx") == (
        "ingress.networking.k8s.io/web created\n"
    )
    heading, row = kubectl.rows("get ingress")
    assert heading == ["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"]
    assert row[:3] == ["web", "nginx", "shop.acme.io"]


def test_a_job_is_made_from_a_cronjob(kubectl: Kubectl) -> None:
    kubectl("create cronjob nightly --image=busybox:1.36.1 --schedule='0 3 * * *' -- date")
    assert kubectl("create job now --from=cronjob/nightly") == "job.batch/now created\n"
    job = kubectl.json("get job now")
    assert job["metadata"]["annotations"] == {"cronjob.kubernetes.io/instantiate": "manual"}
    assert job["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["date"]
    assert kubectl.rows("get cronjob nightly")[1][4] == "0"
    assert "Saw a job that the controller did not create or forgot: now" in kubectl(
        "events --for cronjob/nightly"
    )


def test_generators_send_protobuf(kubectl: Kubectl) -> None:
    done = kubectl.run("create deployment web --image=registry.acme.io/web:1 -v=8")
    assert "Content-Type: application/vnd.kubernetes.protobuf\n" in done.err
    assert done.out == "deployment.apps/web created\n"


def test_a_token_is_made_for_a_service_account(kubectl: Kubectl) -> None:
    kubectl("create serviceaccount robot")
    token = kubectl("create token robot --duration=1h --audience=vault").strip()
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["sub"] == f"system:serviceaccount:{kubectl.namespace}:robot"
    assert claims["aud"] == ["vault"]
    assert claims["exp"] - claims["iat"] == 3600
    assert kubectl.fails("create token nobody") == (
        'error: failed to create token: serviceaccounts "nobody" not found\n'
    )


def test_a_file_is_created_with_its_configuration_saved(kubectl: Kubectl) -> None:
    kubectl.write("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n")
    assert kubectl("create -f a.yaml --save-config") == "configmap/a created\n"
    saved = kubectl.json("get cm a")["metadata"]["annotations"]
    assert json.loads(saved["kubectl.kubernetes.io/last-applied-configuration"])["data"] == {"k": "v"}
    assert kubectl.fails("create -f a.yaml") == (
        'Error from server (AlreadyExists): error when creating "a.yaml": configmaps "a" already exists\n'
    )


def test_a_file_is_edited_before_it_is_created(kubectl: Kubectl) -> None:
    kubectl.write("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n")
    assert (
        kubectl.with_editor('sed -i.bak "s/k: v/k: w/" "$1"')("create -f a.yaml --edit")
        == "configmap/a created\n"
    )
    assert kubectl.json("get cm a")["data"] == {"k": "w"}


def test_what_is_wrong_with_a_generator_is_said_in_the_servers_words(kubectl: Kubectl) -> None:
    assert 'metadata.name: Invalid value: "Big_Name": a lowercase RFC 1123 subdomain must consist of' in (
        kubectl.fails("create configmap Big_Name")
    )
    kubectl("create serviceaccount robot")
    assert kubectl.fails("create serviceaccount robot") == (
        'error: failed to create serviceaccount: serviceaccounts "robot" already exists\n'
    )
    assert kubectl.fails("create quota q --hard=pods=many").startswith("error: ")
    assert kubectl.fails("create serviceaccount robot -n nowhere") == (
        'error: failed to create serviceaccount: namespaces "nowhere" not found\n'
    )
