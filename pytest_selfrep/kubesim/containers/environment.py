"""The environment that a kubelet gives to a container."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.kinds import CONFIG_MAP, SECRET, SERVICE, Kind
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.store import Store

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_REFERENCE = re.compile(r"\$(\$|\(([-._a-zA-Z][-._a-zA-Z0-9]*)\))")
_FIELD = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")

Sources = Mapping[tuple[str, str], Object]
"""ConfigMaps and Secrets by kind and name, as they were when the container started."""


def sources_of(store: Store, namespace: str, container: Object) -> Sources:
    """What the environment of a container is taken from; nothing for most."""
    found: dict[tuple[str, str], Object] = {}
    for kind, name in _references(container):
        obj = store.get(kind, Key(namespace, name))
        if obj is not None:
            found[kind.kind, name] = obj
    return found


def _references(container: Object) -> Iterator[tuple[Kind, str]]:
    for source in container.get("envFrom") or ():
        for field, kind in (("configMapRef", CONFIG_MAP), ("secretRef", SECRET)):
            if source.get(field):
                yield kind, source[field].get("name", "")
    for variable in container.get("env") or ():
        for field, kind in (("configMapKeyRef", CONFIG_MAP), ("secretKeyRef", SECRET)):
            reference = (variable.get("valueFrom") or {}).get(field)
            if reference:
                yield kind, reference.get("name", "")


def environment(
    store: Store, pod: Object, container: Object, sources: Sources, hostname: str
) -> dict[str, str]:
    """Names and values in the order in which a container has them."""
    links = _services(store, pod)
    result: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        result.update(_all_of(source, sources))
    for variable in container.get("env") or ():
        value = _value(pod, container, variable, sources, {**links, **result})
        if value is not None:
            result[variable["name"]] = value
    first = {"PATH": PATH, "HOSTNAME": hostname}
    merged = {**first, **result, **{name: value for name, value in links.items() if name not in result}}
    return {**merged, "HOME": merged.get("HOME", "/root")}


def decoded(obj: Object, key: str) -> bytes | None:
    """A value of a ConfigMap or Secret."""
    import base64

    if obj.get("kind") == "ConfigMap":
        text = (obj.get("data") or {}).get(key)
        if text is not None:
            return str(text).encode()
        raw = (obj.get("binaryData") or {}).get(key)
    else:
        raw = (obj.get("data") or {}).get(key)
    return None if raw is None else base64.b64decode(raw)


def _all_of(source: Object, sources: Sources) -> Iterator[tuple[str, str]]:
    prefix = source.get("prefix", "")
    for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        obj = sources.get((kind, (source.get(field) or {}).get("name", "")))
        for key in sorted((obj or {}).get("data") or {}) if obj else ():
            value = decoded(obj, key) if obj else None
            yield prefix + key, (value or b"").decode(errors="replace")


def _value(
    pod: Object, container: Object, variable: Object, sources: Sources, known: Mapping[str, str]
) -> str | None:
    given = variable.get("valueFrom")
    if not given:
        return expanded(variable.get("value") or "", known)
    if field := given.get("fieldRef"):
        return field_of(pod, field.get("fieldPath", ""))
    if resource := given.get("resourceFieldRef"):
        return resource_of(pod, container, resource)
    for name, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if reference := given.get(name):
            obj = sources.get((kind, reference.get("name", "")))
            value = decoded(obj, reference.get("key", "")) if obj else None
            return None if value is None else value.decode(errors="replace")
    return None


def expanded(text: str, known: Mapping[str, str]) -> str:
    """``$(NAME)`` replaced where it is known; ``$$`` is a dollar."""

    def one(found: re.Match[str]) -> str:
        if found[1] == "$":
            return "$"
        return known.get(found[2], found[0])

    return _REFERENCE.sub(one, text)


def field_of(pod: Object, path: str) -> str:
    """The downward API's fields of a pod."""
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    found = _FIELD.fullmatch(path)
    if found is not None:
        return str((meta.get(found[1]) or {}).get(found[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = sorted((meta.get(path.partition(".")[2]) or {}).items())
        return "\n".join(f'{key}="{value}"' for key, value in pairs)
    values = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta.get("namespace", ""),
        "metadata.uid": meta["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": status.get("hostIP", ""),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": status.get("podIP", ""),
    }
    return str(values.get(path, ""))


def resource_of(pod: Object, container: Object, reference: Object) -> str:
    """A request or limit in units of its divisor, rounded up."""
    name = reference.get("containerName")
    if name:
        container = next((each for each in pod["spec"]["containers"] if each["name"] == name), container)
    kind, _, resource = str(reference.get("resource", "")).partition(".")
    amounts = (container.get("resources") or {}).get(kind) or {}
    amount = quantity.parse(amounts.get(resource, 0))
    divisor = quantity.parse(reference.get("divisor") or 0) or 1
    return str(-(-amount // divisor))


def _services(store: Store, pod: Object) -> dict[str, str]:
    namespace = pod["metadata"].get("namespace", "")
    wanted = [("default", "kubernetes")]
    if pod["spec"].get("enableServiceLinks", True):
        started = (pod.get("status") or {}).get("startTime") or "9"
        wanted += sorted(
            (namespace, each["metadata"]["name"])
            for each in store.list(SERVICE, namespace)
            if each["metadata"].get("creationTimestamp", "") <= started
        )
    links: dict[str, str] = {}
    for place in wanted:
        service = store.get(SERVICE, Key(*place))
        if service is not None and service["spec"].get("clusterIP") not in (None, "", "None"):
            links.update(_links(service))
    return links


def _links(service: Object) -> dict[str, str]:
    name = service["metadata"]["name"].upper().replace("-", "_")
    address, ports = service["spec"]["clusterIP"], service["spec"].get("ports") or []
    if not ports:
        return {}
    links = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            label = port["name"].upper().replace("-", "_")
            links[f"{name}_SERVICE_PORT_{label}"] = str(port["port"])
    for index, port in enumerate(ports):
        protocol = port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{address}:{port['port']}"
        if index == 0:
            links[f"{name}_PORT"] = url
        prefix = f"{name}_PORT_{port['port']}_{protocol}"
        links |= {
            prefix: url,
            f"{prefix}_PROTO": protocol.lower(),
            f"{prefix}_PORT": str(port["port"]),
            f"{prefix}_ADDR": address,
        }
    return links
