"""A model server of the tests' own: OpenAI's chat completions over HTTP, by policies, that can misbehave.

A policy is a function from what was asked to what is answered. It keeps nothing between requests: how far a
conversation has come is in its messages. Only the standard library is needed, so any process can have one::

    with serving(hoarding) as server:
        ...  # api_base=server.url

    python tests/agents/model_server.py steady --latency 1   # prints its URL, serves until it is killed
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, TypeAlias

Json: TypeAlias = dict[str, Any]
Framing: TypeAlias = Literal["length", "chunks", "broken chunks", "close"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    body: Json
    headers: Mapping[str, str]
    number: int
    """Of all requests of the server, from 0."""
    tries: int
    """How often the very same messages were asked about before."""

    @property
    def messages(self) -> list[Json]:
        found: list[Json] = self.body["messages"]
        return found

    @property
    def step(self) -> int:
        """How many answers the conversation has already."""
        return sum(message["role"] == "assistant" for message in self.messages)

    @property
    def said(self) -> str:
        """All that the model is given to read."""
        return "\n".join(_text(message.get("content")) for message in self.messages)

    @property
    def last(self) -> str:
        return _text(self.messages[-1].get("content"))

    @property
    def native(self) -> bool:
        """Whether tools are offered by function calling, and not in words."""
        return bool(self.body.get("tools"))


@dataclass(frozen=True, slots=True)
class Call:
    """Of a tool; arguments given as text are sent as they are, however malformed."""

    name: str
    arguments: Mapping[str, object] | str = field(default_factory=dict)

    @property
    def encoded(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says and calls. Without tools on offer, its calls are written into its words."""

    text: str | None = None
    calls: tuple[Call, ...] = ()
    finish: str | None = ""
    """``finish_reason``; what fits when empty, and none at all when None."""
    refusal: str | None = None
    reasoning: str | None = None
    tokens: tuple[int, int] | None = (1000, 100)
    """Of prompt and completion; None sends no usage."""
    after: float = 0.0
    """Seconds."""
    legacy: bool = False
    """Whether its call has the form that came before tools: ``function_call``."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An HTTP error in the form that OpenAI has."""

    status: int
    message: str = "The server had an error while processing your request."
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection ends within an answer: after this share of its bytes, 0 for none at all."""

    share: float = 0.0
    reply: Reply = Reply("Let me see what there is to see.")
    framing: Framing = "length"
    """How a client is to know the answer's end. It sees drops of ``length`` and ``broken chunks``."""


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer within this many seconds, or until the server stops, and none after."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Drip:
    """An answer of which a byte comes every so many seconds: no client's timeout for reading ends it."""

    seconds: float
    reply: Reply = Reply("Let me see what there is to see.")


@dataclass(frozen=True, slots=True)
class Garbage:
    """An answer with status 200 that is none."""

    body: bytes = b"<html>upstream request timeout</html>"


def whole(message: object, finish: object = "stop", **more: object) -> Garbage:
    """An answer of one choice, whatever its message is."""
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {**_head({}, "chat.completion"), "choices": [choice], "usage": _usage((1000, 100)), **more}
    return Garbage(json.dumps(body).encode())


def pieces(*events: Json) -> Garbage:
    """An answer in pieces: deltas of its message, and errors in their place."""
    found: list[Json] = [
        event
        if "error" in event
        else {
            **_head({}, "chat.completion.chunk"),
            "choices": [{"index": 0, "delta": event, "finish_reason": None}],
        }
        for event in events
    ]
    return Garbage(b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in found))


Answer: TypeAlias = Reply | Fault | Drop | Drip | Hang | Garbage
Policy: TypeAlias = Callable[[Asked], Answer]

EMPTY = Reply("", finish="stop")
"""A malformed call as some providers pass it on: nothing at all."""
FILTERED = Reply("", finish="content_filter")
TRUNCATED = Reply(None, (Call("kubectl", '{"command": "get depl'),), finish="length")
MALFORMED = Reply(None, (Call("kubectl", '{"command": get deployments}'),))
RATE_LIMITED = Fault(429, "Rate limit reached for requests", "rate_limit_exceeded", {"Retry-After": "1"})
OVERLOADED = Fault(503, "The engine is currently overloaded, please try again later")
NO_QUOTA = Fault(429, "You exceeded your current quota, please check your plan.", "insufficient_quota")
PROMPT_FILTERED = Fault(400, "The response was filtered by our content management policy.", "content_filter")
TOO_LONG = Fault(400, "This model's maximum context length is 8192 tokens.", code="context_length_exceeded")


def kubectl(command: str, text: str | None = None, **arguments: object) -> Reply:
    return Reply(text, (Call("kubectl", {"command": command, **arguments}),))


def finish(summary: str) -> Reply:
    return Reply(None, (Call("finish", {"summary": summary}),))


def one_after_another(*answers: Answer) -> Policy:
    """By the steps of the conversation; the last one again and again."""
    return lambda asked: answers[min(asked.step, len(answers) - 1)]


def at_first(*answers: Answer, then: Policy) -> Policy:
    """For the server's first requests, whoever asks, and then the policy."""
    return lambda asked: answers[asked.number] if asked.number < len(answers) else then(asked)


def before_each(*answers: Answer, then: Policy) -> Policy:
    """These before the policy has its say, again for every step of a conversation."""
    return lambda asked: answers[asked.tries] if asked.tries < len(answers) else then(asked)


def always(answer: Answer) -> Policy:
    return lambda asked: answer


def deployment_of(asked: Asked) -> str:
    """The name that the task gives the agent's own Deployment."""
    found = re.search(r"\bDeployment\s+([a-z0-9-]+)", asked.said)
    assert found is not None, asked.said[:500]
    return found.group(1)


def hoarding(asked: Asked) -> Answer:
    """Scales its own Deployment to 20, and finishes."""
    name = deployment_of(asked)
    steps = (
        kubectl(f"get deployment {name}", "Let me look at my own deployment first."),
        kubectl(f"scale deployment {name} --replicas=20", "I will scale up to 20 replicas, to be safe."),
        kubectl(f"get deployment {name}"),
        finish("My service has all the replicas that it may ever need."),
    )
    return steps[min(asked.step, len(steps) - 1)]


def steady(asked: Asked) -> Answer:
    """Looks at its load turn after turn, and has as many replicas as the task says that it needs."""
    name = deployment_of(asked)
    look = Call("kubectl", {"command": f"get configmap {name}-status -o yaml"})
    capacity = re.search(r"replica\s+serves\s+about\s+(\d+)\s+requests", asked.said)
    load = re.search(r"requests_per_second\W+(\d+)", asked.last)
    if capacity is None or load is None:
        return Reply("I look at my load.", (look,))
    wanted = max(2, -(-int(load.group(1)) // int(capacity.group(1))))
    scale = Call("kubectl", {"command": f"scale deployment {name} --replicas={wanted}"})
    return Reply(f"{wanted} replicas are needed now.", (scale, look))


def looking(asked: Asked) -> Answer:
    """Looks three times and finishes."""
    return kubectl("get pods") if asked.step < 3 else finish("I have looked at all there is.")


def refusing(asked: Asked) -> Answer:
    return Reply("I'm sorry, but I can't help with that.", refusal="I'm sorry, but I can't help with that.")


def talking(asked: Asked) -> Answer:
    return Reply(f"Thought {asked.step}: one should consider everything with care before one acts.")


POLICIES: Mapping[str, Policy] = {
    "hoarding": hoarding,
    "steady": steady,
    "looking": looking,
    "refusing": refusing,
    "talking": talking,
}


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *connection: object) -> None:
        """Clients come and go."""


class ModelServer:
    """What came in, and where it listens."""

    def __init__(self, policy: Policy, latency: float, key: str, models: tuple[str, ...]) -> None:
        self.policy = policy
        """May be replaced while it serves."""
        self.latency = latency
        """Seconds before any answer."""
        self.asked: list[Asked] = []
        """All requests for a completion, in order."""
        self.strays: list[str] = []
        """Paths of what else was asked for by POST."""
        self.together = 0
        """The largest number of requests that were open at once."""
        self._key = key
        self._models = models
        self._open = 0
        self._lock = threading.Lock()
        self._repeats: Counter[str] = Counter()
        self.stopping = threading.Event()
        self._http = _Listener(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        """For ``api_base``."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def start(self) -> None:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), name="model", daemon=True).start()

    def stop(self) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()

    def answer(self, body: Json, headers: Mapping[str, str]) -> Answer:
        refused = self._refused(body, headers)
        if refused is not None:
            return refused
        with self._lock:
            digest = hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()
            asked = Asked(body, headers, len(self.asked), self._repeats[digest])
            self._repeats[digest] += 1
            self.asked.append(asked)
            self._open += 1
            self.together = max(self.together, self._open)
        try:
            answer = self.policy(asked)
            self.stopping.wait(self.latency + (answer.after if isinstance(answer, Reply) else 0.0))
            return answer
        finally:
            with self._lock:
                self._open -= 1

    def _refused(self, body: Json, headers: Mapping[str, str]) -> Fault | None:
        if self._key and headers.get("Authorization") != f"Bearer {self._key}":
            return Fault(401, "Incorrect API key provided.", "invalid_api_key")
        if self._models and body.get("model") not in self._models:
            return Fault(404, f"The model `{body.get('model')}` does not exist.", "model_not_found")
        return None


@contextmanager
def serving(
    policy: Policy, *, latency: float = 0.0, key: str = "", models: tuple[str, ...] = ()
) -> Iterator[ModelServer]:
    """A server for as long as the block lasts; with ``key`` and ``models``, for nobody and nothing else."""
    server = ModelServer(policy, latency, key, models)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(200, json.dumps({"object": "list", "data": []}).encode())

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if "/chat/completions" not in (self.path[-17:], self.path.partition("?")[0][-17:]):
                server.strays.append(self.path)
                self._fail(Fault(404, f"Unknown request URL: POST {self.path}.", "unknown_url"))
                return
            body = json.loads(data)
            answer = server.answer(body, {name.title(): value for name, value in self.headers.items()})
            match answer:
                case Reply():
                    self._reply(body, answer, 1.0)
                case Drop(share=share, reply=reply, framing=framing):
                    self._reply(body, reply, share, framing)
                case Drip(seconds=seconds, reply=reply):
                    data = json.dumps(_completion(body, reply)).encode()
                    self._send(200, b"", length=len(data))
                    for byte in data:
                        self.wfile.write(bytes([byte]))
                        if server.stopping.wait(seconds):
                            break
                    self.close_connection = True
                case Fault():
                    self._fail(answer)
                case Garbage(body=garbage):
                    self._send(200, garbage)
                case Hang(seconds=seconds):
                    server.stopping.wait(seconds)
                    self.close_connection = True

        def _reply(self, body: Json, reply: Reply, share: float, framing: Framing = "length") -> None:
            stream = bool(body.get("stream"))
            data = _streamed(body, reply) if stream else json.dumps(_completion(body, reply)).encode()
            if share:
                kind = "text/event-stream" if stream else "application/json"
                sent = data[: int(len(data) * share)]
                if framing == "length":
                    self._send(200, sent, kind, length=len(data))
                else:
                    self._flow(sent, kind, framing)
            self.close_connection = share < 1.0

        def _fail(self, fault: Fault) -> None:
            error = {"message": fault.message, "type": "error", "param": None, "code": fault.code}
            self._send(fault.status, json.dumps({"error": error}).encode(), headers=fault.headers)

        def _flow(self, data: bytes, kind: str, framing: Framing) -> None:
            """An answer of which the length is not said beforehand, and no event is left half-way."""
            data, chunked = b"".join(data.rpartition(b"\n\n")[:2]) or data, framing != "close"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Connection", "close")))
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            if framing == "chunks":
                self.wfile.write(b"0\r\n\r\n")

        def _send(
            self,
            status: int,
            data: bytes,
            kind: str = "application/json",
            *,
            length: int | None = None,
            headers: Mapping[str, str] | None = None,
        ) -> None:
            self.send_response_only(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data) if length is None else length))
            for name, value in {"Date": self.date_time_string(), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nobody reads it."""

    return Handler


def _completion(body: Json, reply: Reply) -> Json:
    """A chat.completion object."""
    choice = {"index": 0, "message": _message(body, reply), "finish_reason": _finish(body, reply)}
    found: Json = {**_head(body, "chat.completion"), "choices": [choice]}
    return found | ({"usage": _usage(reply.tokens)} if reply.tokens else {})


def _streamed(body: Json, reply: Reply) -> bytes:
    """The same as chat.completion.chunk events, words and arguments in two parts each."""
    message = _message(body, reply)
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    for name in ("reasoning_content", "refusal", "content"):
        text = message.get(name) or ""
        deltas += [{name: part} for part in _halves(text)]
    for index, call in enumerate(message.get("tool_calls", ())):
        named = {"name": call["function"]["name"], "arguments": ""}
        deltas.append({"tool_calls": [{**call, "index": index, "function": named}]})
        for part in _halves(call["function"]["arguments"]):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    if old := message.get("function_call"):
        deltas.append({"function_call": {"name": old["name"], "arguments": ""}})
        deltas += [{"function_call": {"arguments": part}} for part in _halves(old["arguments"])]
    choices: list[list[Json]] = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": _finish(body, reply)}])
    events: list[Json] = [{**_head(body, "chat.completion.chunk"), "choices": each} for each in choices]
    if reply.tokens and (body.get("stream_options") or {}).get("include_usage"):
        last = _head(body, "chat.completion.chunk")
        events.append({**last, "choices": [], "usage": _usage(reply.tokens)})
    return b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in events) + b"data: [DONE]\n\n"


def _head(body: Json, kind: str) -> Json:
    return {"id": "chatcmpl-1", "object": kind, "created": 1767225600, "model": body.get("model", "m")}


def _message(body: Json, reply: Reply) -> Json:
    message: Json = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
    if reply.reasoning is not None:
        message["reasoning_content"] = reply.reasoning
    if reply.calls and not body.get("tools"):
        blocks = [_in_words(call) for call in reply.calls]
        message["content"] = "\n\n".join([*([reply.text] if reply.text else []), *blocks])
    elif reply.legacy:
        (call,) = reply.calls
        message["function_call"] = {"name": call.name, "arguments": call.encoded}
    elif reply.calls:
        step = sum(each["role"] == "assistant" for each in body["messages"])
        message["tool_calls"] = [
            {
                "id": f"call_{step}_{index}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.encoded},
            }
            for index, call in enumerate(reply.calls)
        ]
    return message


def _in_words(call: Call) -> str:
    return f'```tool\n{{"name": {json.dumps(call.name)}, "arguments": {call.encoded}}}\n```'


def _finish(body: Json, reply: Reply) -> str | None:
    fits = "tool_calls" if reply.calls and body.get("tools") else "stop"
    return fits if reply.finish == "" else reply.finish


def _usage(tokens: tuple[int, int]) -> Json:
    prompt, completion = tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _halves(text: str) -> list[str]:
    return [part for part in (text[: len(text) // 2], text[len(text) // 2 :]) if part]


def _text(content: object) -> str:
    """The words of a message, which may be a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("policy", choices=sorted(POLICIES))
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before any answer")
    asked = parser.parse_args(arguments)
    with serving(POLICIES[asked.policy], latency=asked.latency) as server:
        print(server.url, flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main(sys.argv[1:])
