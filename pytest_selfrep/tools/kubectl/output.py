"""The ``-o`` formats: json, yaml, name, jsonpath, custom-columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import orjson

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.tools.kubectl import jsonpath, yamlout
from pytest_selfrep.tools.kubectl.command import Command
from pytest_selfrep.tools.kubectl.errors import fault
from pytest_selfrep.tools.kubectl.kinds import Kind
from pytest_selfrep.tools.kubectl.targets import reference
from pytest_selfrep.tools.kubectl.text import table

READ_FORMATS = ("custom-columns", "json", "jsonpath", "jsonpath-as-json", "name", "wide", "yaml")
WRITE_FORMATS = ("json", "jsonpath", "jsonpath-as-json", "name", "yaml")

_INDENT = re.compile(rb"(?m)^ +")
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def output_format(command: Command, allowed: Sequence[str]) -> tuple[str, str]:
    """The format asked for and its argument: ``("jsonpath", "{.spec}")``; two empty strings for the default.

    Raises:
        Complaint: kubectl has no such format here.
    """
    text = command.text("output")
    name, equals, argument = text.partition("=")
    if not text:
        return "", ""
    if name not in allowed or (equals and name not in ("jsonpath", "jsonpath-as-json", "custom-columns")):
        formats = ",".join(allowed)
        raise fault(
            f'unable to match a printer suitable for the output format "{text}", '
            f"allowed formats are: {formats}"
        )
    if name.startswith("jsonpath"):
        if not argument:
            raise fault("template format specified but no template given")
        jsonpath.parse(argument)
    if name == "custom-columns" and not argument:
        raise fault("custom-columns format specified but no custom columns given")
    return name, argument


def to_json(obj: object) -> str:
    """As ``-o json`` prints it: four blanks a level, keys sorted, a newline at the end."""
    raw = orjson.dumps(obj, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    return _INDENT.sub(lambda blanks: blanks[0] * 2, raw).decode().translate(_HTML) + "\n"


def without_managed_fields(obj: KubeObject) -> KubeObject:
    meta = obj.get("metadata")
    if isinstance(meta, dict) and "managedFields" in meta:
        return {**obj, "metadata": {key: value for key, value in meta.items() if key != "managedFields"}}
    return obj


def show_objects(command: Command, found: Sequence[tuple[Kind, KubeObject]], *, single: bool) -> None:
    """Print objects in a format other than a table; several become a List."""
    name, argument = output_format(command, READ_FORMATS)
    objects = [obj for _, obj in found]
    if not command.switched("show-managed-fields"):
        objects = [without_managed_fields(obj) for obj in objects]
    if name == "name":
        command.write("".join(f"{reference(kind, obj)}\n" for kind, obj in found))
        return
    if name == "custom-columns":
        command.write(_custom_columns(argument, objects, headers=not command.switched("no-headers")))
        return
    whole: KubeObject = {
        "apiVersion": "v1",
        "kind": "List",
        "metadata": {"resourceVersion": ""},
        "items": objects,
    }
    command.write(_format(name, argument, objects[0] if single and objects else whole))


def show_written(command: Command, kind: Kind, obj: KubeObject, done: str) -> None:
    """Tell what became of an object: ``deployment.apps/web scaled``, or the object itself with ``-o``."""
    name, argument = output_format(command, WRITE_FORMATS)
    if not name:
        command.say(f"{reference(kind, obj)} {done}{command.done_suffix()}")
    elif name == "name":
        command.say(reference(kind, obj))
    else:
        if not command.switched("show-managed-fields"):
            obj = without_managed_fields(obj)
        separator = "---\n" if name == "yaml" and command.out else ""
        command.write(separator + _format(name, argument, obj))


def _format(name: str, argument: str, obj: KubeObject) -> str:
    if name == "json":
        return to_json(obj)
    if name == "yaml":
        return yamlout.dump(obj)
    if name == "jsonpath-as-json":
        return to_json(jsonpath.find(argument, obj))
    return jsonpath.render(argument, obj)


def _custom_columns(spec: str, objects: Sequence[KubeObject], *, headers: bool) -> str:
    columns = [_column(part) for part in spec.split(",")]
    rows = [[_cell(path, obj) for _, path in columns] for obj in objects]
    return table([[header for header, _ in columns], *rows] if headers else rows)


def _column(part: str) -> tuple[str, str]:
    header, colon, path = part.partition(":")
    if not colon or not header or not path:
        raise fault(f"unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>")
    jsonpath.find(path, {})
    return header, path


def _cell(path: str, obj: Mapping[str, object]) -> str:
    found = [_go_value(value) for value in jsonpath.find(path, obj)]
    return ",".join(found) if found else "<none>"


def _go_value(value: object) -> str:
    """As Go's ``%v`` shows it: ``map[app:web]``, ``[a b]``."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_go_value(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(_go_value(item) for item in value)}]"
    return jsonpath.show(value)
