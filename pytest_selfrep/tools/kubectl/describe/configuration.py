"""The pages of Namespace, Service, ConfigMap, Secret, ResourceQuota and LimitRange."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from pytest_selfrep.clusters.kube import ApiError, KubeObject
from pytest_selfrep.tools.kubectl.describe.page import Page
from pytest_selfrep.tools.kubectl.kinds import LIMIT_RANGE, POD, RESOURCE_QUOTA
from pytest_selfrep.tools.kubectl.targets import list_objects
from pytest_selfrep.tools.kubectl.text import joined

_LIMITS = (
    ("Min", "min"),
    ("Max", "max"),
    ("Default Request", "defaultRequest"),
    ("Default Limit", "default"),
    ("Max Limit/Request Ratio", "maxLimitRequestRatio"),
)


def describe_namespace(page: Page, obj: KubeObject) -> None:
    name = obj["metadata"]["name"]
    quotas = list_objects(page.command, RESOURCE_QUOTA, {}, RESOURCE_QUOTA.path(name))
    limits = list_objects(page.command, LIMIT_RANGE, {}, LIMIT_RANGE.path(name))
    page.head(obj)
    page.put(f"Status:\t{obj.get('status', {}).get('phase', '')}\n")
    if quotas:
        page.put("Resource Quotas")
        for quota in sorted(quotas, key=lambda quota: str(quota["metadata"]["name"])):
            page.put(f"Name:\t{quota['metadata']['name']}", 1)
            page.put("Resource\tUsed\tHard\n--------\t---\t---", 1)
            for row in _quota_rows(quota):
                page.put(row, 1)
        page.put("")
    else:
        page.put("No resource quota.\n")
    if limits:
        page.put("Resource Limits")
        titles = ["Type", "Resource", *(title for title, _ in _LIMITS)]
        page.put(" " + "\t".join(titles))
        page.put(" " + "\t".join("-" * len(title) for title in titles))
        for limit in limits:
            for row in _limit_rows(limit):
                page.put(f" {row}")
    else:
        page.put("No LimitRange resource.")


def _quota_rows(quota: KubeObject) -> Iterator[str]:
    status = quota.get("status") or {}
    hard = status.get("hard") or quota.get("spec", {}).get("hard") or {}
    for resource in sorted(hard):
        yield f"{resource}\t{(status.get('used') or {}).get(resource, '0')}\t{hard[resource]}"


def describe_quota(page: Page, obj: KubeObject) -> None:
    page.put(f"Name:\t{obj['metadata']['name']}\nNamespace:\t{obj['metadata']['namespace']}")
    scopes = obj.get("spec", {}).get("scopes")
    if scopes:
        page.put(f"Scopes:\t{', '.join(sorted(scopes))}")
    page.put("Resource\tUsed\tHard\n--------\t----\t----")
    for row in _quota_rows(obj):
        page.put(row)


def describe_limit_range(page: Page, obj: KubeObject) -> None:
    titles = ["Type", "Resource", *(title for title, _ in _LIMITS)]
    page.put(f"Name:\t{obj['metadata']['name']}\nNamespace:\t{obj['metadata']['namespace']}")
    page.put("\t".join(titles))
    page.put("\t".join("-" * len(title) for title in titles))
    for row in _limit_rows(obj):
        page.put(row)


def _limit_rows(limit_range: KubeObject) -> Iterator[str]:
    for item in limit_range["spec"].get("limits") or []:
        resources = sorted({resource for _, key in _LIMITS for resource in item.get(key) or {}})
        for resource in resources:
            cells = [str((item.get(key) or {}).get(resource, "-")) for _, key in _LIMITS]
            yield "\t".join([item["type"], resource, *cells])


def describe_config_map(page: Page, obj: KubeObject) -> None:
    page.head(obj)
    page.put("\nData\n====")
    for key in sorted(obj.get("data") or {}):
        page.put(f"{key}:\n----\n{obj['data'][key]}\n")
    page.put("\nBinaryData\n====")
    for key in sorted(obj.get("binaryData") or {}):
        page.put(f"{key}: {len(base64.b64decode(obj['binaryData'][key]))} bytes")
    page.put("")
    page.events(obj)


def describe_secret(page: Page, obj: KubeObject) -> None:
    page.head(obj)
    page.put(f"\nType:\t{obj.get('type', '')}\n\nData\n====")
    for key in sorted(obj.get("data") or {}):
        value = base64.b64decode(obj["data"][key])
        if obj.get("type") == "kubernetes.io/service-account-token" and key == "token":
            page.put(f"{key}:\t{value.decode(errors='replace')}")
        else:
            page.put(f"{key}:\t{len(value)} bytes")


def describe_service(page: Page, obj: KubeObject) -> None:
    spec = obj["spec"]
    page.head(obj)
    page.pairs("Selector", spec.get("selector"))
    page.put(f"Type:\t{spec.get('type', '')}")
    if spec.get("ipFamilyPolicy"):
        page.put(f"IP Family Policy:\t{spec['ipFamilyPolicy']}")
    page.put(f"IP Families:\t{','.join(spec.get('ipFamilies') or []) or '<none>'}")
    page.put(f"IP:\t{spec.get('clusterIP', '')}\nIPs:\t{','.join(spec.get('clusterIPs') or []) or '<none>'}")
    if spec.get("externalName"):
        page.put(f"External Name:\t{spec['externalName']}")
    pods = _ready_pods(page, obj)
    for port in spec.get("ports") or []:
        name, protocol = port.get("name") or "<unset>", port.get("protocol", "TCP")
        page.put(f"Port:\t{name}\t{port['port']}/{protocol}")
        page.put(f"TargetPort:\t{port.get('targetPort', port['port'])}/{protocol}")
        if port.get("nodePort"):
            page.put(f"NodePort:\t{name}\t{port['nodePort']}/{protocol}")
        page.put(f"Endpoints:\t{_endpoints(pods, port)}")
    page.put(f"Session Affinity:\t{spec.get('sessionAffinity', 'None')}")
    if spec.get("externalTrafficPolicy"):
        page.put(f"External Traffic Policy:\t{spec['externalTrafficPolicy']}")
    if spec.get("internalTrafficPolicy"):
        page.put(f"Internal Traffic Policy:\t{spec['internalTrafficPolicy']}")
    page.events(obj)


def _ready_pods(page: Page, service: KubeObject) -> list[KubeObject]:
    """The pods behind a Service, found as the endpoints controller finds them."""
    selector = joined(service["spec"].get("selector"), empty="")
    if not selector:
        return []
    path = POD.path(service["metadata"]["namespace"])
    try:
        pods = list_objects(page.command, POD, {"labelSelector": selector}, path)
    except ApiError:
        return []
    return [pod for pod in pods if _is_ready(pod)]


def _is_ready(pod: KubeObject) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _endpoints(pods: list[KubeObject], port: KubeObject) -> str:
    target = port.get("targetPort", port["port"])
    found = [
        f"{pod['status'].get('podIP', '')}:{number}"
        for pod in pods
        if (number := _port_number(pod, target)) is not None
    ]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return ",".join(found[:3]) + more or "<none>"


def _port_number(pod: KubeObject, target: object) -> object | None:
    if isinstance(target, int):
        return target
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports") or []]
    return next((port["containerPort"] for port in ports if port.get("name") == target), None)
