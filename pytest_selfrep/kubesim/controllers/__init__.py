"""Controllers: each brings one kind of object towards its spec."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.controllers.adoption import POD_OWNERS, REPLICA_SET_OWNERS, Adoption
from pytest_selfrep.kubesim.controllers.base import Context, Controller
from pytest_selfrep.kubesim.controllers.clusterroleaggregation import ClusterRoleAggregationController
from pytest_selfrep.kubesim.controllers.cronjob import CronJobController
from pytest_selfrep.kubesim.controllers.customresourcedefinition import CustomResourceDefinitionController
from pytest_selfrep.kubesim.controllers.daemonset import DaemonSetController
from pytest_selfrep.kubesim.controllers.deployment import DeploymentController
from pytest_selfrep.kubesim.controllers.disruption import DisruptionController
from pytest_selfrep.kubesim.controllers.endpoints import EndpointsController
from pytest_selfrep.kubesim.controllers.endpointslice import EndpointSliceController
from pytest_selfrep.kubesim.controllers.essentials import ESSENTIALS, EssentialController
from pytest_selfrep.kubesim.controllers.garbage import GarbageCollector
from pytest_selfrep.kubesim.controllers.job import JobController
from pytest_selfrep.kubesim.controllers.namespace import NamespaceController
from pytest_selfrep.kubesim.controllers.ownservice import OwnServiceController
from pytest_selfrep.kubesim.controllers.replicaset import REPLICATORS, ReplicaSetController
from pytest_selfrep.kubesim.controllers.resourcequota import ResourceQuotaController
from pytest_selfrep.kubesim.controllers.statefulset import StatefulSetController
from pytest_selfrep.kubesim.kinds import DAEMON_SET, DEPLOYMENT, POD, REPLICA_SET, STATEFUL_SET, Kind
from pytest_selfrep.kubesim.storage.binder import PersistentVolumeBinder
from pytest_selfrep.kubesim.storage.protection import ClaimProtection, VolumeProtection
from pytest_selfrep.kubesim.storage.provisioner import LocalPathProvisioner

_ADOPTERS: Mapping[Kind, str] = {
    DEPLOYMENT: "deployment-controller",
    **REPLICATORS,
    STATEFUL_SET: "statefulset-controller",
    DAEMON_SET: "daemon-set-controller",
}


def _user(name: str) -> str:
    return f"system:serviceaccount:kube-system:{name}"


def controllers(context: Context) -> tuple[Controller, ...]:
    """All workload controllers, each writing as its own service account in kube-system."""
    adopters = {kind: context.writer(_user(name)) for kind, name in _ADOPTERS.items()}
    each = (
        StatefulSetController,
        DaemonSetController,
        JobController,
        CronJobController,
        DisruptionController,
        EndpointsController,
        EndpointSliceController,
        GarbageCollector,
        ResourceQuotaController,
        PersistentVolumeBinder,
        ClaimProtection,
        VolumeProtection,
        ClusterRoleAggregationController,
    )
    return (
        # Adoption comes first: who counts what it owns must have taken it on by then.
        Adoption(context, REPLICA_SET, REPLICA_SET_OWNERS, adopters),
        Adoption(context, POD, POD_OWNERS, adopters),
        CustomResourceDefinitionController(context, "system:apiserver"),
        NamespaceController(context, _user(NamespaceController.name)),
        *(EssentialController(context, _user(name), name) for name in ESSENTIALS),
        DeploymentController(context, _user(DeploymentController.name)),
        *(ReplicaSetController(context, _user(name), kind) for kind, name in REPLICATORS.items()),
        *(one(context, _user(one.name)) for one in each),
        LocalPathProvisioner(context),
        OwnServiceController(context),
    )
