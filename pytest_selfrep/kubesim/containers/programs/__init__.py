"""The programs in ``/bin`` of every container."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.containers.process import Program
from pytest_selfrep.kubesim.containers.programs import archive, filetools, lines, network, shells, system

PROGRAMS: Mapping[str, Program] = {
    **archive.PROGRAMS,
    **filetools.PROGRAMS,
    **lines.PROGRAMS,
    **network.PROGRAMS,
    **shells.PROGRAMS,
    **system.PROGRAMS,
}
