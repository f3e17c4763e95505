"""POST of ``pods/<name>/eviction``: deletion that respects PodDisruptionBudgets."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.apiserver.calls import Call, Handler
from pytest_selfrep.kubesim.apiserver.http import Response
from pytest_selfrep.kubesim.kinds import POD, POD_DISRUPTION_BUDGET
from pytest_selfrep.kubesim.nodes.podstatus import Condition, with_conditions
from pytest_selfrep.kubesim.objects import Object, is_ready, is_terminating, labels_of
from pytest_selfrep.kubesim.registry import DeleteOptions
from pytest_selfrep.kubesim.scheduling.occupancy import is_finished
from pytest_selfrep.kubesim.selectors import label_selector
from pytest_selfrep.kubesim.status import Cause, StatusError, bad_request, too_many_requests

EVICTED: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
TARGET = Condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting")
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
TOO_MANY_BUDGETS = (
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
)


def evict(call: Call) -> Response:
    """Delete the pod if its budget allows a disruption now. Raises StatusError 429 if it does not."""
    body = call.sent("Eviction", "policy/v1")
    name = body["metadata"].get("name", call.target.name)
    if name != call.target.name:
        raise bad_request(f"name in URL does not match name in Eviction object: {name}")
    pod = call.stored()
    options = _options(call, body.get("deleteOptions") or {})
    if not _needs_no_leave(pod):
        _spend(call, pod, options)
    if not options.dry_run and not is_terminating(pod) and not is_finished(pod):
        status = with_conditions(pod["status"], (TARGET,), call.backend.context.clock.timestamp())
        call.backend.registry.update_status(POD, {**pod, "status": status})
    call.backend.registry.delete(POD, call.key, options, call.user.name)
    return Response(201, EVICTED)


SUBRESOURCES: Mapping[tuple[str, str, str], Handler] = {("pods", "eviction", "create"): evict}


def _options(call: Call, sent: Object) -> DeleteOptions:
    preconditions = sent.get("preconditions") or {}
    return DeleteOptions(
        grace_seconds=sent.get("gracePeriodSeconds"),
        propagation=sent.get("propagationPolicy"),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        dry_run=call.dry_run or bool(sent.get("dryRun")),
    )


def _needs_no_leave(pod: Object) -> bool:
    """Whether no budget can count this pod as healthy."""
    return is_finished(pod) or is_terminating(pod) or pod["status"].get("phase") == "Pending"


def _spend(call: Call, pod: Object, options: DeleteOptions) -> None:
    """Take one disruption out of the pod's budget, if it has one. Raises StatusError 429 or 500."""
    budgets = [
        budget
        for budget in call.backend.context.store.list(POD_DISRUPTION_BUDGET, call.target.namespace)
        if "selector" in budget["spec"] and label_selector(budget["spec"]["selector"]).matches(labels_of(pod))
    ]
    if len(budgets) > 1:
        raise StatusError(500, "InternalError", TOO_MANY_BUDGETS)
    for budget in budgets:
        if not _may_go_unhealthy(budget, pod):
            _count(call, budget, pod, options)


def _may_go_unhealthy(budget: Object, pod: Object) -> bool:
    """Whether the budget lets a pod go because it is not Ready (``unhealthyPodEvictionPolicy``)."""
    if is_ready(pod):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    return bool(healthy >= desired > 0)


def _count(call: Call, budget: Object, pod: Object, options: DeleteOptions) -> None:
    status, name = budget.get("status") or {}, budget["metadata"]["name"]
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        message = f"The disruption budget {name} is still being processed by the server."
        raise too_many_requests(REFUSED, [Cause("DisruptionBudget", message, "")])
    allowed = status.get("disruptionsAllowed", 0)
    if allowed <= 0:
        message = (
            f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods "
            f"and has {status.get('currentHealthy', 0)} currently"
        )
        raise too_many_requests(REFUSED, [Cause("DisruptionBudget", message, "")])
    if options.dry_run:
        return
    disrupted = {
        **(status.get("disruptedPods") or {}),
        pod["metadata"]["name"]: call.backend.context.clock.timestamp(),
    }
    spent = {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": disrupted}
    call.backend.registry.update_status(POD_DISRUPTION_BUDGET, {**budget, "status": spent})
