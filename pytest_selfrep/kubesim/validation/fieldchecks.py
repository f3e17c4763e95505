"""Causes in the words of apimachinery's field errors, and the formats that names and labels must have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import orjson

from pytest_selfrep.kubesim.objects import Json
from pytest_selfrep.kubesim.status import Cause

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_QUALIFIED})?"
_DATA_KEY = "[-._a-zA-Z0-9]+"
_TOO_LONG = "must be no more than {} bytes"


def required(field: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value: {detail}" if detail else "Required value", field)


def invalid(field: str, value: Json, detail: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {_shown(value)}: {detail}", field)


def invalid_go(field: str, value: str, detail: str) -> Cause:
    """For values that Kubernetes prints as Go would."""
    return Cause("FieldValueInvalid", f"Invalid value: {value}: {detail}", field)


def unsupported(field: str, value: Json, supported: Sequence[str]) -> Cause:
    listed = ", ".join(_shown(each) for each in supported)
    message = f"Unsupported value: {_shown(value)}: supported values: {listed}"
    return Cause("FieldValueNotSupported", message, field)


def forbidden(field: str, detail: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", field)


def duplicate(field: str, value: Json) -> Cause:
    return duplicate_go(field, _shown(value))


def duplicate_go(field: str, value: str) -> Cause:
    """For values that Kubernetes prints as Go would."""
    return Cause("FieldValueDuplicate", f"Duplicate value: {value}", field)


def absent(field: str, value: Json) -> Cause:
    """For a reference to something that is not there."""
    return Cause("FieldValueNotFound", f"Not found: {_shown(value)}", field)


def too_long(field: str, most: int) -> Cause:
    return Cause("FieldValueTooLong", f"Too long: may not be more than {most} bytes", field)


def too_many(field: str, count: int, most: int) -> Cause:
    return Cause("FieldValueTooMany", f"Too many: {count}: must have at most {most} items", field)


def _shown(value: Json) -> str:
    return orjson.dumps(value).decode()


def go_map(value: Mapping[str, str] | None) -> str:
    """``map[string]string{"app":"web"}``."""
    if not value:
        return "map[string]string(nil)"
    items = ", ".join(f"{_shown(key)}:{_shown(text)}" for key, text in sorted(value.items()))
    return f"map[string]string{{{items}}}"


def go_strings(values: Sequence[str] | None) -> str:
    """A list as Go prints it."""
    return f"[]string{{{', '.join(map(_shown, values))}}}" if values else "[]string(nil)"


def go_selector(selector: Json) -> str:
    """A LabelSelector as Go prints it."""
    labels = (selector or {}).get("matchLabels")
    expressions = ", ".join(
        f"v1.LabelSelectorRequirement{{Key:{_shown(each.get('key', ''))}, "
        f"Operator:{_shown(each.get('operator', ''))}, "
        f"Values:{go_strings(each.get('values'))}}}"
        for each in (selector or {}).get("matchExpressions") or ()
    )
    shown = f"[]v1.LabelSelectorRequirement{{{expressions}}}"
    listed = shown if expressions else "[]v1.LabelSelectorRequirement(nil)"
    return f"v1.LabelSelector{{MatchLabels:{go_map(labels)}, MatchExpressions:{listed}}}"


_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc'"
)
_LABEL_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
    "start with an alphabetic character, and end with an alphanumeric character "
    "(e.g. 'my-name',  or 'abc-123'"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com'"
)
_WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
    "which must consist of lower case alphanumeric characters, '-' or '.' "
    "and end with an alphanumeric character (e.g. '*.example.com'"
)
_QUALIFIED_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc'"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character "
    "(e.g. 'MyValue',  or 'my_value',  or '12345'"
)
_DATA_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
    "(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name'"
)


def _format(text: str, pattern: str, most: int, rule: str) -> str:
    if len(text) > most:
        return _TOO_LONG.format(most)
    return "" if re.fullmatch(pattern, text) else f"{rule}, regex used for validation is '{pattern}')"


@lru_cache(maxsize=4096)
def dns_label(text: str) -> str:
    """What is wrong with an RFC 1123 label; empty if nothing is."""
    why = _format(text, _LABEL, 63, _LABEL_RULE)
    if why and "." in text and len(text) <= 63 and re.fullmatch(_SUBDOMAIN, text):
        return "must not contain dots"
    return why


@lru_cache(maxsize=4096)
def dns_1035_label(text: str) -> str:
    return _format(text, _LABEL_1035, 63, _LABEL_1035_RULE)


@lru_cache(maxsize=4096)
def dns_subdomain(text: str) -> str:
    return _format(text, _SUBDOMAIN, 253, _SUBDOMAIN_RULE)


@lru_cache(maxsize=4096)
def wildcard_subdomain(text: str) -> str:
    """``*.`` and an RFC 1123 subdomain."""
    return _format(text, _WILDCARD, 253, _WILDCARD_RULE)


@lru_cache(maxsize=4096)
def port_name(text: str) -> tuple[str, ...]:
    """All that is wrong with a port's name (RFC 6335)."""
    rules = (
        (len(text) <= 15, _TOO_LONG.format(15)),
        (
            re.fullmatch("[-a-z0-9]+", text),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (re.search("[a-z]", text), "must contain at least one letter (a-z)"),
        ("--" not in text, "must not contain consecutive hyphens"),
        (not (text.startswith("-") or text.endswith("-")), "must not begin or end with a hyphen"),
    )
    return tuple(why for holds, why in rules if not holds)


@lru_cache(maxsize=4096)
def path_segment(text: str) -> str:
    """Names of roles and bindings may hold colons."""
    if text in (".", ".."):
        return f"may not be '{text}'"
    bad = next((sign for sign in "/%" if sign in text), None)
    return f"may not contain '{bad}'" if bad else ""


@lru_cache(maxsize=4096)
def qualified_name(text: str) -> str:
    """A label or annotation key: ``[prefix/]name``."""
    prefix, slash, name = text.rpartition("/")
    if slash and not prefix:
        return "prefix part must be non-empty"
    if prefix and dns_subdomain(prefix):
        return f"prefix part {dns_subdomain(prefix)}"
    if not name:
        return "name part must be non-empty"
    if len(name) > 63:
        return f"name part {_TOO_LONG.format(63)}"
    return _format(name, _QUALIFIED, 63, _QUALIFIED_RULE)


@lru_cache(maxsize=4096)
def label_value(text: str) -> str:
    return _format(text, _VALUE, 63, _VALUE_RULE)


@lru_cache(maxsize=4096)
def data_key(text: str) -> str:
    """A key of a ConfigMap or Secret."""
    if text in (".", ".."):
        return f"must not be '{text}'"
    return _format(text, _DATA_KEY, 253, _DATA_KEY_RULE)


def formatted(field: str, text: str, check: Callable[[str], str]) -> Iterable[Cause]:
    """``text`` must pass a format check."""
    why = check(text)
    if why:
        yield invalid(field, text, why)


def at_least(field: str, value: int | None, least: int = 0) -> Iterable[Cause]:
    if value is not None and value < least:
        why = "must be greater than zero" if least == 1 else f"must be greater than or equal to {least}"
        yield invalid(field, value, why)


def one_of(field: str, value: str | None, supported: Sequence[str]) -> Iterable[Cause]:
    if value is not None and value not in supported:
        yield unsupported(field, value, supported)


def port(field: str, value: int) -> Iterable[Cause]:
    if not 1 <= value <= 65535:
        yield invalid(field, value, "must be between 1 and 65535, inclusive")


def labels(field: str, values: Mapping[str, str] | None) -> Iterable[Cause]:
    for key, value in (values or {}).items():
        yield from formatted(field, key, qualified_name)
        yield from formatted(field, value, label_value)


_NEEDS_VALUES = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}


def label_selector(field: str, selector: Json) -> Iterable[Cause]:
    """The parts of a LabelSelector; an absent one is the caller's business."""
    yield from labels(f"{field}.matchLabels", (selector or {}).get("matchLabels"))
    for index, each in enumerate((selector or {}).get("matchExpressions") or ()):
        at = f"{field}.matchExpressions[{index}]"
        operator, values = each.get("operator", ""), each.get("values")
        if operator not in _NEEDS_VALUES:
            yield invalid(f"{at}.operator", operator, "not a valid selector operator")
        elif _NEEDS_VALUES[operator] and not values:
            yield required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif not _NEEDS_VALUES[operator] and values:
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden(f"{at}.values", why)
        yield from formatted(f"{at}.key", each.get("key", ""), qualified_name)


def int_or_percent(field: str, value: int | str | None) -> Iterable[Cause]:
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]+%", value):
            why = "a valid percent string must be a numeric string followed by an ending '%'"
            rule = "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
            yield invalid_go(field, value, f"{why} {rule}")
    else:
        yield from at_least(field, value)
