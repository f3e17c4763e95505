"""Reads label selectors as queries spell them, and refuses malformed ones in apimachinery's words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_selfrep.kubesim.status import bad_request
from pytest_selfrep.kubesim.validation.fieldchecks import label_value, qualified_name

Term = tuple[str, str, tuple[str, ...]]
"""Key, operator as in LabelSelectorRequirement (or Gt, Lt), values."""

_LEXEME = re.compile(r"==|!=|[=!<>(),]|[^=!<>(), \t\r\n]+")
_SYMBOLS = frozenset({"==", "!=", "=", "!", "<", ">", "(", ")", ","})
_END = ""
_COMPARISONS = {"=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt"}
_SETS = {"in": "In", "notin": "NotIn"}
_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_GO_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


class _Malformed(Exception):
    """What is wrong with one requirement."""


def read(text: str) -> tuple[Term, ...]:
    """The requirements of ``app=web,tier in (a, b),!canary``. Raises StatusError 400."""
    lexemes = _Lexemes(_LEXEME.findall(text))
    terms: list[Term] = []
    while (lexeme := lexemes.next) != _END:
        if _is_symbol(lexeme) and lexeme != "!":
            raise bad_request(f"found '{lexeme}', expected: !, identifier, or 'end of string'")
        try:
            terms.append(_requirement(lexemes))
        except _Malformed as error:
            raise bad_request(f"unable to parse requirement: {error}") from None
        after = lexemes.take()
        if after == _END:
            break
        if after != ",":
            raise bad_request(f"found '{after}', expected: ',' or 'end of string'")
        if lexemes.next == _END or (_is_symbol(lexemes.next) and lexemes.next != "!"):
            raise bad_request(f"found '{lexemes.next}', expected: identifier after ','")
    return tuple(terms)


@dataclass(slots=True)
class _Lexemes:
    """Words and symbols; after the last comes the empty one, again and again."""

    found: list[str]
    position: int = 0

    @property
    def next(self) -> str:
        return self.found[self.position] if self.position < len(self.found) else _END

    def take(self) -> str:
        lexeme = self.next
        self.position += 1
        return lexeme


def _is_symbol(lexeme: str) -> bool:
    return lexeme in _SYMBOLS


def _is_word(lexeme: str) -> bool:
    return lexeme != _END and not _is_symbol(lexeme)


def _requirement(lexemes: _Lexemes) -> Term:
    lexeme = lexemes.take()
    absent = lexeme == "!"
    key = lexemes.take() if absent else lexeme
    if not _is_word(key):
        raise _Malformed(f"found '{key}', expected: identifier")
    _check("<nil>", key, qualified_name(key))
    if absent:
        return key, "DoesNotExist", ()
    if lexemes.next in (_END, ","):
        return key, "Exists", ()
    sign = lexemes.take()
    if sign in _SETS:
        operator, values = _SETS[sign], _set(lexemes)
    elif sign in _COMPARISONS:
        operator, values = _COMPARISONS[sign], (_exact(lexemes),)
    else:
        raise _Malformed(f"found '{sign}', expected: {_OPERATORS}")
    if operator in ("Gt", "Lt") and not _GO_INTEGER.fullmatch(values[0]):
        _check("values[0]", values[0], "for 'Gt', 'Lt' operators, the value must be an integer")
    for index, value in enumerate(values):
        _check(f"values[{index}][{key}]", value, label_value(value))
    return key, operator, values


def _check(field: str, value: str, fault: str) -> None:
    if fault:
        raise _Malformed(f'{field}: Invalid value: "{value}": {fault}')


def _exact(lexemes: _Lexemes) -> str:
    if lexemes.next in (_END, ","):
        return ""
    value = lexemes.take()
    if _is_symbol(value):
        raise _Malformed(f"found '{value}', expected: identifier")
    return value


def _set(lexemes: _Lexemes) -> tuple[str, ...]:
    """The values between parentheses, sorted; nothing before or after a comma is the empty value."""
    opening = lexemes.take()
    if opening != "(":
        raise _Malformed(f"found '{opening}' expected: '('")
    if lexemes.next == ")":
        lexemes.take()
        return ("",)
    if not (_is_word(lexemes.next) or lexemes.next == ","):
        raise _Malformed(f"found '{lexemes.next}', expected: ',', ')' or identifier")
    values = {""} if lexemes.next == "," else set()
    while (lexeme := lexemes.take()) != ")":
        if _is_word(lexeme):
            values.add(lexeme)
            if lexemes.next not in (",", ")"):
                raise _Malformed(f"found '{lexemes.next}', expected: ',' or ')'")
        elif lexeme == ",":
            values |= {""} if lexemes.next in (",", ")") else set()
        else:
            raise _Malformed(f"found '{lexeme}', expected: ',', or identifier")
    return tuple(sorted(values))
