"""That nobody grants more than they have: checks on writing roles and bindings."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_selfrep.kubesim.apiserver.calls import Call
from pytest_selfrep.kubesim.auth.authn import MASTERS
from pytest_selfrep.kubesim.auth.rbac import RBAC_GROUP, Attributes, Rule, describe, missing, quoted
from pytest_selfrep.kubesim.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import forbidden, not_found

_EVERYTHING = (Rule(("*",), ("*",), ("*",)), Rule(("*",), urls=("*",)))


def check(call: Call, obj: Object) -> None:
    """Refuse a role or binding that would give rights its writer lacks. Raises StatusError 403 or 404."""
    if MASTERS in call.user.groups:
        return
    if call.kind in (ROLE, CLUSTER_ROLE):
        _check_role(call, obj)
    elif call.kind in (ROLE_BINDING, CLUSTER_ROLE_BINDING):
        _check_binding(call, obj)


def _check_role(call: Call, role: Object) -> None:
    name = role["metadata"].get("name", "")
    if _may(call, "escalate", call.kind.plural, name):
        return
    _check_held(call, name, [Rule.of(rule) for rule in role.get("rules") or ()])
    stored = call.backend.context.store.get(call.kind, call.key)
    if any(each is not None and each.get("aggregationRule") for each in (role, stored)):
        held = call.backend.authorizer.granted(call.user, call.key.namespace)
        # Whoever may label roles later decides what it comes to.
        if missing(_EVERYTHING, held.rules):
            raise forbidden(call.kind, name, "must have cluster-admin privileges to use an aggregationRule")


def _check_binding(call: Call, binding: Object) -> None:
    ref = binding["roleRef"]
    kind = CLUSTER_ROLE if ref["kind"] == "ClusterRole" else ROLE
    if _may(call, "bind", kind.plural, ref["name"]):
        return
    rules = call.backend.authorizer.rules_of(ref, call.key.namespace)
    if rules is None:
        raise not_found(kind, ref["name"])
    _check_held(call, binding["metadata"].get("name", ""), rules)


def _may(call: Call, verb: str, resource: str, name: str) -> bool:
    asked = Attributes(verb, RBAC_GROUP, resource, call.key.namespace, name)
    return call.backend.authorizer.allows(call.user, asked)


def _check_held(call: Call, name: str, wanted: Iterable[Rule]) -> None:
    held = call.backend.authorizer.granted(call.user, call.key.namespace)
    lacking = missing(wanted, held.rules)
    if lacking:
        listed = "\n".join(describe(rule) for rule in lacking)
        raise forbidden(
            call.kind,
            name,
            f'user "{call.user.name}" (groups={quoted(call.user.groups)}) is attempting to grant RBAC '
            f"permissions not currently held:\n{listed}",
        )
