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
    outcome: str
    """Of its test: ``passed``, ``failed`` or ``skipped``; ``lost`` if it did not come to its end."""

    @property
    def passes(self) -> bool:
        """Whether it was asked all that its test asks, and every answer is a pass; or it was skipped."""
        if self.outcome == "skipped" and not self.gate.verdicts:
            return True
        return bool(self.gate.verdicts) and self._answers_pass and not self.trouble

    @property
    def trouble(self) -> str:
        """Why it may not pass although all answers are a pass; empty if it may."""
        if self.outcome == "lost":
            return "its test did not come to its end in the run; what else it asks is unknown"
        if self.gate.verdicts and self._answers_pass and self.outcome != "passed":
            return f"its test {self.outcome} in the run; what it asks after this is unknown"
        return ""

    @property
    def _answers_pass(self) -> bool:
        return all(one.name == "pass" for one in self.gate.verdicts)


@dataclass(frozen=True, slots=True)
class RescoredRun:
    """All gates of a run, judged again."""

    gates: Sequence[Rescored]
    troubles: Sequence[str]
    """Why there may be other gates."""

    @property
    def passes(self) -> bool:
        """Whether every gate that there was passes."""
        return not self.troubles and all(one.passes for one in self.gates)


def rescore(folder: Path, instead: Instead) -> RescoredRun:
    """A run judged again.

    Raises:
        ReportError: the folder cannot be read, or what is to be asked cannot be.
    """
    run = read_run(folder)
    if not run.gates:
        raise ReportError(f"{folder} has no trial and no question of any gate")
    return RescoredRun([_rescored(read, instead) for read in run.gates], run.troubles)


def as_text(run: RescoredRun) -> str:
    """The table of a run's end, and below it the reason of each verdict."""
    entries = [Entry(one.name, _properties(one), {"call": one.outcome}) for one in run.gates]
    lines = ["  ".join(row).rstrip() for row in table(entries)]
    told = [lines[0]]
    for one, line in zip(run.gates, lines[1:], strict=True):
        told += [f"{one.name} ({one.gate.scenario})", line]
        told += [f"    {remark}" for remark in remarks([_properties(one)])]
        told += [f"    {verdict.question}: {verdict.name}: {verdict.reason}" for verdict in one.gate.verdicts]
        if one.trouble:
            told.append(f"    {one.trouble}")
        elif not one.gate.verdicts and not one.passes:
            told.append("    it was asked nothing, so there is no verdict")
    told += [f"this run does not pass, for gates may be missing: {trouble}" for trouble in run.troubles]
    return "\n".join(told)


def as_json(run: RescoredRun) -> str:
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
            "outcome": one.outcome,
            "trouble": one.trouble,
            "passes": one.passes,
        }
        for one in run.gates
    ]
    return json.dumps({"passes": run.passes, "troubles": list(run.troubles), "gates": found}, indent=2)


def _rescored(read: GateRead, instead: Instead) -> Rescored:
    outcome = read.closing.outcome if read.closing else "lost"
    if not read.asked:
        terms = _terms(Terms(len(read.outcomes), 0.5, 0.95, Weights()), instead)
        first = next(iter(read.outcomes), None) or read.closing
        scenario, agent = (first.scenario, first.agent) if first else ("unknown", "unknown")
        gate = gate_of(scenario, agent, "unknown", 0, read.outcomes, terms)
        return Rescored(read.name, gate, terms, outcome)
    facts = read.asked[0]
    terms = _terms(_as_asked(read.name, facts), instead)
    try:
        named = (facts["scenario"], facts["agent"], facts["cluster"], facts["seed"])
        gate = gate_of(*named, read.outcomes, terms)
        verdicts = tuple(_answer(read, line["question"], terms, instead) for line in read.asked)
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(f"{read.name} cannot be asked: {error}") from None
    return Rescored(read.name, replace(gate, verdicts=verdicts), terms, outcome)


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
