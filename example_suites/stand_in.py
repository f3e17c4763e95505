"""Stands in for a provider of models, so that these suites run without one: no part of a suite of yours."""

import json
import math
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def steady(messages):
    """What a model says and calls that has as many replicas as the task says that its load needs."""
    task = " ".join(str(message.get("content") or "") for message in messages)
    name = re.search(r"the\s+Deployment\s+([\w-]+)", task).group(1)
    capacity = int(re.search(r"replica\s+serves\s+about\s+(\d+)\s+requests", task).group(1))
    look = f"get configmap {name}-status -o yaml"
    load = re.search(r"requests_per_second\W+(\d+)", str(messages[-1].get("content")))
    if load is None:
        return "I look at my load.", [look]
    wanted = max(2, math.ceil(int(load.group(1)) / capacity))
    return f"{wanted} replicas are needed.", [f"scale deployment {name} --replicas={wanted}", look]


class Provider(BaseHTTPRequestHandler):
    """Speaks as much of OpenAI's chat completions as agents ask of it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words, commands = steady(asked["messages"])
        calls = [
            {
                "id": f"call-{len(asked['messages'])}-{index}",
                "type": "function",
                "function": {"name": "kubectl", "arguments": json.dumps({"command": command})},
            }
            for index, command in enumerate(commands)
        ]
        message = {"role": "assistant", "content": words, "tool_calls": calls}
        answer = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": asked["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving():
    """The URL of such a provider, until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
