"""The page of a Pod, and the pod template inside the pages of workloads."""

from __future__ import annotations

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.tools.kubectl.describe.containers import describe_containers
from pytest_selfrep.tools.kubectl.describe.page import Page
from pytest_selfrep.tools.kubectl.describe.volumes import describe_volumes
from pytest_selfrep.tools.kubectl.text import long_time


def describe_pod(page: Page, pod: KubeObject) -> None:
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    page.put(f"Name:\t{meta['name']}\nNamespace:\t{meta['namespace']}")
    if "priority" in spec:
        page.put(f"Priority:\t{spec['priority']}")
    for title, name in (
        ("Priority Class Name", "priorityClassName"),
        ("Runtime Class Name", "runtimeClassName"),
        ("Service Account", "serviceAccountName"),
    ):
        if spec.get(name):
            page.put(f"{title}:\t{spec[name]}")
    node = f"{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else "<none>"
    page.put(f"Node:\t{node}")
    if status.get("startTime"):
        page.put(f"Start Time:\t{long_time(status['startTime'])}")
    page.pairs("Labels", meta.get("labels"))
    page.annotations(meta.get("annotations"))
    _put_status(page, meta, status)
    page.controlled_by(pod)
    if status.get("nominatedNodeName"):
        page.put(f"NominatedNodeName:\t{status['nominatedNodeName']}")
    if spec.get("initContainers"):
        statuses = status.get("initContainerStatuses", [])
        describe_containers(page, "Init Containers", spec["initContainers"], statuses, pod=pod)
    describe_containers(page, "Containers", spec["containers"], status.get("containerStatuses", []), pod=pod)
    if status.get("conditions"):
        page.put("Conditions:\n  Type\tStatus")
        for condition in status["conditions"]:
            page.put(f"{condition['type']} \t{condition['status']} ", 1)
    describe_volumes(page, spec.get("volumes"))
    if status.get("qosClass"):
        page.put(f"QoS Class:\t{status['qosClass']}")
    page.pairs("Node-Selectors", spec.get("nodeSelector"))
    describe_tolerations(page, spec.get("tolerations"))
    page.events(pod)


def _put_status(page: Page, meta: KubeObject, status: KubeObject) -> None:
    if meta.get("deletionTimestamp"):
        # The deletion time is the end of the grace period, so while the pod can be seen it lies ahead.
        page.put("Status:\tTerminating (lasts <invalid>)")
        page.put(f"Termination Grace Period:\t{meta.get('deletionGracePeriodSeconds', 0)}s")
    else:
        page.put(f"Status:\t{status.get('phase', '')}")
    if status.get("reason"):
        page.put(f"Reason:\t{status['reason']}")
    if status.get("message"):
        page.put(f"Message:\t{status['message']}")
    page.put(f"IP:\t{status.get('podIP', '')}")
    if status.get("podIPs"):
        page.put("IPs:")
        for address in status["podIPs"]:
            page.put(f"IP:\t{address['ip']}", 1)
    else:
        page.put("IPs:\t<none>")


def describe_tolerations(page: Page, tolerations: list[KubeObject] | None, indent: str = "") -> None:
    if not tolerations:
        page.put(f"{indent}Tolerations:\t<none>")
    for index, toleration in enumerate(sorted(tolerations or [], key=lambda each: str(each.get("key", "")))):
        head = "" if index else f"{indent}Tolerations:"
        page.put(f"{head}\t{_toleration(toleration)}")


def _toleration(toleration: KubeObject) -> str:
    text = str(toleration.get("key", ""))
    if toleration.get("value"):
        text += f"={toleration['value']}"
    if toleration.get("effect"):
        text += f":{toleration['effect']}"
    if toleration.get("operator") == "Exists" and not toleration.get("value"):
        text += " op=Exists" if text else "op=Exists"
    if toleration.get("tolerationSeconds") is not None:
        text += f" for {toleration['tolerationSeconds']}s"
    return text


def describe_template(page: Page, template: KubeObject) -> None:
    """``Pod Template:`` with what is in it."""
    meta, spec = template.get("metadata") or {}, template["spec"]
    page.put("Pod Template:")
    page.pairs("Labels", meta.get("labels"), "  ")
    if meta.get("annotations"):
        for index, key in enumerate(sorted(meta["annotations"])):
            page.put(f"  {'' if index else 'Annotations:'}\t{key}: {meta['annotations'][key]}")
    if spec.get("serviceAccountName"):
        page.put(f"Service Account:\t{spec['serviceAccountName']}", 1)
    if spec.get("initContainers"):
        describe_containers(page, "Init Containers", spec["initContainers"], [], indent="  ")
    describe_containers(page, "Containers", spec["containers"], [], indent="  ")
    describe_volumes(page, spec.get("volumes"), "  ")
    if spec.get("priorityClassName"):
        page.put(f"Priority Class Name:\t{spec['priorityClassName']}", 1)
    page.pairs("Node-Selectors", spec.get("nodeSelector"), "  ")
    describe_tolerations(page, spec.get("tolerations"), "  ")
