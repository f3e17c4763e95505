"""``kubectl delete``."""

from __future__ import annotations

from pytest_selfrep.clusters.kube import ApiError, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import fault, prefixed
from pytest_selfrep.tools.kubectl.kinds import Kind
from pytest_selfrep.tools.kubectl.manifests import has_manifests, namespace_of, read_manifests
from pytest_selfrep.tools.kubectl.targets import NOTHING_NAMED, Target, list_objects, selectors, targets
from pytest_selfrep.tools.kubectl.waiting import LONGEST, until_gone

_CASCADES = {"background": "Background", "true": "Background", "foreground": "Foreground"} | {
    "orphan": "Orphan",
    "false": "Orphan",
}
_WARNING = (
    "Warning: Immediate deletion does not wait for confirmation that the running resource has been "
    "terminated. "
    "The resource may continue to run on the cluster indefinitely."
)


def delete(command: Command) -> None:
    options = _options(command)
    deletions = _from_manifest(command) if has_manifests(command) else _from_arguments(command)
    if command.switched("force") and command.integer("grace-period", 0) == 0:
        command.out.insert(0, _WARNING + "\n")
    waiting = [_delete_one(command, item, options) for item in deletions]
    if not deletions and not command.errors:
        if not command.switched("ignore-not-found"):
            command.say("No resources found")
        return
    if command.switched("wait", default=True) and not command.done_suffix():
        for item in waiting:
            if item:
                with command.carry_on():
                    until_gone(command, *item, seconds=command.seconds("timeout") or LONGEST)


def _options(command: Command) -> KubeObject:
    """The request's body (meta/v1 DeleteOptions). Raises Complaint on flags that exclude each other."""
    if command.text("output") not in ("", "name"):
        raise fault(f"unexpected -o output mode: {command.text('output')}. We only support '-o name'")
    now, grace = command.switched("now"), command.given("grace-period")
    if now and grace:
        raise fault("--now and --grace-period cannot be specified together")
    if command.switched("all") and command.text("selector"):
        raise fault("setting 'all' parameter but found a non empty selector. ")
    cascade = command.text("cascade", "background")
    if cascade not in _CASCADES:
        raise fault(f'invalid cascade value ({cascade}). Must be "background", "foreground", or "orphan"')
    options: KubeObject = {"kind": "DeleteOptions", "apiVersion": "v1"}
    options["propagationPolicy"] = _CASCADES[cascade]
    seconds = command.integer("grace-period", -1)
    if now:
        seconds = 1
    if command.switched("force") and not grace:
        seconds = 0
    if seconds == 0 and not command.switched("force"):
        seconds = (
            1  # Only --force deletes at once; kubectl makes it the shortest time that is still graceful.
        )
    if seconds >= 0:
        options["gracePeriodSeconds"] = seconds
    if command.dry_run() == "server":
        options["dryRun"] = ["All"]
    return options


Deletion = tuple[Kind, str, str]
"""Kind, path, name."""


def _from_manifest(command: Command) -> list[Deletion]:
    if command.arguments:
        raise fault(
            "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well"
        )
    return [
        (kind, kind.path(namespace_of(command, obj), name), name)
        for kind, obj in read_manifests(command)
        for name in [str(obj["metadata"].get("name") or "")]
    ]


def _from_arguments(command: Command) -> list[Deletion]:
    found = targets(command)
    if not found:
        raise fault(NOTHING_NAMED)
    selecting = command.text("selector") or command.text("field-selector") or command.switched("all")
    if not found[0].name and not selecting:
        raise fault("resource(s) were provided, but no name was specified")
    deletions: list[Deletion] = []
    for target in found:
        with command.carry_on():
            deletions += _resolve(command, target)
    return deletions


def _resolve(command: Command, target: Target) -> list[Deletion]:
    kind = target.kind
    if target.name:
        return [(kind, kind.path(command.namespace, target.name), target.name)]
    metas = [item["metadata"] for item in list_objects(command, kind, selectors(command))]
    return [(kind, kind.path(meta.get("namespace", ""), meta["name"]), meta["name"]) for meta in metas]


def _delete_one(command: Command, item: Deletion, options: KubeObject) -> tuple[Kind, str, str] | None:
    """Delete; gives kind, path and uid of what to wait for, or None if there is nothing."""
    kind, path, name = item
    uid = ""
    with command.carry_on():
        if command.dry_run() == "client":
            command.client.get(path)
        else:
            try:
                answer = command.client.delete(path, options=options)
            except ApiError as error:
                if error.reason == "NotFound" and command.switched("ignore-not-found"):
                    return None
                if has_manifests(command):
                    raise prefixed(error, f'error when deleting "{command.source}"') from None
                raise
            uid = _uid(answer)
        if command.text("output") == "name":
            command.say(f"{kind.singular_resource}/{name}")
        else:
            verb = "force deleted" if options.get("gracePeriodSeconds") == 0 else "deleted"
            command.say(f'{kind.singular_resource} "{name}" {verb}{command.done_suffix()}')
        return kind, path, uid
    return None


def _uid(answer: KubeObject) -> str:
    """Of the deleted object, which the server answers with or names in a Status."""
    if answer.get("kind") == "Status":
        return str((answer.get("details") or {}).get("uid", ""))
    return str(answer.get("metadata", {}).get("uid", ""))


VERBS = (
    Verb(
        "delete",
        delete,
        (
            f.DRY_RUN,
            f.SELECTOR,
            f.FIELD_SELECTOR,
            f.ALL,
            f.ALL_NAMESPACES,
            f.FILENAME,
            f.TIMEOUT,
            f.Flag("output", f.TEXT, "o"),
            f.Flag("cascade", f.TEXT, bare="background"),
            f.Flag("force", f.BOOL),
            f.Flag("grace-period", f.INT),
            f.Flag("now", f.BOOL),
            f.Flag("wait", f.BOOL),
            f.Flag("ignore-not-found", f.BOOL),
        ),
        "delete ([-f -] | TYPE [(NAME | -l label | --all)]) [options]",
        "Delete resources by file names, stdin, resources and names, or by resources and label selector",
    ),
)
