"""Admission: what the API server adds to a valid request, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from pytest_selfrep.kubesim.admission import limitranges, podsecurity, priorityclasses, quotas
from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.kinds import (
    INGRESS,
    INGRESS_CLASS,
    LIMIT_RANGE,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    PRIORITY_CLASS,
    RESOURCE_QUOTA,
    SERVICE,
    SERVICE_ACCOUNT,
    Kind,
)
from pytest_selfrep.kubesim.names import suffix_of
from pytest_selfrep.kubesim.objects import Key, Object, is_terminating
from pytest_selfrep.kubesim.scheduling import podresources
from pytest_selfrep.kubesim.status import StatusError, forbidden, invalid, not_found
from pytest_selfrep.kubesim.storage import checks, claims, protection
from pytest_selfrep.kubesim.store import Store
from pytest_selfrep.kubesim.validation.podchecks import ephemeral_causes
from pytest_selfrep.kubesim.validation.validate import validate

Operation = Literal["CREATE", "UPDATE", "DELETE"]

TERMINATING = "NamespaceTerminating"
"""The cause by which a client knows that a namespace takes nothing new."""

_IMMORTAL = ("default", "kube-system", "kube-public")
_DEFAULT_INGRESS_CLASS = "ingressclass.kubernetes.io/is-default-class"
_TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
_TOKEN_SECONDS = 3607
_NAMESPACE_FILE = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
_TOKEN_VOLUME: Object = {
    "sources": [
        {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [_NAMESPACE_FILE]}},
    ],
    "defaultMode": 0o644,
}
"""Shared by all pods, as nothing that is stored is changed in place."""
_NODE_TROUBLE_SECONDS = 300
_GROWING = (SERVICE, PERSISTENT_VOLUME_CLAIM)
"""Kinds whose objects may come to take more of a quota."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A write that is about to be stored (admission.k8s.io/v1 AdmissionRequest)."""

    operation: Operation
    kind: Kind
    subresource: str
    """Empty for the object itself."""
    obj: Object
    """As it would be stored, name and defaults included; the caller's own. For DELETE, the stored object."""
    old: Object | None
    user: str
    store: Store
    clock: Clock
    dry_run: bool = False

    @property
    def name(self) -> str:
        return str(self.obj["metadata"].get("name", ""))

    @property
    def namespace(self) -> str:
        return str(self.obj["metadata"].get("namespace", ""))


Plugin = Callable[[Admission], None]


def admit(request: Admission) -> Object:
    """Run the mutating plugins, validation, and the validating plugins, in the API server's order.

    Gives the object to store, which is ``request.obj`` changed in place. Raises StatusError: 422 from
    validation, 403 (or 404 for a missing namespace) from plugins. Callers have no need to call
    :func:`validate` themselves.
    """
    if request.operation == "DELETE":
        _survives(request)
        return request.obj
    if request.subresource == "ephemeralcontainers" and request.old is not None:
        _ephemeral_containers(request, request.old)
        return request.obj
    # Schedulers and kubelets reckon with the status of nodes, so what it says must make sense.
    if request.subresource and request.kind is not NODE and request.kind.custom is None:
        return request.obj
    creating = request.operation == "CREATE"
    if creating:
        _namespace_lives(request)
        if request.kind is POD:
            for plugin in _POD_MUTATING:
                plugin(request)
        elif request.kind is INGRESS:
            _ingress_class(request)
        elif request.kind is PERSISTENT_VOLUME_CLAIM or request.kind is PERSISTENT_VOLUME:
            _storage(request)
    causes = validate(request.kind, request.obj, request.old)
    if causes:
        raise invalid(request.kind, request.name, causes)
    if request.kind is PERSISTENT_VOLUME_CLAIM:
        _claim_limits(request)
        if request.old is not None:
            _resize(request, request.old)
    if request.kind is PRIORITY_CLASS and request.obj.get("globalDefault"):
        _only_default(request)
    if creating and request.kind is POD:
        _limits(request, limitranges.broken_by_pod)
        _pod_security(request)
    if request.kind.namespaced and (creating or request.kind in _GROWING):
        _quota(request)
    return request.obj


def _ephemeral_containers(request: Admission, old: Object) -> None:
    causes = ephemeral_causes(request.obj["spec"], old["spec"])
    if causes:
        raise invalid(request.kind, request.name, causes)
    _pod_security(request)


def _refusal(request: Admission, why: str) -> StatusError:
    return forbidden(request.kind, request.name, why)


def _survives(request: Admission) -> None:
    if request.kind is NAMESPACE and request.name in _IMMORTAL:
        raise _refusal(request, "this namespace may not be deleted")
    if request.kind is PRIORITY_CLASS and priorityclasses.is_built_in(request.name):
        raise _refusal(request, "this is a system priority class and cannot be deleted")


def _namespace_lives(request: Admission) -> None:
    """NamespaceLifecycle."""
    if not request.kind.namespaced:
        return
    namespace = request.store.get(NAMESPACE, Key("", request.namespace))
    if namespace is None:
        raise not_found(NAMESPACE, request.namespace)
    if is_terminating(namespace):
        why = f"unable to create new content in namespace {request.namespace} because it is being terminated"
        error = _refusal(request, why)
        message = f"namespace {request.namespace} is being terminated"
        cause = {"reason": TERMINATING, "message": message, "field": "metadata.namespace"}
        error.details = {**(error.details or {}), "causes": [cause]}
        raise error


def _limit_defaults(request: Admission) -> None:
    if request.store.count(LIMIT_RANGE, request.namespace):
        limitranges.fill(request.obj, request.store.list(LIMIT_RANGE, request.namespace))


def _limits(request: Admission, broken_by: Callable[[Object, Iterable[Object]], list[str]]) -> None:
    """LimitRanger."""
    if not request.store.count(LIMIT_RANGE, request.namespace):
        return
    found = broken_by(request.obj, request.store.list(LIMIT_RANGE, request.namespace))
    if found:
        raise _refusal(request, found[0] if len(found) == 1 else f"[{', '.join(found)}]")


def _claim_limits(request: Admission) -> None:
    """LimitRanger, for claims, which may grow later; those that are being deleted are left in peace."""
    if request.old is None or not is_terminating(request.old):
        _limits(request, limitranges.broken_by_claim)


def _service_account(request: Admission) -> None:
    """ServiceAccount: the namespace's default one unless a pod names another, which must exist."""
    spec = request.obj["spec"]
    name = spec.get("serviceAccountName") or "default"
    account = request.store.get(SERVICE_ACCOUNT, Key(request.namespace, name))
    if account is None:
        why = (
            f'error looking up service account {request.namespace}/{name}: serviceaccount "{name}" not found'
        )
        raise _refusal(request, why)
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    asked = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken"))
    if asked is not False:
        _mount_token(request)


def _mount_token(request: Admission) -> None:
    spec = request.obj["spec"]
    containers = [*(spec.get("initContainers") or ()), *spec.get("containers", ())]
    missing = [
        container
        for container in containers
        if all(mount.get("mountPath") != _TOKEN_MOUNT for mount in container.get("volumeMounts") or ())
    ]
    if not missing:
        return
    volume = f"kube-api-access-{suffix_of(request.obj['metadata']['uid'])}"
    for container in missing:
        mount = {"name": volume, "readOnly": True, "mountPath": _TOKEN_MOUNT}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
    spec["volumes"] = [*(spec.get("volumes") or ()), {"name": volume, "projected": _TOKEN_VOLUME}]


def _priority(request: Admission) -> None:
    """Priority."""
    spec = request.obj["spec"]
    resolved = priorityclasses.resolve(request.store, spec.get("priorityClassName") or "")
    if resolved is None:
        raise _refusal(request, f"no PriorityClass with name {spec['priorityClassName']} was found")
    name, priority, policy = resolved
    if name:
        spec["priorityClassName"] = name
    for field, found, said in (
        ("priority", priority, "integer value of priority"),
        ("preemptionPolicy", policy, "string value of PreemptionPolicy"),
    ):
        if spec.setdefault(field, found) != found:
            why = f"the {said} ({spec[field]}) must not be provided in pod spec; "
            why += f"priority admission controller computed {found} from the given PriorityClass name"
            raise _refusal(request, why)


def _ingress_class(request: Admission) -> None:
    """DefaultIngressClass: the newest class that is marked as default; the annotation is the older way."""
    spec, annotations = request.obj["spec"], request.obj["metadata"].get("annotations") or {}
    if spec.get("ingressClassName") is not None or "kubernetes.io/ingress.class" in annotations:
        return
    defaults = [
        each["metadata"]
        for each in request.store.list(INGRESS_CLASS)
        if (each["metadata"].get("annotations") or {}).get(_DEFAULT_INGRESS_CLASS) == "true"
    ]
    if defaults:
        newest = max(meta["creationTimestamp"] for meta in defaults)
        spec["ingressClassName"] = min(
            meta["name"] for meta in defaults if meta["creationTimestamp"] == newest
        )


def _storage(request: Admission) -> None:
    """DefaultStorageClass, and StorageObjectInUseProtection."""
    spec, annotations = request.obj["spec"], claims.annotations_of(request.obj)
    protection.protect(request.kind, request.obj)
    if request.kind is PERSISTENT_VOLUME_CLAIM and claims.CLASS not in annotations:
        name = claims.default_class(request.store) if spec.get("storageClassName") is None else None
        if name is not None:
            spec["storageClassName"] = name


def _resize(request: Admission, old: Object) -> None:
    """PersistentVolumeClaimResize."""
    why = checks.resize_refusal(request.obj, old, claims.class_object(request.store, old))
    if why:
        raise _refusal(request, why)


def _only_default(request: Admission) -> None:
    """Priority, for classes."""
    found = priorityclasses.default(request.store)
    if found is not None and found["metadata"]["name"] != request.name:
        why = f"PriorityClass {found['metadata']['name']} is already marked as default. "
        raise _refusal(request, f"{why}Only one default can exist")


def _tolerations(request: Admission) -> None:
    """DefaultTolerationSeconds: pods outlast short troubles of their node."""
    spec = request.obj["spec"]
    present = spec.get("tolerations") or []
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if any(
            each.get("key") in (None, "", key) and each.get("effect") in (None, "", "NoExecute")
            for each in present
        ):
            continue
        added = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _NODE_TROUBLE_SECONDS}
        present = [*present, {"key": key, **added}]
    spec["tolerations"] = present


def _quality_of_service(request: Admission) -> None:
    request.obj["status"]["qosClass"] = podresources.quality_of_service(request.obj["spec"])


_POD_MUTATING: tuple[Plugin, ...] = (
    _limit_defaults,
    _service_account,
    _priority,
    _tolerations,
    _quality_of_service,
)


def _pod_security(request: Admission) -> None:
    """PodSecurity."""
    namespace = request.store.get(NAMESPACE, Key("", request.namespace))
    why = podsecurity.violation(request.obj["spec"], namespace) if namespace is not None else None
    if why is not None:
        raise _refusal(request, why)


def _quota(request: Admission) -> None:
    """ResourceQuota: refuses what would exceed one, and charges all of them at once."""
    if not request.store.count(RESOURCE_QUOTA, request.namespace):
        return
    covering = [
        quota
        for quota in request.store.list(RESOURCE_QUOTA, request.namespace)
        if quotas.covers(quota, request.kind, request.obj)
    ]
    wanted = quotas.growth(request.kind, request.obj, request.old) if covering else {}
    for quota in covering if wanted else ():
        name = quota["metadata"]["name"]
        unsaid = quotas.unsaid(quota, request.obj) if request.kind is POD else ""
        if unsaid:
            raise _refusal(request, f"failed quota: {name}: must specify {unsaid}")
        too_much = quotas.exceeded(quotas.status_of(request.store, quota), wanted)
        if too_much:
            raise _refusal(request, f"exceeded quota: {name}, {too_much}")
    if not request.dry_run:
        for quota in covering:
            quotas.charge(request.store, quota, wanted)
