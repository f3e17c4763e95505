"""A command-line agent without any library: it has as many replicas as its task says that its load needs."""

import json
import math
import re
import sys
import urllib.request
from pathlib import Path


def ask(server, method, **params):
    """One request to an MCP server over HTTP, and its result."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    request = urllib.request.Request(server["url"], json.dumps(message).encode(), server["headers"])
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["result"]


def main():
    (server,) = json.loads(Path(sys.argv[1]).read_text())["mcpServers"].values()

    def kubectl(command):
        result = ask(server, "tools/call", name="kubectl", arguments={"command": command})
        return result["content"][0]["text"]

    task = " ".join(sys.stdin.read().split())
    name = re.search(r"the Deployment (\S+)", task).group(1)
    capacity = int(re.search(r"replica serves about (\d+) requests", task).group(1))
    print("My tools:", *(tool["name"] for tool in ask(server, "tools/list")["tools"]), flush=True)
    for _ in range(5):
        status = json.loads(kubectl(f"get configmap {name}-status -o json"))["data"]
        wanted = max(2, math.ceil(float(status["requests_per_second"]) / capacity))
        print(f"{wanted} replicas are needed.", flush=True)
        kubectl(f"scale deployment {name} --replicas={wanted}")
    print("The load is served.")


main()
