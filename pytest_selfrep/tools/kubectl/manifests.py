"""Manifests on stdin: one or many YAML or JSON documents, Lists taken apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import orjson

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.tools.kubectl.command import Command
from pytest_selfrep.tools.kubectl.errors import Complaint, fault
from pytest_selfrep.tools.kubectl.kinds import Kind

LARGEST_STDIN = 1_000_000
"""Characters."""
_MOST_NODES = 100_000
_DEEPEST = 100
_DEEPEST_LOADED = 1000


def from_stdin(command: Command) -> bool:
    """Whether the command reads a manifest (``-f -``). Raises Complaint for a file or an address."""
    names = command.listed("filename")
    for name in names:
        if name != "-":
            raise fault(
                f'the path "{name}" does not exist: there is no file system and nothing is fetched; give the '
                "manifest as \"stdin\" and use '-f -'"
            )
    return bool(names)


def read_manifests(command: Command) -> list[tuple[Kind, KubeObject]]:
    """The objects on stdin with their kinds, in order.

    Raises:
        Complaint: no manifest was asked for or given, it is malformed, or of a kind not served.
    """
    doing = command.verb.name.split()[0]
    if not from_stdin(command):
        raise fault("must specify one of -f and -k")
    pairs = []
    for obj in _objects(command.stdin):
        _check(command, obj)
        meta = obj.setdefault("metadata", {})
        kind = command.discovery.by_kind(obj["apiVersion"], obj["kind"])
        if kind is None:
            raise fault(
                f'resource mapping not found for name: "{meta.get("name", "")}" namespace: '
                f'"{meta.get("namespace", "")}" from "STDIN": no matches for kind "{obj["kind"]}" in version '
                f'"{obj["apiVersion"]}"\nensure CRDs are installed first'
            )
        pairs.append((kind, obj))
    if not pairs:
        raise fault(f"no objects passed to {doing}")
    return pairs


def parse_one(text: str, words: str) -> object:
    """One YAML or JSON value from a flag. Raises Complaint that begins with these words."""
    try:
        return next(_documents(text), None)
    except Complaint as complaint:
        raise fault(f"{words}: {str(complaint).rpartition('yaml: ')[2]}") from None


def namespace_of(command: Command, obj: KubeObject) -> str:
    """The namespace an object belongs to: its own, or the command's."""
    return str(obj["metadata"].get("namespace") or command.namespace)


def _objects(text: str) -> Iterator[KubeObject]:
    for document in _documents(text):
        if document is None:
            continue
        if not isinstance(document, dict):
            raise _invalid("invalid object to validate")
        items = document.get("items")
        if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
            for item in items:
                if not isinstance(item, dict):
                    raise _invalid("invalid object to validate")
                yield item
        else:
            yield document


def _documents(text: str) -> Iterator[object]:
    if len(text) > LARGEST_STDIN:
        raise fault(f"error parsing STDIN: the manifest is larger than {LARGEST_STDIN} characters")
    if text.lstrip().startswith("{"):
        # YAML's flow style begins so too, and is read below.
        with suppress(orjson.JSONDecodeError):
            yield orjson.loads(text)
            return
    import yaml

    try:
        _check_nesting(text)
        for document in yaml.load_all(text, Loader=_loader()):
            yield _plain(document, [0], 0)
    except yaml.YAMLError as error:
        raise fault(
            f"error parsing STDIN: error converting YAML to JSON: yaml: {_yaml_words(error)}"
        ) from None
    except (RecursionError, ValueError, TypeError):
        raise fault("error parsing STDIN: error converting YAML to JSON: yaml: invalid value") from None


def _check_nesting(text: str) -> None:
    """Refuse collections within collections without end: libyaml's loader recurses on the C stack, and dies.

    Indentation cannot nest that deep within the largest text; brackets and compact sequences can.
    """
    import yaml

    if sum(map(text.count, "[{-?")) < _DEEPEST_LOADED:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_loader()):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST_LOADED:
            raise fault("error parsing STDIN: error converting YAML to JSON: yaml: exceeded max depth")


@cache
def _loader() -> Any:
    """PyYAML's fastest safe loader, without timestamps: Kubernetes' times are strings."""
    import yaml

    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    resolvers = {
        letter: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
        for letter, known in base.yaml_implicit_resolvers.items()
    }
    return type("ManifestLoader", (base,), {"yaml_implicit_resolvers": resolvers})


def _yaml_words(error: Exception) -> str:
    """The problem as go-yaml words it, which counts lines differently for tokens and for what they form."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    words = str(problem or error).replace("\n", " ")
    if mark is None or not mark.line:
        return words
    return f"line {mark.line + (type(error).__name__ == 'ScannerError')}: {words}"


def _plain(value: object, count: list[int], depth: int) -> object:
    """JSON of a YAML value, bounded in size and depth (aliases can make small texts huge)."""
    count[0] += 1
    if count[0] > _MOST_NODES or depth > _DEEPEST:
        raise fault(
            "error parsing STDIN: error converting YAML to JSON: yaml: document contains excessive aliasing"
        )
    if isinstance(value, dict):
        return {_key(key): _plain(inner, count, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, count, depth + 1) for inner in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else str(value)


def _key(key: object) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    return key.encode("utf-8", "replace").decode() if isinstance(key, str) else str(key)


def _check(command: Command, obj: KubeObject) -> None:
    missing = [name for name in ("apiVersion", "kind") if not isinstance(obj.get(name), str) or not obj[name]]
    if missing:
        words = [f"{name} not set" for name in missing]
        raise _invalid(words[0] if len(words) == 1 else f"[{', '.join(words)}]")
    if not isinstance(obj.setdefault("metadata", {}), dict):
        raise _invalid("metadata: invalid type, expected an object")
    own = obj["metadata"].get("namespace")
    if own and command.given("namespace") and own != command.namespace:
        raise fault(
            f'the namespace from the provided object "{own}" does not match the namespace '
            f'"{command.namespace}". '
            f"You must pass '--namespace={own}' to perform this operation."
        )


def _invalid(words: str) -> Complaint:
    return fault(
        f'error validating "STDIN": error validating data: {words}; if you choose to ignore these errors, '
        "turn validation off with --validate=false"
    )
