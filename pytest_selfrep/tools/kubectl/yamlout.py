"""Objects as YAML, in the style of kubectl's ``-o yaml``: sorted keys, block style, Go's quoting."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

# What YAML 1.1 would read as something else than a string; Go's writer puts such strings into double quotes.
_OTHER_TYPE = re.compile(
    r"~|null|Null|NULL|"
    r"y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF|true|True|TRUE|false|False|FALSE|"
    r"[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+|0o?[0-7_]+|[-+]?[0-9][0-9_]*|"
    r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|"
    r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|"
    r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|<<|=|"
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?"
)
_PLAIN = re.compile(
    r"(?!---|\.\.\.)"
    r"(?:[^\s\-?:,\[\]{}#&*!|>'\"%@`]|[-?:](?=\S))"
    r"(?:[^:#\n]|:(?=\S)|(?<=\S)#)*"
)
_WIDTH = 80
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def dump(value: object) -> str:
    """The text of one document, ending with a newline."""
    lines = list(_lines(value, ""))
    return "\n".join(lines) + "\n"


def _lines(value: object, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _entry(f"{indent}{_key(str(key))}:", value[key], indent)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _item(item, indent)
    else:
        yield indent + scalar(value, indent)


def _key(key: str) -> str:
    return _double_quoted(key) if "\n" in key else _string(key, "")


def _entry(head: str, value: object, indent: str) -> Iterator[str]:
    """A key with its value; lists stand as far left as their key."""
    if isinstance(value, dict) and value:
        yield head
        yield from _lines(value, indent + "  ")
    elif isinstance(value, list) and value:
        yield head
        yield from _lines(value, indent)
    else:
        yield f"{head} {_folded(scalar(value, indent), len(head) + 1, indent)}"


def _item(item: object, indent: str) -> Iterator[str]:
    if isinstance(item, dict | list) and item:
        first, *rest = _lines(item, indent + "  ")
        yield f"{indent}- {first[len(indent) + 2 :]}"
        yield from rest
    else:
        yield f"{indent}- {_folded(scalar(item, indent), len(indent) + 2, indent)}"


def _folded(text: str, column: int, indent: str) -> str:
    """A long plain or single-quoted text on several lines, broken where go-yaml breaks it."""
    if column + len(text) <= _WIDTH or text[0] in '|"':
        return text
    pieces = []
    for index, letter in enumerate(text):
        alone = letter == " " and " " not in (text[index - 1], text[index + 1 : index + 2])
        if alone and column > _WIDTH and 1 < index < len(text) - 2:
            pieces.append(f"\n{indent}  ")
            column = len(indent) + 2
        else:
            pieces.append(letter)
            column += 1
    return "".join(pieces)


def scalar(value: object, indent: str = "") -> str:
    """One value on one line, or a literal block below ``indent``."""
    if isinstance(value, str):
        return _string(value, indent)
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return "[]"
    return orjson.dumps(value).decode()


def _string(text: str, indent: str) -> str:
    if _CONTROL.search(text) or not text:
        return _double_quoted(text)
    if "\n" in text:
        return _literal(text, indent)
    if _OTHER_TYPE.fullmatch(text):
        return _double_quoted(text)
    if _PLAIN.fullmatch(text) and not text.endswith((" ", ":")):
        return text
    return "'" + text.replace("'", "''") + "'"


def _double_quoted(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", orjson.dumps(text).decode())


def _literal(text: str, indent: str) -> str:
    lines = text.split("\n")
    if any(line.endswith(" ") for line in lines) or not text.strip("\n"):
        return _double_quoted(text)
    body = lines[:-1] if text.endswith("\n") else lines
    keep = "" if text.endswith("\n") and not text.endswith("\n\n") else "+" if text.endswith("\n\n") else "-"
    hint = "2" if text[0] in " \n" else ""
    return "\n".join([f"|{hint}{keep}", *(f"{indent}  {line}" if line else "" for line in body)])
