"""What is checked of probes, and of what runs when a container starts and before it stops."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import (
    at_least,
    forbidden,
    invalid,
    one_of,
    port,
    port_name,
    required,
)

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
PROBED = frozenset(("lifecycle", *_PROBES))
"""The fields of a container that are checked here."""
_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_NOT_INIT = "may not be set for init containers without restartPolicy=Always"
_HEADER = "[-A-Za-z0-9]+"
_HEADER_RULE = (
    "a valid HTTP header must consist of alphanumeric characters or '-' "
    f"(e.g. 'X-Header-Name', regex used for validation is '{_HEADER}')"
)
_NO_SLEEP = (
    "must be greater than 0 and less than terminationGracePeriodSeconds ({}). "
    "Enable AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep."
)


def probe_causes(container: Object, at: str, grace: int) -> Iterable[Cause]:
    """The lifecycle and the probes of a container that runs as long as its pod.

    ``grace``: the seconds that the pod has to end.
    """
    lifecycle = container.get("lifecycle")
    if lifecycle is not None:
        for hook in ("postStart", "preStop"):
            if lifecycle.get(hook) is not None:
                yield from _handler_causes(lifecycle[hook], f"{at}.lifecycle.{hook}", grace)
    for field in _PROBES:
        probe = container.get(field)
        if probe is not None:
            yield from _probe_causes(probe, f"{at}.{field}", field, grace)


def init_probe_causes(container: Object, at: str) -> Iterable[Cause]:
    """The same of an init container that ends before its pod's others begin: it has none."""
    for field in ("lifecycle", *_PROBES):
        if container.get(field) is not None:
            yield forbidden(f"{at}.{field}", _NOT_INIT)


def _probe_causes(probe: Object, at: str, field: str, grace: int) -> Iterable[Cause]:
    yield from _handler_causes(probe, at, grace)
    for name in _NUMBERS:
        yield from at_least(f"{at}.{name}", probe.get(name))
    own_grace = probe.get("terminationGracePeriodSeconds")
    if own_grace is not None and own_grace <= 0:
        yield invalid(f"{at}.terminationGracePeriodSeconds", own_grace, "must be greater than 0")
    if field == "readinessProbe":
        if own_grace is not None:
            why = "must not be set for readinessProbes"
            yield invalid(f"{at}.terminationGracePeriodSeconds", own_grace, why)
    elif probe.get("successThreshold") != 1:
        yield invalid(f"{at}.successThreshold", probe.get("successThreshold", 0), "must be 1")


def _handler_causes(handler: Object, at: str, grace: int) -> Iterable[Cause]:
    given = [name for name in _HANDLERS if handler.get(name) is not None]
    if not given:
        yield required(at, "must specify a handler type")
        return
    first, *others = given
    yield from _HANDLERS[first](handler[first], f"{at}.{first}", grace)
    for name in others:
        yield forbidden(f"{at}.{name}", "may not specify more than 1 handler type")


def _exec(action: Object, at: str, _grace: int) -> Iterable[Cause]:
    if not action.get("command"):
        yield required(f"{at}.command")


def _http_get(action: Object, at: str, grace: int) -> Iterable[Cause]:
    yield from _port(action, at, grace)
    yield from one_of(f"{at}.scheme", action["scheme"], ("HTTP", "HTTPS"))
    for header in action.get("httpHeaders") or ():
        name = header.get("name") or ""
        if not re.fullmatch(_HEADER, name):
            yield invalid(f"{at}.httpHeaders", name, _HEADER_RULE)


def _port(action: Object, at: str, _grace: int) -> Iterable[Cause]:
    wanted = action.get("port", 0)
    if isinstance(wanted, str):
        for why in port_name(wanted):
            yield invalid(f"{at}.port", wanted, why)
    else:
        yield from port(f"{at}.port", wanted)


def _sleep(action: Object, at: str, grace: int) -> Iterable[Cause]:
    seconds = action.get("seconds") or 0
    if not 0 < seconds <= grace:
        yield invalid(at, seconds, _NO_SLEEP.format(grace))


_HANDLERS: Mapping[str, Callable[[Object, str, int], Iterable[Cause]]] = {
    "exec": _exec,
    "httpGet": _http_get,
    "tcpSocket": _port,
    "grpc": _port,
    "sleep": _sleep,
}
