"""``kubectl label`` and ``kubectl annotate``: one walk over the metadata of objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_selfrep.clusters.kube import MERGE_PATCH, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import fault
from pytest_selfrep.tools.kubectl.kinds import Kind
from pytest_selfrep.tools.kubectl.output import show_written
from pytest_selfrep.tools.kubectl.targets import named, object_path, objects

_VALUE_PATTERN = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_LONGEST_VALUE = 63
_NO_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    f"for validation is '{_VALUE_PATTERN}')"
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to become of labels or annotations."""

    added: Mapping[str, str]
    removed: tuple[str, ...]


def label(command: Command) -> None:
    words, changes = _split(command)
    if not words:
        raise fault("one or more resources must be specified as <resource> <name> or <resource>/<name>")
    if not changes.added and not changes.removed and not command.switched("list"):
        raise fault("at least one label update is required")
    for kind, obj in objects(command, named(command, words)):
        with command.carry_on():
            _label_one(command, kind, obj, changes)


def _split(command: Command) -> tuple[list[str], Changes]:
    """The arguments cut into resources and changes (``key=value``, ``key-``)."""
    words = command.arguments
    first = next((i for i, word in enumerate(words) if i and ("=" in word or word.endswith("-"))), len(words))
    added: dict[str, str] = {}
    removed: list[str] = []
    for word in words[first:]:
        key, equals, value = word.partition("=")
        if equals and command.verb.name == "label":
            _check_value(word, value)
        if equals:
            added[key] = value
        elif word.endswith("-"):
            removed.append(word[:-1])
        else:
            raise fault(f"unknown {command.verb.name} spec: {word}")
    both = sorted(added.keys() & set(removed))
    if both:
        raise fault(f"can not both modify and remove a {command.verb.name} in the same command")
    return words[:first], Changes(added, tuple(removed))


def _check_value(word: str, value: str) -> None:
    """Raises Complaint for a value that no label can have."""
    if len(value) > _LONGEST_VALUE:
        raise fault(f'invalid label value: "{word}": must be no more than {_LONGEST_VALUE} bytes')
    if not re.fullmatch(_VALUE_PATTERN, value):
        raise fault(f'invalid label value: "{word}": {_NO_LABEL_VALUE}')


def _label_one(command: Command, kind: Kind, obj: KubeObject, changes: Changes) -> None:
    labels = obj["metadata"].get("labels") or {}
    if command.switched("list"):
        for key in sorted(labels):
            command.say(f"{key}={labels[key]}")
        return
    if not command.switched("overwrite"):
        for key, value in changes.added.items():
            if labels.get(key, value) != value:
                raise fault(f"'{key}' already has a value ({labels[key]}), and --overwrite is false")
    for key in changes.removed:
        if key not in labels:
            command.say(f'label "{key}" not found.')
    patch: dict[str, str | None] = {k: v for k, v in changes.added.items() if labels.get(k) != v}
    taken = [key for key in changes.removed if key in labels]
    obj = _send(command, kind, obj, "labels", {**patch, **dict.fromkeys(taken)})
    done = "labeled" if patch else "unlabeled" if taken else "not labeled"
    show_written(command, kind, obj, done)


def _send(
    command: Command, kind: Kind, obj: KubeObject, where: str, patch: Mapping[str, str | None]
) -> KubeObject:
    if not patch or command.dry_run() == "client":
        return obj
    return command.client.request(
        "PATCH",
        object_path(command, kind, obj),
        query=command.write_query(),
        body={"metadata": {where: patch}},
        content_type=MERGE_PATCH,
    )


def annotate(command: Command) -> None:
    words, changes = _split(command)
    if not words:
        raise fault("one or more resources must be specified as <resource> <name> or <resource>/<name>")
    if not changes.added and not changes.removed and not command.switched("list"):
        raise fault("at least one annotation update is required")
    for kind, obj in objects(command, named(command, words)):
        with command.carry_on():
            _annotate_one(command, kind, obj, changes)


def _annotate_one(command: Command, kind: Kind, obj: KubeObject, changes: Changes) -> None:
    annotations = obj["metadata"].get("annotations") or {}
    if command.switched("list"):
        for key in sorted(annotations):
            command.say(f"{key}={annotations[key]}")
        return
    clashes = [
        f"'{key}' already has a value ({annotations[key]})"
        for key, value in changes.added.items()
        if annotations.get(key, value) != value
    ]
    if clashes and not command.switched("overwrite"):
        found = "; ".join(clashes)
        raise fault(f"--overwrite is false but found the following declared annotation(s): {found}")
    taken = dict.fromkeys(key for key in changes.removed if key in annotations)
    obj = _send(command, kind, obj, "annotations", {**changes.added, **taken})
    show_written(command, kind, obj, "annotated")


_FLAGS = (
    *f.WRITE,
    f.SELECTOR,
    f.FIELD_SELECTOR,
    f.ALL,
    f.ALL_NAMESPACES,
    f.OVERWRITE,
    f.Flag("list", f.BOOL),
)

VERBS = (
    Verb(
        "label",
        label,
        _FLAGS,
        "label [--overwrite] (TYPE NAME | TYPE/NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [options]",
        "Update the labels on a resource",
    ),
    Verb(
        "annotate",
        annotate,
        _FLAGS,
        "annotate [--overwrite] (TYPE NAME | TYPE/NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [options]",
        "Update the annotations on a resource",
    ),
)
