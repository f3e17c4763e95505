"""YAML that an agent has written, as it is written to clusters: how much of it is too much to read."""

from __future__ import annotations

from pytest_selfrep.kubesim.decoding.growth import TooMuch, check_growth

__all__ = ["TooMuch", "check_growth"]
