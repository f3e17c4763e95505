"""The tool ``kubectl``: kubectl's commands over the agent's own client, with kubectl's words."""

from __future__ import annotations

from pytest_selfrep.tools.kubectl.tool import Kubectl

__all__ = ["Kubectl"]
