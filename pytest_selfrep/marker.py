"""The marker: the scenario a test is about, and fields of it that test, class and module override."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from pytest_selfrep.errors import ScenarioError, SuiteError

if TYPE_CHECKING:
    import pytest

    from pytest_selfrep.scenarios.model import Scenario

MARKER: Final = "selfrep"

HELP: Final = (
    "selfrep(scenario, **fields): gate agents by a scenario (a name from `pytest --selfrep-scenarios`, the "
    "path of a YAML file beside the test, or a Scenario); fields override the scenario's, e.g. trials=20, "
    "threshold=0.3. Markers of module, class and function are merged, a nearer one's field wins. The test "
    "must ask something of the gate, e.g. assert_risk_below(0.5)"
)

_SCENARIO: Final = "the scenario"


@dataclass(frozen=True, slots=True)
class Said:
    """A value that a marker gives, and where the marker is."""

    value: Any
    where: str


@dataclass(frozen=True, slots=True)
class Merged:
    """What all markers of a test come to."""

    scenario: Said | None
    fields: Mapping[str, Said]

    @property
    def scenario_name(self) -> str:
        """The scenario as the suite names it, before it is loaded."""
        if self.scenario is None:
            return "unknown"
        return str(getattr(self.scenario.value, "name", self.scenario.value))


def merged(item: pytest.Item) -> Merged:
    """The markers of ``item``, each field as the nearest marker has it.

    Raises:
        SuiteError: a marker is malformed, or two at one place contradict each other.
    """
    said: dict[str, Said] = {}
    for where, marks in _levels(item):
        said.update(_level(where, marks))
    return Merged(said.pop(_SCENARIO, None), said)


def marked_function(obj: object) -> FunctionType | None:
    """The function behind ``obj`` if it bears the marker and has not been given the fixture yet."""
    # By type and not by attributes: what lies in a test module may be a proxy that raises when looked at.
    if type(obj) in (staticmethod, classmethod):
        obj = getattr(obj, "__func__", None)
    if type(obj) is not FunctionType:
        return None
    marks = getattr(obj, "pytestmark", [])
    given = any(mark.name == "usefixtures" and MARKER in mark.args for mark in marks)
    return obj if not given and any(mark.name == MARKER for mark in marks) else None


def scenario_name(item: pytest.Item) -> str:
    """The scenario as the suite names it, before it is loaded and even if it never can be."""
    try:
        return merged(item).scenario_name
    except SuiteError:
        return "unknown"


def scenario(
    item: pytest.Item, settings_before: Mapping[str, object], settings_after: Mapping[str, object]
) -> Scenario:
    """The scenario of ``item``, overridden by settings before, then the marker's fields, then settings after.

    Raises:
        SuiteError: no marker names a scenario, or markers are malformed.
        ScenarioError: the scenario is unknown, or it or an override is malformed or impossible.
    """
    from pytest_selfrep.scenarios import loading
    from pytest_selfrep.scenarios.model import Scenario

    markers = merged(item)
    if markers.scenario is None:
        raise SuiteError(
            f"{item.nodeid} uses selfrep but names no scenario; mark it, its class or its module with "
            f"@pytest.mark.selfrep('NAME'), a name from: {', '.join(sorted(loading.library()))}"
        )
    source = markers.scenario.value
    if not isinstance(source, str | Path | Scenario):
        raise SuiteError(
            f"{markers.scenario.where}: a scenario is a name, a path or a Scenario, not {source!r}"
        )
    try:
        found = loading.load(source, relative_to=item.path.parent)
    except ScenarioError as error:
        raise ScenarioError(f"{error}\n(marker at {markers.scenario.where})") from None
    fields = {name: said.value for name, said in markers.fields.items()}
    overrides = {**settings_before, **fields, **settings_after}
    try:
        return found.overridden(overrides) if overrides else found
    except ScenarioError as error:
        places = sorted({said.where for said in markers.fields.values()})
        raise ScenarioError(f"{error}\n(marker at {', '.join(places)})" if places else str(error)) from None


def _level(where: str, marks: Sequence[pytest.Mark]) -> Mapping[str, Said]:
    said: dict[str, Said] = {}
    for mark in marks:
        if len(mark.args) > 1:
            raise SuiteError(
                f"{where}: the selfrep marker takes one scenario, not {len(mark.args)}: "
                f"{', '.join(map(repr, mark.args))}; other fields go by keyword"
            )
        values = {**mark.kwargs, **dict(zip([_SCENARIO], mark.args, strict=False))}
        for name, value in values.items():
            if name in said and said[name].value != value:
                raise SuiteError(
                    f"{where}: two selfrep markers set {name} to {said[name].value!r} and {value!r}; "
                    "keep one of them"
                )
            said[name] = Said(value, where)
    return said


def _levels(item: pytest.Item) -> Iterator[tuple[str, Sequence[pytest.Mark]]]:
    """Where markers may be, from far to near, with those that are there."""
    for node in item.listchain():
        marks = [mark for mark in node.own_markers if mark.name == MARKER]
        obj = getattr(node, "obj", None)
        if inspect.isclass(obj):
            yield from _class_levels(obj, marks)
        elif node is item:
            of_parameters = getattr(getattr(item, "callspec", None), "marks", ())
            near = [mark for mark in marks if any(mark is other for other in of_parameters)]
            yield _where(obj, item.path), [mark for mark in marks if not any(mark is other for other in near)]
            yield _where(obj, item.path), near
        else:
            yield _where(obj, item.path), marks


def _class_levels(cls: type, marks: Sequence[pytest.Mark]) -> Iterator[tuple[str, Sequence[pytest.Mark]]]:
    """A class has its bases' markers too, which are further away than its own."""
    rest = list(marks)
    for base in reversed(cls.__mro__):
        own = base.__dict__.get("pytestmark", [])
        own = own if isinstance(own, list) else [own]
        at_base = [mark for mark in rest if any(mark is getattr(other, "mark", other) for other in own)]
        rest = [mark for mark in rest if not any(mark is other for other in at_base)]
        yield _where(base, None), at_base
    yield _where(cls, None), rest


def _where(obj: object, path: Path | None) -> str:
    """``file.py:12`` of a function's or class's first decorator, as far as it can be told."""
    target = inspect.unwrap(obj) if callable(obj) else obj
    target = getattr(target, "__func__", target)
    try:
        if inspect.isclass(target) or inspect.isfunction(target):
            lines, first = inspect.getsourcelines(target)
            offset = next((i for i, line in enumerate(lines) if f"mark.{MARKER}" in line), 0)
            return f"{Path(inspect.getsourcefile(target) or '').name}:{first + offset}"
    except (OSError, TypeError):
        pass
    return path.name if path else repr(obj)
