"""What is checked of the security contexts of pods and containers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import duplicate, invalid, invalid_go, one_of, required

_MOST_ID = 2147483647
_CHANGE_POLICIES = ("Always", "OnRootMismatch")
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"({_SEGMENT}[\./])*{_SEGMENT}"
_MOST_SYSCTL_LENGTH = 253
_POINTER = "0xc000000000"
"""Where Go would print an address."""
_GO_FIELDS = {
    "capabilities": "Capabilities:(*core.Capabilities)",
    "privileged": "Privileged:(*bool)",
    "seLinuxOptions": "SELinuxOptions:(*core.SELinuxOptions)",
    "windowsOptions": "WindowsOptions:(*core.WindowsSecurityContextOptions)",
    "runAsUser": "RunAsUser:(*int64)",
    "runAsGroup": "RunAsGroup:(*int64)",
    "runAsNonRoot": "RunAsNonRoot:(*bool)",
    "readOnlyRootFilesystem": "ReadOnlyRootFilesystem:(*bool)",
    "allowPrivilegeEscalation": "AllowPrivilegeEscalation:(*bool)",
    "procMount": "ProcMount:(*core.ProcMountType)",
    "seccompProfile": "SeccompProfile:(*core.SeccompProfile)",
    "appArmorProfile": "AppArmorProfile:(*core.AppArmorProfile)",
}
"""What a SecurityContext has, in the order in which Go prints it."""


def security_causes(context: Object, at: str) -> Iterable[Cause]:
    """A container's SecurityContext."""
    yield from _id_causes(context, at, ("runAsUser", "runAsGroup"))
    if context.get("seccompProfile") is not None:
        yield from _seccomp_causes(context["seccompProfile"], f"{at}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is not False:
        return
    why = "cannot set `allowPrivilegeEscalation` to false and"
    if context.get("privileged"):
        yield invalid_go(at, _go_context(context), f"{why} `privileged` to true")
    for capability in (context.get("capabilities") or {}).get("add") or ():
        if capability == "CAP_SYS_ADMIN":
            yield invalid_go(at, _go_context(context), f"{why} `capabilities.Add` CAP_SYS_ADMIN")


def pod_security_causes(spec: Object, at: str) -> Iterable[Cause]:
    """What a PodSpec says of the security of all its containers."""
    context, here = spec["securityContext"], f"{at}.securityContext"
    yield from _id_causes(context, here, ("fsGroup", "runAsUser", "runAsGroup"))
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        yield from _id(f"{here}.supplementalGroups[{index}]", group)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid(f"{here}.shareProcessNamespace", True, why)
    names: set[str] = set()
    for index, sysctl in enumerate(context.get("sysctls") or ()):
        yield from _sysctl_causes(sysctl.get("name") or "", f"{here}.sysctls[{index}].name", names)
    yield from one_of(f"{here}.fsGroupChangePolicy", context.get("fsGroupChangePolicy"), _CHANGE_POLICIES)
    if context.get("seccompProfile") is not None:
        yield from _seccomp_causes(context["seccompProfile"], f"{here}.seccompProfile")


def _id_causes(context: Object, at: str, fields: Iterable[str]) -> Iterable[Cause]:
    for field in fields:
        value = context.get(field)
        if value is not None:
            yield from _id(f"{at}.{field}", value)


def _id(at: str, value: int) -> Iterable[Cause]:
    if not 0 <= value <= _MOST_ID:
        yield invalid(at, value, f"must be between 0 and {_MOST_ID}, inclusive")


def _sysctl_causes(name: str, at: str, seen: set[str]) -> Iterable[Cause]:
    if not name:
        yield required(at)
    elif len(name) > _MOST_SYSCTL_LENGTH or not re.fullmatch(_SYSCTL, name):
        why = f"must have at most {_MOST_SYSCTL_LENGTH} characters and match regex {_SYSCTL}"
        yield invalid(at, name, why)
    elif name in seen:
        yield duplicate(at, name)
    seen.add(name)


def _seccomp_causes(profile: Object, at: str) -> Iterable[Cause]:
    kind, file = profile.get("type") or "", profile.get("localhostProfile")
    if not kind:
        yield required(f"{at}.type", "type is required when seccompProfile is set")
    else:
        yield from one_of(f"{at}.type", kind, _PROFILES)
    if kind == "Localhost" and file is None:
        yield required(f"{at}.localhostProfile", "must be set when seccomp type is Localhost")
    elif kind != "Localhost" and file is not None:
        shown = f'core.SeccompProfile{{Type:"{kind}", LocalhostProfile:(*string)({_POINTER})}}'
        why = "can only be set when seccomp type is Localhost"
        yield invalid_go(f"{at}.localhostProfile", shown, why)


def _go_context(context: Object) -> str:
    shown = (
        f"{name}({'nil' if context.get(field) is None else _POINTER})" for field, name in _GO_FIELDS.items()
    )
    return f"core.SecurityContext{{{', '.join(shown)}}}"
