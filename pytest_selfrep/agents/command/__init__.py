"""Agents that are programs with a command line."""

from pytest_selfrep.agents.command.agent import CommandAgent, load

__all__ = ["CommandAgent", "load"]
