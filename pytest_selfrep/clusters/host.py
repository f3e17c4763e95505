"""Who owns the cluster of a run: the process that runs the tests alone, or the controller of xdist's workers.

It starts when it is first asked for, once for all who ask, and ends with its owner in every ending.
"""

from __future__ import annotations

import atexit
import secrets
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pytest_selfrep.clusters import k3s
from pytest_selfrep.clusters.k3s import K3s
from pytest_selfrep.clusters.ownership import FOLDER_PREFIX, clear, this_process
from pytest_selfrep.errors import ClusterError


class Host(Protocol):
    """Gives out the run's cluster. Threads may share it."""

    def server(self) -> K3s:
        """The cluster, started if need be. ClusterError, the same for all who ask, if there is none."""

    def lost(self, cluster: K3s) -> K3s:
        """Say that a cluster no longer answers; returns the one to go on with.

        The same again if it lives after all. A dead one is replaced by an empty one, once in a run.

        Raises:
            ClusterError: it died and cannot be replaced. It says how it died.
        """

    def close(self) -> None: ...


class Owning:
    """The host in the process that the container belongs to."""

    def __init__(self, image: str, *, keep: bool) -> None:
        self._image = image
        self._keep = keep
        self._run = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._folder: Path | None = None
        self._cluster: K3s | None = None
        self._failure: str | None = None
        self._began = False
        self._replaced = False

    @property
    def folder(self) -> Path:
        """The run's own, which nobody else can read. Made when first asked for."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        return self._folder

    @property
    def kept(self) -> K3s | None:
        """The cluster that stays when this process ends."""
        return self._cluster if self._keep else None

    def server(self) -> K3s:
        with self._lock:
            return self._current()

    def lost(self, cluster: K3s) -> K3s:
        with self._lock:
            current = self._current()
            if current.id != cluster.id:
                return current
            why = k3s.post_mortem(current)
            if why is None:
                return current
            if self._replaced:
                self._failure = f"the cluster died, and so did its replacement: {why}"
                raise ClusterError(self._failure)
            self._replaced = True
            self._cluster = None
            k3s.stop(self._run)
            current.kubeconfig.unlink(missing_ok=True)
            return self._current()

    def close(self) -> None:
        """Remove the cluster, even one that is about to start, unless it is to be kept.

        Raises:
            ClusterError: it cannot be removed.
        """
        self._ending.set()
        with self._lock:
            failed, self._failure = self._failure, "the run is over"
            if self._folder is None or self.kept:
                atexit.unregister(self.close)
                return
            try:
                if self._began:
                    k3s.stop(self._run)
            except ClusterError:
                # What did not come up for want of Docker has left nothing in it.
                if failed is None:
                    raise
            clear(self._folder)
            atexit.unregister(self.close)
            self._cluster = self._folder = None

    def _current(self) -> K3s:
        if self._failure is not None:
            raise ClusterError(self._failure)
        if self._cluster is None:
            self._cluster = self._start()
        return self._cluster

    def _start(self) -> K3s:
        self._began = True
        # Should nobody get to close this, for pytest itself breaks down.
        atexit.register(self.close)
        owner = this_process(self._run, self.folder, kept=self._keep)
        try:
            return k3s.start(self._image, owner, self._ending)
        except ClusterError as error:
            self._failure = str(error)
            raise


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a run as Ctrl-C does: else pytest would not get to tidy up."""
    mine = threading.current_thread() is threading.main_thread()
    taken = [
        each for each in (signal.SIGTERM, signal.SIGHUP) if mine and signal.getsignal(each) is signal.SIG_DFL
    ]
    for each in taken:
        signal.signal(each, signal.default_int_handler)
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)
