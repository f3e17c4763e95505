"""``kubectl set image|resources|env|serviceaccount``: changes to pods and pod templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import orjson

from pytest_selfrep.clusters.kube import STRATEGIC_MERGE_PATCH, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import fault
from pytest_selfrep.tools.kubectl.generators import amounts
from pytest_selfrep.tools.kubectl.kinds import Kind
from pytest_selfrep.tools.kubectl.output import show_written
from pytest_selfrep.tools.kubectl.targets import named, object_path, objects

_WHERE: Mapping[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
_TEMPLATE = ("spec", "template", "spec")

ContainerChange = Callable[[KubeObject], KubeObject]
"""From a container to the fields of it that are to change."""


def _pod_spec(kind: Kind, obj: KubeObject) -> KubeObject:
    """Raises Complaint for what has no pods."""
    spec: Any = obj
    for step in _WHERE.get(kind.kind, _TEMPLATE):
        spec = spec.get(step) if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not spec.get("containers"):
        name = obj["metadata"]["name"]
        raise fault(
            f"{kind.plural}/{name} the object is not a pod or does not have a pod template: "
            f"*{kind.version}.{kind.kind}"
        )
    return spec


def _change(command: Command, words: list[str], change: ContainerChange, done: str) -> None:
    """Patch the containers of every named object; an object that stays the same is not mentioned."""
    command.dry_run()
    for kind, obj in objects(command, named(command, words)):
        with command.carry_on():
            patches = [
                {"name": container["name"], **fields}
                for container in _pod_spec(kind, obj)["containers"]
                if (fields := change(container))
            ]
            if patches:
                _patch(command, kind, obj, {"containers": patches}, done)


def _patch(command: Command, kind: Kind, obj: KubeObject, change: KubeObject, done: str) -> None:
    """Change the spec of an object's pods."""
    if command.dry_run() == "client":
        obj = orjson.loads(orjson.dumps(obj))
        _apply(_pod_spec(kind, obj), change)
    else:
        body = change
        for step in reversed(_WHERE.get(kind.kind, _TEMPLATE)):
            body = {step: body}
        path, query = object_path(command, kind, obj), command.write_query()
        obj = command.client.request(
            "PATCH", path, query=query, body=body, content_type=STRATEGIC_MERGE_PATCH
        )
    show_written(command, kind, obj, done)


def _apply(spec: KubeObject, change: KubeObject) -> None:
    """What the server would make of a change to a pod's spec, done in place."""
    for field, value in change.items():
        if field != "containers":
            spec[field] = value
            continue
        fields = {each["name"]: each for each in value}
        for container in spec["containers"]:
            _apply_to_container(container, fields.get(container["name"], {}))


def _apply_to_container(container: KubeObject, fields: KubeObject) -> None:
    for field, value in fields.items():
        if field == "resources":
            kept = container.get("resources") or {}
            value = {**kept, **{which: {**kept.get(which, {}), **value[which]} for which in value}}
        elif field == "env":
            value = _merged_env(container.get("env") or [], value)
        if field.startswith("$"):
            continue
        container[field] = value
        if not value:
            del container[field]


def _merged_env(now: list[KubeObject], changes: list[KubeObject]) -> list[KubeObject]:
    variables = {each["name"]: each for each in now}
    for change in changes:
        if "$patch" in change:
            del variables[change["name"]]
        else:
            variables[change["name"]] = {key: text for key, text in change.items() if text is not None}
    return list(variables.values())


def _assignments(command: Command) -> tuple[list[str], list[str]]:
    """The arguments cut into resources and ``name=value`` (or ``name-``)."""
    words = command.arguments
    resources = [word for word in words if "=" not in word and not word.endswith("-")]
    return resources, [word for word in words if word not in resources]


def set_image(command: Command) -> None:
    resources, words = _assignments(command)
    images: dict[str, str] = {}
    for word in words:
        name, _, image = word.partition("=")
        images[name] = image
    found = named(command, resources)
    if not images:
        raise fault("at least one image update is required")
    if any(not image for image in images.values()):
        raise fault("invalid image update: an image is required after '='")
    unmatched = set(images) - {"*"}

    def change(container: KubeObject) -> KubeObject:
        fields: KubeObject = {}
        for name, image in images.items():
            if name in ("*", container["name"]):
                unmatched.discard(name)
                fields = {"image": image} if container.get("image") != image else {}
        return fields

    if found:
        _change(command, resources, change, "image updated")
    if unmatched and not command.errors:
        lines = [f'error: unable to find container named "{name}"' for name in sorted(unmatched)]
        command.errors.append("\n".join(lines))


def set_resources(command: Command) -> None:
    limits, requests = amounts(command.text("limits")), amounts(command.text("requests"))
    if not limits and not requests:
        raise fault("you must specify an update to requests or limits (in the form of --requests/--limits)")
    pattern = command.text("containers", "*")

    def change(container: KubeObject) -> KubeObject:
        if not fnmatchcase(container["name"], pattern):
            return {}
        now = container.get("resources") or {}
        wanted = {
            which: given
            for which, given in (("limits", limits), ("requests", requests))
            if given and {**(now.get(which) or {}), **given} != (now.get(which) or {})
        }
        return {"resources": wanted} if wanted else {}

    _change(command, command.arguments, change, "resource requirements updated")


def set_env(command: Command) -> None:
    resources, words = _assignments(command)
    words += command.listed("env")
    if command.switched("list"):
        _list_env(command, resources)
        return
    added = dict(word.partition("=")[::2] for word in words if "=" in word)
    removed = [word[:-1] for word in words if "=" not in word]
    pattern = command.text("containers", "*")

    def change(container: KubeObject) -> KubeObject:
        if not fnmatchcase(container["name"], pattern):
            return {}
        now = {variable["name"]: variable for variable in container.get("env") or []}
        env: list[KubeObject] = [
            {
                "name": name,
                "value": value,
                **({"valueFrom": None} if "valueFrom" in now.get(name, {}) else {}),
            }
            for name, value in added.items()
            if now.get(name, {}).get("value") != value
        ]
        env += [{"name": name, "$patch": "delete"} for name in removed if name in now]
        # New variables come last, as kubectl has it; without the order the server would put them first.
        order = [{"name": name} for name in (now | added) if name not in removed]
        return {"env": env, "$setElementOrder/env": order} if env else {}

    _change(command, resources, change, "env updated")


def _list_env(command: Command, resources: list[str]) -> None:
    for kind, obj in objects(command, named(command, resources)):
        with command.carry_on():
            for container in _pod_spec(kind, obj)["containers"]:
                command.say(f"# {kind.kind} {obj['metadata']['name']}, container {container['name']}")
                for variable in container.get("env") or []:
                    source = "# from another source" if "valueFrom" in variable else ""
                    command.say(f"{variable['name']}={variable.get('value', '')}{source}")


def set_service_account(command: Command) -> None:
    if not command.arguments:
        raise fault("serviceaccount is required")
    *resources, account = command.arguments
    command.dry_run()
    for kind, obj in objects(command, named(command, resources)):
        with command.carry_on():
            _pod_spec(kind, obj)
            _patch(command, kind, obj, {"serviceAccountName": account}, "serviceaccount updated")


_FLAGS = (*f.WRITE, f.SELECTOR, f.ALL)
_CONTAINERS = f.Flag("containers", f.TEXT, "c")

VERBS = (
    Verb(
        "set image",
        set_image,
        _FLAGS,
        "set image (TYPE NAME | TYPE/NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... [options]",
        "Update the image of a pod template",
    ),
    Verb(
        "set resources",
        set_resources,
        (*_FLAGS, _CONTAINERS, f.Flag("limits", f.TEXT), f.Flag("requests", f.TEXT)),
        "set resources (TYPE NAME | TYPE/NAME) ([--limits=LIMITS] [--requests=REQUESTS]) [options]",
        "Update resource requests/limits on objects with pod templates",
    ),
    Verb(
        "set env",
        set_env,
        (*_FLAGS, _CONTAINERS, f.Flag("list", f.BOOL), f.Flag("env", f.REPEATED, "e")),
        "set env (TYPE NAME | TYPE/NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [options]",
        "Update environment variables on a pod template",
    ),
    Verb(
        "set serviceaccount",
        set_service_account,
        (*f.WRITE, f.ALL),
        "set serviceaccount (TYPE NAME | TYPE/NAME) SERVICE_ACCOUNT [options]",
        "Update the service account of a resource",
        aliases=("sa",),
    ),
)
