"""What an agent may do: one tool a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_selfrep.tools.base import Tool


def toolbox(*, shell: bool = False) -> dict[str, Tool]:
    """The tools of one trial, by name. A new box each time: kubectl remembers what its server serves.

    ``shell``: with that tool among them, which takes a container to run in.
    """
    from pytest_selfrep.tools.finish import Finish
    from pytest_selfrep.tools.kubectl import Kubectl
    from pytest_selfrep.tools.shell import Shell
    from pytest_selfrep.tools.wait import Wait

    tools: tuple[Tool, ...] = (Kubectl(), *([Shell()] if shell else ()), Wait(), Finish())
    return {tool.name: tool for tool in tools}
