"""JSONPath templates as kubectl understands them: ``{range .items[*]}{.metadata.name}{"\\n"}{end}``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from pytest_selfrep.tools.kubectl.errors import Complaint, fault

Step = Callable[[object], Iterator[object]]
"""From one value to the values that a path step finds in it."""

_FIELD = re.compile(r"(?:\\.|[^\s.,\[\]$@{}\\])+")
_SLICE = re.compile(r"\s*(-?\d+)?\s*(?::\s*(-?\d+)?\s*)?(?::\s*(-?\d+)?\s*)?")
_FILTER = re.compile(r"\?\(\s*(.+?)\s*\)\Z", re.DOTALL)
_COMPARISON = re.compile(r"\s*(==|!=|<=|>=|<|>)\s*")
_QUOTED = re.compile(r"'((?:\\.|[^'\\])*)'|\"((?:\\.|[^\"\\])*)\"", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Range:
    """``{range PATH}BODY{end}``."""

    path: tuple[Step, ...]
    body: tuple[Node, ...]


Node = str | tuple[Step, ...] | Range
"""Text, a path whose values are printed, or a loop."""


class OutOfBounds(Exception):
    """An index past the end of a list."""


def render(template: str, value: object) -> str:
    """Fill a template.

    Raises:
        Complaint: the template is malformed, or indexes past the end of a list.
    """
    nodes = parse(template)
    try:
        return "".join(_evaluate(nodes, value, value))
    except OutOfBounds as error:
        raise fault(f'error executing jsonpath "{template}": Error executing template: {error}.') from None


def find(expression: str, value: object) -> list[object]:
    """The values at a path written loosely: ``.a.b``, ``a.b`` or ``{.a.b}``. Raises Complaint."""
    inner = expression.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    steps = _path(inner if inner.startswith((".", "[", "$", "@")) else f".{inner}", expression)
    try:
        return list(_walk(steps, [value]))
    except OutOfBounds:
        return []


def show(value: object) -> str:
    """One value as a template prints it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def parse(template: str) -> tuple[Node, ...]:
    """Raises Complaint with kubectl's words when the template is malformed."""
    nodes, _ = _block(_actions(template), template, inside=False)
    return nodes


def _actions(template: str) -> list[tuple[bool, str]]:
    """The template cut into (whether it stood in braces, text)."""
    parts: list[tuple[bool, str]] = []
    position = 0
    while position < len(template):
        opening = template.find("{", position)
        if opening < 0:
            parts.append((False, template[position:]))
            break
        if opening > position:
            parts.append((False, template[position:opening]))
        position = _closing(template, opening + 1) + 1
        parts.append((True, template[opening + 1 : position - 1]))
    return parts


def _closing(template: str, start: int) -> int:
    position = start
    while position < len(template):
        quoted = _QUOTED.match(template, position)
        if quoted:
            position = quoted.end()
        elif template[position] == "}":
            return position
        else:
            position += 1
    raise fault(f"error parsing jsonpath {template}, unclosed action")


def _block(
    parts: Sequence[tuple[bool, str]], template: str, *, inside: bool
) -> tuple[tuple[Node, ...], Sequence[tuple[bool, str]]]:
    nodes: list[Node] = []
    while parts:
        (braced, text), parts = parts[0], parts[1:]
        action = text.strip()
        if not braced:
            nodes.append(text)
        elif action == "end":
            if not inside:
                raise fault(f"error parsing jsonpath {template}, not in range, nothing to end")
            return tuple(nodes), parts
        elif action.startswith("range "):
            body, parts = _block(parts, template, inside=True)
            nodes.append(Range(_path(action[6:].strip(), template), body))
        else:
            nodes += _expressions(action, template)
    if inside:
        raise fault(f"error parsing jsonpath {template}, unexpected end of range, missing {{end}}")
    return tuple(nodes), parts


def _expressions(action: str, template: str) -> Iterator[Node]:
    """Quoted texts and paths that stand side by side in one pair of braces."""
    while action:
        quoted = _QUOTED.match(action)
        if quoted:
            yield _unquote(quoted)
            action = action[quoted.end() :].lstrip()
            continue
        end = _path_end(action)
        yield _path(action[:end], template)
        action = action[end:].lstrip()


def _path_end(text: str) -> int:
    """Where a path ends: at a blank or quote outside brackets."""
    depth = position = 0
    while position < len(text):
        letter = text[position]
        if depth and (quoted := _QUOTED.match(text, position)):
            position = quoted.end()
            continue
        if letter == "\\":
            position += 2
            continue
        depth += (letter == "[") - (letter == "]")
        if not depth and letter in " \t\n\"'":
            return position
        position += 1
    return len(text)


def _unquote(quoted: re.Match[str]) -> str:
    text = quoted[1] if quoted[1] is not None else quoted[2]
    return _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), text)


def _path(text: str, template: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    position = 0
    if text[:1] in ("$", "@"):
        position = 1
    elif text[:1] not in (".", "["):
        raise _unrecognised(text, template)
    while position < len(text):
        if text.startswith("..", position):
            steps.append(_descend)
            position += 1 if text.startswith("[", position + 2) is False else 2
        elif text[position] == "[":
            end = _bracket_end(text, position, template)
            steps.append(_bracket(text[position + 1 : end - 1].strip(), template))
            position = end
        elif text.startswith(".*", position):
            steps.append(_every)
            position += 2
        elif text[position] == "." and (name := _FIELD.match(text, position + 1)):
            steps.append(_field(_ESCAPE.sub(r"\1", name[0])))
            position = name.end()
        elif text[position] == "." and (position + 1 == len(text) or text[position + 1] == "["):
            position += 1
        else:
            raise _unrecognised(text[position:], template)
    return tuple(steps)


def _unrecognised(rest: str, template: str) -> Complaint:
    if re.match(r"[\w]", rest):
        return fault(f"error parsing jsonpath {template}, unrecognized identifier {rest}")
    return fault(
        f"error parsing jsonpath {template}, unrecognized character in action: "
        f"U+{ord(rest[0] if rest else ' '):04X} '{rest[:1]}'"
    )


def _bracket_end(text: str, start: int, template: str) -> int:
    depth, position = 0, start
    while position < len(text):
        quoted = _QUOTED.match(text, position)
        if quoted:
            position = quoted.end()
            continue
        depth += (text[position] == "[") - (text[position] == "]")
        position += 1
        if not depth:
            return position
    raise fault(f"error parsing jsonpath {template}, unterminated array")


def _bracket(inner: str, template: str) -> Step:
    """``*``, ``'name'``, ``'a','b'``, ``0``, ``1:3`` or ``?(@.x=="y")``."""
    if inner == "*":
        return _every
    condition = _FILTER.match(inner)
    if condition:
        return _filter(condition[1], template)
    alternatives = [part.strip() for part in _split_commas(inner)]
    steps = [_alternative(part, template) for part in alternatives]
    return steps[0] if len(steps) == 1 else lambda value: (found for step in steps for found in step(value))


def _split_commas(inner: str) -> Iterator[str]:
    start = position = 0
    while position < len(inner):
        quoted = _QUOTED.match(inner, position)
        if quoted:
            position = quoted.end()
            continue
        if inner[position] == ",":
            yield inner[start:position]
            start = position + 1
        position += 1
    yield inner[start:]


def _alternative(part: str, template: str) -> Step:
    quoted = _QUOTED.fullmatch(part)
    if quoted:
        return _field(_unquote(quoted))
    numbers = _SLICE.fullmatch(part)
    if not numbers or not part:
        raise fault(f"error parsing jsonpath {template}, invalid array index {part}")
    start, stop, stride = (int(number) if number else None for number in numbers.groups())
    if ":" in part:
        return _slice(start, stop, stride)
    return _index(start or 0)


def _field(name: str) -> Step:
    def step(value: object) -> Iterator[object]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _every(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from (value[key] for key in sorted(value))
    elif isinstance(value, list):
        yield from value


def _descend(value: object) -> Iterator[object]:
    yield value
    for inner in _every(value):
        yield from _descend(inner)


def _index(number: int) -> Step:
    def step(value: object) -> Iterator[object]:
        if isinstance(value, list):
            if not -len(value) <= number < len(value):
                raise OutOfBounds(f"array index out of bounds: index {number}, length {len(value)}")
            yield value[number]

    return step


def _slice(start: int | None, stop: int | None, stride: int | None) -> Step:
    def step(value: object) -> Iterator[object]:
        if isinstance(value, list):
            yield from value[start : stop : max(1, stride or 1)]

    return step


def _filter(condition: str, template: str) -> Step:
    """Keep list items for which a comparison holds, or in which a path exists."""
    parts = _COMPARISON.split(condition, maxsplit=1)
    left = _operand(parts[0], template)
    if len(parts) == 1:
        return lambda value: (item for item in _items(value) if any(True for _ in left(item)))
    operator, right = parts[1], _operand(parts[2], template)

    def step(value: object) -> Iterator[object]:
        for item in _items(value):
            if _holds(operator, next(left(item), None), next(right(item), None)):
                yield item

    return step


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _operand(text: str, template: str) -> Step:
    text = text.strip()
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        return _constant(_unquote(quoted))
    if text in ("true", "false"):
        return _constant(text == "true")
    if re.fullmatch(r"-?\d{1,18}(\.\d{1,18})?", text):
        return _constant(float(text))
    steps = _path(text, template)
    return lambda value: _walk(steps, [value])


def _constant(constant: object) -> Step:
    return lambda _value: iter([constant])


def _holds(operator: str, left: object, right: object) -> bool:
    if operator == "==":
        return left == right and isinstance(left, bool) == isinstance(right, bool)
    if operator == "!=":
        return left is not None and left != right
    if isinstance(left, str) and isinstance(right, str):
        return _ordered(operator, (left > right) - (left < right))
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _ordered(operator, (left > right) - (left < right))
    return False


def _ordered(operator: str, sign: int) -> bool:
    return {"<": sign < 0, ">": sign > 0, "<=": sign <= 0, ">=": sign >= 0}[operator]


def _walk(steps: Sequence[Step], values: list[object]) -> Iterator[object]:
    for step in steps:
        values = [found for value in values for found in step(value)]
    return iter(values)


def _evaluate(nodes: Sequence[Node], root: object, value: object) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif isinstance(node, Range):
            for item in _walk(node.path, [value]):
                yield from _evaluate(node.body, root, item)
        else:
            yield " ".join(show(found) for found in _walk(node, [value]))
