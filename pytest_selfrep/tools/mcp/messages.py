"""What an MCP client may say, and what it is answered: the protocol's base, and tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from pytest_selfrep.agents.base import TrialEnded
from pytest_selfrep.errors import HarnessError

if TYPE_CHECKING:
    from pytest_selfrep.agents.base import Session

Message: TypeAlias = dict[str, object]
"""Of JSON-RPC 2.0."""

VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Of the protocol, the newest last. What is used of it is the same in all."""
SERVER: Final = {"name": "cluster-operations", "version": "1.4.2"}
"""As a client may show it to its model."""
CALL: Final = "tools/call"
OVER: Final = "The session is over."

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
INTERNAL_ERROR = -32603


class Unusable(Exception):
    """The parameters of a request make no sense."""


class Conversation:
    """Of a client with the tools of a session. Calls are for one thread at a time."""

    def __init__(self, session: Session, before_call: Callable[[], None] | None = None) -> None:
        self._session = session
        self._before_call = before_call
        self._answers: Mapping[str, Callable[[Message], Message]] = {
            "initialize": self._initialize,
            "ping": lambda params: {},
            "tools/list": self._list,
            CALL: self._call,
        }
        self.listed = False
        """Whether the client has asked for the tools."""
        self.over = False
        """Whether a call met the end of the trial."""
        self.failure: Exception | None = None
        """What of ours broke."""

    def require_unbroken(self) -> None:
        """HarnessError if something of ours broke."""
        if self.failure is not None:
            found = f"{type(self.failure).__name__}: {self.failure}"
            raise HarnessError(f"the tools broke as they were served: {found}") from self.failure

    def answer(self, message: object) -> Message | None:
        """What is sent back; None for notifications and answers, which want nothing."""
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            return failure(None, INVALID_REQUEST, "Invalid Request: not a JSON-RPC 2.0 message")
        if "method" not in message and ("result" in message or "error" in message):
            return None
        identity, method = message.get("id"), message.get("method")
        if "id" not in message and isinstance(method, str):
            return None
        if not isinstance(method, str) or not isinstance(identity, str | int):
            return failure(None, INVALID_REQUEST, "Invalid Request: a request has an id and a method")
        # Some clients write null where they leave it out.
        params = {} if message.get("params") is None else message["params"]
        answering = self._answers.get(method)
        if answering is None:
            return failure(identity, METHOD_NOT_FOUND, f"Method not found: {method}")
        try:
            if not isinstance(params, dict):
                raise Unusable("params must be an object")
            return {"jsonrpc": "2.0", "id": identity, "result": answering(params)}
        except Unusable as error:
            return failure(identity, INVALID_PARAMS, f"Invalid params: {error}")

    def _initialize(self, params: Message) -> Message:
        asked = params.get("protocolVersion")
        return {
            "protocolVersion": asked if asked in VERSIONS else VERSIONS[-1],
            "capabilities": {"tools": {}},
            "serverInfo": SERVER,
        }

    def _list(self, params: Message) -> Message:
        self.listed = True
        tools = [
            {"name": tool.name, "description": tool.description, "inputSchema": tool.parameters}
            for tool in self._session.tools.values()
        ]
        return {"tools": tools}

    def _call(self, params: Message) -> Message:
        name, arguments = params.get("name"), params.get("arguments")
        if not isinstance(name, str):
            raise Unusable("name must be a string")
        if arguments is not None and not isinstance(arguments, dict):
            raise Unusable("arguments must be an object")
        try:
            if self._before_call is not None:
                self._before_call()
            return _text(self._session.call(name, **(arguments or {})))
        except TrialEnded:
            self.over = True
            return _text(OVER)
        except RecursionError:
            raise Unusable("arguments are nested too deeply") from None


def failure(identity: str | int | None, code: int, words: str) -> Message:
    """An error of JSON-RPC."""
    return {"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": words}}


def _text(text: str) -> Message:
    # Refusals and mistakes are text too, as everywhere: no client hides them from its model as it may errors.
    readable = text.encode("utf-8", "replace").decode()
    return {"content": [{"type": "text", "text": readable}], "isError": False}
