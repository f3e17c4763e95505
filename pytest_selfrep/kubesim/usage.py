"""How much CPU and memory pods use, as the kubelets report it."""

from __future__ import annotations

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.store import Store


class Usage:
    """What pods use: load laid upon them by the embedder, plus a little that is theirs when idle."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._loads: dict[tuple[str, str], float] = {}

    def set_cpu(self, namespace: str, selector: str, cores: float) -> None:
        """Let the Ready pods that a label selector matches share ``cores`` from now on; 0 ends it."""
        self._loads[namespace, selector] = cores
