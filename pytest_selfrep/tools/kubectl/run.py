"""``kubectl run`` and ``kubectl expose``: a pod from an image, a service from a workload."""

from __future__ import annotations

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.create import create_object
from pytest_selfrep.tools.kubectl.errors import fault
from pytest_selfrep.tools.kubectl.generators import check_image, container, environment, key_values, obj
from pytest_selfrep.tools.kubectl.kinds import SERVICE, Kind
from pytest_selfrep.tools.kubectl.manifests import parse_one
from pytest_selfrep.tools.kubectl.output import show_written
from pytest_selfrep.tools.kubectl.targets import named, objects

_RESTART = ("Always", "OnFailure", "Never")


def run(command: Command) -> None:
    if not command.arguments:
        raise command.usage("NAME is required for run")
    if not command.text("image"):
        raise fault("--image is required")
    check_image(command.text("image"))
    restart = command.text("restart", "Always")
    if restart not in _RESTART:
        raise command.usage(f"invalid restart policy: {restart}")
    if command.switched("expose"):
        if not command.given("port"):
            raise command.usage("--port must be set when exposing a service")
        create_object(command, _pod_service, "")
    create_object(command, _pod, "")


def _pod(command: Command) -> KubeObject:
    name, words = command.arguments[0], [*command.arguments[1:], *command.parsed.after_dash]
    ports = [{"containerPort": command.integer("port")}] if command.given("port") else None
    main = container(
        name,
        command.text("image"),
        command=words if command.switched("command") else None,
        args=None if command.switched("command") else words,
        env=environment(command.listed("env")),
        ports=ports,
        imagePullPolicy=command.text("image-pull-policy"),
    )
    spec = {
        "containers": [main],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": command.text("restart", "Always"),
    }
    body = obj("v1", "Pod", name, spec=spec, status={})
    body["metadata"]["labels"] = _labels(command, {"run": name})
    if command.text("annotations"):
        body["metadata"]["annotations"] = key_values(command.text("annotations"), "unexpected annotation")
    return _overridden(command, body)


def _labels(command: Command, default: dict[str, str]) -> dict[str, str]:
    return key_values(command.text("labels"), "unexpected label spec") if command.text("labels") else default


def _overridden(command: Command, body: KubeObject) -> KubeObject:
    if not command.text("overrides"):
        return body
    overrides = parse_one(command.text("overrides"), "Invalid overrides")
    if not isinstance(overrides, dict):
        raise fault("Invalid overrides: expected an object")
    merged = _merged(body, overrides)
    if not isinstance(merged.get("metadata"), dict) or (merged["apiVersion"], merged["kind"]) != (
        "v1",
        "Pod",
    ):
        raise fault("Invalid overrides: kind, apiVersion and metadata stay those of a Pod")
    return merged


def _merged(base: KubeObject, over: KubeObject) -> KubeObject:
    """A JSON merge patch, applied."""
    result = {key: value for key, value in base.items() if key not in over or over[key] is not None}
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], value)
        elif value is not None:
            result[key] = value
    return result


def _pod_service(command: Command) -> KubeObject:
    port = {"port": command.integer("port"), "protocol": "TCP", "targetPort": command.integer("port")}
    spec = {"ports": [port], "selector": _labels(command, {"run": command.arguments[0]})}
    return obj("v1", "Service", command.arguments[0], spec=spec, status={"loadBalancer": {}})


_EXPOSABLE = ("Pod", "Service", "Deployment", "ReplicaSet", "ReplicationController")


def expose(command: Command) -> None:
    command.dry_run()
    for kind, source in objects(command, named(command)):
        with command.carry_on():
            _expose_one(command, kind, source)


def _expose_one(command: Command, kind: Kind, source: KubeObject) -> None:
    if kind.kind not in _EXPOSABLE:
        raise fault(
            f"cannot expose a {kind.kind}.{kind.group}" if kind.group else f"cannot expose a {kind.kind}"
        )
    meta, spec = source["metadata"], source.get("spec") or {}
    selector = key_values(command.text("selector"), "invalid selector") or _selector_of(kind, meta, spec)
    if not selector:
        raise fault(
            "couldn't retrieve selectors via --selector flag or introspection: the object has no labels or "
            "selector"
        )
    ports = _ports(command, kind, spec)
    if not ports:
        raise fault("couldn't find port via --port flag or introspection")
    service: KubeObject = {"ports": ports, "selector": selector}
    if command.text("type"):
        service["type"] = command.text("type")
    if command.text("cluster-ip"):
        service["clusterIP"] = command.text("cluster-ip")
    body = obj(
        "v1", "Service", command.text("name") or meta["name"], spec=service, status={"loadBalancer": {}}
    )
    labels = _labels(command, meta.get("labels") or {})
    if labels:
        body["metadata"]["labels"] = labels
    if command.dry_run() != "client":
        path = SERVICE.path(meta.get("namespace", command.namespace))
        body = command.client.request("POST", path, query=command.write_query(), body=body)
    show_written(command, SERVICE, body, "exposed")


def _selector_of(kind: Kind, meta: KubeObject, spec: KubeObject) -> dict[str, str]:
    if kind.kind == "Pod":
        return meta.get("labels") or {}
    if kind.kind in ("Service", "ReplicationController"):
        return spec.get("selector") or {}
    return (spec.get("selector") or {}).get("matchLabels") or {}


def _ports(command: Command, kind: Kind, spec: KubeObject) -> list[KubeObject]:
    protocol = command.text("protocol", "TCP")
    numbers = [command.integer("port")] if command.given("port") else _declared_ports(kind, spec)
    target = command.text("target-port")
    aim: int | str = int(target) if target.isdecimal() and len(target) < 6 else target
    ports: list[KubeObject] = [
        {"port": number, "protocol": protocol, "targetPort": aim or number} for number in numbers
    ]
    if len(ports) > 1:
        ports = [{"name": f"port-{index}", **port} for index, port in enumerate(ports, 1)]
    return ports


def _declared_ports(kind: Kind, spec: KubeObject) -> list[int]:
    if kind.kind == "Service":
        return [port["port"] for port in spec.get("ports") or []]
    pod = spec if kind.kind == "Pod" else spec["template"]["spec"]
    return [port["containerPort"] for entry in pod["containers"] for port in entry.get("ports") or []]


VERBS = (
    Verb(
        "run",
        run,
        (
            *f.WRITE,
            f.Flag("image", f.TEXT),
            f.Flag("image-pull-policy", f.TEXT),
            f.Flag("env", f.REPEATED),
            f.Flag("port", f.INT),
            f.Flag("labels", f.TEXT, "l"),
            f.Flag("annotations", f.TEXT),
            f.Flag("command", f.BOOL),
            f.Flag("restart", f.TEXT),
            f.Flag("overrides", f.TEXT),
            f.Flag("expose", f.BOOL),
        ),
        'run NAME --image=image [--env="key=value"] [--port=port] [--dry-run=server|client] '
        "[--overrides=inline-json] [--command] -- [COMMAND] [args...] [options]",
        "Run a particular image on the cluster",
        required=("image",),
    ),
    Verb(
        "expose",
        expose,
        (
            *f.WRITE,
            f.Flag("port", f.INT),
            f.Flag("target-port", f.TEXT),
            f.Flag("protocol", f.TEXT),
            f.Flag("name", f.TEXT),
            f.Flag("type", f.TEXT),
            f.Flag("cluster-ip", f.TEXT),
            f.Flag("labels", f.TEXT, "l"),
            f.Flag("selector", f.TEXT),
        ),
        "expose (TYPE NAME | TYPE/NAME) [--port=port] [--protocol=TCP|UDP|SCTP] "
        "[--target-port=number-or-name] "
        "[--name=name] [--type=type] [options]",
        "Take a replication controller, service, deployment or pod and expose it as a new Kubernetes service",
    ),
)
