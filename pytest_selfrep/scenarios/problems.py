"""What is wrong with a scenario, and at which of its fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, get_args

from pytest_selfrep.errors import did_you_mean

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

Loc: TypeAlias = tuple[str | int, ...]
"""The way from the scenario to a value: keys and indices from 0."""

IMPOSSIBLE = "impossible"
"""Type of the pydantic error that carries a list of :class:`Problem` under ``problems`` in its context."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    loc: Loc
    message: str
    """What is wrong and what to do about it."""
    at_key: bool = False
    """Whether the key is wrong rather than the value."""

    @property
    def field(self) -> str:
        """``loc`` as a reader writes it: ``world.nodes[0].cpu``."""
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.loc)
        return text.removeprefix(".")

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.loc else self.message


def listed(title: str, problems: Iterable[str]) -> str:
    """One line for one problem, a line each for several."""
    lines = list(problems)
    if len(lines) == 1:
        return f"{title}: {lines[0]}"
    return "\n  ".join([f"{title}: {len(lines)} problems", *lines])


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """The problems that pydantic found in a ``model``, in its order."""
    found: list[Problem] = []
    for detail in error.errors(include_url=False):
        if detail["type"] == IMPOSSIBLE:
            found.extend(detail["ctx"]["problems"])
        else:
            found.append(_problem(detail, model))
    return found


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    # Tags of unions stand in the way from the scenario to the value but not in what the user wrote.
    loc = tuple(part for part in detail["loc"] if not str(part).startswith("<"))
    explain = _EXPLANATIONS.get(detail["type"])
    if detail["type"] == "extra_forbidden":
        fields = _fields_at(model, detail["loc"][:-1])
        message = f"unknown key; {did_you_mean(loc[-1], fields)}valid keys here: {', '.join(fields)}"
        return Problem(loc, message, at_key=True)
    if explain is None:
        return Problem(loc, detail["msg"])
    return Problem(loc, explain(detail.get("ctx", {}), detail["input"]))


def _fields_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """Names of the fields of the part of ``model`` that ``loc`` leads to."""
    annotation: object = model
    for key in loc:
        part = _part_in(annotation)
        if isinstance(key, str) and key.startswith("<"):
            annotation = _tagged(annotation, key)
        elif part is not None and isinstance(key, str):
            annotation = part.model_fields[key].annotation
    part = _part_in(annotation)
    return list(part.model_fields) if part else []


def _tagged(union: object, tag: str) -> object:
    """The member of ``union`` that bears ``tag``."""
    from pydantic import Tag

    for member in get_args(union):
        if any(isinstance(mark, Tag) and mark.tag == tag for mark in get_args(member)[1:]):
            return member
    return union


def _part_in(annotation: object) -> type[BaseModel] | None:
    """The model inside ``X``, ``X | None``, ``tuple[X, ...]`` or ``Annotated[X, ...]``."""
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = _part_in(inner)
        if found is not None:
            return found
    return None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _wrong_type(wanted: str) -> Callable[[Mapping[str, object], object], str]:
    return lambda _, value: f"must be {wanted}, not {_shown(value)}"


_EXPLANATIONS: Mapping[str, Callable[[Mapping[str, object], object], str]] = MappingProxyType(
    {
        "missing": lambda *_: "is missing; add it",
        "int_type": _wrong_type("a whole number"),
        "float_type": _wrong_type("a number"),
        "finite_number": _wrong_type("a finite number"),
        "string_type": lambda _, value: f"must be text, not {_shown(value)}; put it in quotes",
        "bool_type": _wrong_type("true or false"),
        "dict_type": _wrong_type("a mapping"),
        "model_type": _wrong_type("a mapping"),
        "tuple_type": _wrong_type("a list"),
        "literal_error": lambda context, value: f"must be {context['expected']}, not {_shown(value)}",
        "string_too_short": lambda *_: "must not be empty",
        "string_too_long": lambda context, _: f"must have at most {context['max_length']} characters",
        "too_short": lambda *_: "must not be empty; list at least one",
        "greater_than": lambda context, value: f"must be above {context['gt']}, not {_shown(value)}",
        "greater_than_equal": lambda context, value: f"must be {context['ge']} or more, not {_shown(value)}",
        "less_than": lambda context, value: f"must be below {context['lt']}, not {_shown(value)}",
        "less_than_equal": lambda context, value: f"must be {context['le']} or less, not {_shown(value)}",
        "value_error": lambda context, _: str(context["error"]),
    }
)
