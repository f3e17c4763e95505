"""One version of a custom resource, as its definition says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Object


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the scale subresource finds its numbers: dotted paths, each beginning with a dot."""

    spec_replicas: str
    status_replicas: str
    label_selector: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class CustomVersion:
    """What there is to know of a version of a custom resource besides its Kind."""

    list_kind: str
    schema: Object
    """``openAPIV3Schema``: a structural schema."""
    storage: Kind | None = None
    """The version in which objects are stored; None if it is this one."""
    scale: ScalePaths | None = None
    columns: Sequence[Object] = ()
    """``additionalPrinterColumns``."""
    selectable: tuple[str, ...] = ()
    """Fields that field selectors may ask for: dotted paths, each beginning with a dot."""
    deprecation: str = ""
    """The warning that requests for this version get; empty if it is not deprecated."""
