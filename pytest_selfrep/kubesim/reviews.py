"""Questions about identities and rights, which are answered and not stored."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_selfrep.kubesim.authn import User
from pytest_selfrep.kubesim.calls import Call, Handler, Virtual
from pytest_selfrep.kubesim.http import Response
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.rbac import Attributes, Rule
from pytest_selfrep.kubesim.status import StatusError, bad_request

AUTHORIZATION = ("authorization.k8s.io", "v1")
AUTHENTICATION = ("authentication.k8s.io", "v1")


def _answer(call: Call, sent: Object, status: Object) -> Response:
    obj = {
        "kind": call.kind.kind,
        "apiVersion": call.kind.api_version,
        "metadata": {"creationTimestamp": None},
        "spec": sent.get("spec") or {},
        "status": status,
    }
    return Response(201, obj)


def _review(call: Call) -> tuple[Object, Object]:
    """The review that was sent, and its spec."""
    sent = call.sent(call.kind.kind, call.kind.api_version)
    spec = sent.get("spec") or {}
    if not isinstance(spec, dict):
        raise bad_request(f"{call.kind.kind}: spec must be an object")
    return sent, spec


def _attributes(spec: Object) -> Attributes:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if isinstance(resource, dict):
        full = resource.get("resource", "")
        if resource.get("subresource"):
            full = f"{full}/{resource['subresource']}"
        names = (resource.get(field, "") for field in ("namespace", "name"))
        return Attributes(resource.get("verb", ""), resource.get("group", ""), full, *names)
    if isinstance(path, dict):
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    raise bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")


def _decision(call: Call, user: User, asked: Attributes) -> Object:
    allowed = call.backend.authorizer.allows(user, asked)
    errors = call.backend.authorizer.granted(user, asked.namespace).errors
    status: Object = {"allowed": allowed}
    if errors and not allowed:
        status["reason"] = "RBAC: " + ", ".join(errors)
    return status


def self_subject_access(call: Call) -> Response:
    sent, spec = _review(call)
    return _answer(call, sent, _decision(call, call.user, _attributes(spec)))


def subject_access(call: Call) -> Response:
    sent, spec = _review(call)
    if not spec.get("user") and not spec.get("groups"):
        kind = f"{call.kind.kind}.{call.kind.group}"
        why = 'spec.user: Invalid value: "": at least one of user or group must be specified'
        raise StatusError(422, "Invalid", f'{kind} "" is invalid: {why}')
    user = User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""))
    return _answer(call, sent, _decision(call, user, _attributes(spec)))


def self_subject_rules(call: Call) -> Response:
    sent, spec = _review(call)
    if not spec.get("namespace"):
        raise bad_request("no namespace on request")
    granted = call.backend.authorizer.granted(call.user, spec["namespace"])
    status: Object = {
        "resourceRules": [_resource_rule(rule) for rule in granted.rules if rule.resources],
        "nonResourceRules": [_path_rule(rule) for rule in granted.rules if rule.urls],
        "incomplete": bool(granted.errors),
    }
    if granted.errors:
        status["evaluationError"] = ", ".join(granted.errors)
    return _answer(call, sent, status)


def _resource_rule(rule: Rule) -> Object:
    written: Object = {
        "verbs": list(rule.verbs),
        "apiGroups": list(rule.groups),
        "resources": list(rule.resources),
    }
    return {**written, "resourceNames": list(rule.names)} if rule.names else written


def _path_rule(rule: Rule) -> Object:
    return {"verbs": list(rule.verbs), "nonResourceURLs": list(rule.urls)}


def _user_info(user: User) -> Object:
    info: Object = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    return {**info, "groups": list(user.groups)}


def self_subject(call: Call) -> Response:
    _review(call)
    obj = {
        "kind": call.kind.kind,
        "apiVersion": call.kind.api_version,
        "metadata": {"creationTimestamp": None},
        "status": {"userInfo": _user_info(call.user)},
    }
    return Response(201, obj)


def token_review(call: Call) -> Response:
    sent, spec = _review(call)
    try:
        user = call.backend.authenticator.authenticate(f"Bearer {spec.get('token', '')}")
    except StatusError:
        return _answer(call, sent, {"user": {}, "error": "[invalid bearer token]"})
    return _answer(call, sent, {"authenticated": True, "user": _user_info(user)})


def _virtual(place: tuple[str, str], kind: str, handler: Handler, namespaced: bool = False) -> Virtual:
    group, version = place
    plural = f"{kind.lower()}s"
    return Virtual(Kind(group, version, kind, plural, kind.lower(), namespaced), {"create": handler})


_REVIEWS = (
    _virtual(AUTHENTICATION, "SelfSubjectReview", self_subject),
    _virtual(AUTHENTICATION, "TokenReview", token_review),
    _virtual(AUTHORIZATION, "LocalSubjectAccessReview", subject_access, namespaced=True),
    _virtual(AUTHORIZATION, "SelfSubjectAccessReview", self_subject_access),
    _virtual(AUTHORIZATION, "SelfSubjectRulesReview", self_subject_rules),
    _virtual(AUTHORIZATION, "SubjectAccessReview", subject_access),
)

VIRTUAL: Mapping[tuple[str, str, str], Virtual] = {
    (each.kind.group, each.kind.version, each.kind.plural): each for each in _REVIEWS
}
