"""Runs of pytest in processes of their own, and what each of them has in Docker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import docker

from pytest_selfrep.clusters.ownership import containers, owner_of

PATIENCE = 280
"""Seconds after which a run that should have ended counts as hanging."""


class Runs:
    """A folder with a suite, its runs, and what each of them has in Docker."""

    def __init__(self, folder: Path, image: str) -> None:
        self.folder = folder
        self._image = image
        self._docker = docker.from_env()
        self._started: list[subprocess.Popen[str]] = []

    def write(self, text: str, to: str = "test_suite.py") -> None:
        (self.folder / to).write_text(text, encoding="utf-8")

    def start(self, *options: str, image: str = "") -> subprocess.Popen[str]:
        # What would help a process in a container is not set: it has to find out for itself.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TESTCONTAINERS_CONN")
        }
        self._started.append(
            subprocess.Popen(
                [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--selfrep-cluster=k3s", *options],
                cwd=self.folder,
                env={**environment, "SELFREP_K3S_IMAGE": image or self._image},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return self._started[-1]

    def finish(self, process: subprocess.Popen[str]) -> str:
        output, _ = process.communicate(timeout=PATIENCE)
        return output

    def await_container(self, process: subprocess.Popen[str]) -> None:
        """Until a run has one."""
        until(lambda: self.containers(process) or process.poll() is not None)
        assert self.containers(process), process.communicate()[0]

    def containers(self, process: subprocess.Popen[str]) -> list[str]:
        return [str(each.id) for each in containers(self._docker) if owner_of(each).process == process.pid]

    def kubeconfigs(self, process: subprocess.Popen[str]) -> Path:
        """Where the run has its kubeconfig."""
        (mine,) = (own for each in containers(self._docker) if (own := owner_of(each)).process == process.pid)
        return mine.folder

    def seen(self) -> list[str]:
        """Lines that tests wrote to the file ``seen``."""
        path = self.folder / "seen"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        self._docker.close()


def until(true: Callable[[], object]) -> None:
    patience = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < patience
        time.sleep(0.1)
