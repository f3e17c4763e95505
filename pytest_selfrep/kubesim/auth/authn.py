"""Who makes a request: bearer tokens of service accounts and of named identities."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from pytest_selfrep.kubesim.clock import Clock
from pytest_selfrep.kubesim.kinds import NODE, POD, SECRET, SERVICE_ACCOUNT, Kind
from pytest_selfrep.kubesim.names import Names
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.status import StatusError, unauthorized
from pytest_selfrep.kubesim.store import Store

ISSUER = "https://kubernetes.default.svc.cluster.local"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"
BINDS: Mapping[str, Kind] = {"pod": POD, "secret": SECRET, "node": NODE}
"""What a token may be bound to, by its claims; it ends with the first of them that it names."""


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated identity (authentication.k8s.io/v1 UserInfo)."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), compare=False)
    """What else is known of it, of no account to anybody's rights."""

    @property
    def pod(self) -> str:
        """The uid of the pod that its token is bound to; empty if it is bound to none."""
        return dict(self.extra).get(f"{_EXTRA}pod-uid", ("",))[0]


ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))
"""Who sends no credentials."""
_EXTRA = "authentication.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class _Bound:
    """What a service account token says once its signature has been checked."""

    user: User
    account: Key
    expires: float
    audiences: tuple[str, ...]
    needs: tuple[Kind, Key, str] | None
    """Kind, key and uid of the object without which the token is void."""


class WrongAudience(StatusError):
    """A token that is good, but for others."""

    def __init__(self, audiences: tuple[str, ...]) -> None:
        super().__init__(401, "Unauthorized", "Unauthorized")
        self.audiences = audiences


def service_account_groups(namespace: str) -> tuple[str, ...]:
    """All but the one of everybody who is authenticated."""
    return "system:serviceaccounts", f"system:serviceaccounts:{namespace}"


def _service_account(claims: Object) -> User:
    """The user behind a token of a service account, with what the token says of itself."""
    private = claims["kubernetes.io"]
    namespace, account = private["namespace"], private["serviceaccount"]
    extra = {"credential-id": f"JTI={claims['jti']}"}
    for kind in ("node", "pod"):
        if kind in private:
            extra[f"{kind}-name"], extra[f"{kind}-uid"] = private[kind]["name"], private[kind]["uid"]
    return User(
        f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{account['name']}",
        (*service_account_groups(namespace), AUTHENTICATED),
        account["uid"],
        tuple((_EXTRA + name, (value,)) for name, value in sorted(extra.items())),
    )


def _reference(kind: Kind, namespace: str, private: Object) -> tuple[Kind, Key, str]:
    claim = private[kind.kind.lower()]
    return kind, Key(namespace if kind.namespaced else "", claim["name"]), claim["uid"]


class Authenticator:
    """Issues tokens and recognises them."""

    def __init__(self, store: Store, clock: Clock, names: Names, seed: int) -> None:
        self._store = store
        self._clock = clock
        self._names = names
        self._secret = hashlib.sha256(f"service-account-key {seed}".encode()).digest()
        self._static: dict[str, User] = {}
        self._checked: dict[str, _Bound] = {}

    def static_token(self, user: User) -> str:
        """An opaque token for a user without a service account; it does not expire."""
        token = self._sign(f"{user.name} {' '.join(user.groups)}".encode())[:64]
        self._static[token] = user
        return token

    def service_account_token(
        self,
        account: Object,
        seconds: int,
        audiences: tuple[str, ...] = (ISSUER,),
        bound: Object | None = None,
    ) -> str:
        """A token as TokenRequest issues it, which ends with its time, its account or what it is bound to."""
        meta, now = account["metadata"], self._clock.unix_nanoseconds() // 1_000_000_000
        private: Object = {
            "namespace": meta["namespace"],
            "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
        }
        for each in self._named(bound):
            claim = {"name": each["metadata"]["name"], "uid": each["metadata"]["uid"]}
            private[each["kind"].lower()] = claim
        claims = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": self._names.uid(),
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"{SERVICE_ACCOUNT_PREFIX}{meta['namespace']}:{meta['name']}",
        }
        header = {"alg": "RS256", "kid": self._sign(b"kid")[:43]}
        signed = f"{_encode(orjson.dumps(header))}.{_encode(orjson.dumps(claims))}"
        return f"{signed}.{self._sign(signed.encode())}"

    def _named(self, bound: Object | None) -> Iterator[Object]:
        """What a token says that it is bound to: of a pod its node too."""
        if bound is None:
            return
        yield bound
        if bound["kind"] == POD.kind:
            node = self._store.get(NODE, Key("", bound["spec"].get("nodeName", "")))
            if node is not None:
                yield node

    def pod_token(self, pod: Object, seconds: int) -> bytes:
        """The token that is mounted into a pod; nothing if its account is gone."""
        spec, namespace = pod["spec"], pod["metadata"]["namespace"]
        account = self._store.get(SERVICE_ACCOUNT, Key(namespace, spec.get("serviceAccountName", "default")))
        if account is None:
            return b""
        return self.service_account_token(account, seconds, bound=pod).encode()

    def authenticate(self, authorization: str) -> User:
        """The user behind an ``Authorization`` header, nobody without one. Raises StatusError 401."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return ANONYMOUS
        return self.recognise(token, (ISSUER,))[0]

    def recognise(self, token: str, audiences: tuple[str, ...]) -> tuple[User, tuple[str, ...]]:
        """The user behind a token, and for which of the audiences it is good. Raises StatusError 401."""
        known = self._static.get(token)
        if known is not None and ISSUER in audiences:
            return known, (ISSUER,)
        bound = self._checked.get(token)
        if bound is None:
            bound = self._checked[token] = self._check(token)
        shared = tuple(each for each in audiences if each in bound.audiences)
        if not shared:
            raise WrongAudience(bound.audiences)
        if not self._is_live(bound):
            raise unauthorized()
        return bound.user, shared

    def _is_live(self, bound: _Bound) -> bool:
        account = self._store.get(SERVICE_ACCOUNT, bound.account)
        if account is None or account["metadata"]["uid"] != bound.user.uid:
            return False
        if bound.needs is not None:
            kind, key, uid = bound.needs
            found = self._store.get(kind, key)
            if found is None or found["metadata"]["uid"] != uid:
                return False
        return self._clock.now < bound.expires

    def _check(self, token: str) -> _Bound:
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(signed.encode()).encode()):
            raise unauthorized()
        claims = orjson.loads(_decode(signed.partition(".")[2]))
        private = claims["kubernetes.io"]
        namespace, account = private["namespace"], private["serviceaccount"]
        needs = next((kind for name, kind in BINDS.items() if name in private), None)
        age = self._clock.unix_nanoseconds() / 1e9 - claims["iat"]
        return _Bound(
            _service_account(claims),
            Key(namespace, account["name"]),
            self._clock.now - age + claims["exp"] - claims["iat"],
            tuple(claims["aud"]),
            _reference(needs, namespace, private) if needs is not None else None,
        )

    def _sign(self, text: bytes) -> str:
        # As long as an RSA signature. SHAKE, unlike SHA-2, may simply be keyed by a prefix.
        return _encode(hashlib.shake_256(self._secret + text).digest(256))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
