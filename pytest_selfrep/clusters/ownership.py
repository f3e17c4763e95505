"""Whose a container or network is: labels that outlive the process, and what is left over without it."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_selfrep.clusters.docker_engine import explanation
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

_PREFIX = "pytest-selfrep."
RUN = f"{_PREFIX}run"
FOLDER_PREFIX = "kube-"
KUBECONFIG = "config"
SOCKET = "socket"
"""Names within a run's folder."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that a cluster belongs to."""

    run: str
    host: str
    space: str
    """Where its number tells the process: this boot of the machine and this PID namespace."""
    process: int
    born: str
    """Tells the process from a later one of the same number; empty where the system does not say."""
    folder: Path
    """Where the run's kubeconfig and socket are."""
    kept: bool
    """Whether the cluster shall outlive the process."""

    def labels(self) -> dict[str, str]:
        return {
            RUN: self.run,
            f"{_PREFIX}host": self.host,
            f"{_PREFIX}space": self.space,
            f"{_PREFIX}process": str(self.process),
            f"{_PREFIX}born": self.born,
            f"{_PREFIX}folder": str(self.folder),
            f"{_PREFIX}kept": "yes" if self.kept else "",
        }

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Owner:
        """Read the labels of a container."""
        number = labels.get(f"{_PREFIX}process", "")
        return cls(
            run=labels[RUN],
            host=labels.get(f"{_PREFIX}host", ""),
            space=labels.get(f"{_PREFIX}space", ""),
            process=int(number) if number.isdecimal() else 0,
            born=labels.get(f"{_PREFIX}born", ""),
            folder=Path(labels.get(f"{_PREFIX}folder", "")),
            kept=bool(labels.get(f"{_PREFIX}kept")),
        )

    @property
    def here(self) -> bool:
        """Whether it can be seen from here. Hosts may share a name, and containers their host's."""
        return self.host == socket.gethostname() and self.space in ("", _space())

    @property
    def lives(self) -> bool:
        """Whether the process still runs. Only asked of those on this host."""
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return _born(self.process) == self.born


def this_process(run: str, folder: Path, *, kept: bool) -> Owner:
    return Owner(run, socket.gethostname(), _space(), os.getpid(), _born(os.getpid()), folder, kept)


def containers(client: DockerClient, run: str = "") -> list[Container]:
    """Those of one run, or of all, whether they run or not."""
    label = f"{RUN}={run}" if run else RUN
    # Sparse: others may end while they are listed.
    found: list[Container] = client.containers.list(all=True, sparse=True, filters={"label": label})
    return found


def networks(client: DockerClient) -> list[Network]:
    """Those that were made for containers."""
    found: list[Network] = client.networks.list(filters={"label": RUN})
    return found


def owner_of(it: Container | Network) -> Owner:
    return Owner.of(it.attrs["Labels"])


def remove(container: Container) -> None:
    """With its volumes. ClusterError if it stays."""
    _remove(lambda: container.remove(force=True, v=True), f"docker rm -f -v {container.short_id}")


def _remove(act: Callable[[], None], by_hand: str) -> None:
    import docker.errors

    try:
        act()
    except docker.errors.NotFound:
        pass
    except docker.errors.DockerException as error:
        gone_already = getattr(getattr(error, "response", None), "status_code", 0) == 409
        if not gone_already:
            raise ClusterError(
                f"Docker does not do as it should: {explanation(error)}; remove what stays with {by_hand}"
            ) from error


def remove_orphans(client: DockerClient) -> list[str]:
    """Remove what runs on this host left when they were killed; its names."""
    return [
        _sweep(it, owner)
        for it in (*containers(client), *networks(client))
        if (owner := owner_of(it)).here and not owner.kept and not owner.lives
    ]


def remove_leftovers(client: DockerClient, *, elsewhere: bool) -> tuple[list[str], list[str]]:
    """Remove what belongs to a run that is over, kept or not; with ``elsewhere``, of other hosts as well.

    Returns what was removed, and what was left alone with the reason.
    """
    removed, left = [], []
    for it in (*containers(client), *networks(client)):
        owner = owner_of(it)
        if owner.here and owner.lives:
            left.append(f"{it.short_id}: its run still goes on (process {owner.process})")
        elif not owner.here and not elsewhere:
            left.append(f"{it.short_id}: started on host {owner.host}; --all removes it too")
        else:
            removed.append(_sweep(it, owner))
    return removed, left


def clear(folder: Path) -> None:
    """Remove a run's folder: only what a run puts there, for its name may come from a label."""
    if folder.parent != Path(tempfile.gettempdir()) or not folder.name.startswith(FOLDER_PREFIX):
        return
    with contextlib.suppress(OSError):
        for name in (KUBECONFIG, SOCKET):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _sweep(it: Container | Network, owner: Owner) -> str:
    from docker.models.networks import Network

    # These come last, when what was in them is gone.
    if isinstance(it, Network):
        _remove(it.remove, f"docker network rm {it.short_id}")
    else:
        remove(it)
    if owner.here:
        clear(owner.folder)
    return str(it.short_id)


def _space() -> str:
    """Empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _born(process: int) -> str:
    """Its start in clock ticks since the machine's (proc(5), field 22); empty for a zombie."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    state, *fields = text.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]
