"""The containers of the real Kubernetes: none outlives its run for longer than until the next."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_kubernetes import OWNER, OneKubernetes, one_kubernetes, remove_orphans


def start(image: str, process: int) -> str:
    """The id of a container that does nothing, on behalf of a process of this host."""
    owner = f"{OWNER}={socket.gethostname()}/{process}"
    command = ["docker", "run", "--detach", "--label", owner, "--entrypoint", "sleep", image, "600"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def there(container: str) -> bool:
    listed = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--no-trunc"], capture_output=True, text=True, check=True
    )
    return container in listed.stdout.split()


@pytest.fixture
def dead() -> int:
    """The number of a process that was killed."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process.kill()
    process.wait()
    return process.pid


@pytest.fixture
def containers(request: pytest.FixtureRequest, dead: int) -> Iterator[tuple[str, ...]]:
    """One of a process that was killed and one of this process; none where there is no Docker."""
    image = one_kubernetes(request.config).image
    found = (start(image, dead), start(image, os.getpid())) if image else ()
    yield found
    for each in found:
        subprocess.run(["docker", "rm", "--force", "--volumes", each], capture_output=True, check=False)


def test_a_run_removes_what_killed_runs_left_behind_and_nothing_else(containers: tuple[str, ...]) -> None:
    if containers:
        remove_orphans()

    assert [there(each) for each in containers] == [False, True][: len(containers)]


def test_to_be_told_to_end_is_to_be_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(OneKubernetes, "_run", lambda self, image: None)
    try:
        OneKubernetes("none", "none", tmp_path, owned=True).start()
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
