"""Letting the time pass until something holds: ``kubectl wait``, and what other commands wait for."""

from __future__ import annotations

from collections.abc import Callable

from pytest_selfrep.clusters.kube import ApiError, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl import jsonpath
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import Complaint, fault
from pytest_selfrep.tools.kubectl.kinds import Kind
from pytest_selfrep.tools.kubectl.targets import Target, named, object_path, objects, reference

LONGEST = 600.0
"""Seconds that one command may wait, whatever it was told."""
_DEFAULT = 30.0
_FIRST_STEP, _LARGEST_STEP = 1.0, 5.0


def poll(command: Command, seconds: float, done: Callable[[], bool]) -> bool:
    """Ask again and again, letting time pass between; whether it came true in time."""
    left, step = min(seconds, LONGEST), _FIRST_STEP
    while not done():
        if left <= 0:
            return False
        pause = min(step, left)
        command.hands.clock.sleep(pause)
        left -= pause
        step = min(step * 1.2, _LARGEST_STEP)
    return True


def until_gone(command: Command, kind: Kind, path: str, uid: str = "", *, seconds: float = LONGEST) -> None:
    """Wait for an object to disappear. Raises Complaint if it does not in time."""

    def gone() -> bool:
        try:
            obj = command.client.get(path)
        except ApiError as error:
            # Who may delete but not look need not wait.
            return error.reason in ("NotFound", "Forbidden", "MethodNotAllowed")
        return bool(uid) and obj["metadata"].get("uid") != uid

    if not poll(command, seconds, gone):
        raise _timed_out(kind, path.rpartition("/")[2])


def _timed_out(kind: Kind, name: str) -> Complaint:
    return fault(f"timed out waiting for the condition on {kind.plural}/{name}")


def wait(command: Command) -> None:
    condition = command.text("for")
    met = _condition(condition)
    found = named(command)
    if condition == "create":
        _wait_for_creation(command, found)
        return
    if condition == "delete":
        pairs = _existing(command, found)
    else:
        pairs = objects(command, found)
        if not pairs and not command.errors:
            raise fault("no matching resources found")
    for kind, obj in pairs:
        with command.carry_on():
            _wait_for_one(command, kind, obj, met)


def _existing(command: Command, found: list[Target]) -> list[tuple[Kind, KubeObject]]:
    """The named objects that are still there; what is gone already needs no waiting."""
    pairs: list[tuple[Kind, KubeObject]] = []
    for target in found:
        try:
            if target.name:
                path = target.kind.path(command.namespace, target.name)
                pairs.append((target.kind, command.client.get(path)))
            else:
                pairs += objects(command, [target])
        except ApiError as error:
            if error.reason != "NotFound":
                raise
    return pairs


def _wait_for_creation(command: Command, found: list[Target]) -> None:
    for target in found:
        path = target.kind.path(command.namespace, target.name)

        def there(path: str = path) -> bool:
            try:
                command.client.get(path)
            except ApiError as error:
                if error.reason == "NotFound":
                    return False
                raise
            return True

        with command.carry_on():
            if not poll(command, _timeout(command), there):
                raise fault("timed out waiting for the condition")
            command.say(f"{target.kind.singular_resource}/{target.name} condition met")


def _wait_for_one(
    command: Command, kind: Kind, obj: KubeObject, met: Callable[[KubeObject], bool] | None
) -> None:
    path = object_path(command, kind, obj)
    if met is None:
        until_gone(command, kind, path, obj["metadata"].get("uid", ""), seconds=_timeout(command))
    elif not met(obj) and not poll(command, _timeout(command), lambda: met(command.client.get(path))):
        if not _timeout(command) and command.text("for").startswith("jsonpath"):
            raise fault(f"condition not met for {kind.plural}/{obj['metadata']['name']}")
        raise _timed_out(kind, obj["metadata"]["name"])
    command.say(f"{reference(kind, obj)} condition met")


def _timeout(command: Command) -> float:
    """``--timeout``; 0 looks once, a negative one waits as long as it may."""
    seconds = command.seconds("timeout", _DEFAULT)
    return LONGEST if seconds < 0 else seconds


def _condition(text: str) -> Callable[[KubeObject], bool] | None:
    """The test behind ``--for``; None for ``delete`` and ``create``. Raises Complaint on anything else."""
    if text in ("delete", "create"):
        return None
    if text.startswith("condition="):
        name, _, wanted = text.removeprefix("condition=").partition("=")
        return lambda obj: _holds(obj, name, wanted or "True")
    if text.startswith("jsonpath="):
        path, equals, value = text.removeprefix("jsonpath=").partition("}=")
        expression = f"{path}}}" if equals else path
        jsonpath.find(expression, {})
        if not equals:
            return lambda obj: bool(jsonpath.find(expression, obj))
        wanted_value = value.strip("'\"")
        return lambda obj: [jsonpath.show(v) for v in jsonpath.find(expression, obj)] == [wanted_value]
    raise fault(f'unrecognized condition: "{text}"')


def _holds(obj: KubeObject, name: str, wanted: str) -> bool:
    conditions = obj.get("status", {}).get("conditions") or []
    observed = obj.get("status", {}).get("observedGeneration", obj["metadata"].get("generation", 0))
    return observed >= obj["metadata"].get("generation", 0) and any(
        condition["type"].lower() == name.lower() and condition["status"].lower() == wanted.lower()
        for condition in conditions
    )


VERBS = (
    Verb(
        "wait",
        wait,
        (
            f.OUTPUT,
            f.SELECTOR,
            f.FIELD_SELECTOR,
            f.ALL,
            f.ALL_NAMESPACES,
            f.TIMEOUT,
            f.Flag("for", f.TEXT),
        ),
        "wait (TYPE NAME | TYPE/NAME ... | TYPE --all) --for=(create|delete|condition=NAME[=VALUE]|"
        "jsonpath='{PATH}'[=VALUE]) [--timeout=30s] [options]",
        "Wait for a specific condition on one or many resources",
    ),
)
