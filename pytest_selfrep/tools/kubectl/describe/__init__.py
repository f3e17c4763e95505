"""``kubectl describe``: one page per object, with the events about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_selfrep.clusters.kube import ApiError, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.describe.access import (
    describe_binding,
    describe_role,
    describe_service_account,
)
from pytest_selfrep.tools.kubectl.describe.configuration import (
    describe_config_map,
    describe_limit_range,
    describe_namespace,
    describe_quota,
    describe_secret,
    describe_service,
)
from pytest_selfrep.tools.kubectl.describe.generic import describe_generic
from pytest_selfrep.tools.kubectl.describe.jobs import describe_cron_job, describe_job
from pytest_selfrep.tools.kubectl.describe.node import describe_node
from pytest_selfrep.tools.kubectl.describe.page import Page
from pytest_selfrep.tools.kubectl.describe.pod import describe_pod
from pytest_selfrep.tools.kubectl.describe.workloads import (
    describe_autoscaler,
    describe_daemon_set,
    describe_deployment,
    describe_disruption_budget,
    describe_replica_set,
    describe_stateful_set,
)
from pytest_selfrep.tools.kubectl.errors import fault
from pytest_selfrep.tools.kubectl.kinds import Kind
from pytest_selfrep.tools.kubectl.targets import Target, list_objects, selectors, targets

PAGES: Mapping[str, Callable[[Page, KubeObject], None]] = {
    "pods": describe_pod,
    "nodes": describe_node,
    "namespaces": describe_namespace,
    "services": describe_service,
    "configmaps": describe_config_map,
    "secrets": describe_secret,
    "resourcequotas": describe_quota,
    "limitranges": describe_limit_range,
    "serviceaccounts": describe_service_account,
    "deployments.apps": describe_deployment,
    "replicasets.apps": describe_replica_set,
    "statefulsets.apps": describe_stateful_set,
    "daemonsets.apps": describe_daemon_set,
    "jobs.batch": describe_job,
    "cronjobs.batch": describe_cron_job,
    "poddisruptionbudgets.policy": describe_disruption_budget,
    "horizontalpodautoscalers.autoscaling": describe_autoscaler,
    "roles.rbac.authorization.k8s.io": describe_role,
    "clusterroles.rbac.authorization.k8s.io": describe_role,
    "rolebindings.rbac.authorization.k8s.io": describe_binding,
    "clusterrolebindings.rbac.authorization.k8s.io": describe_binding,
}
"""What writes the page of a kind; other kinds get all their fields."""


def describe(command: Command) -> None:
    if not command.arguments:
        raise fault(
            'You must specify the type of resource to describe. Use "kubectl api-resources" for a complete '
            "list of supported resources."
        )
    found = targets(command)
    pages: list[str] = []
    for target in found:
        with command.carry_on():
            pages += [_page(command, target.kind, obj) for obj in _read(command, target)]
    command.write("\n\n".join(pages))
    if not pages and not command.errors:
        if command.switched("all-namespaces") or not found[0].kind.namespaced:
            command.remark("No resources found")
        else:
            command.remark(f"No resources found in {command.namespace} namespace.")


def _read(command: Command, target: Target) -> list[KubeObject]:
    """The named object, or those whose names begin so, or all that the selectors let through."""
    if not target.name:
        return list_objects(command, target.kind, selectors(command))
    try:
        return [command.client.get(target.kind.path(command.namespace, target.name))]
    except ApiError as error:
        if error.reason != "NotFound":
            raise
        try:
            items = list_objects(command, target.kind, {})
        except ApiError:
            raise error from None
        matching = [item for item in items if item["metadata"]["name"].startswith(target.name)]
        if not matching:
            raise
        return matching


def _page(command: Command, kind: Kind, obj: KubeObject) -> str:
    page = Page(command, kind)
    PAGES.get(kind.resource, describe_generic)(page, obj)
    return page.text()


VERBS = (
    Verb(
        "describe",
        describe,
        (f.SELECTOR, f.ALL_NAMESPACES, f.Flag("show-events", f.BOOL)),
        "describe (TYPE [NAME_PREFIX | -l label] | TYPE/NAME) [options]",
        "Show details of a specific resource or group of resources",
    ),
)
