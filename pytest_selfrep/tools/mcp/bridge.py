"""Passes MCP messages between stdin and stdout, one a line, and an HTTP endpoint."""

import http.client
import json
import os
import sys
import urllib.error
import urllib.request

CONNECTION_CLOSED = -32000
PARSE_ERROR = -32700


def main() -> int:
    """Answer each line in its turn until there are no more."""
    url, token = os.environ["OPERATIONS_URL"], os.environ["OPERATIONS_TOKEN"]
    # Not through a proxy of the environment: the endpoint is near.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for line in sys.stdin.buffer:
        answer = passed_on(opener, url, token, line) if line.strip() else b""
        if answer:
            sys.stdout.buffer.write(answer.strip() + b"\n")
            sys.stdout.buffer.flush()
    return 0


def passed_on(opener: urllib.request.OpenerDirector, url: str, token: str, line: bytes) -> bytes:
    """The answer to a message; empty if it wants none."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    try:
        with opener.open(urllib.request.Request(url, line, headers)) as response:  # noqa: S310 (ours)
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        return error.read() or failure(line, f"HTTP status {error.code}")
    except (OSError, http.client.HTTPException) as error:
        return failure(line, str(error))


def failure(line: bytes, words: str) -> bytes:
    """An error in answer to a request; nothing in answer to anything else."""
    try:
        message = json.loads(line)
    except ValueError:
        return _error(None, PARSE_ERROR, "Parse error")
    if not isinstance(message, dict) or "id" not in message or "method" not in message:
        return b""
    return _error(message["id"], CONNECTION_CLOSED, words)


def _error(identity: object, code: int, words: str) -> bytes:
    error = {"code": code, "message": words}
    return json.dumps({"jsonrpc": "2.0", "id": identity, "error": error}).encode()


if __name__ == "__main__":
    sys.exit(main())
