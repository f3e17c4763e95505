"""Questions about identities and rights, which are answered and not stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_selfrep.kubesim.apiserver.calls import Call, Handler, Virtual
from pytest_selfrep.kubesim.apiserver.http import Response
from pytest_selfrep.kubesim.auth.authn import ISSUER, User, WrongAudience
from pytest_selfrep.kubesim.auth.rbac import Attributes, Rule, quoted
from pytest_selfrep.kubesim.kinds import Kind
from pytest_selfrep.kubesim.objects import Object
from pytest_selfrep.kubesim.status import Cause, StatusError, bad_request
from pytest_selfrep.kubesim.validation.fieldchecks import invalid, invalid_go

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
    for field in ("resourceAttributes", "nonResourceAttributes"):
        if not isinstance(spec.get(field), dict | None):
            raise bad_request(f"{call.kind.kind}: spec.{field} must be an object")
    return sent, spec


def _attributes(spec: Object, *extra: Cause) -> Attributes:
    """What is asked about. Raises StatusError 422, with what else is wrong."""
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    causes: list[Cause] = []
    if resource is not None and path is not None:
        shown = f'Path:"{path.get("path", "")}", Verb:"{path.get("verb", "")}"'
        why = "cannot be specified in combination with resourceAttributes"
        at = "spec.nonResourceAttributes"
        causes.append(invalid_go(at, f"authorization.NonResourceAttributes{{{shown}}}", why))
    elif resource is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.append(invalid("spec.resourceAttributes", "null", why))
    causes += extra
    if causes:
        raise _invalid(causes)
    if path is not None:
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    resource = resource or {}
    full = resource.get("resource", "")
    if resource.get("subresource"):
        full = f"{full}/{resource['subresource']}"
    names = (resource.get(field, "") for field in ("namespace", "name"))
    return Attributes(resource.get("verb", ""), resource.get("group", ""), full, *names)


def _invalid(causes: Sequence[Cause]) -> StatusError:
    """Reviews are checked before anybody has told what kind they are, so that their kind is not named."""
    listed = [f"{cause.field}: {cause.message}" for cause in causes]
    said = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    shown = [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes]
    details: Object = {"group": AUTHORIZATION[0], "causes": shown}
    return StatusError(422, "Invalid", f'.{AUTHORIZATION[0]} "" is invalid: {said}', details)


def _decision(call: Call, user: User, asked: Attributes) -> Object:
    allowed = call.backend.authorizer.allows(user, asked)
    errors = call.backend.authorizer.granted(user, asked.namespace).errors
    status: Object = {"allowed": allowed}
    reason = call.backend.authorizer.reason(user, asked) if allowed else ""
    if errors and not allowed:
        reason = "RBAC: " + (errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
    return {**status, "reason": reason} if reason else status


def self_subject_access(call: Call) -> Response:
    sent, spec = _review(call)
    return _answer(call, sent, _decision(call, call.user, _attributes(spec)))


def subject_access(call: Call) -> Response:
    sent, spec = _review(call)
    return _answer(call, sent, _decision(call, *_about(call, spec)))


def local_subject_access(call: Call) -> Response:
    sent, spec = _review(call)
    user, asked = _about(call, spec)
    if not asked.resource:
        shown = f'authorization.NonResourceAttributes{{Path:"{asked.path}", Verb:"{asked.verb}"}}'
        why = "disallowed on this kind of request"
        raise _invalid([invalid_go("spec.nonResourceAttributes", shown, why)])
    if asked.namespace != call.target.namespace:
        why = "must match metadata.namespace"
        raise _invalid([invalid("spec.resourceAttributes.namespace", asked.namespace, why)])
    return _answer(call, sent, _decision(call, user, asked))


def _about(call: Call, spec: Object) -> tuple[User, Attributes]:
    """Whom and what a review is about. Raises StatusError 422."""
    nobody = not spec.get("user") and not spec.get("groups")
    why = "at least one of user or group must be specified"
    asked = _attributes(spec, *([invalid("spec.user", "", why)] if nobody else ()))
    return User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", "")), asked


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
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra}
    return info


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
    token, wanted = spec.get("token", ""), tuple(spec.get("audiences") or (ISSUER,))
    if not token:
        raise bad_request("token is required for TokenReview in authentication")
    try:
        user, audiences = call.backend.authenticator.recognise(token, wanted)
    except WrongAudience as error:
        meant, asked = quoted(error.audiences), quoted(wanted)
        why = f"token audiences {meant} is invalid for the target audiences {asked}"
        return _answer(call, sent, {"user": {}, "error": f"[invalid bearer token, {why}]"})
    except StatusError:
        return _answer(call, sent, {"user": {}, "error": "invalid bearer token"})
    status = {"authenticated": True, "user": _user_info(user), "audiences": list(audiences)}
    return _answer(call, sent, status)


def _virtual(place: tuple[str, str], kind: str, handler: Handler, namespaced: bool = False) -> Virtual:
    group, version = place
    plural = f"{kind.lower()}s"
    return Virtual(Kind(group, version, kind, plural, kind.lower(), namespaced), {"create": handler})


_REVIEWS = (
    _virtual(AUTHENTICATION, "SelfSubjectReview", self_subject),
    _virtual(AUTHENTICATION, "TokenReview", token_review),
    _virtual(AUTHORIZATION, "LocalSubjectAccessReview", local_subject_access, namespaced=True),
    _virtual(AUTHORIZATION, "SelfSubjectAccessReview", self_subject_access),
    _virtual(AUTHORIZATION, "SelfSubjectRulesReview", self_subject_rules),
    _virtual(AUTHORIZATION, "SubjectAccessReview", subject_access),
)

VIRTUAL: Mapping[tuple[str, str, str], Virtual] = {
    (each.kind.group, each.kind.version, each.kind.plural): each for each in _REVIEWS
}
