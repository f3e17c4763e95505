"""Who somebody is to an API server: the official client's credentials, read again when they are refused."""

from __future__ import annotations

import base64
import copy
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_selfrep.errors import ClusterError, did_you_mean

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

CONNECTIONS = 64
"""Kept for reuse; more may be open, and are closed after use."""
RENEW_SECONDS = 10.0
"""A credential is not read again sooner: programs that make them may ask people."""


class Login:
    """One identity at one server. Threads may share it."""

    def __init__(
        self,
        load: Callable[[], ApiClient],
        server: str,
        first: ApiClient | None = None,
        *,
        renewable: bool = True,
    ) -> None:
        """``load`` reads the credential (another each time, if ``renewable``) or raises ClusterError."""
        self.server = server
        self._load = load
        self._lock = threading.Lock()
        self._client = first
        self._renewable = renewable
        self._renewed: float | None = None
        self._closed = False

    def client(self) -> ApiClient:
        """Raises ClusterError if it cannot be had, or has been closed."""
        with self._lock:
            if self._closed:
                raise ClusterError(f"{self.server} is asked for something after its connections were closed")
            if self._client is None:
                self._client = self._load()
            return self._client

    def headers(self, client: ApiClient) -> dict[str, str]:
        """The credential, where it is no certificate. Raises ClusterError if it cannot be had."""
        headers: dict[str, str] = {}
        try:
            # This may fetch another in the place of one that has expired, and two at once would mix them up.
            with self._lock:
                client.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        except Exception as error:
            # Programs that make credentials fail in ways of their own.
            raise ClusterError(
                f"there is no credential for {self.server}: {error}; log in again, or check the user in the "
                "kubeconfig"
            ) from error
        return headers

    def authority(self) -> dict[str, Any]:
        """How the server shows that it is the right one, as a cluster of a kubeconfig says it."""
        settings = self.client().configuration
        if not settings.verify_ssl:
            return {"insecure-skip-tls-verify": True}
        if not settings.ssl_ca_cert:
            return {}
        text = Path(settings.ssl_ca_cert).read_bytes()
        return {"certificate-authority-data": base64.b64encode(text).decode()}

    def renew(self, stale: ApiClient) -> bool:
        """Whether there is a client now whose credential was read later than that of ``stale``."""
        if not self._renewable:
            return False
        with self._lock:
            if self._client is not stale:
                return not self._closed
            now = time.monotonic()
            if self._renewed is not None and now - self._renewed < RENEW_SECONDS:
                return False
            self._renewed = now
            self._client = self._load()
        # Connections in use go on, and are closed when they are given back.
        _close(stale)
        return True

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            client, self._client = self._client, None
            self._closed = True
        if client is not None:
            _close(client)


def kubeconfig_login(path: Path, context: str) -> Login:
    """The server and user of a context. Raises ClusterError if they are not there or make no sense."""
    first = _read(path, context)
    server = str(first.configuration.host)
    if not server.startswith(("https://", "http://")):
        raise ClusterError(f"{path}: context {context}: its server is no URL: {server}")
    return Login(lambda: _read(path, context), server, first)


def token_login(login: Login, token: str) -> Login:
    """The owner of a bearer token at the same server."""
    return Login(lambda: _with_token(login.client(), token), login.server, renewable=False)


def _read(path: Path, context: str) -> ApiClient:
    from kubernetes import config
    from kubernetes.client import Configuration

    # The class itself hands out copies of a default that anybody may have set.
    settings: Any = type.__call__(Configuration)
    settings.connection_pool_maxsize = CONNECTIONS
    # Without types.
    make: Callable[..., ApiClient] = config.new_client_from_config
    try:
        _check(path, context)
        return make(config_file=str(path), context=context, client_configuration=settings)
    except Exception as error:
        raise ClusterError(f"{path}: context {context}: {error}") from error


def _check(path: Path, context: str) -> None:
    """What the official client says in words of its own, or does not see: that a user acts as another.

    It would act as the user itself, who may do more.
    """
    config = _parsed(path)
    contexts = _named(config, "contexts", "context")
    if context not in contexts:
        hint = did_you_mean(context, contexts)
        raise ValueError(f"there is none of this name; {hint}there are: {', '.join(contexts) or 'none'}")
    cluster, user = contexts[context].get("cluster"), contexts[context].get("user")
    if cluster not in _named(config, "clusters", "cluster"):
        raise ValueError(f"its cluster is {cluster!r}, and under clusters there is none of this name")
    # Without a user it is nobody's.
    users = _named(config, "users", "user")
    if user is not None and user not in users:
        raise ValueError(f"its user is {user!r}, and under users there is none of this name")
    if any(str(key).startswith("as") for key in users.get(str(user), ())):
        raise ValueError(
            f"user {user} acts as somebody else (as, as-groups), which is not supported: name a "
            "context with a credential of its own"
        )


def cluster_of(path: Path, context: str) -> str:
    """The name that a context's cluster has in the kubeconfig; empty if that makes no sense."""
    try:
        return str(_named(_parsed(path), "contexts", "context")[context]["cluster"])
    except (OSError, ValueError, KeyError):
        return ""


def _parsed(path: Path) -> dict[str, Any]:
    """Raises OSError and ValueError."""
    import yaml

    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"it is no YAML: {error}") from error
    if not isinstance(config, dict):
        raise ValueError("it is no kubeconfig: that has clusters, users and contexts")
    return config


def _named(config: dict[str, Any], many: str, one: str) -> dict[str, dict[str, Any]]:
    """Entries of a kubeconfig by their names. Raises ValueError."""
    entries = config.get(many) or []
    if not isinstance(entries, list):
        raise ValueError(f"its {many} are no list")
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        what = (entry.get(one) or {}) if isinstance(entry, dict) else None
        if not isinstance(what, dict) or "name" not in entry:
            raise ValueError(f"each of its {many} has to have a name and a {one}")
        found.setdefault(str(entry["name"]), what)
    return found


def _with_token(client: ApiClient, token: str) -> ApiClient:
    from kubernetes.client import ApiClient, Configuration

    mine = client.configuration
    theirs = Configuration(host=mine.host, connection_pool_maxsize=mine.connection_pool_maxsize)
    for name in ("ssl_ca_cert", "verify_ssl", "assert_hostname", "tls_server_name", "proxy", "no_proxy"):
        setattr(theirs, name, copy.copy(getattr(mine, name)))
    theirs.api_key = {"authorization": f"Bearer {token}"}
    return ApiClient(theirs)


def _close(client: Any) -> None:
    client.close()
