"""Who may do what: roles, bindings, and the words in which a request is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pytest_selfrep.kubesim.apiserver.routes import Target
from pytest_selfrep.kubesim.auth.authn import MASTERS, User
from pytest_selfrep.kubesim.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.store import Change, Store

RBAC_GROUP = "rbac.authorization.k8s.io"
_KINDS = (ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING)


class Attributes(NamedTuple):
    """What is asked for (authorization.k8s.io/v1 ResourceAttributes or NonResourceAttributes)."""

    verb: str
    group: str = ""
    resource: str = ""
    """With the subresource behind a slash; empty for a path."""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @classmethod
    def of(cls, verb: str, target: Target) -> Attributes:
        if not target.resource:
            return cls(verb, path=target.path)
        return cls(verb, target.group, target.full_resource, target.namespace, target.name)


@dataclass(frozen=True, slots=True)
class Rule:
    """One PolicyRule."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: Object) -> Rule:
        fields = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
        return cls(*(tuple(rule.get(field) or ()) for field in fields))

    def allows(self, asked: Attributes) -> bool:
        if not ("*" in self.verbs or asked.verb in self.verbs):
            return False
        if not asked.resource:
            return any(_url_matches(url, asked.path) for url in self.urls)
        if not ("*" in self.groups or asked.group in self.groups):
            return False
        return self._has_resource(asked.resource) and (not self.names or asked.name in self.names)

    def _has_resource(self, resource: str) -> bool:
        if "*" in self.resources or resource in self.resources:
            return True
        _, slash, subresource = resource.partition("/")
        return bool(slash) and f"*/{subresource}" in self.resources

    def atoms(self) -> Iterator[Rule]:
        """The same rule as rules with one verb, group, resource, name or path each."""
        for verb in self.verbs:
            for url in self.urls:
                yield Rule((verb,), urls=(url,))
            for group in self.groups:
                for resource in self.resources:
                    for name in self.names or ("",):
                        yield Rule((verb,), (group,), (resource,), (name,) if name else ())

    def covers(self, atom: Rule) -> bool:
        """Whether all that ``atom`` (see :meth:`atoms`) allows is allowed by this rule."""
        if atom.urls:
            asked = Attributes(atom.verbs[0], path=atom.urls[0])
        else:
            if self.names and not atom.names:
                return False
            name = atom.names[0] if atom.names else ""
            asked = Attributes(atom.verbs[0], atom.groups[0], atom.resources[0], name=name)
        return self.allows(asked)


@dataclass(frozen=True, slots=True)
class Granted:
    """A user's rules in one namespace (with those that hold everywhere), or cluster-wide."""

    rules: tuple[Rule, ...]
    errors: tuple[str, ...]
    """Roles that are bound but do not exist."""


class Authorizer:
    """Decides by the roles and bindings in the store. Nothing that changes them needs to tell it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._granted: dict[tuple[User, str], Granted] = {}
        self._decided: dict[tuple[User, Attributes], bool] = {}
        store.listen(self._forget, _KINDS)

    def allows(self, user: User, asked: Attributes) -> bool:
        if MASTERS in user.groups:
            return True
        known = self._decided.get((user, asked))
        if known is None:
            rules = self.granted(user, asked.namespace).rules
            known = self._decided[user, asked] = any(rule.allows(asked) for rule in rules)
        return known

    def granted(self, user: User, namespace: str) -> Granted:
        """What the user's bindings add up to; ``namespace`` is empty for the cluster scope."""
        known = self._granted.get((user, namespace))
        if known is None:
            known = self._granted[user, namespace] = self._resolve(user, namespace)
        return known

    def reason(self, user: User, asked: Attributes) -> str:
        """Which binding allows it, as reviews word it; empty if none does, or none is needed."""
        if MASTERS in user.groups:
            return ""
        for binding in self._bindings(asked.namespace):
            subject = _subject(binding, user)
            rules = self.rules_of(binding["roleRef"], asked.namespace) if subject is not None else None
            if subject is None or not any(rule.allows(asked) for rule in rules or ()):
                continue
            meta, ref = binding["metadata"], binding["roleRef"]
            place = f"/{meta['namespace']}" if meta.get("namespace") else ""
            whom = f"{subject['name']}/{_home(subject, binding)}" if _is_account(subject) else subject["name"]
            return (
                f'RBAC: allowed by {binding["kind"]} "{meta["name"]}{place}" of {ref["kind"]} '
                f'"{ref["name"]}" to {subject["kind"]} "{whom}"'
            )
        return ""

    def refusal(self, user: User, asked: Attributes) -> str:
        """Why a request is refused, as the API server words it."""
        errors = self.granted(user, asked.namespace).errors
        if not asked.resource:
            said = f'User "{user.name}" cannot {asked.verb} path "{asked.path}"'
        else:
            scope = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
            said = (
                f'User "{user.name}" cannot {asked.verb} resource "{asked.resource}" '
                f'in API group "{asked.group}" {scope}'
            )
        if not errors:
            return said
        listed = errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"
        return f"{said}: RBAC: {listed}"

    def rules_of(self, role_ref: Object, namespace: str) -> tuple[Rule, ...] | None:
        """The rules of a binding's role; None if there is no such role."""
        kind = CLUSTER_ROLE if role_ref["kind"] == "ClusterRole" else ROLE
        home = "" if kind is CLUSTER_ROLE else namespace
        role = self._store.get(kind, Key(home, role_ref["name"]))
        return None if role is None else tuple(map(Rule.of, role.get("rules") or ()))

    def _bindings(self, namespace: str) -> list[Object]:
        bindings = self._store.list(CLUSTER_ROLE_BINDING)
        return bindings + self._store.list(ROLE_BINDING, namespace) if namespace else bindings

    def _resolve(self, user: User, namespace: str) -> Granted:
        rules: list[Rule] = []
        errors: list[str] = []
        for binding in self._bindings(namespace):
            if _subject(binding, user) is None:
                continue
            ref = binding["roleRef"]
            found = self.rules_of(ref, namespace)
            if found is None:
                errors.append(f'{ref["kind"].lower()}.{RBAC_GROUP} "{ref["name"]}" not found')
            else:
                rules += found
        return Granted(tuple(rules), tuple(errors))

    def _forget(self, _: Change) -> None:
        self._granted.clear()
        self._decided.clear()


def missing(wanted: Iterable[Rule], held: Iterable[Rule]) -> list[Rule]:
    """What of ``wanted`` is not covered by ``held``, with verbs on the same resources gathered."""
    held = tuple(held)
    gathered: dict[Rule, list[str]] = {}
    for rule in wanted:
        for atom in rule.atoms():
            if not any(each.covers(atom) for each in held):
                verbs = gathered.setdefault(Rule((), atom.groups, atom.resources, atom.names, atom.urls), [])
                if atom.verbs[0] not in verbs:
                    verbs.append(atom.verbs[0])
    return [
        Rule(tuple(verbs), place.groups, place.resources, place.names, place.urls)
        for place, verbs in gathered.items()
    ]


def describe(rule: Rule) -> str:
    """A rule as messages about escalation show it."""
    shown = (
        ("APIGroups", rule.groups),
        ("Resources", rule.resources),
        ("ResourceNames", rule.names),
        ("NonResourceURLs", rule.urls),
        ("Verbs", rule.verbs),
    )
    return "{" + ", ".join(f"{name}:{quoted(values)}" for name, values in shown if values) + "}"


def quoted(values: Iterable[str]) -> str:
    """A list of texts as Go's %q prints it."""
    return "[" + " ".join(f'"{value}"' for value in values) + "]"


def _subject(binding: Object, user: User) -> Object | None:
    """As whom a binding means the user, if it does."""
    for subject in binding.get("subjects") or ():
        name = subject["name"]
        match subject["kind"]:
            case "User":
                found = name == user.name
            case "Group":
                found = name in user.groups
            case _:
                found = user.name == f"system:serviceaccount:{_home(subject, binding)}:{name}"
        if found:
            named: Object = subject
            return named
    return None


def _is_account(subject: Object) -> bool:
    return bool(subject["kind"] == "ServiceAccount")


def _home(subject: Object, binding: Object) -> str:
    """The namespace of a service account."""
    return str(subject.get("namespace") or binding["metadata"].get("namespace", ""))


def _url_matches(url: str, path: str) -> bool:
    if url == "*" or url == path:
        return True
    return url.endswith("*") and path.startswith(url.rstrip("*"))
