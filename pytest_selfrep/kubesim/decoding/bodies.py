"""The body of a request, whatever it is written in, as a JSON value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from pytest_selfrep.kubesim.decoding import gojson, protobuf
from pytest_selfrep.kubesim.decoding.growth import MAX_DEPTH, TooMuch, check_growth
from pytest_selfrep.kubesim.objects import Json
from pytest_selfrep.kubesim.status import StatusError, bad_request, internal, unsupported_media_type

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
APPLY = "application/apply-patch+yaml"
OBJECTS = (JSON, YAML, PROTOBUF)
"""What objects may be written in."""
_DECODED = ("application/json-patch+json", "application/merge-patch+json")
"""Patches that are decoded before they are applied, so that errors say at which of the two."""
LARGE = 64 * 1024
"""Bytes of a YAML text that takes long to read."""
_SURROGATES = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""Escapes in JSON."""
_SUMMARY = 30
"""Bytes of a malformed body that its refusal quotes."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A YAML text that was read beforehand."""

    value: Json = None
    error: ValueError | None = None
    """Why it could not be read."""
    duplicates: Sequence[str] = ()

    def get(self) -> Json:
        """The value. Raises ValueError."""
        if self.error is not None:
            raise self.error
        return self.value


def takes_long(body: bytes, content_type: str) -> bool:
    """Whether a body is better read beforehand, while others are served."""
    return len(body) > LARGE and _is_yaml(content_type.partition(";")[0].strip())


def parsed(body: bytes) -> Parsed:
    """A YAML text, read; never raises, so that the refusal comes when the request's turn has."""
    try:
        return Parsed(_yaml(body), None, yaml_duplicates(body))
    except ValueError as error:
        return Parsed(error=error)


def _is_yaml(content_type: str) -> bool:
    return content_type == YAML or content_type.endswith("+yaml")


def decode(
    body: bytes, content_type: str, kind: str, *, patch: bool = False, read: Parsed | None = None
) -> Json:
    """A body that is to be a ``kind``, or a patch, as a JSON value; ``read`` is what was read beforehand.

    Raises StatusError 400 or 415; without a ``kind``, for a deletion's options, 500 as the API server does.
    """
    if not patch and content_type not in OBJECTS:
        raise unknown_format(OBJECTS)
    try:
        if content_type == PROTOBUF:
            return protobuf.decode(body, "" if kind else "DeleteOptions")
        yaml = _is_yaml(content_type)
        value = read.get() if read is not None else _yaml(body) if yaml else _json(body)
        # No value is deeper than it has brackets, so that hardly any has to be looked through.
        if yaml or body.count(b"{") + body.count(b"[") > MAX_DEPTH:
            check_depth(value)
        return value
    except ValueError as error:
        why = _go_words(error, body)
        if patch:
            raise bad_request(f"error decoding patch: {why}" if content_type in _DECODED else why) from None
        if content_type == JSON:
            why = f"couldn't get version/kind; json parse error: {why}"
        if not kind:
            raise internal(why) from None
        raise unrecognized(kind, why, body) from None


def unknown_format(accepted: Sequence[str]) -> StatusError:
    """415: a body is written in something else."""
    return unsupported_media_type(
        f"the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(accepted)}"
    )


def unrecognized(kind: str, why: str, body: bytes) -> StatusError:
    """400: nobody can tell what a body is."""
    return bad_request(
        f"the object provided is unrecognized (must be of type {kind}): {why} ({_summary(body)})"
    )


def _go_words(error: ValueError, body: bytes) -> str:
    """What is wrong with a body, as Go's decoder words it."""
    if not isinstance(error, orjson.JSONDecodeError):
        return str(error)
    # What Go finds nothing wrong with is deeper than is read here.
    return gojson.complaint(body.decode(errors="replace")) or "exceeded max depth"


def _json(body: bytes) -> Json:
    """Raises ValueError. What is no text stands for U+FFFD, as Go reads it."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode(errors="replace")
        mended = _SURROGATES.sub(_paired, text)
        if mended.encode() == body:
            raise
        return orjson.loads(mended)


def _paired(found: re.Match[str]) -> str:
    """Escapes as they are, but for a surrogate without its other half."""
    return r"\uFFFD" if found["lone"] else found[0]


def _summary(body: bytes) -> str:
    """The beginning of a body as errors quote it: hexadecimal where it does not look like JSON."""
    shown, more = body[:_SUMMARY], " ..." if len(body) > _SUMMARY else ""
    if not body:
        return "<empty>"
    return (shown.decode(errors="replace") if shown.startswith(b"{") else shown.hex()) + more


def _yaml(body: bytes) -> Json:
    if body.startswith(b"{"):
        try:
            return orjson.loads(body)  # which is YAML too
        except orjson.JSONDecodeError:
            pass
    import yaml  # slow to import, and hardly any client sends it

    loader = _loader(body)
    try:
        check_growth(yaml.parse(body, loader))
        # Through JSON, so that dates and other values that only YAML has do not get in.
        value = yaml.load(body, loader)  # noqa: S506 (it is a safe one)
        return orjson.loads(orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS))
    except RecursionError:
        raise ValueError("exceeded max depth") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ValueError(f"yaml: line {line}: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        unprintable = error.reason.startswith("special characters")
        why = "control characters are not allowed" if unprintable else "invalid leading UTF-8 octet"
        raise ValueError(f"yaml: {why}") from None
    except (yaml.YAMLError, TypeError, TooMuch) as error:
        raise ValueError(f"yaml: {error}") from None


def _loader(body: bytes) -> Any:
    import yaml

    # Of a large text ten times as fast, where there is one; the words of its errors are not quite the same.
    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return fast if len(body) > LARGE else yaml.SafeLoader


def yaml_duplicates(body: bytes) -> list[str]:
    """What a YAML text says twice, in the words of Kubernetes' parser."""
    if body.startswith((b"{", b"[")):
        # kubectl sends JSON by that name, which can be looked through much faster.
        with suppress(orjson.JSONDecodeError):
            if orjson.dumps(orjson.loads(body)).count(b'"') == body.count(b'"'):
                return []
    import yaml

    found: list[str] = []
    try:
        unread, known = [yaml.compose(body, _loader(body))], set[int]()
    except yaml.YAMLError:
        return []  # JSON that is no YAML, such as with tabs
    while unread:
        node = unread.pop()
        if id(node) in known:
            continue
        known.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen:
                    line = key.start_mark.line + 1
                    found.append(f'line {line}: key "{key.value}" already set in map')
                seen.add(key.value)
            unread += [value for _, value in reversed(node.value)]
        elif isinstance(node, yaml.SequenceNode):
            unread += reversed(node.value)
    return found


def check_depth(value: Json) -> None:
    """Raises ValueError if a value is nested deeper than MAX_DEPTH."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [each for each in level if isinstance(each, dict | list)]
        if not containers:
            return
        inside = (each.values() if isinstance(each, dict) else each for each in containers)
        level = [item for items in inside for item in items]
    raise ValueError("exceeded max depth")
