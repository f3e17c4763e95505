"""``kubectl rollout``: status, history, undo, restart, pause, resume."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from pytest_selfrep.clusters.kube import JSON_PATCH, STRATEGIC_MERGE_PATCH, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.describe.page import Page
from pytest_selfrep.tools.kubectl.describe.pod import describe_template
from pytest_selfrep.tools.kubectl.describe.workloads import REVISION, replica_sets
from pytest_selfrep.tools.kubectl.errors import fault
from pytest_selfrep.tools.kubectl.kinds import Kind
from pytest_selfrep.tools.kubectl.output import show_written
from pytest_selfrep.tools.kubectl.targets import object_path, objects, targets
from pytest_selfrep.tools.kubectl.text import parse_time, table
from pytest_selfrep.tools.kubectl.waiting import LONGEST, poll

_CHANGE_CAUSE = "kubernetes.io/change-cause"
_RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_NO_VISITOR = (
    'error retrieving VISITOR for "{kind.kind}", no visitor method exists for {{{kind.group} {kind.kind}}}'
)
_ROLLABLE = ("Deployment", "DaemonSet", "StatefulSet")


def _each(command: Command, act: Callable[[Command, Kind, KubeObject], None]) -> None:
    found = targets(command)
    if not found:
        raise fault("required resource not specified")
    for kind, obj in objects(command, found):
        with command.carry_on():
            act(command, kind, obj)


def _only(kind: Kind, obj: KubeObject, words: str, *allowed: str) -> None:
    if kind.kind not in allowed:
        raise fault(words.format(kind=kind, name=obj["metadata"]["name"]))


def status(command: Command) -> None:
    _each(command, _status_one)


def _status_one(command: Command, kind: Kind, obj: KubeObject) -> None:
    _only(kind, obj, "no status viewer has been implemented for {kind.kind}", *_ROLLABLE)
    path, said = object_path(command, kind, obj), [""]

    def look() -> bool:
        line, done = progress(kind, command.client.get(path) if said[0] else obj)
        if line != said[0]:
            command.say(line)
            said[0] = line
        return done or not command.switched("watch", default=True)

    if not poll(command, command.seconds("timeout") or LONGEST, look):
        raise fault("timed out waiting for the condition")


def progress(kind: Kind, obj: KubeObject) -> tuple[str, bool]:
    """One line on how far a rollout is, and whether it is over. Raises Complaint if it has failed."""
    meta, spec, state = obj["metadata"], obj["spec"], obj.get("status", {})
    name, wanted = meta["name"], spec.get("replicas", 1)
    if meta.get("generation", 0) > state.get("observedGeneration", 0):
        waiting = {
            "Deployment": "Waiting for deployment spec update to be observed...",
            "DaemonSet": "Waiting for daemon set spec update to be observed...",
            "StatefulSet": "Waiting for statefulset spec update to be observed...",
        }
        return waiting[kind.kind], False
    if kind.kind == "DaemonSet":
        return _daemon_set_progress(name, state)
    if kind.kind == "StatefulSet":
        return _stateful_set_progress(wanted, spec, state)
    for condition in state.get("conditions") or []:
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            raise fault(f'deployment "{name}" exceeded its progress deadline')
    updated, total, available = (
        state.get(key, 0) for key in ("updatedReplicas", "replicas", "availableReplicas")
    )
    head = f'Waiting for deployment "{name}" rollout to finish:'
    if updated < wanted:
        return f"{head} {updated} out of {wanted} new replicas have been updated...", False
    if total > updated:
        return f"{head} {total - updated} old replicas are pending termination...", False
    if available < updated:
        return f"{head} {available} of {updated} updated replicas are available...", False
    return f'deployment "{name}" successfully rolled out', True


def _daemon_set_progress(name: str, state: KubeObject) -> tuple[str, bool]:
    wanted, updated = state.get("desiredNumberScheduled", 0), state.get("updatedNumberScheduled", 0)
    available = state.get("numberAvailable", 0)
    head = f'Waiting for daemon set "{name}" rollout to finish:'
    if updated < wanted:
        return f"{head} {updated} out of {wanted} new pods have been updated...", False
    if available < wanted:
        return f"{head} {available} of {wanted} updated pods are available...", False
    return f'daemon set "{name}" successfully rolled out', True


def _stateful_set_progress(wanted: int, spec: KubeObject, state: KubeObject) -> tuple[str, bool]:
    if state.get("readyReplicas", 0) < wanted:
        return f"Waiting for {wanted - state.get('readyReplicas', 0)} pods to be ready...", False
    strategy, updated = spec.get("updateStrategy") or {}, state.get("updatedReplicas", 0)
    if strategy.get("type", "RollingUpdate") == "RollingUpdate" and strategy.get("rollingUpdate") is not None:
        new = wanted - strategy["rollingUpdate"].get("partition", 0)
        if updated < new:
            head = "Waiting for partitioned roll out to finish:"
            return f"{head} {updated} out of {new} new pods have been updated...", False
        return f"partitioned roll out complete: {updated} new pods have been updated...", True
    if state.get("updateRevision") != state.get("currentRevision"):
        revision = state.get("updateRevision", "")
        return (
            f"waiting for statefulset rolling update to complete {updated} pods at revision {revision}...",
            False,
        )
    revision = state.get("currentRevision", "")
    return (
        f"statefulset rolling update complete {state.get('currentReplicas', 0)} pods at revision "
        f"{revision}...",
        True,
    )


def history(command: Command) -> None:
    _each(command, _history_one)


def _revisions(command: Command, kind: Kind, obj: KubeObject) -> dict[int, KubeObject]:
    """Revision number to ReplicaSet."""
    sets = replica_sets(Page(command, kind), obj)
    numbered = {int(rs["metadata"].get("annotations", {}).get(REVISION, 0)): rs for rs in sets}
    return {number: numbered[number] for number in sorted(numbered) if number}


def _history_one(command: Command, kind: Kind, obj: KubeObject) -> None:
    _only(kind, obj, _NO_VISITOR.replace("VISITOR", "history"), "Deployment")
    revisions = _revisions(command, kind, obj)
    name, wanted = f"{kind.singular_resource}/{obj['metadata']['name']}", command.integer("revision")
    if wanted:
        if wanted not in revisions:
            raise fault("unable to find the specified revision")
        command.write(f"{name} with revision #{wanted}\n{_template_text(command, kind, revisions[wanted])}\n")
        return
    rows = [
        [str(number), rs["metadata"].get("annotations", {}).get(_CHANGE_CAUSE, "<none>")]
        for number, rs in revisions.items()
    ]
    command.write(f"{name} \n" + table([["REVISION", "CHANGE-CAUSE"], *rows], minimum=0, padding=2) + "\n")


def _template_text(command: Command, kind: Kind, replica_set: KubeObject) -> str:
    page = Page(command, kind)
    describe_template(page, replica_set["spec"]["template"])
    return page.raw_text()


def undo(command: Command) -> None:
    _each(command, _undo_one)


def _undo_one(command: Command, kind: Kind, obj: KubeObject) -> None:
    _only(kind, obj, _NO_VISITOR.replace("VISITOR", "rollbacker"), "Deployment")
    name, wanted = obj["metadata"]["name"], command.integer("to-revision")
    if obj["spec"].get("paused"):
        raise fault(
            f"you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume "
            f"deployment/{name}' and try again"
        )
    revisions = _revisions(command, kind, obj)
    numbers = sorted(revisions)
    if wanted and wanted not in revisions:
        raise fault(f"unable to find specified revision {wanted} in history")
    if not wanted and len(numbers) < 2:
        raise fault(f'no rollout history found for deployment "{name}"')
    chosen = revisions[wanted or numbers[-2]]
    template = _without_hash(chosen["spec"]["template"])
    if command.dry_run() == "client":
        done = f"{_template_text(command, kind, chosen)}"
    elif template == _without_hash(obj["spec"]["template"]):
        done = f"skipped rollback (current template already matches revision {wanted or numbers[-2]})"
    else:
        body = [{"op": "replace", "path": "/spec/template", "value": template}]
        path = object_path(command, kind, obj)
        obj = command.client.request(
            "PATCH", path, query=command.write_query(), body=body, content_type=JSON_PATCH
        )
        done = "rolled back"
    show_written(command, kind, obj, done)


def _without_hash(template: KubeObject) -> KubeObject:
    meta = dict(template.get("metadata") or {})
    meta["labels"] = {k: v for k, v in (meta.get("labels") or {}).items() if k != "pod-template-hash"}
    return {**template, "metadata": {k: v for k, v in meta.items() if k != "creationTimestamp"}}


def restart(command: Command) -> None:
    _each(command, _restart_one)


def _restart_one(command: Command, kind: Kind, obj: KubeObject) -> None:
    _only(kind, obj, '{kind.plural} "{name}" restarting is not supported', *_ROLLABLE)
    if obj["spec"].get("paused"):
        name = obj["metadata"]["name"]
        raise fault(f'{kind.resource} "{name}" can\'t restart paused deployment (run rollout resume first)')
    before = (obj["spec"]["template"].get("metadata") or {}).get("annotations") or {}
    stamp = _stamp(obj, before.get(_RESTARTED_AT))
    template = {"metadata": {"annotations": {_RESTARTED_AT: stamp}}}
    _patch(command, kind, obj, {"template": template}, "restarted")


def _stamp(obj: KubeObject, previous: str | None) -> str:
    """A time for the annotation: the latest that the object tells of, and later than the last restart.

    Only the server knows what time it is in the cluster.
    """
    conditions = obj.get("status", {}).get("conditions") or []
    times = [condition.get("lastUpdateTime") for condition in conditions]
    latest = max(time for time in [obj["metadata"].get("creationTimestamp", ""), *times] if time is not None)
    if previous and previous >= latest and (moment := parse_time(previous)):
        return (moment + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(latest)


def _patch(command: Command, kind: Kind, obj: KubeObject, spec: KubeObject, done: str) -> None:
    path = object_path(command, kind, obj)
    obj = command.client.request(
        "PATCH",
        path,
        query=command.write_query(),
        body={"spec": spec},
        content_type=STRATEGIC_MERGE_PATCH,
    )
    show_written(command, kind, obj, done)


def pause(command: Command) -> None:
    _each(command, lambda command, kind, obj: _switch(command, kind, obj, paused=True))


def resume(command: Command) -> None:
    _each(command, lambda command, kind, obj: _switch(command, kind, obj, paused=False))


def _switch(command: Command, kind: Kind, obj: KubeObject, *, paused: bool) -> None:
    word = "pausing" if paused else "resuming"
    _only(kind, obj, f'{{kind.plural}} "{{name}}" {word} is not supported', "Deployment")
    if bool(obj["spec"].get("paused")) == paused:
        raise fault(f'{kind.resource} "{obj["metadata"]["name"]}" is {"already" if paused else "not"} paused')
    _patch(command, kind, obj, {"paused": paused}, "paused" if paused else "resumed")


_WRITE = (*f.WRITE, f.SELECTOR)


def _verb(name: str, run: Callable[[Command], None], short: str, *flags: f.Flag) -> Verb:
    usage = f"rollout {name} (TYPE NAME | TYPE/NAME) [flags] [options]"
    return Verb(f"rollout {name}", run, flags, usage, short)


VERBS = (
    _verb("history", history, "View rollout history", f.SELECTOR, f.Flag("revision", f.INT)),
    _verb("pause", pause, "Mark the provided resource as paused", *_WRITE),
    _verb("restart", restart, "Restart a resource", *_WRITE),
    _verb("resume", resume, "Resume a paused resource", *_WRITE),
    _verb(
        "status",
        status,
        "Show the status of the rollout",
        f.SELECTOR,
        f.TIMEOUT,
        f.Flag("watch", f.BOOL, "w"),
    ),
    _verb("undo", undo, "Undo a previous rollout", *_WRITE, f.Flag("to-revision", f.INT)),
)
