"""``kubectl create KIND``: a table of what can be made from flags."""

from __future__ import annotations

import base64
from collections.abc import Callable

from pytest_selfrep.clusters.kube import ApiError, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import fault
from pytest_selfrep.tools.kubectl.generators import (
    amounts,
    container,
    container_name,
    key_values,
    literals,
    obj,
    service_ports,
    template,
)
from pytest_selfrep.tools.kubectl.kinds import SERVICE_ACCOUNT
from pytest_selfrep.tools.kubectl.manifests import read_file
from pytest_selfrep.tools.kubectl.output import show_written

Builder = Callable[[Command], KubeObject]


def create_object(command: Command, build: Builder, failing: str) -> None:
    """Build an object and send it; ``failing`` goes before the server's errors where kubectl has it so."""
    body = build(command)
    kind = command.discovery.by_kind(body["apiVersion"], body["kind"])
    if kind is None:
        raise fault(f'no matches for kind "{body["kind"]}" in version "{body["apiVersion"]}"')
    if kind.namespaced and (command.given("namespace") or command.dry_run() != "client"):
        body["metadata"]["namespace"] = command.namespace
    if command.dry_run() != "client":
        path = kind.path(command.namespace)
        try:
            body = command.client.request("POST", path, query=command.write_query(), body=body)
        except ApiError as error:
            if not failing:
                raise
            raise fault(f"{failing}{error.message}") from None
    show_written(command, kind, body, "created")


def deployment(command: Command) -> KubeObject:
    name, images = command.one_name(), command.listed("image")
    if len(images) > 1 and command.parsed.after_dash:
        raise fault("cannot specify multiple --image options and command")
    containers = [container(container_name(image), image) for image in images]
    if command.parsed.after_dash:
        containers[0]["command"] = command.parsed.after_dash
    if command.given("port"):
        containers[0]["ports"] = [{"containerPort": command.integer("port")}]
    if command.integer("replicas", 1) < 0:
        raise fault(f"invalid replicas: {command.integer('replicas')}, must be greater than or equal to 0")
    labels = {"app": name}
    spec = {
        "replicas": command.integer("replicas", 1),
        "selector": {"matchLabels": labels},
        "strategy": {},
        "template": template(labels, {"containers": containers}),
    }
    body = obj("apps/v1", "Deployment", name, spec=spec, status={})
    body["metadata"]["labels"] = labels
    return body


def job(command: Command) -> KubeObject:
    name, source = command.one_name(), command.text("from")
    if bool(source) == bool(command.text("image")):
        raise fault("either --image or --from must be specified")
    if source:
        return _job_from(command, name, source)
    main = container(name, command.text("image"), command=command.parsed.after_dash)
    spec = {"template": template(None, {"containers": [main], "restartPolicy": "Never"})}
    return obj("batch/v1", "Job", name, spec=spec, status={})


def _job_from(command: Command, name: str, source: str) -> KubeObject:
    word, _, of = source.partition("/")
    kind = command.discovery.find_word(word)
    if kind is None or kind.kind != "CronJob" or not of:
        raise fault(f"unknown object type: from must be an existing cronjob, not {source}")
    cron = command.client.get(kind.path(command.namespace, of))
    job_template = cron["spec"]["jobTemplate"]
    meta = job_template.get("metadata") or {}
    body = obj("batch/v1", "Job", name, spec=job_template["spec"])
    body["metadata"]["annotations"] = {
        "cronjob.kubernetes.io/instantiate": "manual",
        **(meta.get("annotations") or {}),
    }
    if meta.get("labels"):
        body["metadata"]["labels"] = meta["labels"]
    return body


def cron_job(command: Command) -> KubeObject:
    name = command.one_name()
    main = container(name, command.text("image"), command=command.parsed.after_dash)
    pod = template(None, {"containers": [main], "restartPolicy": command.text("restart") or "OnFailure"})
    spec = {
        "schedule": command.text("schedule"),
        "jobTemplate": {"metadata": {"name": name, "creationTimestamp": None}, "spec": {"template": pod}},
    }
    return obj("batch/v1", "CronJob", name, spec=spec, status={})


def namespace(command: Command) -> KubeObject:
    return obj("v1", "Namespace", command.one_name(), spec={}, status={})


def config_map(command: Command) -> KubeObject:
    name = command.one_name()
    taken = f'"{{}}", another key by that name already exists in Data for ConfigMap "{name}"'
    return obj("v1", "ConfigMap", name, data=_data(command, taken) or None)


def _data(command: Command, taken: str) -> dict[str, str]:
    """What flags put into a ConfigMap or Secret. Raises Complaint as ``literals`` does, and for files."""
    data = literals(command.listed("from-literal"), taken)
    for word in command.listed("from-file"):
        if command.hands.files is None:
            raise fault(f"the flag --from-file is not available: {f.REFUSED['from-file']}")
        key, equals, path = word.partition("=")
        key, path = (key, path) if equals else (word.rpartition("/")[2], word)
        if key in data:
            raise fault(f"cannot add key {taken.format(key)}")
        data[key] = read_file(command, path)
    return data


def secret(command: Command) -> KubeObject:
    data = _data(command, "{}, another key by that name already exists")
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return obj("v1", "Secret", command.one_name(), data=encoded or None, type=command.text("type") or None)


def service_account(command: Command) -> KubeObject:
    return obj("v1", "ServiceAccount", command.one_name())


def quota(command: Command) -> KubeObject:
    hard = amounts(command.text("hard"))
    spec: KubeObject = {"hard": hard} if hard else {}
    if command.text("scopes"):
        spec["scopes"] = command.text("scopes").split(",")
    return obj("v1", "ResourceQuota", command.one_name(), spec=spec, status={})


def cluster_ip_service(command: Command) -> KubeObject:
    return _service(command, "ClusterIP")


def load_balancer_service(command: Command) -> KubeObject:
    return _service(command, "LoadBalancer")


def node_port_service(command: Command) -> KubeObject:
    return _service(command, "NodePort")


def _service(command: Command, service_type: str) -> KubeObject:
    name, ports = command.one_name(), service_ports(command.listed("tcp"))
    if command.given("node-port"):
        ports = [{**port, "nodePort": command.integer("node-port")} for port in ports]
    if not ports and command.text("clusterip") != "None":
        raise fault("at least one tcp port specifier must be provided")
    spec: KubeObject = {"selector": {"app": name}, "type": service_type}
    if ports:
        spec["ports"] = ports
    if command.text("clusterip"):
        spec["clusterIP"] = command.text("clusterip")
    body = obj("v1", "Service", name, spec=spec, status={"loadBalancer": {}})
    body["metadata"]["labels"] = {"app": name}
    return body


def disruption_budget(command: Command) -> KubeObject:
    name = command.one_name()
    bounds = [
        (key, command.text(flag))
        for key, flag in (("minAvailable", "min-available"), ("maxUnavailable", "max-unavailable"))
    ]
    given = [(key, value) for key, value in bounds if value]
    if len(given) != 1:
        raise fault("one of min-available or max-unavailable must be specified")
    if not command.text("selector"):
        raise fault("a selector must be specified")
    key, value = given[0]
    labels = key_values(command.text("selector"), "invalid selector")
    spec = {
        key: int(value) if value.isdecimal() and len(value) < 10 else value,
        "selector": {"matchLabels": labels},
    }
    counts = ("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods")
    return obj("policy/v1", "PodDisruptionBudget", name, spec=spec, status=dict.fromkeys(counts, 0))


def token(command: Command) -> None:
    """``kubectl create token``: prints it."""
    name = command.one_name()
    spec: KubeObject = {"audiences": command.listed("audience") or None}
    if command.given("duration"):
        spec["expirationSeconds"] = int(command.seconds("duration"))
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {k: v for k, v in spec.items() if v},
    }
    path = SERVICE_ACCOUNT.path(command.namespace, name, "token")
    try:
        answer = command.client.request("POST", path, body=body)
    except ApiError as error:
        raise fault(f"failed to create token: {error.message}") from None
    command.say(answer["status"]["token"])


def _verb(
    name: str,
    build: Builder,
    short: str,
    *flags: f.Flag,
    failing: str = "",
    usage: str = "",
    aliases: tuple[str, ...] = (),
    required: tuple[str, ...] = (),
) -> Verb:
    def run(command: Command) -> None:
        create_object(command, build, failing)

    text = f"create {name} NAME {usage}".rstrip() + " [--dry-run=server|client|none] [options]"
    return Verb(f"create {name}", run, (*f.WRITE, *flags), text, short, aliases, required)


_IMAGE = f.Flag("image", f.TEXT)
_LITERAL = f.Flag("from-literal", f.REPEATED)
_FILE = f.Flag("from-file", f.REPEATED)
_TCP = f.Flag("tcp", f.LIST)

VERBS = (
    _verb(
        "deployment",
        deployment,
        "Create a deployment with the specified name",
        f.Flag("image", f.LIST),
        f.Flag("replicas", f.INT, "r"),
        f.Flag("port", f.INT),
        failing="failed to create deployment: ",
        usage="--image=image -- [COMMAND] [args...]",
        aliases=("deploy",),
        required=("image",),
    ),
    _verb(
        "job",
        job,
        "Create a job with the specified name",
        _IMAGE,
        f.Flag("from", f.TEXT),
        failing="failed to create job: ",
        usage="--image=image [--from=cronjob/name] -- [COMMAND] [args...]",
    ),
    _verb(
        "cronjob",
        cron_job,
        "Create a cron job with the specified name",
        _IMAGE,
        f.Flag("schedule", f.TEXT),
        f.Flag("restart", f.TEXT),
        failing="failed to create cronjob: ",
        usage="--image=image --schedule='0/5 * * * ?' -- [COMMAND] [args...]",
        aliases=("cj",),
        required=("image", "schedule"),
    ),
    _verb("namespace", namespace, "Create a namespace with the specified name", aliases=("ns",)),
    _verb(
        "configmap",
        config_map,
        "Create a config map from literal values",
        _LITERAL,
        _FILE,
        failing="failed to create configmap: ",
        usage="[--from-literal=key1=value1]",
        aliases=("cm",),
    ),
    _verb(
        "secret generic",
        secret,
        "Create a secret from literal values",
        _LITERAL,
        _FILE,
        f.Flag("type", f.TEXT),
        failing="failed to create secret ",
        usage="[--type=string] [--from-literal=key1=value1]",
    ),
    _verb(
        "serviceaccount",
        service_account,
        "Create a service account with the specified name",
        failing="failed to create serviceaccount: ",
        aliases=("sa",),
    ),
    _verb(
        "quota",
        quota,
        "Create a quota with the specified name",
        f.Flag("hard", f.TEXT),
        f.Flag("scopes", f.TEXT),
        failing="failed to create quota: ",
        usage="[--hard=key1=value1,key2=value2]",
        aliases=("resourcequota",),
    ),
    _verb(
        "service clusterip",
        cluster_ip_service,
        "Create a ClusterIP service",
        _TCP,
        f.Flag("clusterip", f.TEXT),
        failing="failed to create ClusterIP service: ",
        usage="[--tcp=<port>:<targetPort>]",
    ),
    _verb(
        "service nodeport",
        node_port_service,
        "Create a NodePort service",
        _TCP,
        f.Flag("node-port", f.INT),
        failing="failed to create NodePort service: ",
        usage="[--tcp=port:targetPort]",
    ),
    _verb(
        "service loadbalancer",
        load_balancer_service,
        "Create a LoadBalancer service",
        _TCP,
        failing="failed to create LoadBalancer service: ",
        usage="[--tcp=port:targetPort]",
    ),
    _verb(
        "poddisruptionbudget",
        disruption_budget,
        "Create a pod disruption budget with the specified name",
        f.SELECTOR,
        f.Flag("min-available", f.TEXT),
        f.Flag("max-unavailable", f.TEXT),
        failing="failed to create poddisruptionbudgets: ",
        usage="--selector=SELECTOR --min-available=N",
        aliases=("pdb",),
    ),
    Verb(
        "create token",
        token,
        (f.Flag("duration", f.DURATION), f.Flag("audience", f.LIST)),
        "create token SERVICE_ACCOUNT_NAME [options]",
        "Request a service account token",
    ),
)
