"""``pods/proxy`` and ``services/proxy``: HTTP through the API server to what listens in a pod."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.apiserver.calls import Call, Handler
from pytest_selfrep.kubesim.apiserver.http import Response
from pytest_selfrep.kubesim.containers.network import REFUSED, endpoints, listener, respond, target_port
from pytest_selfrep.kubesim.kinds import POD, SERVICE, Kind
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.status import StatusError, not_found

VERBS = ("create", "delete", "get", "patch", "update")


def to_pod(call: Call) -> Response:
    """Raises StatusError if there is no such pod or nothing listens."""
    name, port = _named(call)
    pod = _found(call, POD, name)
    ports = [each["containerPort"] for one in pod["spec"]["containers"] for each in one.get("ports") or ()]
    if not port and not ports:
        port = "80"
    return _through(call, pod, int(port) if port.isdigit() else int(ports[0]))


def to_service(call: Call) -> Response:
    """Raises StatusError if there is no such Service, no pod is ready behind it, or nothing listens."""
    name, wanted = _named(call)
    service = _found(call, SERVICE, name)
    ports = service["spec"].get("ports") or []
    chosen = next((each for each in ports if wanted in (each.get("name"), str(each["port"]))), None)
    if chosen is None and not wanted and len(ports) == 1:
        chosen = ports[0]
    if chosen is None:
        raise _unavailable(f'no service port "{wanted}" found for service "{name}"')
    pods = endpoints(call.backend.context.store, service)
    if not pods:
        raise _unavailable(f'no endpoints available for service "{call.target.name}"')
    return _through(call, pods[0], target_port(pods[0], chosen))


def _named(call: Call) -> tuple[str, str]:
    """Name and port of ``[scheme:]name[:port]``."""
    parts = call.target.name.split(":")
    if len(parts) == 3:
        parts = parts[1:]
    return parts[0], parts[1] if len(parts) == 2 else ""


def _found(call: Call, kind: Kind, name: str) -> Object:
    found = call.backend.context.store.get(kind, Key(call.target.namespace, name))
    if found is None:
        raise not_found(kind, name)
    return found


def _through(call: Call, pod: Object, port: int) -> Response:
    if not call.target.below:
        return Response(301, "", "text/plain", headers={"Location": f"{call.request.path}/"})
    container = listener(call.backend.runtime.serves, pod, port)
    if container is None:
        address = (pod.get("status") or {}).get("podIP", "")
        raise _unavailable(
            f"error trying to reach service: dial tcp {address}:{port}: connect: {REFUSED.lower()}"
        )
    answer = respond(container, call.target.below)
    return Response(answer.status, answer.body.decode(), answer.content_type)


def _unavailable(why: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", why)


SUBRESOURCES: Mapping[tuple[str, str, str], Handler] = {
    (plural, "proxy", verb): handler
    for plural, handler in (("pods", to_pod), ("services", to_service))
    for verb in VERBS
}
