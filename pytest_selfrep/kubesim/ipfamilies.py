"""The IP families of Services, in a cluster that has IPv4 alone (initIPFamilyFields of Kubernetes)."""

from __future__ import annotations

from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause
from pytest_selfrep.kubesim.validation.fieldchecks import go_strings, invalid, invalid_go
from pytest_selfrep.kubesim.validation.servicechecks import address_causes, is_headless


def choose_families(spec: Object, before: Object) -> list[Cause]:
    """Fill in ``ipFamilyPolicy`` and ``ipFamilies``, in place; give what is wrong with them or the addresses.

    A Service without address and selector may have both families, as its ends are not the cluster's business.
    """
    bare = is_headless(spec) and not spec.get("selector")
    if spec.get("ipFamilyPolicy") is None:
        usual = "RequireDualStack" if bare else "SingleStack"
        spec["ipFamilyPolicy"] = before.get("ipFamilyPolicy") or usual
    causes = address_causes(spec) or _family_causes(spec, bare=bare)
    if causes:
        return causes
    families = spec.get("ipFamilies") or ["IPv4"]
    if bare and len(families) == 1 and spec["ipFamilyPolicy"] != "SingleStack":
        families = [*families, "IPv6" if families == ["IPv4"] else "IPv4"]
    spec["ipFamilies"] = families
    return []


def _family_causes(spec: Object, *, bare: bool) -> list[Cause]:
    policy, families = spec["ipFamilyPolicy"], spec.get("ipFamilies") or []
    causes = []
    if policy == "SingleStack":
        why = "must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified"
        for field, said in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
            if len(spec.get(field) or ()) == 2:
                causes.append(invalid("spec.ipFamilyPolicy", policy, why.format(said)))
    addresses = spec.get("clusterIPs") or []
    for index, text in enumerate(addresses):
        if index >= len(families) and ":" in text:
            shown, why = go_strings(addresses), "IPv6 is not configured on this cluster"
            causes.append(invalid_go(f"spec.clusterIPs[{index}]", shown, why))
    if causes or bare:
        return causes
    if policy == "RequireDualStack":
        why = "this cluster is not configured for dual-stack services"
        causes.append(invalid("spec.ipFamilyPolicy", policy, why))
    for index, family in enumerate(families):
        if family != "IPv4":
            at = f"spec.ipFamilies[{index}]"
            causes.append(invalid(at, family, "not configured on this cluster"))
    return causes
