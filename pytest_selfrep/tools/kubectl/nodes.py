"""``kubectl cordon``, ``uncordon``, ``drain`` and ``taint``."""

from __future__ import annotations

from collections.abc import Callable

from pytest_selfrep.clusters.kube import MERGE_PATCH, STRATEGIC_MERGE_PATCH, ApiError, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import fault
from pytest_selfrep.tools.kubectl.kinds import NODE, POD
from pytest_selfrep.tools.kubectl.output import show_written
from pytest_selfrep.tools.kubectl.targets import Target, list_objects, named, object_path, objects, selectors
from pytest_selfrep.tools.kubectl.waiting import LONGEST, poll, until_gone

_RETRY = 5.0
"""Seconds until an eviction that a disruption budget refused is tried again (drain's own interval)."""
_NO_KEY = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def _nodes(command: Command) -> list[KubeObject]:
    names = [word.removeprefix("node/").removeprefix("nodes/") for word in command.arguments]
    if not all(names) or not (names or command.text("selector")):
        raise command.usage(f"USAGE: {command.verb.name} NODE [flags]")
    if names and command.text("selector"):
        raise fault("error: cannot specify both a node name and a --selector option")
    command.dry_run()
    if not names:
        return list_objects(command, NODE, selectors(command))
    return [obj for _, obj in objects(command, [Target(NODE, name) for name in names])]


def cordon(command: Command) -> None:
    for node in _nodes(command):
        with command.carry_on():
            _mark(command, node, unschedulable=True)


def uncordon(command: Command) -> None:
    for node in _nodes(command):
        with command.carry_on():
            _mark(command, node, unschedulable=False)


def _mark(command: Command, node: KubeObject, *, unschedulable: bool) -> None:
    done = "cordoned" if unschedulable else "uncordoned"
    if bool(node.get("spec", {}).get("unschedulable")) == unschedulable:
        done = f"already {done}"
    elif command.dry_run() != "client":
        command.client.request(
            "PATCH",
            NODE.path("", node["metadata"]["name"]),
            query=command.write_query(),
            body={"spec": {"unschedulable": True if unschedulable else None}},
            content_type=STRATEGIC_MERGE_PATCH,
        )
    command.say(f"node/{node['metadata']['name']} {done}{command.done_suffix()}")


def drain(command: Command) -> None:
    for node in _nodes(command):
        with command.carry_on():
            _drain_one(command, node)


def _drain_one(command: Command, node: KubeObject) -> None:
    name = node["metadata"]["name"]
    _mark(command, node, unschedulable=True)
    query = {"fieldSelector": f"spec.nodeName={name}", "limit": "500"}
    if command.text("pod-selector"):
        query["labelSelector"] = command.text("pod-selector")
    pods = list_objects(command, POD, query, POD.path())
    going = [
        pod
        for pod in pods
        if not _owned_by(pod, "DaemonSet") and "kubernetes.io/config.mirror" not in _annotations(pod)
    ]
    _refuse_drain(command, name, pods)
    _warn(command, pods)
    for pod in going:
        meta = pod["metadata"]
        command.say(f"evicting pod {meta['namespace']}/{meta['name']}{command.done_suffix()}")
    if not command.done_suffix():
        for pod in going:
            _evict(command, pod)
        for pod in going:
            meta = pod["metadata"]
            path = POD.path(meta["namespace"], meta["name"])
            until_gone(command, POD, path, meta.get("uid", ""), seconds=command.seconds("timeout") or LONGEST)
            command.say(f"pod/{meta['name']} evicted")
    command.say(f"node/{name} drained{command.done_suffix()}")


def _annotations(pod: KubeObject) -> dict[str, str]:
    return pod["metadata"].get("annotations") or {}


def _owned_by(pod: KubeObject, kind: str) -> bool:
    return any(
        o.get("controller") and o["kind"] == kind for o in pod["metadata"].get("ownerReferences") or []
    )


def _names(pods: list[KubeObject]) -> str:
    return ", ".join(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods)


def _bare(pods: list[KubeObject]) -> list[KubeObject]:
    return [
        pod
        for pod in pods
        if not any(o.get("controller") for o in pod["metadata"].get("ownerReferences") or [])
        and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    ]


def _with_local_data(pods: list[KubeObject]) -> list[KubeObject]:
    return [
        pod
        for pod in pods
        if any("emptyDir" in volume for volume in pod["spec"].get("volumes") or [])
        and not _owned_by(pod, "DaemonSet")
    ]


def _refuse_drain(command: Command, node: str, pods: list[KubeObject]) -> None:
    """Raises Complaint about pods that only a flag lets a drain remove."""
    complaints = []
    daemons = [pod for pod in pods if _owned_by(pod, "DaemonSet")]
    if daemons and not command.switched("ignore-daemonsets"):
        complaints.append(
            f"cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): {_names(daemons)}"
        )
    local = _with_local_data(pods)
    if local and not command.switched("delete-emptydir-data"):
        complaints.append(
            f"cannot delete Pods with local storage (use --delete-emptydir-data to override): {_names(local)}"
        )
    bare = _bare(pods)
    if bare and not command.switched("force"):
        complaints.append(
            # The words come twice in kubectl itself.
            "cannot delete cannot delete Pods that declare no controller (use --force to override): "
            f"{_names(bare)}"
        )
    if complaints:
        words = complaints[0] if len(complaints) == 1 else f"[{', '.join(complaints)}]"
        raise fault(
            f'unable to drain node "{node}" due to error: {words}, continuing command...\n'
            f"There are pending nodes to be drained:\n {node}\n" + "\n".join(complaints)
        )


def _warn(command: Command, pods: list[KubeObject]) -> None:
    daemons = [pod for pod in pods if _owned_by(pod, "DaemonSet")]
    words = []
    if daemons:
        words.append(f"ignoring DaemonSet-managed Pods: {_names(daemons)}")
    if _bare(pods):
        words.append(f"deleting Pods that declare no controller: {_names(_bare(pods))}")
    if words:
        command.say(f"Warning: {'; '.join(words)}")


def _evict(command: Command, pod: KubeObject) -> None:
    meta = pod["metadata"]
    body: KubeObject = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
    }
    if command.integer("grace-period", -1) >= 0:
        body["deleteOptions"] = {"gracePeriodSeconds": command.integer("grace-period")}
    path = POD.path(meta["namespace"], meta["name"], "eviction")

    def evicted() -> bool:
        try:
            command.client.create(path, body)
        except ApiError as error:
            if error.code == 404:
                return True
            if error.code != 429:
                raise
            command.say(
                f'error when evicting pods/"{meta["name"]}" -n "{meta["namespace"]}" (will retry after 5s): '
                f"{error.message}"
            )
            command.hands.clock.sleep(_RETRY)
            return False
        return True

    if not poll(command, command.seconds("timeout") or LONGEST, evicted):
        raise fault("global timeout reached: the drain did not complete in time")


def taint(command: Command) -> None:
    words = command.arguments
    if not words or words[0].lower() not in ("node", "nodes", "no"):
        if words:
            raise fault(f"invalid resource type {words[0]}, only node types are supported")
        raise fault("one or more resources must be specified as <resource> <name>")
    specs = [word for word in words[1:] if "=" in word or ":" in word or word.endswith("-")]
    if not specs:
        raise fault("at least one taint update is required")
    changes = [_taint_change(command, spec) for spec in specs]
    names = [words[0], *(word for word in words[1:] if word not in specs)]
    for kind, node in objects(command, named(command, names)):
        with command.carry_on():
            before = node.get("spec", {}).get("taints") or []
            after = before
            for change in changes:
                after = change(node["metadata"]["name"], after)
            if command.dry_run() != "client":
                node = command.client.request(
                    "PATCH",
                    object_path(command, kind, node),
                    query=command.write_query(),
                    body={"spec": {"taints": after or None}},
                    content_type=MERGE_PATCH,
                )
            show_written(command, kind, node, _taint_done(command, specs))


def _taint_done(command: Command, specs: list[str]) -> str:
    removed = sum(spec.endswith("-") for spec in specs)
    if command.switched("overwrite") or 0 < removed < len(specs):
        return "modified"
    return "untainted" if removed else "tainted"


def _taint_change(command: Command, spec: str) -> Callable[[str, list[KubeObject]], list[KubeObject]]:
    """From ``key=value:Effect``, ``key:Effect-`` or ``key-`` to what it does to a node's taints."""
    removing = spec.endswith("-")
    pair, colon, effect = spec.removesuffix("-").partition(":")
    key, _, value = pair.partition("=")
    if (not removing and effect not in _EFFECTS) or (colon and effect not in _EFFECTS):
        if not colon:
            raise command.usage(f"invalid taint spec: {spec}, {_NO_KEY}")
        raise command.usage(f"invalid taint effect: {effect}, unsupported taint effect")

    def matches(taint: KubeObject) -> bool:
        return bool(taint["key"] == key and (not effect or taint["effect"] == effect))

    def remove(node: str, taints: list[KubeObject]) -> list[KubeObject]:
        left = [taint for taint in taints if not matches(taint)]
        if len(left) == len(taints):
            raise fault(f'taint "{spec.removesuffix("-")}" not found')
        return left

    def add(node: str, taints: list[KubeObject]) -> list[KubeObject]:
        if any(matches(taint) for taint in taints) and not command.switched("overwrite"):
            raise fault(
                f"node {node} already has {key} taint(s) with same effect(s) and --overwrite is false"
            )
        new = {"key": key, "effect": effect, **({"value": value} if value else {})}
        return [*(taint for taint in taints if not matches(taint)), new]

    return remove if removing else add


_FLAGS = (f.DRY_RUN, f.SELECTOR)

VERBS = (
    Verb("cordon", cordon, _FLAGS, "cordon NODE [options]", "Mark node as unschedulable"),
    Verb("uncordon", uncordon, _FLAGS, "uncordon NODE [options]", "Mark node as schedulable"),
    Verb(
        "drain",
        drain,
        (
            *_FLAGS,
            f.TIMEOUT,
            f.Flag("force", f.BOOL),
            f.Flag("ignore-daemonsets", f.BOOL),
            f.Flag("delete-emptydir-data", f.BOOL),
            f.Flag("grace-period", f.INT),
            f.Flag("pod-selector", f.TEXT),
        ),
        "drain NODE [options]",
        "Drain node in preparation for maintenance",
    ),
    Verb(
        "taint",
        taint,
        (*f.WRITE, f.SELECTOR, f.ALL, f.OVERWRITE),
        "taint NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N [options]",
        "Update the taints on one or more nodes",
    ),
)
