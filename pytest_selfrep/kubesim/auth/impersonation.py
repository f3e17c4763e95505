"""Impersonation: a user acts as another one, if roles allow it (apiserver's filter of that name)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from pytest_selfrep.kubesim.auth.authn import (
    ANONYMOUS,
    AUTHENTICATED,
    SERVICE_ACCOUNT_PREFIX,
    UNAUTHENTICATED,
    User,
    service_account_groups,
)
from pytest_selfrep.kubesim.auth.rbac import Attributes, Authorizer
from pytest_selfrep.kubesim.status import StatusError

_USER, _GROUP, _UID, _EXTRA = (
    "impersonate-user",
    "impersonate-group",
    "impersonate-uid",
    "impersonate-extra-",
)
REPEATED = "\n"
"""Stands between the values of a header that was sent several times; no value can have it."""
_AUTHENTICATION = "authentication.k8s.io"


@dataclass(frozen=True, slots=True)
class _Wish:
    """Whom a request wants to be."""

    name: str
    groups: tuple[str, ...]
    uid: str
    extra: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def account(self) -> tuple[str, str] | None:
        """Namespace and name of a service account, if it is one."""
        if not self.name.startswith(SERVICE_ACCOUNT_PREFIX):
            return None
        namespace, _, name = self.name.removeprefix(SERVICE_ACCOUNT_PREFIX).partition(":")
        return (namespace, name) if namespace and name and ":" not in name else None

    def asked(self) -> list[Attributes]:
        """All that must be allowed, in the API server's order."""
        account = self.account
        if account is not None:
            wanted = [Attributes("impersonate", "", "serviceaccounts", *account)]
        else:
            wanted = [Attributes("impersonate", "", "users", name=self.name)]
        wanted += [Attributes("impersonate", "", "groups", name=group) for group in self.groups]
        wanted += [
            Attributes("impersonate", _AUTHENTICATION, f"userextras/{key}", name=value)
            for key, values in self.extra
            for value in values
        ]
        if self.uid:
            wanted.append(Attributes("impersonate", _AUTHENTICATION, "uids", name=self.uid))
        return wanted

    def user(self) -> User:
        """The identity itself, with the groups that come with it."""
        groups, account = self.groups, self.account
        if account is not None and not groups:
            groups = service_account_groups(account[0])
        added = UNAUTHENTICATED if self.name == ANONYMOUS.name else AUTHENTICATED
        if not {AUTHENTICATED, UNAUTHENTICATED} & set(groups):
            groups = (*groups, added)
        return User(self.name, groups, self.uid, self.extra)


def impersonated(requestor: User, headers: Mapping[str, str], authorizer: Authorizer) -> User:
    """As whom a request acts: its sender, unless headers ask for another. Raises StatusError 403 or 500."""
    wish = _wish(headers)
    if wish is None:
        return requestor
    for asked in wish.asked():
        if not authorizer.allows(requestor, asked):
            raise _refusal(asked, authorizer.refusal(requestor, asked))
    return wish.user()


def _wish(headers: Mapping[str, str]) -> _Wish | None:
    said = {name: value.split(REPEATED) for name, value in headers.items() if name.startswith("impersonate-")}
    if not said:
        return None
    extra = {
        unquote(name.removeprefix(_EXTRA)): tuple(values)
        for name, values in said.items()
        if name.startswith(_EXTRA)
    }
    name, uid = said.get(_USER, [""])[0], said.get(_UID, [""])[0]
    groups = tuple(said.get(_GROUP, ()))
    if not name:
        if not (groups or uid or extra):
            return None
        # Object references as Go prints them, empty fields and all.
        asked = [f"{{Group  {group}    }}" for group in groups]
        asked += [
            f"{{UserExtra  {value}  {_AUTHENTICATION}/v1  {key}}}"
            for key, values in sorted(extra.items())
            for value in values
        ]
        asked += [f"{{UID  {uid}  {_AUTHENTICATION}/v1  }}"] if uid else []
        why = f"requested [{' '.join(asked)}] without impersonating a user"
        raise StatusError(500, "InternalError", f"Internal Server Error: {why}")
    return _Wish(name, groups, uid, tuple(sorted(extra.items())))


def _refusal(asked: Attributes, why: str) -> StatusError:
    resource, _, _ = asked.resource.partition("/")
    shown = f"{resource}.{asked.group}" if asked.group else resource
    details = {"name": asked.name, "kind": resource}
    if asked.group:
        details = {"name": asked.name, "group": asked.group, "kind": resource}
    message = f'{shown} "{asked.name}" is forbidden: {why}'
    return StatusError(403, "Forbidden", message, details)
