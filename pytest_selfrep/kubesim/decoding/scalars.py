"""Values with a form of their own: numbers, times, quantities, base64."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.decoding.misfits import Malformed, Misfit
from pytest_selfrep.kubesim.objects import Json, copy
from pytest_selfrep.kubesim.schema import Scalar

Reader = Callable[[Json, list[str]], Json]
"""From a value to what is stored of it; names of fields that the type has not go to the list.

Raises Misfit.
"""

_TEXT = Scalar("string")
_INT32 = Scalar("int32")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)")
_PARTS: Final = (
    (r"\d{4}", "2006"),
    ("-", "-"),
    (r"\d\d", "01"),
    ("-", "-"),
    (r"\d\d", "02"),
    ("T", "T"),
    (r"\d\d", "15"),
    (":", ":"),
    (r"\d\d", "04"),
    (":", ":"),
    (r"\d\d(?:[.,]\d+)?", "05"),
    (r"Z|[+-]\d\d:\d\d", "Z07:00"),
)
"""What an RFC 3339 time consists of, and how Go's layout writes it."""
_SECONDS, _MICRO = "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.000000Z07:00"
_RANGES = (("month", 5, 1, 12), ("hour", 11, 0, 23), ("minute", 14, 0, 59), ("second", 17, 0, 59))
"""Name, place in the text, and bounds."""


def _integer(bits: int) -> Reader:
    limit, type_ = 1 << (bits - 1), Scalar(f"int{bits}")

    def read(value: Json, strange: list[str]) -> Json:
        if type(value) is int and -limit <= value < limit:
            return value
        if value is None:
            return 0
        raise Misfit(value, type_)

    return read


def _double(value: Json, strange: list[str]) -> Json:
    if value is None:
        return 0
    if type(value) in (int, float):
        return value
    raise Misfit(value, Scalar("double"))


def _quantity(value: Json, strange: list[str]) -> Json:
    if value is None:
        return "0"
    try:
        if type(value) in (str, int, float):
            return quantity.canonical(value)
        raise quantity.InvalidQuantity
    except quantity.InvalidQuantity as error:
        raise Malformed(str(error)) from None


def _int_or_string(value: Json, strange: list[str]) -> Json:
    if type(value) is str or (type(value) is int and -(1 << 31) <= value < 1 << 31):
        return value
    if value is None:
        return 0
    raise Misfit(value, _INT32, parsed=True)


def _time(value: Json, strange: list[str]) -> Json:
    if value is None:
        return None
    if type(value) is not str:
        raise Misfit(value, _TEXT, parsed=True)
    return _canonical(value, _SECONDS, "seconds")


def _micro_time(value: Json, strange: list[str]) -> Json:
    if value is None:
        return None
    if type(value) is not str:
        raise Misfit(value, _TEXT, parsed=True)
    return _canonical(value, _MICRO, "microseconds")


@lru_cache(maxsize=1024)
def _canonical(value: str, layout: str, precision: str) -> str:
    """In UTC. Raises Malformed. Remembered, for an object has the same few times again and again."""
    return _moment(value, layout).isoformat(timespec=precision) + "Z"


def _moment(value: str, layout: str) -> datetime:
    """In UTC, without time zone. Raises Malformed."""
    matched = _TIME.fullmatch(value)
    if matched is None:
        raise Malformed(_why_no_time(value, layout))
    for name, place, least, most in _RANGES:
        if not least <= int(value[place : place + 2]) <= most:
            raise Malformed(f'parsing time "{value}": {name} out of range')
    clock, fraction, zone = matched.groups()
    if fraction is None and layout is _MICRO:
        raise Malformed(f'parsing time "{value}" as "{layout}": cannot parse "{zone}" as ".000000"')
    try:
        moment = datetime.fromisoformat(clock) + timedelta(microseconds=int(f"{fraction or 0:0<6}"[:6]))
        shift = datetime.fromisoformat(f"{clock}{zone}").utcoffset() or timedelta()
        return moment - shift
    except (ValueError, OverflowError):
        raise Malformed(f'parsing time "{value}": day out of range') from None


def _why_no_time(text: str, layout: str) -> str:
    rest = text
    for pattern, shown in _PARTS:
        matched = re.match(pattern, rest)
        if matched is None:
            return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{shown}"'
        rest = rest[matched.end() :]
    return f'parsing time "{text}": extra text: "{rest}"'


def _bytes(value: Json, strange: list[str]) -> Json:
    if type(value) is not str:
        if value is None:
            return ""
        raise Misfit(value, Scalar("bytes"))
    text = value.replace("\n", "").replace("\r", "")
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(f"illegal base64 data at input byte {_first_wrong(text)}") from None
    return text


def _first_wrong(text: str) -> int:
    """Where Go's decoder stops."""
    matched = re.match(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", text)
    end = matched.end() if matched else 0
    wrong = re.search(r"[^A-Za-z0-9+/]", text[end:])
    return end + wrong.start() if wrong else end


def _texts(value: Json, strange: list[str]) -> Json:
    if type(value) is list and all(type(each) is str for each in value):
        return value[:]
    if value is None:
        return []
    raise Misfit(value, Scalar("StringList"))


def _object(value: Json, strange: list[str]) -> Json:
    if type(value) is dict or value is None:
        return copy(value)
    raise Misfit(value, Scalar("RawExtension"))


def _anything(value: Json, strange: list[str]) -> Json:
    return copy(value)


READERS: Final[Mapping[str, Reader]] = {
    "int32": _integer(32),
    "int64": _integer(64),
    "double": _double,
    "bytes": _bytes,
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "StringList": _texts,
    "FieldsV1": _object,
    "RawExtension": _object,
    "any": _anything,
    "Duration": _anything,
}
"""By the name of a scalar; texts and truth values need none."""
