"""What the API server checks before it stores an object, in its own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_selfrep.kubesim.admission.priorityclasses import priority_class_causes
from pytest_selfrep.kubesim.customresources.definition import causes as definition_causes
from pytest_selfrep.kubesim.customresources.scalevalues import causes as scale_value_causes
from pytest_selfrep.kubesim.customresources.validation import causes as custom_causes
from pytest_selfrep.kubesim.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    CRON_JOB,
    CUSTOM_RESOURCE_DEFINITION,
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    HORIZONTAL_POD_AUTOSCALER,
    INGRESS,
    INGRESS_CLASS,
    JOB,
    LEASE,
    LIMIT_RANGE,
    NETWORK_POLICY,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    PRIORITY_CLASS,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    STORAGE_CLASS,
    Kind,
)
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.storage.checks import claim_causes, storage_class_causes, volume_causes
from pytest_selfrep.kubesim.validation.datachecks import data_causes, secret_causes
from pytest_selfrep.kubesim.validation.endpointchecks import endpoint_slice_causes, endpoints_causes
from pytest_selfrep.kubesim.validation.leasechecks import lease_causes
from pytest_selfrep.kubesim.validation.metachecks import metadata_causes
from pytest_selfrep.kubesim.validation.networkchecks import (
    ingress_causes,
    ingress_class_causes,
    network_policy_causes,
)
from pytest_selfrep.kubesim.validation.nodechecks import node_causes
from pytest_selfrep.kubesim.validation.podchecks import pod_causes
from pytest_selfrep.kubesim.validation.policychecks import (
    autoscaler_causes,
    binding_causes,
    budget_causes,
    limit_range_causes,
    quota_causes,
    role_causes,
)
from pytest_selfrep.kubesim.validation.servicechecks import service_causes
from pytest_selfrep.kubesim.validation.workloadchecks import (
    cron_job_causes,
    daemon_set_causes,
    deployment_causes,
    job_causes,
    replica_set_causes,
    replication_controller_causes,
    stateful_set_causes,
)

Check = Callable[[Object, Object | None], list[Cause]]
"""From an object and what it replaces to what is wrong with it."""

CHECKS: Mapping[Kind, Check] = {
    NODE: node_causes,
    POD: pod_causes,
    SERVICE: service_causes,
    CONFIG_MAP: data_causes,
    SECRET: secret_causes,
    RESOURCE_QUOTA: quota_causes,
    LIMIT_RANGE: limit_range_causes,
    LEASE: lease_causes,
    DEPLOYMENT: deployment_causes,
    REPLICA_SET: replica_set_causes,
    REPLICATION_CONTROLLER: replication_controller_causes,
    STATEFUL_SET: stateful_set_causes,
    DAEMON_SET: daemon_set_causes,
    JOB: job_causes,
    CRON_JOB: cron_job_causes,
    HORIZONTAL_POD_AUTOSCALER: autoscaler_causes,
    POD_DISRUPTION_BUDGET: budget_causes,
    ENDPOINTS: endpoints_causes,
    ENDPOINT_SLICE: endpoint_slice_causes,
    INGRESS: ingress_causes,
    INGRESS_CLASS: ingress_class_causes,
    NETWORK_POLICY: network_policy_causes,
    PRIORITY_CLASS: priority_class_causes,
    PERSISTENT_VOLUME: volume_causes,
    PERSISTENT_VOLUME_CLAIM: claim_causes,
    STORAGE_CLASS: storage_class_causes,
    ROLE: role_causes,
    CLUSTER_ROLE: role_causes,
    ROLE_BINDING: binding_causes,
    CLUSTER_ROLE_BINDING: binding_causes,
    CUSTOM_RESOURCE_DEFINITION: definition_causes,
}


def validate(kind: Kind, obj: Object, old: Object | None) -> list[Cause]:
    """Everything wrong with ``obj`` (defaults applied), which replaces ``old`` if that is given."""
    causes = list(metadata_causes(kind, obj["metadata"]))
    if kind.custom is not None:
        if kind.stored is not kind:
            causes += custom_causes(kind.custom.schema, obj)
            causes += scale_value_causes(kind.custom.scale, obj)
        return causes
    check = CHECKS.get(kind)
    if check is not None:
        causes += check(obj, old)
    return causes
