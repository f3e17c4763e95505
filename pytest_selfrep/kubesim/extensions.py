"""What answers subresources and resources that are not in the store."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim import eviction, logs, metrics
from pytest_selfrep.kubesim.calls import Handler, Virtual
from pytest_selfrep.kubesim.subresources import SUBRESOURCES as OWN_SUBRESOURCES

SUBRESOURCES: Mapping[tuple[str, str, str], Handler] = {
    **OWN_SUBRESOURCES,
    **eviction.SUBRESOURCES,
    **logs.SUBRESOURCES,
}
"""(plural, subresource, verb) to what answers it; ``*`` is any plural that has the subresource."""

VIRTUAL: Mapping[tuple[str, str, str], Virtual] = {**metrics.VIRTUAL}
"""(group, version, plural) of computed resources."""
