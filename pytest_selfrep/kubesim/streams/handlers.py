"""What answers ``pods/exec``, ``pods/attach`` and ``pods/portforward``: a session, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.apiserver.calls import Call, Handler
from pytest_selfrep.kubesim.apiserver.http import Response
from pytest_selfrep.kubesim.streams.asked import asked_of, running_of
from pytest_selfrep.kubesim.streams.attach import Attach
from pytest_selfrep.kubesim.streams.execute import Exec
from pytest_selfrep.kubesim.streams.portforward import forward


def execute(call: Call) -> Response:
    """Raises StatusError before anything is upgraded."""
    pod = call.stored()
    asked = asked_of(call, pod, "PodExecOptions")
    running = running_of(call, pod, asked.container)
    return Response(101, session=Exec(call.backend.context.clock, running, asked))


def attach(call: Call) -> Response:
    """Raises StatusError before anything is upgraded."""
    pod = call.stored()
    asked = asked_of(call, pod, "PodAttachOptions")
    running = running_of(call, pod, asked.container)
    full_name = f"{call.key.name}_{call.key.namespace}"
    return Response(101, session=Attach(call.backend.context.clock, full_name, running, asked))


SUBRESOURCES: Mapping[tuple[str, str, str], Handler] = {
    ("pods", "attach", "create"): attach,
    ("pods", "attach", "get"): attach,
    ("pods", "exec", "create"): execute,
    ("pods", "exec", "get"): execute,
    ("pods", "portforward", "create"): forward,
    ("pods", "portforward", "get"): forward,
}
