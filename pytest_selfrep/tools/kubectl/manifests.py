"""Manifests on stdin or in files: one or many YAML or JSON documents, Lists taken apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import orjson

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.clusters.yaml_texts import TooMuch, check_growth
from pytest_selfrep.tools.kubectl.command import Command
from pytest_selfrep.tools.kubectl.errors import Complaint, fault
from pytest_selfrep.tools.kubectl.kinds import Kind

LARGEST_STDIN = 1_000_000
"""Characters."""


class _Unreadable(Exception):
    """A text that is no manifest; the message says why."""


def has_manifests(command: Command) -> bool:
    """Whether the command reads manifests (``-f``). Raises Complaint for files where there are none."""
    names = command.listed("filename")
    for name in names:
        if name != "-" and command.hands.files is None:
            raise fault(
                f'the path "{name}" does not exist: there is no file system and nothing is fetched; give the '
                "manifest as \"stdin\" and use '-f -'"
            )
    return bool(names)


def read_manifests(command: Command) -> list[tuple[Kind, KubeObject]]:
    """The objects that are given, with their kinds, in order.

    Raises:
        Complaint: no manifest was asked for or given, it is malformed, or of a kind not served.
    """
    doing = command.verb.name.split()[0]
    if not has_manifests(command):
        raise fault("must specify one of -f and -k")
    pairs = []
    for source, obj in _given(command):
        _check(command, obj, source)
        meta = obj.setdefault("metadata", {})
        kind = command.discovery.by_kind(obj["apiVersion"], obj["kind"])
        if kind is None:
            raise fault(
                f'resource mapping not found for name: "{meta.get("name", "")}" namespace: '
                f'"{meta.get("namespace", "")}" from "{source}": no matches for kind "{obj["kind"]}" in '
                f'version "{obj["apiVersion"]}"\nensure CRDs are installed first'
            )
        pairs.append((kind, obj))
    if not pairs:
        raise fault(f"no objects passed to {doing}")
    return pairs


def parse_one(text: str, words: str) -> object:
    """One YAML or JSON value from a flag. Raises Complaint that begins with these words."""
    try:
        return next(_documents(text), None)
    except _Unreadable as problem:
        raise fault(f"{words}: {str(problem).rpartition('yaml: ')[2]}") from None


def namespace_of(command: Command, obj: KubeObject) -> str:
    """The namespace an object belongs to: its own, or the command's."""
    return str(obj["metadata"].get("namespace") or command.namespace)


def _given(command: Command) -> Iterator[tuple[str, KubeObject]]:
    """The objects, each with what kubectl calls the place where it stands."""
    for name in command.listed("filename"):
        source, text = ("STDIN", command.stdin) if name == "-" else (name, read_file(command, name))
        try:
            for obj in _objects(text, source):
                yield source, obj
        except _Unreadable as problem:
            raise fault(f"error parsing {source}: {problem}") from None


def read_file(command: Command, path: str) -> str:
    """A file's text. Raises Complaint if it cannot be read."""
    assert command.hands.files is not None
    try:
        return command.hands.files(path).decode(errors="replace")
    except FileNotFoundError:
        raise fault(f'the path "{path}" does not exist') from None
    except OSError as error:
        raise fault(f"open {path}: {str(error).lower()}") from None


def _objects(text: str, source: str) -> Iterator[KubeObject]:
    for document in _documents(text):
        if document is None:
            continue
        if not isinstance(document, dict):
            raise _invalid("invalid object to validate", source)
        items = document.get("items")
        if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
            for item in items:
                if not isinstance(item, dict):
                    raise _invalid("invalid object to validate", source)
                yield item
        else:
            yield document


def _documents(text: str) -> Iterator[object]:
    """Raises _Unreadable."""
    if len(text) > LARGEST_STDIN:
        raise _Unreadable(f"the manifest is larger than {LARGEST_STDIN} characters")
    if text.lstrip().startswith("{"):
        # YAML's flow style begins so too, and is read below.
        with suppress(orjson.JSONDecodeError):
            yield orjson.loads(text)
            return
    import yaml

    try:
        check_growth(yaml.parse(text, Loader=_loader()))
        for document in yaml.load_all(text, Loader=_loader()):
            yield _plain(document)
    except TooMuch as problem:
        raise _Unreadable(f"error converting YAML to JSON: yaml: {problem}") from None
    except yaml.YAMLError as error:
        raise _Unreadable(f"error converting YAML to JSON: yaml: {_yaml_words(error)}") from None
    except (RecursionError, ValueError, TypeError, OverflowError):
        raise _Unreadable("error converting YAML to JSON: yaml: invalid value") from None


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


def _plain(value: object) -> object:
    """JSON of a YAML value."""
    if isinstance(value, dict):
        return {_key(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else str(value)


def _key(key: object) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    return key.encode("utf-8", "replace").decode() if isinstance(key, str) else str(key)


def _check(command: Command, obj: KubeObject, source: str) -> None:
    missing = [name for name in ("apiVersion", "kind") if not isinstance(obj.get(name), str) or not obj[name]]
    if missing:
        words = [f"{name} not set" for name in missing]
        raise _invalid(words[0] if len(words) == 1 else f"[{', '.join(words)}]", source)
    if not isinstance(obj.setdefault("metadata", {}), dict):
        raise _invalid("metadata: invalid type, expected an object", source)
    own = obj["metadata"].get("namespace")
    if own and command.given("namespace") and own != command.namespace:
        raise fault(
            f'the namespace from the provided object "{own}" does not match the namespace '
            f'"{command.namespace}". '
            f"You must pass '--namespace={own}' to perform this operation."
        )


def _invalid(words: str, source: str) -> Complaint:
    return fault(
        f'error validating "{source}": error validating data: {words}; if you choose to ignore these errors, '
        "turn validation off with --validate=false"
    )
