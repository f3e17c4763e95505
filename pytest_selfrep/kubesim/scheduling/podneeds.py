"""What a pod needs of other objects before its containers can start: ConfigMaps, Secrets and claims."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_selfrep.kubesim.kinds import CONFIG_MAP, PERSISTENT_VOLUME_CLAIM, SECRET, Kind
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.storage.claims import is_bound
from pytest_selfrep.kubesim.store import Store

Need = tuple[Kind, str, str | None]
"""Kind, name and, where one is asked for, key."""


def missing_for_volumes(store: Store, pod: Object) -> str:
    """The kubelet's complaint about the first volume that cannot be mounted, or nothing."""
    namespace = pod["metadata"]["namespace"]
    for volume in pod["spec"].get("volumes") or ():
        claim = volume.get("persistentVolumeClaim")
        if claim is not None and (why := _unbound(store, Key(namespace, claim.get("claimName", "")))):
            name, wanted = volume["name"], f"{namespace}/{claim['claimName']}"
            return (
                f"Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[], "
                f"failed to process volumes=[{name}]: error processing PVC {wanted}: {why}"
            )
        for need in _of_volume(volume):
            missing = _missing(store, namespace, need)
            if missing:
                return f'MountVolume.SetUp failed for volume "{volume["name"]}" : {missing}'
    return ""


def missing_for_containers(store: Store, namespace: str, container: Object) -> str:
    """The same for a container's environment."""
    for need in _of_environment(container):
        missing = _missing(store, namespace, need)
        if missing:
            return missing
    return ""


def _unbound(store: Store, key: Key) -> str:
    claim = store.get(PERSISTENT_VOLUME_CLAIM, key)
    if claim is None:
        return f'failed to fetch PVC from API server: persistentvolumeclaims "{key.name}" not found'
    return "" if is_bound(claim) else "PVC is not bound"


def _of_volume(volume: Object) -> Iterator[Need]:
    sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
    for source in sources:
        if (config := source.get("configMap")) and not config.get("optional"):
            yield CONFIG_MAP, config.get("name", ""), None
        if (secret := source.get("secret")) and not secret.get("optional"):
            yield SECRET, secret.get("secretName") or secret.get("name", ""), None


def _of_environment(container: Object) -> Iterator[Need]:
    for source in container.get("envFrom") or ():
        for kind, field in ((CONFIG_MAP, "configMapRef"), (SECRET, "secretRef")):
            if (reference := source.get(field)) and not reference.get("optional"):
                yield kind, reference.get("name", ""), None
    for variable in container.get("env") or ():
        value_from = variable.get("valueFrom") or {}
        for kind, field in ((CONFIG_MAP, "configMapKeyRef"), (SECRET, "secretKeyRef")):
            if (reference := value_from.get(field)) and not reference.get("optional"):
                yield kind, reference.get("name", ""), reference.get("key", "")


def _missing(store: Store, namespace: str, need: Need) -> str:
    kind, name, key = need
    found = store.get(kind, Key(namespace, name))
    if found is None:
        return f'{kind.singular} "{name}" not found'
    data = {**(found.get("data") or {}), **(found.get("binaryData") or {})}
    if key is not None and key not in data:
        titled = "ConfigMap" if kind is CONFIG_MAP else "Secret"
        return f"couldn't find key {key} in {titled} {namespace}/{name}"
    return ""
