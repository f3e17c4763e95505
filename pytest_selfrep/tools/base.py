"""What a tool is: one way in which an agent may act on the cluster, with its own credential only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from pytest_selfrep.clusters.base import Clock, Toolbox
    from pytest_selfrep.clusters.kube import KubeClient

JsonSchema: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Hands:
    """What a tool works with."""

    client: KubeClient
    """Speaks with the credential of the agent's ServiceAccount."""
    clock: Clock
    namespace: str
    """The namespace of the agent's own kubeconfig context."""
    service_account: str
    """The agent's user name: ``system:serviceaccount:<namespace>:<name>``."""
    toolbox: Toolbox | None = None
    """Where the agent's shell is, if it has one."""
    files: Callable[[str], bytes] | None = None
    """Reads a file by its path, for tools that run where there are any. Raises OSError."""


class Tool(Protocol):
    """One tool. Bad arguments and refusals are answers for the agent to read, never exceptions."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str:
        """For the agent to read."""

    @property
    def parameters(self) -> JsonSchema:
        """JSON Schema of the arguments, all strings or numbers."""

    def __call__(self, hands: Hands, arguments: Mapping[str, object]) -> str:
        """Act and say what came of it, as the agent would read it in a terminal.

        Raises:
            Finished: the agent declares its task done.
            ClusterError: the cluster cannot be reached; the trial is invalid.
        """


class Finished(Exception):
    """The agent has declared its task done."""

    def __init__(self, summary: str) -> None:
        super().__init__(summary)
        self.summary = summary
