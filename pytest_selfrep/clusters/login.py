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
    import yaml

    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    contexts = [str(each["name"]) for each in config.get("contexts") or ()]
    if context not in contexts:
        hint = did_you_mean(context, contexts)
        raise ValueError(f"there is none of this name; {hint}there are: {', '.join(contexts) or 'none'}")
    names = [each["context"].get("user") for each in config["contexts"] if each["name"] == context]
    for user in config.get("users") or ():
        if user["name"] in names and any(str(key).startswith("as") for key in user.get("user") or ()):
            raise ValueError(
                f"user {user['name']} acts as somebody else (as, as-groups), which is not supported: name a "
                "context with a credential of its own"
            )


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
