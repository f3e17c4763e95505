"""What a container's network reaches of this machine itself: two ports, where the kernel can be told so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pytest_selfrep.agents.command.reaper import IPTABLES, unfenced
from pytest_selfrep.errors import ContainerFailed

FENCE: Final = re.compile(r"^-N (agent-[0-9a-f]{12})$", re.MULTILINE)
"""A chain of rules, as it is listed."""


@contextmanager
def fenced(name: str, bridge: str, address: str, ports: Sequence[int]) -> Iterator[None]:
    """Until the block ends, let only these TCP ports of an address be reached from a bridge.

    Networks of Docker's that lead nowhere lead to their host all the same, and to whatever listens there.
    Only root with iptables can change that; elsewhere it stays so.

    Raises:
        ContainerFailed: the kernel does not take it.
    """
    if not possible():
        yield
        return
    led = (("-A", name, "-d", address, "-p", "tcp", "--dport", str(port), "-j", "ACCEPT") for port in ports)
    try:
        for rule in (
            ("-N", name),
            *led,
            ("-A", name, "-j", "DROP"),
            ("-I", "INPUT", "-i", bridge, "-j", name),
        ):
            told = subprocess.run([*IPTABLES, *rule], check=False, capture_output=True)  # noqa: S603 (ours)
            if told.returncode:
                said = told.stderr.decode(errors="replace").strip()
                raise ContainerFailed(f"the network of an agent's container cannot be fenced in: {said}")
        yield
    finally:
        unfenced(name, bridge)


def bridge_of(network: str) -> str:
    """The name of its interface here; they have at most 15 characters."""
    return f"ag-{network.rpartition('-')[2]}"


def remove_orphans() -> None:
    """Remove fences of networks that there are no more: whoever had to was killed."""
    if not possible():
        return
    told = subprocess.run([*IPTABLES, "-S"], check=False, capture_output=True, text=True)  # noqa: S603 (ours)
    for name in FENCE.findall(told.stdout):
        if not Path("/sys/class/net", bridge_of(name)).exists():
            unfenced(name, bridge_of(name))


def possible() -> bool:
    """Whether this process may tell the kernel."""
    if os.geteuid() != 0 or shutil.which(IPTABLES[0]) is None:
        return False
    # Root within a container may not.
    asked = subprocess.run([*IPTABLES, "-S", "INPUT"], check=False, capture_output=True)  # noqa: S603 (ours)
    return asked.returncode == 0
