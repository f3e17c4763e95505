"""``kubectl auth can-i`` and ``kubectl auth whoami``."""

from __future__ import annotations

from pytest_selfrep.clusters.kube import ApiError, KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.describe.access import rule_rows
from pytest_selfrep.tools.kubectl.errors import Complaint, fault
from pytest_selfrep.tools.kubectl.kinds import Kind
from pytest_selfrep.tools.kubectl.output import show_objects
from pytest_selfrep.tools.kubectl.text import table

_VERBS = frozenset(
    (
        *("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"),
        *("use", "bind", "impersonate", "*", "approve", "sign", "escalate", "attest"),
    )
)
"""Verbs that ``can-i`` asks about without a warning."""
_API = "/apis/authorization.k8s.io/v1"


def can_i(command: Command) -> None:
    if command.switched("list"):
        _list_rules(command)
        return
    if len(command.arguments) not in (2, 3):
        raise Complaint(
            "error: you must specify two arguments: verb resource or verb resource/resourceName.\n"
            "See 'kubectl auth can-i -h' for help and examples."
        )
    verb, what, *name = command.arguments
    spec = _non_resource(verb, what) if what.startswith("/") else _resource(command, verb, what, name)
    body: KubeObject = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": spec,
    }
    status = command.client.create(f"{_API}/selfsubjectaccessreviews", body).get("status", {})
    command.code = 0 if status.get("allowed") else 1
    if command.switched("quiet"):
        return
    if status.get("allowed"):
        command.say("yes")
        return
    reasons = [str(status[key]) for key in ("reason", "evaluationError") if status.get(key)]
    command.say(" - ".join(["no", *reasons]))


def _non_resource(verb: str, path: str) -> KubeObject:
    return {"nonResourceAttributes": {"path": path, "verb": verb}}


def _resource(command: Command, verb: str, what: str, name: list[str]) -> KubeObject:
    word, _, inner = what.partition("/")
    namespace = "" if command.switched("all-namespaces") else command.namespace
    attributes: KubeObject = {"verb": verb, "resource": word}
    kind = None if word == "*" else command.discovery.find_word(word)
    if kind is None and word != "*":
        command.say(f"Warning: the server doesn't have a resource type '{word}'\n")
    if kind:
        attributes |= {"resource": kind.plural, "group": kind.group, "version": kind.version}
        if not kind.namespaced:
            scope = f" in group '{kind.group}'" if kind.group else ""
            command.say(f"Warning: resource '{kind.plural}' is not namespace scoped{scope}\n")
            namespace = ""
    elif word == "*":
        attributes["group"] = "*"
    if verb not in _VERBS:
        command.say(f"Warning: verb '{verb}' is not a known verb\n")
    attributes |= {
        "namespace": namespace,
        "name": inner or (name[0] if name else ""),
        "subresource": command.text("subresource"),
    }
    return {"resourceAttributes": {key: value for key, value in attributes.items() if value}}


def _list_rules(command: Command) -> None:
    body: KubeObject = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": command.namespace},
    }
    status = command.client.create(f"{_API}/selfsubjectrulesreviews", body).get("status", {})
    rules = [*(status.get("resourceRules") or []), *(status.get("nonResourceRules") or [])]
    rows = rule_rows(rules)
    header = (
        []
        if command.switched("no-headers")
        else [["Resources", "Non-Resource URLs", "Resource Names", "Verbs"]]
    )
    command.write(table([*header, *rows]))


def whoami(command: Command) -> None:
    if command.arguments:
        raise fault(f'unknown command "{command.arguments[0]}" for "kubectl auth whoami"')
    body: KubeObject = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = command.client.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
    except ApiError as error:
        if error.code not in (404, 405):
            raise
        raise fault(
            "the selfsubjectreviews API is not enabled in the cluster\n"
            "enable APISelfSubjectReview feature gate and authentication.k8s.io/v1alpha1 or "
            "authentication.k8s.io/v1beta1 API"
        ) from None
    if command.text("output") not in ("", "wide"):
        kind = Kind(
            "authentication.k8s.io",
            "v1",
            "SelfSubjectReview",
            "selfsubjectreviews",
            "selfsubjectreview",
            False,
        )
        show_objects(command, [(kind, answer)], single=True)
        return
    user = answer.get("status", {}).get("userInfo", {})
    rows = [["ATTRIBUTE", "VALUE"], ["Username", str(user.get("username", ""))]]
    if user.get("uid"):
        rows.append(["UID", str(user["uid"])])
    rows.append(["Groups", f"[{' '.join(user.get('groups') or [])}]"])
    for key, values in sorted((user.get("extra") or {}).items()):
        rows.append([f"Extra: {key}", f"[{' '.join(values)}]"])
    command.write(table(rows))


VERBS = (
    Verb(
        "auth can-i",
        can_i,
        (
            f.ALL_NAMESPACES,
            f.NO_HEADERS,
            f.Flag("list", f.BOOL),
            f.Flag("quiet", f.BOOL, "q"),
            f.Flag("subresource", f.TEXT),
        ),
        "auth can-i VERB [TYPE | TYPE/NAME | NONRESOURCEURL] [options]",
        "Check whether an action is allowed",
    ),
    Verb(
        "auth whoami",
        whoami,
        (f.OUTPUT,),
        "auth whoami [options]",
        "Experimental: Check self subject attributes",
    ),
)
