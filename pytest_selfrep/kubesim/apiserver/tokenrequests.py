"""Tokens that clients ask for: the ``token`` subresource of service accounts."""

from __future__ import annotations

from pytest_selfrep.kubesim.apiserver.calls import Call
from pytest_selfrep.kubesim.apiserver.http import Response
from pytest_selfrep.kubesim.auth.authn import BINDS, ISSUER
from pytest_selfrep.kubesim.kinds import POD
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.status import StatusError, bad_request, not_found

_SHORTEST, _USUAL, _LONGEST = 600, 3600, 1 << 32
"""Seconds that a token may be asked to last."""


def request_token(call: Call) -> Response:
    """TokenRequest: a token for the account, which ends with its time or what it is bound to."""
    spec = call.sent("TokenRequest", "authentication.k8s.io/v1")["spec"]
    account, context = call.stored(), call.backend.context
    seconds = spec.get("expirationSeconds", _USUAL)
    if not _SHORTEST <= seconds <= _LONGEST:
        limit = "less than 10 minutes" if seconds < _SHORTEST else "longer than 2^32 seconds"
        why = f"spec.expirationSeconds: Invalid value: {seconds}: may not specify a duration {limit}"
        details = {"group": "authentication.k8s.io", "kind": "TokenRequest"}
        raise StatusError(422, "Invalid", f'TokenRequest.authentication.k8s.io "" is invalid: {why}', details)
    audiences = tuple(spec.get("audiences") or (ISSUER,))
    token = call.backend.authenticator.service_account_token(
        account, seconds, audiences, _bound(call, spec.get("boundObjectRef"))
    )
    answer = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": call.target.name, "namespace": call.key.namespace},
        "spec": {**spec, "audiences": list(audiences), "expirationSeconds": seconds},
        "status": {
            "token": token,
            "expirationTimestamp": context.clock.timestamp(context.clock.now + seconds),
        },
    }
    return Response(201, answer)


def _bound(call: Call, ref: Object | None) -> Object | None:
    """The object that a reference names. Raises StatusError 400, 404 or 409."""
    if ref is None:
        return None
    group, _, version = (ref.get("apiVersion") or "").rpartition("/")
    title, name = ref.get("kind") or "", ref.get("name") or ""
    kind = BINDS.get(title.lower())
    if group or kind is None or kind.kind != title:
        raise bad_request(f"cannot bind token to object of type {group}/{version}, Kind={title}")
    found = call.backend.context.store.get(kind, Key(call.key.namespace if kind.namespaced else "", name))
    if found is None:
        raise not_found(kind, name)
    account = call.target.name
    if kind is POD and found["spec"].get("serviceAccountName") != account:
        other = "to pod running with different serviceaccount name."
        raise bad_request(f'cannot bind token for serviceaccount "{account}" {other}')
    uid = found["metadata"]["uid"]
    if ref.get("uid") not in (None, "", uid):
        why = (
            f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        message = f'Operation cannot be fulfilled on {title} "{name}": {why}'
        raise StatusError(409, "Conflict", message, {"name": name, "kind": title})
    return found
