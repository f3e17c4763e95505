"""Containers as ``describe`` shows them: image, ports, state, resources, probes, environment, mounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.tools.kubectl import jsonpath
from pytest_selfrep.tools.kubectl.describe.page import Page
from pytest_selfrep.tools.kubectl.errors import Complaint
from pytest_selfrep.tools.kubectl.text import long_time


def describe_containers(
    page: Page,
    title: str,
    containers: Sequence[KubeObject],
    statuses: Sequence[KubeObject],
    *,
    indent: str = "",
    pod: KubeObject | None = None,
) -> None:
    """All containers of a pod, or of a template (``indent``, without statuses)."""
    by_name = {status["name"]: status for status in statuses}
    page.put(f"{indent}{title}:")
    for container in containers:
        status = by_name.get(container["name"])
        page.put(f"{' ' if indent else ''}{container['name']}:", 1)
        _put_basics(page, container, status)
        _put_words(page, "Command", container.get("command"))
        _put_words(page, "Args", container.get("args"))
        if status:
            _put_state(page, status)
        _put_resources(page, container.get("resources") or {})
        for name, kind in (
            ("Liveness", "livenessProbe"),
            ("Readiness", "readinessProbe"),
            ("Startup", "startupProbe"),
        ):
            if container.get(kind):
                page.put(f"{name}:\t{_probe(container[kind])}", 2)
        _put_environment(page, container, pod)
        _put_mounts(page, container.get("volumeMounts"))


def _put_basics(page: Page, container: KubeObject, status: KubeObject | None) -> None:
    if status:
        page.put(f"Container ID:\t{status.get('containerID', '')}", 2)
    page.put(f"Image:\t{container.get('image', '')}", 2)
    if status:
        page.put(f"Image ID:\t{status.get('imageID', '')}", 2)
    ports = container.get("ports") or []
    plural = "s" if len(ports) > 1 else ""
    inside = ", ".join(f"{port['containerPort']}/{port.get('protocol', 'TCP')}" for port in ports)
    outside = ", ".join(f"{port.get('hostPort', 0)}/{port.get('protocol', 'TCP')}" for port in ports)
    page.put(f"Port{plural}:\t{inside or '<none>'}", 2)
    page.put(f"Host Port{plural}:\t{outside or '<none>'}", 2)


def _put_words(page: Page, title: str, words: Sequence[str] | None) -> None:
    if words:
        page.put(f"{title}:", 2)
        for word in words:
            page.put(word, 3)


def _put_state(page: Page, status: KubeObject) -> None:
    _put_one_state(page, "State", status.get("state") or {})
    if (status.get("lastState") or {}).get("terminated"):
        _put_one_state(page, "Last State", status["lastState"])
    page.put(f"Ready:\t{bool(status.get('ready'))}", 2)
    page.put(f"Restart Count:\t{status.get('restartCount', 0)}", 2)


def _put_one_state(page: Page, title: str, state: KubeObject) -> None:
    if "running" in state:
        page.put(f"{title}:\tRunning", 2)
        page.put(f"Started:\t{long_time(state['running'].get('startedAt'))}", 3)
    elif "terminated" in state:
        ended = state["terminated"]
        page.put(f"{title}:\tTerminated", 2)
        for name in ("reason", "message"):
            if ended.get(name):
                page.put(f"{name.capitalize()}:\t{ended[name]}", 3)
        page.put(f"Exit Code:\t{ended.get('exitCode', 0)}", 3)
        page.put(f"Started:\t{long_time(ended.get('startedAt'))}", 3)
        page.put(f"Finished:\t{long_time(ended.get('finishedAt'))}", 3)
    else:
        page.put(f"{title}:\tWaiting", 2)
        if (state.get("waiting") or {}).get("reason"):
            page.put(f"Reason:\t{state['waiting']['reason']}", 3)


def _put_resources(page: Page, resources: KubeObject) -> None:
    for title in ("limits", "requests"):
        if resources.get(title):
            page.put(f"{title.capitalize()}:", 2)
            for name in sorted(resources[title]):
                page.put(f"{name}:\t{resources[title][name]}", 3)


def _probe(probe: KubeObject) -> str:
    attributes = (
        f"delay={probe.get('initialDelaySeconds', 0)}s timeout={probe.get('timeoutSeconds', 1)}s "
        f"period={probe.get('periodSeconds', 10)}s #success={probe.get('successThreshold', 1)} "
        f"#failure={probe.get('failureThreshold', 3)}"
    )
    if "exec" in probe:
        return f"exec [{' '.join(probe['exec'].get('command') or [])}] {attributes}"
    if "httpGet" in probe:
        http = probe["httpGet"]
        address = f"{http.get('scheme', 'HTTP').lower()}://{http.get('host', '')}:{http.get('port', '')}"
        return f"http-get {address}{http.get('path', '')} {attributes}"
    if "tcpSocket" in probe:
        socket = probe["tcpSocket"]
        return f"tcp-socket {socket.get('host', '')}:{socket.get('port', '')} {attributes}"
    return f"unknown {attributes}"


def _put_environment(page: Page, container: KubeObject, pod: KubeObject | None) -> None:
    sources = container.get("envFrom")
    if sources:
        page.put("Environment Variables from:", 2)
        for source in sources:
            kind, reference = next(
                (name, source[key])
                for key, name in (("configMapRef", "ConfigMap"), ("secretRef", "Secret"))
                if key in source
            )
            optional = str(bool(reference.get("optional"))).lower()
            page.put(f"{reference.get('name', '')}\t{kind}\tOptional: {optional}", 3)
    variables = container.get("env")
    if not variables:
        page.put("Environment:\t<none>", 2)
        return
    page.put("Environment:", 2)
    for variable in variables:
        page.put(f"{variable['name']}:\t{_variable(variable, pod)}", 3)


def _variable(variable: KubeObject, pod: KubeObject | None) -> str:
    source = variable.get("valueFrom")
    if not source:
        return str(variable.get("value", ""))
    if "fieldRef" in source:
        field = source["fieldRef"]
        return f"{_field(field['fieldPath'], pod)} ({field.get('apiVersion', 'v1')}:{field['fieldPath']})"
    if "resourceFieldRef" in source:
        field = source["resourceFieldRef"]
        return f"{field.get('containerName', '')} ({field.get('resource', '')})"
    for key, words in (("secretKeyRef", "in secret"), ("configMapKeyRef", "of config map")):
        if key in source:
            reference = source[key]
            optional = str(bool(reference.get("optional"))).lower()
            place = f"the key '{reference['key']}' {words} '{reference.get('name', '')}'"
            return f"<set to {place}>\tOptional: {optional}"
    return ""


def _field(path: str, pod: KubeObject | None) -> str:
    try:
        found = jsonpath.find(path, pod or {})
    except Complaint:
        return ""
    return jsonpath.show(found[0]) if found else ""


def _put_mounts(page: Page, mounts: Sequence[KubeObject] | None) -> None:
    if not mounts:
        page.put("Mounts:\t<none>", 2)
        return
    page.put("Mounts:", 2)
    for mount in sorted(mounts, key=lambda mount: str(mount["mountPath"])):
        page.put(f"{mount['mountPath']} from {mount['name']} ({','.join(_mount_flags(mount))})", 3)


def _mount_flags(mount: KubeObject) -> Iterator[str]:
    yield "ro" if mount.get("readOnly") else "rw"
    if mount.get("subPath"):
        yield f'path="{mount["subPath"]}"'
