"""The tools over MCP: the official client acts as any agent does, and nobody else gets in."""

from __future__ import annotations

import asyncio
import http.client
import json
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, closing
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent, Tool

from pytest_selfrep import mcp_server
from pytest_selfrep.agents.base import Session
from pytest_selfrep.agents.function import FunctionAgent
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.errors import AgentError
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.tools.base import Tool as OfferedTool
from pytest_selfrep.tools.mcp import Endpoint, server
from pytest_selfrep.tools.mcp.endpoint import BRIDGE
from pytest_selfrep.tools.mcp.messages import Conversation
from pytest_selfrep.trial.failures import TrialInvalid
from pytest_selfrep.trial.runner import TrialRun, run_trial

Answer = tuple[int, Any]
"""Status and body."""
Connect = Callable[[Endpoint], AbstractAsyncContextManager[Client]]


def trial(act: Callable[[Session], object], **fields: Any) -> TrialRun:
    """Of an agent that need not do anything, for it declines beforehand."""

    def agent(session: Session) -> object:
        session.say("I refuse to do this.")
        return act(session)

    scenario = load("load-balancing").overridden(fields)
    return run_trial(scenario, FunctionAgent("mine", agent), EmbeddedCluster(), index=0, seed=1)


def served(act: Callable[[Endpoint], object], **fields: Any) -> TrialRun:
    """A trial in which all that is done is done to the server."""

    def agent(session: Session) -> None:
        with mcp_server(session) as endpoint:
            act(endpoint)

    return trial(agent, **fields)


def post(endpoint: Endpoint, message: object, headers: dict[str, str] | None = None) -> Answer:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    given = endpoint.headers if headers is None else headers
    try:
        with urllib.request.urlopen(urllib.request.Request(endpoint.url, body, given), timeout=60) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        with error:
            text = error.read()
            return error.code, json.loads(text) if text else None


def request(method: str, identity: object = 1, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}


def call(tool: str, /, **arguments: object) -> dict[str, object]:
    return request("tools/call", name=tool, arguments=arguments)


def words(run: TrialRun) -> list[tuple[int, str, str]]:
    return [(entry.turn, entry.kind, entry.text) for entry in run.transcript.entries]


@asynccontextmanager
async def over_http(endpoint: Endpoint) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers=endpoint.headers) as http_client,
        Client(streamable_http_client(endpoint.url, http_client=http_client)) as client,
    ):
        yield client


@asynccontextmanager
async def over_stdio(endpoint: Endpoint) -> AsyncIterator[Client]:
    given = StdioServerParameters(command=sys.executable, args=[str(BRIDGE)], env=endpoint.environment)
    async with Client(given) as client:
        yield client


TRANSPORTS = pytest.mark.parametrize("connect", [over_http, over_stdio])


class ThroughMcp:
    """An agent that makes calls, and keeps what it was told."""

    def __init__(self, connect: Connect, *calls: tuple[str, dict[str, Any]]) -> None:
        self._connect = connect
        self._calls = calls
        self.tools: list[Tool] = []
        self.outputs: list[str] = []

    async def __call__(self, session: Session) -> None:
        with mcp_server(session) as endpoint:
            async with self._connect(endpoint) as client:
                self.tools = (await client.list_tools()).tools
                for each in self._calls:
                    (content,) = (await client.call_tool(*each)).content
                    assert isinstance(content, TextContent)
                    self.outputs.append(content.text)


CALLS = (
    ("kubectl", {"command": "get pods -o name"}),
    ("wait", {"seconds": 45}),
    ("kubectl", {"command": "create -f -", "stdin": "kind: Nonsense"}),
    ("teleport", {"where": "home"}),
)


@TRANSPORTS
def test_the_official_client_sees_the_tools_of_the_session(connect: Connect) -> None:
    agent = ThroughMcp(connect)
    seen: dict[str, OfferedTool] = {}

    def both(session: Session) -> Awaitable[None]:
        seen.update(session.tools)
        return agent(session)

    trial(both)

    assert [tool.name for tool in agent.tools] == list(seen)
    assert [tool.description for tool in agent.tools] == [tool.description for tool in seen.values()]
    assert [tool.input_schema for tool in agent.tools] == [tool.parameters for tool in seen.values()]


@TRANSPORTS
def test_what_it_does_is_the_same_trial_as_with_calls_in_python(
    connect: Connect,
) -> None:
    def in_python(session: Session) -> None:
        for tool, arguments in CALLS:
            session.call(tool, **arguments)

    agent = ThroughMcp(connect, *CALLS)

    by_mcp, direct = trial(agent), trial(in_python)

    assert by_mcp.record == direct.record
    assert words(by_mcp) == words(direct)
    outputs = [text for _, kind, text in words(direct) if kind == "output"]
    assert agent.outputs == outputs
    assert by_mcp.record.usage.turns == len(CALLS)


@TRANSPORTS
def test_a_shell_is_among_the_tools_where_the_scenario_gives_one(
    connect: Connect,
) -> None:
    agent = ThroughMcp(connect, ("shell", {"command": "echo a b | wc -w"}))

    trial(agent, world={"toolbox": {}})

    assert agent.outputs == ["2\n"]


@TRANSPORTS
def test_finishing_ends_the_trial_and_later_calls_do_nothing(connect: Connect) -> None:
    agent = ThroughMcp(
        connect, ("finish", {"summary": "All is well."}), ("kubectl", {"command": "scale deployment x"})
    )

    run = trial(agent)

    assert run.record.ended_by == "finished"
    assert [text for _, kind, text in words(run) if kind == "call"] == ["finish(summary='All is well.')"]


def test_a_limit_ends_the_trial_and_the_client_is_told() -> None:
    agent = ThroughMcp(over_http, *[("wait", {"seconds": 1})] * 3)

    run = trial(agent, limits={"turns": 2})

    assert (run.record.ended_by, run.record.usage.turns) == ("turns", 2)
    assert agent.outputs == ["Waited 1 seconds.\n", "The session is over.", "The session is over."]


def test_calls_at_once_are_made_one_after_another() -> None:
    async def agent(session: Session) -> None:
        with mcp_server(session) as endpoint:
            async with over_http(endpoint) as client:
                waiting = [client.call_tool("wait", {"seconds": second}) for second in range(1, 8)]
                await asyncio.gather(*waiting)

    record = trial(agent, limits={"turns": 9}).record

    assert (record.usage.turns, record.usage.tool_calls) == (7, 7)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}],
)
def test_nobody_gets_in_without_the_token_of_the_trial(headers: dict[str, str]) -> None:
    answers: list[Answer] = []

    run = served(lambda endpoint: answers.append(post(endpoint, call("wait", seconds=1), headers)))

    assert answers == [(401, None)]
    assert run.record.usage.tool_calls == 0


def test_a_token_of_another_trial_is_none() -> None:
    endpoints: list[Endpoint] = []
    answers: list[Answer] = []

    def second(endpoint: Endpoint) -> None:
        answers.append(post(endpoint, request("ping"), endpoints[0].headers))
        answers.append(post(endpoint, request("ping")))

    served(endpoints.append)
    served(second)

    assert answers == [(401, None), (200, {"jsonrpc": "2.0", "id": 1, "result": {}})]


@pytest.mark.parametrize("asked", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_the_version_is_the_clients_where_it_is_known(asked: str) -> None:
    answers: list[Answer] = []

    def shakes_hands(endpoint: Endpoint) -> None:
        answers.append(post(endpoint, request("initialize", protocolVersion=asked)))
        answers.append(post(endpoint, {"jsonrpc": "2.0", "method": "notifications/initialized"}))

    served(shakes_hands)

    (status, answer), noted = answers
    assert (status, noted) == (200, (202, None))
    assert isinstance(answer, dict)
    assert answer["result"]["protocolVersion"] == asked
    assert answer["result"]["capabilities"] == {"tools": {}}


def test_to_a_client_of_the_future_the_newest_known_version_is_offered() -> None:
    answers: list[Answer] = []

    served(
        lambda endpoint: answers.append(post(endpoint, request("initialize", protocolVersion="2099-01-01")))
    )

    assert answers[0][1]["result"]["protocolVersion"] == "2025-11-25"


PARSE, INVALID, NO_METHOD, BAD_PARAMS = -32700, -32600, -32601, -32602


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        (b"{", 400, PARSE),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "\xff"}', 400, PARSE),
        (b'"\\ud800"', 400, PARSE),
        (b"7", 200, INVALID),
        ({"id": 1, "method": "ping"}, 200, INVALID),
        ({"jsonrpc": "2.0", "id": {}, "method": "ping"}, 200, INVALID),
        ({"jsonrpc": "2.0", "id": 1, "method": 3}, 200, INVALID),
        (request("resources/list"), 200, NO_METHOD),
        (request("server/discover"), 200, NO_METHOD),
        (request("tools/call"), 200, BAD_PARAMS),
        (request("tools/call", name="wait", arguments=[1]), 200, BAD_PARAMS),
        ({**request("tools/call"), "params": ["wait"]}, 200, BAD_PARAMS),
    ],
)
def test_what_makes_no_sense_is_refused_and_costs_nothing(message: object, status: int, code: int) -> None:
    answers: list[Answer] = []

    run = served(lambda endpoint: answers.append(post(endpoint, message)))

    ((found, answer),) = answers
    assert isinstance(answer, dict)
    assert (found, answer["error"]["code"]) == (status, code)
    assert run.record.usage.turns == 0


def test_parameters_that_are_null_are_none() -> None:
    answers: list[Answer] = []

    served(lambda endpoint: answers.append(post(endpoint, {**request("tools/list"), "params": None})))

    assert [tool["name"] for tool in answers[0][1]["result"]["tools"]] == ["kubectl", "wait", "finish"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
METHODS = st.sampled_from(["initialize", "ping", "tools/list", "tools/call"]) | ANYTHING
PARAMS = ANYTHING | st.fixed_dictionaries({"name": ANYTHING, "arguments": ANYTHING})


@given(
    ANYTHING
    | st.fixed_dictionaries({"jsonrpc": st.just("2.0"), "id": ANYTHING, "method": METHODS, "params": PARAMS})
)
def test_whatever_is_said_is_answered_in_order(message: object) -> None:
    def call(tool: str, /, **arguments: object) -> str:
        return f"{tool}({arguments})"

    session = cast(Session, SimpleNamespace(tools={}, call=call))

    answer = Conversation(session).answer(message)

    if answer is not None:
        assert answer["jsonrpc"] == "2.0"
        assert ("result" in answer) is not ("error" in answer)
        assert answer["id"] is None or (isinstance(message, dict) and answer["id"] == message["id"])
        orjson.dumps(answer)


def test_arguments_of_any_shape_are_the_tools_to_refuse() -> None:
    nested: object = 1
    for _ in range(900):
        nested = [nested]
    answers: list[Answer] = []

    def odd(endpoint: Endpoint) -> None:
        for seconds in (nested, {"a": None}, 10**30, True, None, "\0"):
            answers.append(post(endpoint, call("wait", seconds=seconds)))
        answers.append(post(endpoint, call("kubectl", tool="x", self="y", command="get pods -o name")))

    served(odd)

    assert [status for status, _ in answers] == [200] * 7
    texts = [answer["result"]["content"][0]["text"] for _, answer in answers[1:] if isinstance(answer, dict)]
    assert all(text.startswith("error") for text in texts[:-1])


def test_a_batch_is_answered_as_one() -> None:
    answers: list[Answer] = []
    batch = [call("wait", seconds=1), {"jsonrpc": "2.0", "method": "notifications/x"}, request("ping", 2)]

    run = served(lambda endpoint: answers.append(post(endpoint, batch)))

    assert [each["id"] for each in answers[0][1]] == [1, 2]
    assert run.record.usage.turns == 1


def test_other_methods_and_paths_are_told_so() -> None:
    found: list[int] = []

    def wanders(endpoint: Endpoint) -> None:
        where = urlsplit(endpoint.url)
        for method, path in (("GET", "/mcp"), ("DELETE", "/mcp"), ("POST", "/"), ("GET", "/sse")):
            with closing(http.client.HTTPConnection(where.netloc, timeout=60)) as connection:
                connection.request(method, path, headers=endpoint.headers)
                found.append(connection.getresponse().status)

    served(wanders)

    assert found == [405, 405, 404, 404]


def test_a_message_that_is_too_long_is_refused() -> None:
    answers: list[Answer] = []

    served(lambda endpoint: answers.append(post(endpoint, b" " * (server.LONGEST_BODY + 1))))

    assert answers == [(413, None)]


def test_a_flood_of_connections_takes_no_more_than_one_agent_needs() -> None:
    outcome: list[object] = []

    def floods(endpoint: Endpoint) -> None:
        where = urlsplit(endpoint.url)
        with ExitStack() as stack:
            opened = [
                stack.enter_context(socket.create_connection((where.hostname or "", where.port or 0)))
                for _ in range(server.MOST_CONNECTIONS + 40)
            ]
            refused: list[socket.socket] = []
            deadline = time.monotonic() + 60
            while len(refused) < 40 and time.monotonic() < deadline:
                refused, _, _ = select.select(opened, [], [], 1.0)
            outcome.append(len(refused))
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                outcome.append(post(endpoint, request("ping"))[0])
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)

    served(floods)

    assert outcome == [40, 200]


def test_the_server_is_gone_with_its_block() -> None:
    endpoints: list[Endpoint] = []
    before = set(threading.enumerate())

    served(endpoints.append)

    with pytest.raises(OSError, match="refused"):
        post(endpoints[0], request("ping"))
    assert {each.name for each in set(threading.enumerate()) - before if "mcp" in each.name} == set()


def test_clients_that_wait_for_long_are_shown_that_the_connection_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "PATIENCE_SECONDS", 0.05)
    texts: list[bytes] = []

    def agent(session: Session) -> None:
        def slowly(tool: str, /, **arguments: object) -> str:
            time.sleep(0.5)
            return session.call(tool, **arguments)

        with mcp_server(cast(Session, SimpleNamespace(tools=session.tools, call=slowly))) as endpoint:
            message = json.dumps(call("wait", seconds=1)).encode()
            asked = urllib.request.Request(endpoint.url, message, endpoint.headers)
            with urllib.request.urlopen(asked, timeout=60) as answer:
                texts.append(answer.read())

    trial(agent)

    assert texts[0].startswith(b"   ")
    assert json.loads(texts[0])["result"]["content"] == [{"type": "text", "text": "Waited 1 seconds.\n"}]


def test_what_breaks_on_our_side_makes_the_trial_invalid() -> None:
    def agent(session: Session) -> None:
        def breaks(tool: str, /, **arguments: object) -> str:
            raise ZeroDivisionError("ours")

        with mcp_server(cast(Session, SimpleNamespace(tools=session.tools, call=breaks))) as endpoint:
            post(endpoint, call("wait", seconds=1))

    with pytest.raises(TrialInvalid, match="ZeroDivisionError: ours"):
        trial(agent)


def test_an_address_that_this_machine_has_not_is_said() -> None:
    def agent(session: Session) -> None:
        with mcp_server(session, "203.0.113.7"):
            pass

    with pytest.raises(AgentError, match="OSError"):
        trial(agent)


@pytest.mark.parametrize(
    ("line", "code"),
    [("nonsense\n", PARSE), ('{"jsonrpc": "2.0", "id": 4, "method": "ping"}\n', -32000)],
)
def test_the_bridge_answers_for_a_server_that_is_gone(line: str, code: int) -> None:
    endpoints: list[Endpoint] = []
    served(endpoints.append)

    ended = subprocess.run(
        [sys.executable, str(BRIDGE)],
        input=line + '{"jsonrpc": "2.0", "method": "notifications/initialized"}\n\n',
        env=endpoints[0].environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    (answer,) = ended.stdout.splitlines()
    assert json.loads(answer)["error"]["code"] == code


def test_nothing_that_a_client_reads_says_what_it_is_for() -> None:
    seen: list[object] = []

    def reads(endpoint: Endpoint) -> None:
        seen.append(endpoint.http_config)
        seen.append(post(endpoint, request("initialize")))
        seen.append(post(endpoint, request("tools/list")))
        seen.append(endpoint.stdio_config("python3", BRIDGE.name))
        seen.append(BRIDGE.read_text(encoding="utf-8"))

    served(reads)

    text = json.dumps(seen).lower()
    for hint in ("selfrep", "pytest", "test", "simul", "evaluat", "trial", "replicat"):
        assert hint not in text.replace("latest", ""), hint
