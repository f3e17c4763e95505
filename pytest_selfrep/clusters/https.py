"""Calls to an API server over HTTPS, through the official client's connection pool and credentials."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import urllib3
from urllib3.exceptions import ProtocolError
from urllib3.util import Timeout

from pytest_selfrep.clusters import unreached
from pytest_selfrep.clusters.kube import ApiError, Call, Reply, status_of
from pytest_selfrep.clusters.login import Login, kubeconfig_login, token_login
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from pytest_selfrep.clusters.kube import Conversation

READS = frozenset({"GET", "HEAD"})
_SEGMENT = "~:@!$&'()*+,;="
"""What may stand in a segment of a path as it is (RFC 3986), besides letters, digits and ``-._``."""
_PIECE = 64 * 1024
_LENGTHS = frozenset({"content-length", "transfer-encoding"})
_BODILESS = frozenset({204, 304})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a server is given."""

    connect: float = 10.0
    """For a connection to come about."""
    answer: float = 65.0
    """For a whole answer; the API server itself gives up after 60."""
    begin: float = 15.0
    """For an answer to begin that then goes on."""
    again: float = 15.0
    """For which a request is tried again that was certainly not carried out, or changes nothing."""


class Https:
    """A transport under one identity (clusters.kube.Conversing). Threads may share it."""

    def __init__(self, login: Login, patience: Patience | None = None) -> None:
        self._login = login
        self._patience = patience or Patience()

    @property
    def server(self) -> str:
        """Its URL."""
        return self._login.server

    def authority(self) -> dict[str, Any]:
        """How the server shows that it is the right one, as a cluster of a kubeconfig says it."""
        return self._login.authority()

    def send(self, call: Call) -> Reply:
        """The answer, whatever its status.

        What may have been carried out is repeated for reads alone. What certainly was not is repeated for any
        request: no connection came about, or the server said 429 and when to come again.

        Raises:
            ClusterError: the server does not answer, or the credential cannot be had.
        """
        until = time.monotonic() + self._patience.again
        pause = _FIRST_PAUSE
        while True:
            outcome, wait = self._tried(call, pause)
            if wait is None or time.monotonic() + wait > until:
                if isinstance(outcome, Reply):
                    return outcome
                raise outcome
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @contextmanager
    def stream(self, call: Call, silence: float) -> Iterator[Lines]:
        """The lines of an answer that goes on, as they come. It is asked for once.

        ``silence`` is how many seconds may pass without a byte.

        Raises:
            ApiError: the server refuses. ``details.retryAfterSeconds`` says when to come again, if it does.
            ClusterError: as for ``send``.
        """
        client = self._login.client()
        with self._answer(call, self._patience.begin, client) as answer:
            if answer.status == 401:
                # For the next time.
                self._login.renew(client)
            if answer.status >= 300:
                raise ApiError(_refusal(Reply(answer.status, self._body(call, answer)), answer))
            # Where the connection ends with the answer it is out of reach: there the bound so far holds on.
            socket = getattr(answer.connection, "sock", None)
            if socket is not None:
                socket.settimeout(silence)
            yield Lines(answer, self.server)

    def converse(self, call: Call, repeated: Sequence[tuple[str, str]]) -> Conversation | Reply:
        """A conversation over a WebSocket, which only a GET can open; else what the server says against it.

        Raises:
            ClusterError: as for ``send``; or the server allows it to a POST alone, and so over SPDY.
        """
        if call.method == "GET":
            return self._conversation(call, repeated)
        reply = self.send(replace(call, query={**call.query, **dict(repeated)}))
        if reply.status in (401, 403, 404):
            return reply
        raise ClusterError(
            f"{self.server} lets this identity {call.method} {call.path} but not GET it, and a WebSocket is "
            "opened by GET: give the identity the verb get on that subresource too"
        )

    def with_token(self, token: str) -> Https:
        """The same server under the identity of a bearer token, and of nothing else."""
        return Https(token_login(self._login, token), self._patience)

    def close(self) -> None:
        """Close all connections; nothing can be sent any more."""
        self._login.close()

    def _tried(self, call: Call, pause: float) -> tuple[Reply | ClusterError, float | None]:
        """What came of it, and after how many seconds it is to be tried again; None if it is not."""
        try:
            reply, after = self._once(call)
        except unreached.Unreached as error:
            again = error.passing and (error.unsent or call.method in READS)
            return error, pause if again else None
        again = reply.status == 429 or (reply.status >= 500 and call.method in READS)
        return reply, max(after, pause) if again and after is not None else None

    def _once(self, call: Call) -> tuple[Reply, float | None]:
        """The answer, and after how many seconds the server wants to be asked again, if it says so."""
        client = self._login.client()
        reply, after = self._asked(call, client)
        # An identity that is not known may do nothing, so nothing was done.
        if reply.status == 401 and self._login.renew(client):
            reply, after = self._asked(call, self._login.client())
        return reply, after

    def _asked(self, call: Call, client: ApiClient) -> tuple[Reply, float | None]:
        with self._answer(call, self._patience.answer, client) as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            reply = Reply(answer.status, self._body(call, answer), headers)
            if 300 <= reply.status < 400:
                raise ClusterError(
                    f"{self.server} answers {call.method} {call.path} with a redirect to "
                    f"{answer.headers.get('Location', 'nowhere')}, as no API server does: check the server "
                    "in the kubeconfig, and whether a proxy asks for a login"
                )
            return reply, _retry_after(answer)

    @contextmanager
    def _answer(self, call: Call, silence: float, client: ApiClient) -> Iterator[urllib3.BaseHTTPResponse]:
        pool: urllib3.PoolManager = client.rest_client.pool_manager
        try:
            answer = pool.request(
                call.method,
                f"{self.server}{_target(call, tuple(call.query.items()))}",
                body=call.body or None,
                headers={"User-Agent": client.user_agent, **call.headers, **self._login.headers(client)},
                timeout=Timeout(connect=self._patience.connect, read=silence),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except unreached.CAUSES as error:
            raise unreached.because(error, self.server, call) from error
        try:
            yield answer
        finally:
            if answer.connection is not None:
                # What is still to come belongs to nobody: the connection cannot be used again.
                with contextlib.suppress(*unreached.CAUSES):
                    answer.close()
                    answer.release_conn()

    def _body(self, call: Call, answer: urllib3.BaseHTTPResponse) -> bytes:
        """All of it, with a bound on the whole: the pool's holds for each piece, and pieces may trickle."""
        until = time.monotonic() + self._patience.answer
        body = bytearray()
        try:
            while piece := answer.read1(_PIECE):
                body += piece
                if time.monotonic() > until:
                    raise TimeoutError(f"only {len(body)} bytes in {self._patience.answer:g} seconds")
            if answer.status not in _BODILESS and not _LENGTHS & {name.lower() for name in answer.headers}:
                # API servers say how long an answer is. Where that is missing, the head was cut off.
                raise ProtocolError("its head was cut off")
        except unreached.CAUSES as error:
            raise unreached.because(error, self.server, call) from error
        return bytes(body)

    def _conversation(self, call: Call, repeated: Sequence[tuple[str, str]]) -> Conversation | Reply:
        from pytest_selfrep.clusters.websockets import conversation

        target, seconds = _target(call, (*call.query.items(), *repeated)), self._patience.connect
        client = self._login.client()
        answer = conversation(client.configuration, target, self._login.headers(client), seconds)
        if isinstance(answer, Reply) and answer.status == 401 and self._login.renew(client):
            client = self._login.client()
            answer = conversation(client.configuration, target, self._login.headers(client), seconds)
        return answer


class Lines:
    """The lines of one answer. Read by one thread; any other may ``stop`` it."""

    def __init__(self, answer: urllib3.BaseHTTPResponse, server: str) -> None:
        self._answer = answer
        self._server = server

    @property
    def date(self) -> float | None:
        """The server's time (of the epoch) when the answer began, in whole seconds."""
        try:
            return parsedate_to_datetime(self._answer.headers.get("Date", "")).timestamp()
        except ValueError:
            return None

    def read(self) -> bytes:
        """All at once. Raises ClusterError when the connection breaks or is silent for too long."""
        return b"".join(self._pieces())

    def __iter__(self) -> Iterator[bytes]:
        """Raises ClusterError when the connection breaks, is silent for too long or ends within a line."""
        rest = b""
        for piece in self._pieces():
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
        if rest:
            raise ClusterError(f"the connection to {self._server} ended within a line")

    def _pieces(self) -> Iterator[bytes]:
        try:
            while piece := self._answer.read1(_PIECE):
                yield piece
        # A ValueError is what the socket of a connection that was stopped says.
        except (*unreached.CAUSES, ValueError) as error:
            raise ClusterError(f"the connection to {self._server} broke: {error}") from error

    def stop(self) -> None:
        """Have the reader come to an end at once."""
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            self._answer.shutdown()


def from_kubeconfig(path: Path, context: str, patience: Patience | None = None) -> Https:
    """The server and identity of a context of a kubeconfig.

    Raises:
        ClusterError: the file or the context is not there, or makes no sense.
    """
    return Https(kubeconfig_login(path, context), patience)


def _target(call: Call, query: Sequence[tuple[str, str]]) -> str:
    """Path and query. Names are whatever somebody says, and must stay names: neither ``..`` nor a query."""
    segments = (
        "%2E" * len(each) if each in (".", "..") else quote(each, safe=_SEGMENT)
        for each in call.path.split("/")
    )
    return "/".join(segments) + (f"?{urlencode(query)}" if query else "")


def _retry_after(answer: urllib3.BaseHTTPResponse) -> float | None:
    """Seconds. A date, which no API server gives, is as none."""
    text = answer.headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdecimal() else None


def _refusal(reply: Reply, answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    status = status_of(reply)
    after = _retry_after(answer)
    if after is not None:
        status["details"] = {**(status.get("details") or {}), "retryAfterSeconds": after}
    return status
