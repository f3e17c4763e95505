"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pytest_selfrep.kubesim.apiserver import labelquery
from pytest_selfrep.kubesim.kinds import (
    EVENT,
    JOB,
    NAMESPACE,
    NODE,
    POD,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    SECRET,
    Kind,
)
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.status import bad_request

Predicate = Callable[[Object], bool]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on a label, with LabelSelectorRequirement's operators and Gt and Lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        if value is None or not value.lstrip("-").isdigit():
            return False
        return int(value) > int(self.values[0]) if self.operator == "Gt" else int(value) < int(self.values[0])


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Requirements that must all hold; without any it matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)


@lru_cache(maxsize=1024)
def parse_labels(text: str) -> LabelSelector:
    """A selector as in a query: ``app=web,tier in (a, b),!canary``. Raises StatusError 400."""
    return LabelSelector(tuple(Requirement(*term) for term in labelquery.read(text)))


def label_selector(selector: Object | None) -> LabelSelector:
    """A selector as in an object: ``matchLabels`` and ``matchExpressions``."""
    selector = selector or {}
    equal = [Requirement(key, "In", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    written = [
        Requirement(each["key"], each["operator"], tuple(each.get("values") or ()))
        for each in selector.get("matchExpressions") or ()
    ]
    return LabelSelector((*equal, *written))


def selector_of(owner: Object) -> Object | None:
    """The LabelSelector of what keeps pods. ReplicationControllers have plain labels for it."""
    selector: Object | None = owner["spec"].get("selector")
    # Objects in lists do not say their kind, but labels are texts and parts of a LabelSelector are not.
    if selector and all(isinstance(value, str) for value in selector.values()):
        return {"matchLabels": selector}
    return selector


def format_labels(selector: Object | None) -> str:
    """A selector of an object as kubectl and ``Scale.status.selector`` spell it."""
    spelled = []
    for each in sorted(label_selector(selector).requirements, key=lambda requirement: requirement.key):
        listed = ",".join(sorted(each.values))
        match each.operator:
            case "In" if len(each.values) == 1:
                spelled.append(f"{each.key}={listed}")
            case "In" | "NotIn":
                spelled.append(f"{each.key} {each.operator.lower()} ({listed})")
            case "Exists":
                spelled.append(each.key)
            case _:
                spelled.append(f"!{each.key}")
    return ",".join(spelled)


_FIELD_TERM = re.compile(r"(.*?)(!=|==|=)(.*)", re.DOTALL)
_COMMON_FIELDS = ("metadata.name", "metadata.namespace")
_FIELDS: Mapping[Kind, tuple[str, ...]] = {
    POD: (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    EVENT: (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    NODE: ("spec.unschedulable",),
    NAMESPACE: ("status.phase",),
    SECRET: ("type",),
    REPLICA_SET: ("status.replicas",),
    REPLICATION_CONTROLLER: ("status.replicas",),
    JOB: ("status.successful",),
}


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Equalities and inequalities of fields that must all hold."""

    terms: tuple[tuple[tuple[str, ...], bool, str], ...] = ()
    """Path, whether it must be equal, value."""

    def matches(self, obj: Object) -> bool:
        return all((_text_at(obj, path) == value) is equal for path, equal, value in self.terms)


@lru_cache(maxsize=1024)
def parse_fields(kind: Kind, text: str) -> FieldSelector:
    """A selector as in a query: ``status.phase!=Running,spec.nodeName=n1``. Raises StatusError 400."""
    terms = []
    for path, equal, value in _field_terms(text):
        if path not in _COMMON_FIELDS and path not in _fields_of(kind):
            raise bad_request(_unknown_field(kind, path))
        terms.append((tuple(path.split(".")), equal, value))
    return FieldSelector(tuple(terms))


def only_name(text: str) -> str:
    """The one name that a selector of fields, of whatever kind, can match; empty if it does not say.

    Raises StatusError 400.
    """
    name = next((value for path, equal, value in _field_terms(text) if equal and path == "metadata.name"), "")
    return "" if name in (".", "..") or set(name) & set("/%") else name


def _field_terms(text: str) -> list[tuple[str, bool, str]]:
    """Path, whether it must be equal, value. Raises StatusError 400."""
    terms = []
    for part in filter(None, text.split(",")):
        found = _FIELD_TERM.fullmatch(part)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        path, sign, value = found.groups()
        terms.append((path, sign != "!=", value))
    return terms


def _fields_of(kind: Kind) -> tuple[str, ...]:
    return _FIELDS.get(kind, ()) if kind.custom is None else kind.custom.selectable


def _unknown_field(kind: Kind, path: str) -> str:
    if kind is JOB:
        return f'field label "{path}" not supported for Job'
    if kind in _FIELDS or kind.custom is not None:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def _text_at(obj: Object, path: tuple[str, ...]) -> str:
    if path == ("source",):
        return str(obj.get("source", {}).get("component", ""))
    value: Json = obj
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    if isinstance(value, bool) or (value is None and path[-1] in ("unschedulable", "hostNetwork")):
        return "true" if value else "false"
    return "" if value is None else str(value)


def predicate(kind: Kind, labels: str, fields: str) -> Predicate | None:
    """What an object must be to match both; None if everything does. Raises StatusError 400."""
    by_label, by_field = parse_labels(labels), parse_fields(kind, fields)
    if not by_label.requirements and not by_field.terms:
        return None
    if not by_field.terms:
        return lambda obj: by_label.matches(obj["metadata"].get("labels") or {})
    return lambda obj: by_field.matches(obj) and by_label.matches(obj["metadata"].get("labels") or {})
