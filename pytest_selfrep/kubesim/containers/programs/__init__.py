"""The programs in ``/bin`` of every container."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.containers.process import Program
from pytest_selfrep.kubesim.containers.programs import (
    archive,
    conditions,
    filetools,
    lines,
    network,
    printing,
    searching,
    shells,
    system,
    viewing,
)

PROGRAMS: Mapping[str, Program] = {
    **archive.PROGRAMS,
    **conditions.PROGRAMS,
    **filetools.PROGRAMS,
    **lines.PROGRAMS,
    **network.PROGRAMS,
    **printing.PROGRAMS,
    **searching.PROGRAMS,
    **shells.PROGRAMS,
    **system.PROGRAMS,
    **viewing.PROGRAMS,
}
