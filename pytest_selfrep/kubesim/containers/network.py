"""The cluster's network as containers and port forwards reach it: names, Services, what listens where."""

from __future__ import annotations

from collections.abc import Callable

from pytest_selfrep.kubesim.containers.entrypoints import PORTS, base_name
from pytest_selfrep.kubesim.containers.world import Answer
from pytest_selfrep.kubesim.kinds import POD, SERVICE
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.store import Store

NAMESERVER = "10.96.0.10"
REFUSED = "Connection refused"
UNREACHABLE = "Host is unreachable"
_DOMAIN = ".svc.cluster.local"
_NGINX = (
    b"<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n</head>\n<body>\n"
    b"<h1>Welcome to nginx!</h1>\n</body>\n</html>\n"
)
_NGINX_VERSION = "nginx/1.27.4"
_NGINX_MISSING = (
    "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n"
    "<center><h1>404 Not Found</h1></center>\r\n"
    f"<hr><center>{_NGINX_VERSION}</center>\r\n</body>\r\n</html>\r\n"
).encode()
Serves = Callable[[str], bool]
"""Whether a container, named by its ID, runs a program of its own, not one that only sleeps, say."""
_HEALTH = ("/", "/health", "/healthz", "/livez", "/ready", "/readyz")


def ports_of(container: Object) -> set[int]:
    """Where a serving container listens: its declared ports, those of its probes, its image's own."""
    named = {port.get("name"): int(port["containerPort"]) for port in container.get("ports") or ()}
    found = set(named.values())
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        for action in ("httpGet", "tcpSocket", "grpc"):
            port = ((container.get(probe) or {}).get(action) or {}).get("port")
            if port is not None:
                found.add(named.get(port, 0) if isinstance(port, str) else int(port))
    image = PORTS.get(base_name(container["image"]))
    return found | ({image} if image else set()) - {0}


def listener(serves: Serves, pod: Object, port: int) -> Object | None:
    """The running container of a pod that listens on a port."""
    running = {
        each["name"]: each.get("containerID", "")
        for each in (pod.get("status") or {}).get("containerStatuses") or ()
        if "running" in (each.get("state") or {})
    }
    for container in pod["spec"]["containers"]:
        if port in ports_of(container) and serves(running.get(container["name"], "")):
            return dict(container)
    return None


def respond(container: Object, path: str) -> Answer:
    """What a container answers to a GET."""
    path = path.partition("?")[0] or "/"
    image = base_name(container["image"])
    if image == "nginx":
        if path in ("/", "/index.html"):
            return Answer(200, "OK", _NGINX, server=_NGINX_VERSION)
        return Answer(404, "Not Found", _NGINX_MISSING, server=_NGINX_VERSION)
    if image == "httpd" and path in ("/", "/index.html"):
        return Answer(
            200, "OK", b"<html><body><h1>It works!</h1></body></html>\n", server="Apache/2.4.63 (Unix)"
        )
    probed = {
        ((container.get(probe) or {}).get("httpGet") or {}).get("path", "/")
        for probe in ("livenessProbe", "readinessProbe", "startupProbe")
    }
    if path in probed or path in _HEALTH:
        return Answer(200, "OK", b"ok\n", "text/plain; charset=utf-8")
    return Answer(404, "Not Found", b"404 page not found\n", "text/plain; charset=utf-8")


class ClusterNetwork:
    """The network as seen from a namespace."""

    nameserver = NAMESERVER

    def __init__(self, store: Store, namespace: str, serves: Serves) -> None:
        self._store = store
        self._serves = serves
        self._namespace = namespace

    def lookup(self, name: str) -> tuple[str, str] | None:
        name = name.rstrip(".").removesuffix(_DOMAIN).removesuffix(".svc")
        service, _, namespace = name.partition(".")
        found = self._store.get(SERVICE, Key(namespace or self._namespace, service))
        if found is None:
            return None
        address = found["spec"].get("clusterIP", "")
        if address == "None":
            ready = endpoints(self._store, found)
            address = ready[0]["status"]["podIP"] if ready else ""
        full = f"{service}.{namespace or self._namespace}{_DOMAIN}"
        return (full, address) if address else None

    def get(self, address: str, port: int, path: str, host: str) -> Answer | str:
        if address == "127.0.0.1":
            return REFUSED
        for service in self._store.list(SERVICE):
            if service["spec"].get("clusterIP") == address:
                return self._through(service, port, path)
        for pod in self._store.list(POD):
            if (pod.get("status") or {}).get("podIP") == address:
                container = listener(self._serves, pod, port)
                return REFUSED if container is None else respond(container, path)
        return UNREACHABLE

    def _through(self, service: Object, port: int, path: str) -> Answer | str:
        for each in service["spec"].get("ports") or ():
            if each["port"] == port:
                for pod in endpoints(self._store, service):
                    container = listener(self._serves, pod, target_port(pod, each))
                    if container is not None:
                        return respond(container, path)
        return REFUSED


class PodNetwork(ClusterNetwork):
    """The same as a container sees it, which has a pod of its own."""

    def __init__(self, store: Store, pod: Key, serves: Serves) -> None:
        super().__init__(store, pod.namespace, serves)
        self._pod = pod

    def get(self, address: str, port: int, path: str, host: str) -> Answer | str:
        if address != "127.0.0.1":
            return super().get(address, port, path, host)
        pod = self._store.get(POD, self._pod)
        container = None if pod is None else listener(self._serves, pod, port)
        return REFUSED if container is None else respond(container, path)


def endpoints(store: Store, service: Object) -> list[Object]:
    """The Ready pods behind a Service, by name."""
    selector = service["spec"].get("selector") or {}
    if not selector:
        return []
    found = []
    for pod in store.list(POD, service["metadata"].get("namespace", "")):
        labels = pod["metadata"].get("labels") or {}
        conditions = (pod.get("status") or {}).get("conditions") or ()
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        if ready and all(labels.get(key) == value for key, value in selector.items()):
            found.append(pod)
    return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))


def target_port(pod: Object, port: Object) -> int:
    """The container's port that a Service's port leads to; 0 if its name is not found."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for each in container.get("ports") or ():
            if each.get("name") == target:
                return int(each["containerPort"])
    return 0
