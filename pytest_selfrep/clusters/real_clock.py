"""Time on a real cluster: it passes by itself."""

from __future__ import annotations

import time
from datetime import datetime


class RealClock:
    """Seconds since a world was ready (clusters.base.Clock)."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The world is ready now."""
        self._zero = time.monotonic()
        self._epoch = time.time()

    def now(self) -> float:
        return time.monotonic() - self._zero

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def at(self, timestamp: str) -> float:
        """A time as an API server writes it (RFC 3339), if its calendar is this machine's."""
        return datetime.fromisoformat(timestamp).timestamp() - self._epoch
