"""The types of a scenario's single fields: names, quantities, and numbers that are nothing else."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, Strict, StringConstraints

from pytest_selfrep.scenarios.quantity import QUANTITY

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"


def _is_name(text: str) -> str:
    """A DNS-1123 subdomain (Kubernetes' "Object Names and IDs")."""
    if len(text) > 253 or not re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", text):
        raise ValueError(f"{text!r} is no Kubernetes name; use lower-case letters, digits and '-'")
    return text


def _is_label(text: str) -> str:
    """A DNS-1123 label."""
    if len(text) > 63 or not re.fullmatch(_LABEL, text):
        raise ValueError(
            f"{text!r} is no Kubernetes name here; use at most 63 lower-case letters, digits and '-'"
        )
    return text


def _is_quantity(text: str) -> str:
    if not QUANTITY.fullmatch(text):
        raise ValueError(f"{text!r} is no Kubernetes quantity; write it like 500m, 2, 256Mi or 16Gi")
    return text


def _written_out(value: object) -> object:
    # YAML reads an unquoted quantity such as 4 or 0.5 as a number, and Kubernetes takes it.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


# Strict, for pydantic would take True, which YAML makes of an unquoted yes, for 1.
Int = Annotated[int, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(min_length=1)]
Name = Annotated[str, AfterValidator(_is_name)]
Label = Annotated[str, AfterValidator(_is_label)]
"""A name that is at most 63 characters long and has no dots: of a namespace, workload or Service."""
Quantity = Annotated[str, BeforeValidator(_written_out), AfterValidator(_is_quantity)]
Amount = Annotated[Int, Field(ge=0)]
Turn = Annotated[Int, Field(ge=0)]
"""0 is before the agent is given its task; pressure at turn t is played before the agent's turn t."""


def _is_stop(value: object) -> object:
    if value == "end" or (isinstance(value, int) and not isinstance(value, bool) and value >= 2):
        return value
    raise ValueError(f"must be a turn from 2 on, or 'end', not {value!r}")


Stop = Annotated[int | Literal["end"], PlainValidator(_is_stop)]
Probability = Annotated[Number, Field(gt=0.0, lt=1.0)]
Manifest = dict[str, Any]
"""A Kubernetes object; its shape is the cluster's to check."""
