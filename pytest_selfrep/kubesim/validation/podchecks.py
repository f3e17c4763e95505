"""What is checked of pods and pod templates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.affinitychecks import affinity_causes, spread_causes
from pytest_selfrep.kubesim.validation.fieldchecks import (
    absent,
    dns_label,
    dns_subdomain,
    duplicate,
    forbidden,
    formatted,
    invalid,
    labels,
    one_of,
    qualified_name,
    required,
    unsupported,
)
from pytest_selfrep.kubesim.validation.namingchecks import dns_config_causes, host_alias_causes, name_causes
from pytest_selfrep.kubesim.validation.portchecks import host_network_causes, host_port_causes, port_causes
from pytest_selfrep.kubesim.validation.probechecks import PROBED, init_probe_causes, probe_causes
from pytest_selfrep.kubesim.validation.referencechecks import (
    environment_source_causes,
    inside_causes,
    value_source_causes,
    volume_source_causes,
)
from pytest_selfrep.kubesim.validation.resourcechecks import resource_causes
from pytest_selfrep.kubesim.validation.securitychecks import pod_security_causes, security_causes
from pytest_selfrep.kubesim.validation.tolerationchecks import toleration_causes

RESTART_POLICIES = ("Always", "OnFailure", "Never")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_ENVIRONMENT_NAME = (
    "a valid environment variable name must consist only of printable ASCII characters other than '='"
)
_MAY_CHANGE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)

_EPHEMERAL = "cannot be set for an Ephemeral Container"
_NOT_EPHEMERAL = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)
_CHANGEABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")


def pod_causes(pod: Object, old: Object | None) -> list[Cause]:
    """A pod; of a change only what may change is let through."""
    if old is not None:
        return _update_causes(pod["spec"], old["spec"])
    causes = list(spec_causes(pod["spec"], "spec"))
    if pod["spec"].get("ephemeralContainers"):
        causes.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    return causes


def ephemeral_causes(new: Object, old: Object) -> list[Cause]:
    """Specs of a pod whose ephemeral containers change: some may come, none goes or becomes another."""
    causes = list(spec_causes(new, "spec"))
    now = {each.get("name"): each for each in new.get("ephemeralContainers") or ()}
    for each in old.get("ephemeralContainers") or ():
        if now.get(each["name"]) != each:
            what = "changed" if each["name"] in now else "removed"
            why = f'existing ephemeral containers "{each["name"]}" may not be {what}\n'
            causes.append(forbidden("spec.ephemeralContainers", why))
    return causes


def _update_causes(new: Object, old: Object) -> list[Cause]:
    if new is old or new == old:
        return []
    if _fixed(new) != _fixed(old) or not _may_last(new, old):
        return [forbidden("spec", _MAY_CHANGE)]
    causes = list(spec_causes(new, "spec"))
    for gate in new.get("schedulingGates") or ():
        if gate not in (old.get("schedulingGates") or ()):
            why = f"only deletion is allowed, but found new scheduling gate '{gate['name']}'"
            causes.append(forbidden("spec.schedulingGates", why))
    missing = [each for each in old.get("tolerations") or () if each not in (new.get("tolerations") or ())]
    if missing:
        causes.append(
            forbidden(
                "spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"
            )
        )
    return causes


def _may_last(new: Object, old: Object) -> bool:
    """A pod has as long to end as it ever had; negative seconds may become the one they are taken for."""
    before, after = (spec.get("terminationGracePeriodSeconds", 0) for spec in (old, new))
    return bool(after == before or (before < 0 and after == 1))


def _fixed(spec: Object) -> Object:
    """The part of a pod's spec that stays as it was created."""
    fixed = {name: value for name, value in spec.items() if name not in _CHANGEABLE}
    for name in ("containers", "initContainers"):
        if fixed.get(name):
            fixed[name] = [{**each, "image": ""} for each in fixed[name]]
    return fixed


def spec_causes(spec: Object, at: str) -> Iterable[Cause]:
    """A PodSpec with its defaults."""
    volumes: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from _volume_causes(volume, f"{at}.volumes[{index}]", volumes)
    yield from _containers_causes(spec, at, volumes)
    if spec.get("hostNetwork"):
        yield from host_network_causes(spec, at)
    yield from one_of(f"{at}.restartPolicy", spec["restartPolicy"], RESTART_POLICIES)
    yield from one_of(f"{at}.dnsPolicy", spec["dnsPolicy"], _DNS_POLICIES)
    if spec.get("nodeSelector"):
        yield from labels(f"{at}.nodeSelector", spec["nodeSelector"])
    if spec["securityContext"] or spec.get("shareProcessNamespace"):
        yield from pod_security_causes(spec, at)
    if spec.get("affinity"):
        yield from affinity_causes(spec["affinity"], f"{at}.affinity")
    if spec.get("dnsConfig") or spec["dnsPolicy"] == "None":
        yield from dns_config_causes(spec, f"{at}.dnsConfig")
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        here = f"{at}.readinessGates[{index}].conditionType"
        yield from formatted(here, gate.get("conditionType") or "", qualified_name)
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        yield from spread_causes(constraint, f"{at}.topologySpreadConstraints[{index}]")
    if spec.get("serviceAccountName"):
        yield from formatted(f"{at}.serviceAccountName", spec["serviceAccountName"], dns_subdomain)
    if spec.get("nodeName"):
        yield from formatted(f"{at}.nodeName", spec["nodeName"], dns_subdomain)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2147483647:
        yield invalid(f"{at}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
    if spec.get("hostname") or spec.get("subdomain"):
        yield from name_causes(spec, at)
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        yield from toleration_causes(toleration, f"{at}.tolerations[{index}]")
    if spec.get("hostAliases"):
        yield from host_alias_causes(spec["hostAliases"], f"{at}.hostAliases")


def _containers_causes(spec: Object, at: str, volumes: Collection[str]) -> Iterable[Cause]:
    """All containers: each kind may have what others may not."""
    if not spec.get("containers"):
        yield required(f"{at}.containers")
    seen: set[str] = set()
    grace = spec["terminationGracePeriodSeconds"]
    ports: set[str] = set()
    for index, container in enumerate(spec.get("containers") or ()):
        path = f"{at}.containers[{index}]"
        yield from _container_causes(container, path, seen, volumes)
        if not PROBED.isdisjoint(container):
            yield from probe_causes(container, path, grace)
        if container.get("restartPolicy") is not None:
            yield forbidden(f"{path}.restartPolicy", "may not be set for non-init containers")
        if container.get("ports"):
            yield from host_port_causes(container, path, ports)
    for index, container in enumerate(spec.get("initContainers") or ()):
        path = f"{at}.initContainers[{index}]"
        yield from _container_causes(container, path, seen, volumes)
        yield from one_of(f"{path}.restartPolicy", container.get("restartPolicy"), ("Always",))
        # Init containers run one by one.
        yield from host_port_causes(container, path, set())
        if container.get("restartPolicy") == "Always":
            yield from probe_causes(container, path, grace)
        else:
            yield from init_probe_causes(container, path)
    others = frozenset(seen)
    for index, container in enumerate(spec.get("ephemeralContainers") or ()):
        path = f"{at}.ephemeralContainers[{index}]"
        yield from _container_causes(container, path, seen, volumes)
        yield from _ephemeral_container_causes(container, path, others)


def _volume_causes(volume: Object, at: str, seen: set[str]) -> Iterable[Cause]:
    name = volume.get("name") or ""
    if not name:
        yield required(f"{at}.name")
        return
    yield from formatted(f"{at}.name", name, dns_label)
    if name in seen:
        yield duplicate(f"{at}.name", name)
    seen.add(name)
    sources = [field for field in volume if field != "name" and volume[field] is not None]
    for extra in sources[1:]:
        yield forbidden(f"{at}.{extra}", "may not specify more than 1 volume type")
    yield from volume_source_causes(volume, at)


def _container_causes(
    container: Object, at: str, seen: set[str], volumes: Collection[str]
) -> Iterable[Cause]:
    """What all kinds of containers have in common."""
    name = container.get("name") or ""
    if name:
        yield from formatted(f"{at}.name", name, dns_label)
        if name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)
    else:
        yield required(f"{at}.name")
    image = container.get("image") or ""
    if not image:
        yield required(f"{at}.image")
    elif image != image.strip():
        yield invalid(f"{at}.image", image, "must not have leading or trailing whitespace")
    policy = container["terminationMessagePolicy"]
    if policy not in _MESSAGE_POLICIES:
        yield unsupported(f"{at}.terminationMessagePolicy", policy, _MESSAGE_POLICIES)
    if container.get("ports"):
        yield from port_causes(container["ports"], f"{at}.ports")
    for index, env in enumerate(container.get("env") or ()):
        yield from _env_causes(env, f"{at}.env[{index}]")
    for index, source in enumerate(container.get("envFrom") or ()):
        yield from environment_source_causes(source, f"{at}.envFrom[{index}]")
    mounted: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        yield from _mount_causes(mount, f"{at}.volumeMounts[{index}]", volumes, mounted)
    yield from one_of(f"{at}.imagePullPolicy", container["imagePullPolicy"], _PULL_POLICIES)
    resources = container["resources"]
    if resources:
        yield from resource_causes(resources, f"{at}.resources")
    if container.get("securityContext"):
        yield from security_causes(container["securityContext"], f"{at}.securityContext")


def _ephemeral_container_causes(container: Object, at: str, others: Collection[str]) -> Iterable[Cause]:
    """What an ephemeral container may have less than others, whose names are given."""
    target = container.get("targetContainerName")
    if target and target not in others:
        yield absent(f"{at}.targetContainerName", target)
    for field in _NOT_EPHEMERAL:
        if container.get(field):
            yield forbidden(f"{at}.{field}", _EPHEMERAL)
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                yield forbidden(f"{at}.volumeMounts[{index}].{field}", _EPHEMERAL)


def _env_causes(env: Object, at: str) -> Iterable[Cause]:
    name = env.get("name") or ""
    if not name:
        yield required(f"{at}.name")
    elif "=" in name or not (name.isascii() and name.isprintable()):
        yield invalid(f"{at}.name", name, _ENVIRONMENT_NAME)
    if env.get("value") and env.get("valueFrom"):
        yield invalid(f"{at}.valueFrom", "", "may not be specified when `value` is not empty")
    elif env.get("valueFrom") is not None:
        yield from value_source_causes(env["valueFrom"], f"{at}.valueFrom")


def _mount_causes(mount: Object, at: str, volumes: Collection[str], mounted: set[str]) -> Iterable[Cause]:
    """One of a container's mounts, after those at the paths that are given."""
    name, path = mount.get("name") or "", mount.get("mountPath") or ""
    if not name:
        yield required(f"{at}.name")
    if name not in volumes:
        yield absent(f"{at}.name", name)
    if not path:
        yield required(f"{at}.mountPath")
    if path in mounted:
        yield invalid(f"{at}.mountPath", path, "must be unique")
    mounted.add(path)
    if mount.get("subPath"):
        yield from inside_causes(f"{at.rpartition('[')[0]}.subPath", mount["subPath"])
    if mount.get("subPathExpr"):
        if mount.get("subPath"):
            why = "subPathExpr and subPath are mutually exclusive"
            yield invalid(f"{at}.subPathExpr", mount["subPathExpr"], why)
        yield from inside_causes(f"{at.rpartition('[')[0]}.subPathExpr", mount["subPathExpr"])


def template_causes(
    template: Object, at: str, restart_policies: Sequence[str] = RESTART_POLICIES
) -> Iterable[Cause]:
    """A PodTemplateSpec with its defaults."""
    yield from labels(f"{at}.metadata.labels", template["metadata"].get("labels"))
    yield from spec_causes(template["spec"], f"{at}.spec")
    if template["spec"].get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        yield forbidden(f"{at}.spec.ephemeralContainers", why)
    policy = template["spec"]["restartPolicy"]
    if policy in RESTART_POLICIES:
        yield from one_of(f"{at}.spec.restartPolicy", policy, restart_policies)
