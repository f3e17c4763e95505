"""What answers subresources, and resources that are not in the store."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.apiserver import componentstatuses, eviction, otherversions, subresources
from pytest_selfrep.kubesim.apiserver.calls import Handler, Virtual
from pytest_selfrep.kubesim.auth import reviews
from pytest_selfrep.kubesim.discovery import apiservices
from pytest_selfrep.kubesim.nodes import logs, metrics
from pytest_selfrep.kubesim.streams import handlers, proxy

SUBRESOURCES: Mapping[tuple[str, str, str], Handler] = {
    **subresources.SUBRESOURCES,
    **logs.SUBRESOURCES,
    **eviction.SUBRESOURCES,
    **handlers.SUBRESOURCES,
    **proxy.SUBRESOURCES,
}
"""(plural, subresource, verb) to what answers it; ``*`` as plural stands for all that have it."""

_COMPUTED: Mapping[tuple[str, str, str], Virtual] = {
    **reviews.VIRTUAL,
    **metrics.VIRTUAL,
    **otherversions.VIRTUAL,
    **componentstatuses.VIRTUAL,
}
VIRTUAL: Mapping[tuple[str, str, str], Virtual] = {**_COMPUTED, **apiservices.virtual(_COMPUTED)}
"""(group, version, plural) of computed resources."""
