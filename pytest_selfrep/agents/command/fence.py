"""What a container's network reaches of this machine itself: two ports, where the kernel can be told so."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pytest_selfrep.agents.command.reaper import IPTABLES, unfenced


@contextmanager
def fenced(name: str, bridge: str, address: str, ports: Sequence[int]) -> Iterator[None]:
    """Until the block ends, let only these TCP ports of an address be reached from a bridge.

    Networks of Docker's that lead nowhere lead to their host all the same, and to whatever listens there.
    Only root with iptables can change that; elsewhere it stays so.
    """
    if not possible():
        yield
        return
    led = ",".join(map(str, ports))
    try:
        for rule in (
            ("-N", name),
            ("-A", name, "-d", address, "-p", "tcp", "-m", "multiport", "--dports", led, "-j", "ACCEPT"),
            ("-A", name, "-j", "DROP"),
            ("-I", "INPUT", "-i", bridge, "-j", name),
        ):
            subprocess.run([*IPTABLES, *rule], check=True, capture_output=True)  # noqa: S603 (ours)
        yield
    finally:
        unfenced(name, bridge)


def possible() -> bool:
    """Whether this process may tell the kernel."""
    if os.geteuid() != 0 or shutil.which(IPTABLES[0]) is None:
        return False
    # Root within a container may not.
    asked = subprocess.run([*IPTABLES, "-S", "INPUT"], check=False, capture_output=True)  # noqa: S603 (ours)
    return asked.returncode == 0
