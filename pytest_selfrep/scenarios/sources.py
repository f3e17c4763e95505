"""YAML text as plain values, with the line and column at which each of them stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError, SafeConstructor

from pytest_selfrep.scenarios.problems import Loc

if TYPE_CHECKING:
    # The stubs know the pure Python loader only; both have the same methods.
    from yaml import SafeLoader as Loader
else:
    try:
        from yaml import CSafeLoader as Loader
    except ImportError:
        from yaml import SafeLoader as Loader


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file, counted from 1."""

    line: int
    column: int


class Malformed(Exception):
    """The text is no YAML document that means one thing. Carries every reason with its place."""

    def __init__(self, reasons: list[tuple[Mark, str]]) -> None:
        super().__init__(reasons)
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Source:
    """A YAML document."""

    value: object
    """Plain Python values."""
    root: yaml.Node

    def mark(self, loc: Loc, *, at_key: bool = False) -> Mark:
        """Where the value at ``loc`` stands, or its key, or what comes nearest when it is not there."""
        node, key = self.root, None
        for part in loc:
            found = _child(node, part)
            if found is None:
                break
            key, node = found
        return _mark((key if at_key and key is not None else node).start_mark)


_REMEDY = "check the brackets, quotes and indentation there and just above"
_REMEDIES: Mapping[type[yaml.MarkedYAMLError], str] = {
    ComposerError: "keep one document, and anchors before their aliases",
    ConstructorError: "write a plain value, without a tag",
}


def parse(text: str) -> Source:
    """Read one YAML document.

    Raises:
        Malformed: syntax error, unknown tag, duplicate key, alias inside its own anchor, several documents.
    """
    loader = Loader(text)
    try:
        return _read(loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(filter(None, (error.context, error.problem)))
        remedy = _REMEDIES.get(type(error), _REMEDY)
        raise Malformed(
            [(_mark(mark) if mark else Mark(1, 1), f"no valid YAML: {reason}; {remedy}")]
        ) from None
    except yaml.YAMLError as error:
        reason = str(error).replace("\n", " ")
        raise Malformed([(Mark(1, 1), f"no valid YAML: {reason}; remove that character")]) from None
    except RecursionError:
        raise Malformed([(Mark(1, 1), "values are nested too deeply; flatten them")]) from None
    finally:
        loader.dispose()


def _read(loader: Loader) -> Source:
    root = loader.get_single_node()
    if root is None:
        raise Malformed([(Mark(1, 1), "the file is empty; it is to be a mapping of fields such as 'name:'")])
    reasons = list(_ambiguities(root, set(), set()))
    if reasons:
        raise Malformed(sorted(reasons))
    try:
        # Merging (<<) rewrites the nodes while values are built, so the check for duplicates comes first.
        return Source(loader.construct_document(root), root)
    except ValueError:
        # Text that looks like a date or a number and is none; PyYAML does not say which.
        raise Malformed(sorted(_unreadable(root, set()))) from None


def _unreadable(node: yaml.Node, seen: set[int]) -> Iterator[tuple[Mark, str]]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        try:
            SafeConstructor().construct_object(node)
        except ValueError as error:
            yield _mark(node.start_mark), f"{node.value!r} cannot be read ({error}); put it in quotes"
    for part in _parts(node):
        yield from _unreadable(part, seen)


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _ambiguities(node: yaml.Node, above: set[int], seen: set[int]) -> Iterator[tuple[Mark, str]]:
    if id(node) in above:
        yield _mark(node.start_mark), "an alias stands inside the value that it repeats; write the value out"
        return
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield from _duplicates(node)
    for part in _parts(node):
        yield from _ambiguities(part, above | {id(node)}, seen)


def _duplicates(node: yaml.MappingNode) -> Iterator[tuple[Mark, str]]:
    first: dict[tuple[str, str], Mark] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            mark = _mark(key.start_mark)
            name = (key.tag, key.value)
            if name in first:
                yield mark, f"the key {key.value!r} stands on line {first[name].line} already; remove one"
            first.setdefault(name, mark)


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
    """The key's node (if any) and the value's node of one part of ``node``."""
    if isinstance(node, yaml.MappingNode):
        # A mapping's own keys come behind those merged into it, and win.
        for key, value in reversed(node.value):
            if key.value == str(part):
                return key, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    return None


def _mark(mark: yaml.Mark) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)
