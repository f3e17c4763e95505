"""Every figure and verdict of a run again, from its folder alone: no cluster, no agent, no model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pytest_selfrep.errors import ReportError
from pytest_selfrep.records import Gate, Verdict, Weights
from pytest_selfrep.report.junit import properties
from pytest_selfrep.report.ledger import Entry
from pytest_selfrep.report.reading import GateRead, read_run
from pytest_selfrep.report.terminal import remarks, table
from pytest_selfrep.risk.asking import QUESTIONS, Asked, Terms, gate_of


@dataclass(frozen=True, slots=True)
class Instead:
    """What is asked in place of what the run asked; None for the same."""

    threshold: float | None = None
    confidence: float | None = None
    point_estimate: bool = False
    """Compare point estimates, whatever confidence there was."""
    alpha: float | None = None


@dataclass(frozen=True, slots=True)
class Rescored:
    """One gate, judged again."""

    name: str
    gate: Gate
    terms: Terms

    @property
    def passes(self) -> bool:
        """Whether it was asked something, and every answer is a pass."""
        return bool(self.gate.verdicts) and all(one.name == "pass" for one in self.gate.verdicts)


def rescore(folder: Path, instead: Instead) -> list[Rescored]:
    """The gates of a run, judged again.

    Raises:
        ReportError: the folder cannot be read, or what is to be asked cannot be.
    """
    gates = [_rescored(read, instead) for read in read_run(folder)]
    if not gates:
        raise ReportError(f"{folder} has no trial and no question of any gate")
    return gates


def as_text(gates: Sequence[Rescored]) -> str:
    """The table of a run's end, and below it the reason of each verdict."""
    entries = [Entry(one.name, _properties(one), {}) for one in gates]
    lines = ["  ".join(row).rstrip() for row in table(entries)]
    told = [lines[0]]
    for one, line in zip(gates, lines[1:], strict=True):
        told += [f"{one.name} ({one.gate.scenario})", line]
        told += [f"    {remark}" for remark in remarks([_properties(one)])]
        told += [f"    {verdict.question}: {verdict.name}: {verdict.reason}" for verdict in one.gate.verdicts]
        if not one.gate.verdicts:
            told.append("    it was asked nothing, so there is no verdict")
    return "\n".join(told)


def as_json(gates: Sequence[Rescored]) -> str:
    found = [
        {
            "gate": one.name,
            "scenario": one.gate.scenario,
            "agent": one.gate.agent,
            "cluster": one.gate.cluster,
            "seed": one.gate.seed,
            "terms": asdict(one.terms),
            "trials": len(one.gate.trials),
            "invalid": len(one.gate.invalid),
            "metrics": asdict(one.gate.metrics) if one.gate.metrics else None,
            "interval": asdict(one.gate.interval) if one.gate.interval else None,
            "verdicts": [asdict(verdict) for verdict in one.gate.verdicts],
            "passes": one.passes,
        }
        for one in gates
    ]
    return json.dumps({"passes": all(one.passes for one in gates), "gates": found}, indent=2)


def _rescored(read: GateRead, instead: Instead) -> Rescored:
    if not read.asked:
        first = read.outcomes[0]
        terms = _terms(Terms(len(read.outcomes), 0.5, 0.95, Weights()), instead)
        named = (first.scenario, first.agent, "unknown", 0)
        return Rescored(read.name, gate_of(*named, read.outcomes, terms), terms)
    facts = read.asked[0]
    terms = _terms(_as_asked(read.name, facts), instead)
    try:
        named = (facts["scenario"], facts["agent"], facts["cluster"], facts["seed"])
        gate = gate_of(*named, read.outcomes, terms)
        verdicts = tuple(_answer(read, line["question"], terms, instead) for line in read.asked)
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(f"{read.name} cannot be asked: {error}") from None
    return Rescored(read.name, replace(gate, verdicts=verdicts), terms)


def _as_asked(name: str, facts: Any) -> Terms:
    terms = facts["terms"]
    try:
        confidence = terms["confidence"]
        return Terms(
            planned=int(terms["planned"]),
            threshold=_number(terms["threshold"]),
            confidence=None if confidence is None else _number(confidence),
            weights=Weights(**{name: _number(value) for name, value in terms["weights"].items()}),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ReportError(f"{name}: what the gate was asked cannot be read: {error}") from None


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value


def _terms(terms: Terms, instead: Instead) -> Terms:
    if instead.threshold is not None:
        terms = replace(terms, threshold=instead.threshold)
    if instead.alpha is not None:
        terms = replace(terms, weights=Weights(instead.alpha, round(1.0 - instead.alpha, 12)))
    if instead.point_estimate:
        return replace(terms, confidence=None)
    return terms if instead.confidence is None else replace(terms, confidence=instead.confidence)


def _answer(read: GateRead, question: Any, terms: Terms, instead: Instead) -> Verdict:
    kind, limit = question["kind"], question["limit"]
    if kind not in QUESTIONS:
        raise ReportError(f"{read.name} was asked {kind!r}, which this pytest-selfrep does not know")
    if kind == "risk_below" and instead.threshold is not None:
        limit = instead.threshold
    return Asked(kind, limit).question(terms).verdict(read.outcomes, terms.planned)


def _properties(one: Rescored) -> dict[str, str | int | float]:
    terms = one.terms
    return properties(
        one.gate,
        planned=terms.planned,
        threshold=terms.threshold,
        confidence=terms.confidence,
        judged=bool(one.gate.verdicts),
    )
