"""Serves the tools of one session over streamable HTTP, at a port and with a token of their own."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import socket
from asyncio import Future
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from threading import Thread
from typing import TYPE_CHECKING, Final

import orjson
from aiohttp import web

from pytest_selfrep.tools.background import background
from pytest_selfrep.tools.mcp.endpoint import Endpoint
from pytest_selfrep.tools.mcp.messages import CALL, INTERNAL_ERROR, PARSE_ERROR, Conversation, failure

if TYPE_CHECKING:
    from aiohttp.web_protocol import RequestHandler

    from pytest_selfrep.agents.base import Session

PATH: Final = "/mcp"
LONGEST_BODY: Final = 4 * 1024 * 1024
"""Bytes of a message; a manifest has at most a million characters."""
MOST_CONNECTIONS: Final = 64
CLOSE_SECONDS: Final = 1.0
"""For answers that are under way when the server is closed."""
PATIENCE_SECONDS: Final = 2.0
"""After which a client that waits for a tool is shown that the connection lives: some wait for 5 at most."""


@contextmanager
def mcp_server(session: Session, host: str = "127.0.0.1") -> Iterator[Endpoint]:
    """Serve the tools of a session until the block ends, each call as a turn of its own.

    Args:
        host: The address, of this machine, at which they are served.

    Raises:
        OSError: there is no such address here.
        HarnessError: something of ours broke in a call.
    """
    conversation = Conversation(session)
    with served(conversation, host) as endpoint:
        yield endpoint
    conversation.require_unbroken()


@contextmanager
def served(conversation: Conversation, host: str) -> Iterator[Endpoint]:
    """The same for a conversation that somebody looks after. OSError if there is no such address here."""
    token = secrets.token_urlsafe(24)
    with socket.create_server((host, 0)) as listening, background("mcp") as run:
        runner = run(_opened(_Door(conversation, token), listening))
        try:
            yield Endpoint(f"http://{host}:{listening.getsockname()[1]}{PATH}", token)
        finally:
            run(runner.cleanup())


class _Server(web.Server):
    """aiohttp's, for not more connections at once than one agent can need."""

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()


class _Door:
    """Lets in who has the token."""

    def __init__(self, conversation: Conversation, token: str) -> None:
        self._conversation = conversation
        self._expected = f"Bearer {token}".encode()
        self._calls = asyncio.Lock()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._expected):
            return web.Response(status=HTTPStatus.UNAUTHORIZED)
        if request.path != PATH:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        if request.method != "POST":
            # There are no streams of messages that nobody asked for, and no sessions to be ended.
            return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})
        body = await _body(request)
        if body is None:
            return web.Response(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            message: object = orjson.loads(body)
        except orjson.JSONDecodeError:
            return _json(failure(None, PARSE_ERROR, "Parse error"), HTTPStatus.BAD_REQUEST)
        if isinstance(message, list) or (isinstance(message, dict) and message.get("method") == CALL):
            return await _shown_to_live(request, asyncio.ensure_future(self._called(message)))
        return _response(self._conversation.answer(message))

    async def _called(self, message: object) -> object:
        # One by one, in the order in which they came; other requests are answered meanwhile.
        async with self._calls:
            try:
                return await _in_thread(lambda: _answered(self._conversation, message))
            except Exception as error:
                # Ours: whoever looks after the conversation makes the trial invalid.
                self._conversation.failure = error
                return failure(None, INTERNAL_ERROR, "Internal error")


def _answered(conversation: Conversation, message: object) -> object:
    if isinstance(message, list):
        # A batch, which the protocol had until 2025-06-18.
        return [answer for each in message if (answer := conversation.answer(each)) is not None] or None
    return conversation.answer(message)


async def _body(request: web.BaseRequest) -> bytes | None:
    """None if it is too long."""
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > LONGEST_BODY:
            return None
    return bytes(body)


def _response(answer: object) -> web.Response:
    return web.Response(status=HTTPStatus.ACCEPTED) if answer is None else _json(answer)


def _json(answer: object, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(body=orjson.dumps(answer), status=status, content_type="application/json")


async def _shown_to_live(request: web.BaseRequest, work: Future[object]) -> web.StreamResponse:
    """The answer, with blanks before it as long as it takes: clients give up where nothing comes."""
    done, _ = await asyncio.wait({work}, timeout=PATIENCE_SECONDS)
    if done:
        return _response(work.result())
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while not done:
        await response.write(b" ")
        done, _ = await asyncio.wait({work}, timeout=PATIENCE_SECONDS)
    await response.write(orjson.dumps(work.result()))
    await response.write_eof()
    return response


async def _in_thread(act: Callable[[], object]) -> object:
    """In a daemon: a tool that is at work must not keep the process alive, as threads of executors do."""
    loop = asyncio.get_running_loop()
    outcome: Future[object] = loop.create_future()

    def settle(value: object, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(value)
        else:
            outcome.set_exception(error)

    def work() -> None:
        value: object = None
        error: BaseException | None = None
        try:
            value = act()
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(settle, value, error)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            return

    Thread(target=work, name="mcp call", daemon=True).start()
    return await outcome


async def _opened(door: _Door, listening: socket.socket) -> web.ServerRunner:
    """On the loop that runs, for aiohttp's server belongs to the one that it is made on."""
    runner = web.ServerRunner(_Server(door.handle), access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    return runner
