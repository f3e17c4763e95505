"""Calls to an API server over HTTPS, through the official client's connection pool and credentials."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import urllib3
from urllib3.util import Retry, Timeout

from pytest_selfrep.clusters.kube import Call, Reply
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
"""How long an answer may be on its way; the API server gives up after 60 seconds itself."""
RETRIES = 4
_RETRY = Retry(
    total=RETRIES,
    # A request that was not taken in may be sent again, whatever it asked for; else reads alone.
    status_forcelist=(429,),
    allowed_methods=None,
    connect=RETRIES,
    read=0,
    other=0,
    backoff_factor=0.2,
    raise_on_status=False,
)


class Https:
    """A transport under one identity (clusters.kube.Transport). Threads may share it."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    @property
    def server(self) -> str:
        """Its URL."""
        return str(self._api.configuration.host)

    def send(self, call: Call) -> Reply:
        """Raises ClusterError when the server does not answer, or the credential cannot be had."""
        with self._answer(call, READ_SECONDS, streamed=False) as answer:
            return Reply(answer.status, answer.data)

    @contextmanager
    def stream(self, call: Call, silence: float) -> Iterator[Reply | Iterator[bytes]]:
        """The lines of an answer that does not end, as they come; a Reply when it is an error.

        ``silence`` is how many seconds may pass without a line. Raises ClusterError as ``send`` does, and from
        the iterator when the connection breaks.
        """
        with self._answer(call, silence, streamed=True) as answer:
            if answer.status >= 400:
                yield Reply(answer.status, answer.read())
            else:
                yield _lines(answer, self.server)

    def with_token(self, token: str) -> Https:
        """The same server under the identity of a bearer token, and of nothing else."""
        from kubernetes.client import ApiClient, Configuration

        mine = self._api.configuration
        theirs = Configuration(host=mine.host)
        for name in ("ssl_ca_cert", "verify_ssl", "assert_hostname", "tls_server_name", "proxy", "no_proxy"):
            setattr(theirs, name, copy.copy(getattr(mine, name)))
        theirs.api_key = {"authorization": f"Bearer {token}"}
        return Https(ApiClient(theirs))

    def close(self) -> None:
        """Close all connections that are idle."""
        self._api.rest_client.pool_manager.clear()
        self._api.close()

    @contextmanager
    def _answer(
        self, call: Call, read_seconds: float, *, streamed: bool
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        query = f"?{urlencode(call.query)}" if call.query else ""
        pool: urllib3.PoolManager = self._api.rest_client.pool_manager
        try:
            answer = pool.request(
                call.method,
                f"{self.server}{call.path}{query}",
                body=call.body or None,
                headers={**call.headers, **self._credential(call)},
                timeout=Timeout(connect=CONNECT_SECONDS, read=read_seconds),
                retries=_RETRY,
                preload_content=not streamed,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(f"the API server at {self.server} does not answer: {error}") from error
        try:
            yield answer
        finally:
            if streamed:
                # What is still to come belongs to nobody: the connection cannot be used again.
                with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
                    answer.close()

    def _credential(self, call: Call) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        try:
            self._api.update_params_for_auth(headers, [], ["BearerToken"], call.path, call.method, None)
        except Exception as error:
            # Programs that make credentials fail in ways of their own.
            raise ClusterError(f"there is no credential for {self.server}: {error}") from error
        return headers


def from_kubeconfig(path: Path, context: str) -> Https:
    """The server and identity of a context of a kubeconfig.

    Raises:
        ClusterError: the file or the context is not there, or makes no sense.
    """
    from kubernetes import config

    try:
        api: Any = config.new_client_from_config(config_file=str(path), context=context)
    except Exception as error:
        raise ClusterError(f"{path}: context {context}: {error}") from error
    return Https(api)


def _lines(answer: urllib3.BaseHTTPResponse, server: str) -> Iterator[bytes]:
    rest = b""
    try:
        for piece in answer.stream(amt=None):
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ClusterError(f"the connection to {server} broke: {error}") from error
