"""The Pod Security Standards ``baseline`` and ``restricted``, in the admission controller's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pytest_selfrep.kubesim.objects import Object

ENFORCE = "pod-security.kubernetes.io/enforce"
ENFORCE_VERSION = "pod-security.kubernetes.io/enforce-version"

Check = Callable[[Object], str | None]
"""From a pod spec to how it violates a standard."""

_BASELINE_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_RESTRICTED_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_syncookies",
    }
)


def _containers(spec: Object) -> list[Object]:
    return [
        container
        for name in ("initContainers", "containers", "ephemeralContainers")
        for container in spec.get(name) or ()
    ]


def _security(holder: Object) -> Object:
    return holder.get("securityContext") or {}


def _added(container: Object) -> list[str]:
    return (_security(container).get("capabilities") or {}).get("add") or []


def _named(word: str, names: Iterable[str]) -> str:
    listed = [f'"{name}"' for name in names]
    return f"{word if len(listed) == 1 else word + 's'} {', '.join(listed)}"


def _offenders(spec: Object, offends: Callable[[Object], bool]) -> list[str]:
    return [container.get("name", "") for container in _containers(spec) if offends(container)]


def _host_namespaces(spec: Object) -> str | None:
    found = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return f"host namespaces ({', '.join(found)})" if found else None


def _privileged(spec: Object) -> str | None:
    found = _offenders(spec, lambda each: bool(_security(each).get("privileged")))
    if not found:
        return None
    return f"privileged ({_named('container', found)} must not set securityContext.privileged=true)"


def _capabilities(spec: Object) -> str | None:
    found = _offenders(spec, lambda each: not _BASELINE_CAPABILITIES.issuperset(_added(each)))
    if not found:
        return None
    extra = sorted({name for each in _containers(spec) for name in _added(each)} - _BASELINE_CAPABILITIES)
    listed = ", ".join(f'"{name}"' for name in extra)
    said = f"{_named('container', found)} must not include {listed} in securityContext.capabilities.add"
    return f"non-default capabilities ({said})"


def _host_paths(spec: Object) -> str | None:
    volumes = spec.get("volumes") or ()
    found = [volume.get("name", "") for volume in volumes if volume.get("hostPath") is not None]
    return f"hostPath volumes ({_named('volume', found)})" if found else None


def _host_ports(spec: Object) -> str | None:
    def ports(container: Object) -> list[int]:
        return [port["hostPort"] for port in container.get("ports") or () if port.get("hostPort")]

    found = _offenders(spec, lambda each: bool(ports(each)))
    if not found:
        return None
    used = sorted({port for each in _containers(spec) for port in ports(each)})
    word, verb = ("hostPort", "uses") if len(found) == 1 else ("hostPorts", "use")
    listed = ", ".join(str(port) for port in used)
    if len(used) > 1:
        word = "hostPorts"
    return f"hostPort ({_named('container', found)} {verb} {word} {listed})"


def _proc_mount(spec: Object) -> str | None:
    found = _offenders(spec, lambda each: _security(each).get("procMount") not in (None, "Default"))
    if not found:
        return None
    return f'procMount ({_named("container", found)} must not set securityContext.procMount to "Unmasked")'


def _seccomp_unconfined(spec: Object) -> str | None:
    def unconfined(holder: Object) -> bool:
        return (_security(holder).get("seccompProfile") or {}).get("type") == "Unconfined"

    who = ["pod"] if unconfined(spec) else []
    found = _offenders(spec, unconfined)
    if found:
        who.append(_named("container", found))
    if not who:
        return None
    said = 'must not set securityContext.seccompProfile.type to "Unconfined"'
    return f"seccompProfile ({' and '.join(who)} {said})"


def _sysctls(spec: Object) -> str | None:
    names = [each.get("name", "") for each in _security(spec).get("sysctls") or ()]
    found = [name for name in names if name not in _SAFE_SYSCTLS]
    return f"forbidden sysctls ({', '.join(found)})" if found else None


def _escalation(spec: Object) -> str | None:
    found = _offenders(spec, lambda each: _security(each).get("allowPrivilegeEscalation") is not False)
    if not found:
        return None
    said = "must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({_named('container', found)} {said})"


def _drops(spec: Object) -> str | None:
    def keeps(container: Object) -> bool:
        return "ALL" not in ((_security(container).get("capabilities") or {}).get("drop") or [])

    not_dropping = _offenders(spec, keeps)
    adding = _offenders(spec, lambda each: not {"NET_BIND_SERVICE"}.issuperset(_added(each)))
    said = []
    if not_dropping:
        who = _named("container", not_dropping)
        said.append(f'{who} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        extra = sorted({name for each in _containers(spec) for name in _added(each)} - {"NET_BIND_SERVICE"})
        listed = ", ".join(f'"{name}"' for name in extra)
        who = _named("container", adding)
        said.append(f"{who} must not include {listed} in securityContext.capabilities.add")
    return f"unrestricted capabilities ({'; '.join(said)})" if said else None


def _volume_types(spec: Object) -> str | None:
    bad: dict[str, str] = {}
    for volume in spec.get("volumes") or ():
        for name in volume:
            if name != "name" and name not in _RESTRICTED_VOLUMES:
                bad[volume.get("name", "")] = name
    if not bad:
        return None
    types = _named("restricted volume type", sorted(set(bad.values())))
    verb = "uses" if len(bad) == 1 else "use"
    return f"restricted volume types ({_named('volume', bad)} {verb} {types})"


def _unset(spec: Object, holds: Callable[[Object], bool], fails: Callable[[Object], bool]) -> list[str]:
    """Containers that neither set something themselves nor have it from their pod."""
    by_pod = holds(spec)
    return _offenders(spec, lambda each: fails(each) or not (by_pod or holds(each)))


def _non_root(spec: Object) -> str | None:
    found = _unset(
        spec,
        lambda holder: _security(holder).get("runAsNonRoot") is True,
        lambda holder: _security(holder).get("runAsNonRoot") is False,
    )
    if not found:
        return None
    who = f"pod or {_named('container', found)}"
    return f"runAsNonRoot != true ({who} must set securityContext.runAsNonRoot=true)"


def _root_user(spec: Object) -> str | None:
    who = ["pod"] if _security(spec).get("runAsUser") == 0 else []
    found = _offenders(spec, lambda each: _security(each).get("runAsUser") == 0)
    if found:
        who.append(_named("container", found))
    return f"runAsUser=0 ({' and '.join(who)} must not set runAsUser=0)" if who else None


def _seccomp_set(spec: Object) -> str | None:
    def confined(holder: Object) -> bool:
        kind = (_security(holder).get("seccompProfile") or {}).get("type")
        return kind in ("RuntimeDefault", "Localhost")

    found = _unset(
        spec,
        confined,
        lambda each: (_security(each).get("seccompProfile") or {}).get("type") == "Unconfined",
    )
    if not found:
        return None
    said = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return f"seccompProfile (pod or {_named('container', found)} {said})"


_BASELINE: Sequence[Check] = (
    _host_namespaces,
    _host_paths,
    _host_ports,
    _privileged,
    _proc_mount,
    _sysctls,
)

LEVELS: Mapping[str, Sequence[Check]] = {
    "baseline": (
        _capabilities,
        *_BASELINE,
        _seccomp_unconfined,
    ),
    "restricted": (
        *_BASELINE,
        _escalation,
        _drops,
        _volume_types,
        _non_root,
        _root_user,
        _seccomp_set,
    ),
}
"""``privileged`` allows everything, and so does a level that does not exist."""


def violation(spec: Object, namespace: Object) -> str | None:
    """How a pod spec violates what its namespace enforces, if it does."""
    labels = namespace["metadata"].get("labels") or {}
    level = labels.get(ENFORCE)
    found = [said for check in LEVELS.get(level or "", ()) if (said := check(spec)) is not None]
    if not found:
        return None
    return f'violates PodSecurity "{level}:{labels.get(ENFORCE_VERSION, "latest")}": {", ".join(found)}'
