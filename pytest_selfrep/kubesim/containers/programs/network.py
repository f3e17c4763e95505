"""``wget`` and ``nslookup``, for what is in the cluster: Services, pods, the container itself."""

from __future__ import annotations

import re

from pytest_selfrep.kubesim.containers.files import FileProblem
from pytest_selfrep.kubesim.containers.process import Process, encoded

_URL = re.compile(r"(?:(https?)://)?([A-Za-z0-9_.-]+)(?::(\d{1,5}))?(/.*)?")
_VALUED = ("-O", "-T", "-t", "-U", "-P", "--header", "--timeout", "--tries")


def wget(process: Process) -> int:
    words, target, quiet, url = process.argv[1:], "", False, ""
    while words:
        word = words.pop(0)
        if word.startswith("-") and word != "-":
            quiet = quiet or (not word.startswith("--") and "q" in word)
            if word in _VALUED or word.endswith("O"):
                value = words.pop(0) if words else ""
                target = value if word.endswith("O") else target
            elif word.startswith("-O") or word.endswith("O-"):
                target = word.partition("O")[2]
        else:
            url = word
    found = _URL.fullmatch(url)
    if found is None:
        process.stderr.write(b"wget: missing URL\n" if not url else encoded(f"wget: bad address '{url}'\n"))
        return 1
    return _fetch(process, found, target, quiet)


def _fetch(process: Process, url: re.Match[str], target: str, quiet: bool) -> int:
    scheme, host, port, path = url[1] or "http", url[2], url[3], url[4] or "/"
    number = int(port or (443 if scheme == "https" else 80))
    address = _address(process, host)
    if address is None:
        return process.complain(f"bad address '{host}{':' + port if port else ''}'")
    if not quiet:
        shown = f"{host}{':' + str(number)}"
        process.stderr.write(encoded(f"Connecting to {shown} ({address}:{number})\n"))
    if scheme == "https":
        answer = "Connection refused"
    else:
        answered = process.world.network.get(address, number, path, f"{host}:{number}" if port else host)
        if not isinstance(answered, str):
            if answered.status >= 400:
                line = f"server returned error: HTTP/1.1 {answered.status} {answered.reason}"
                return process.complain(line)
            return _saved(process, answered.body, target, path, quiet)
        answer = answered
    return process.complain(f"can't connect to remote host ({address}): {answer}")


def _saved(process: Process, body: bytes, target: str, path: str, quiet: bool) -> int:
    if target == "-":
        process.out(body)
        return 0
    name = target or path.partition("?")[0].rpartition("/")[2] or "index.html"
    try:
        process.files.write(process.files.open(process.path(name)), body, replace=True)
    except FileProblem as problem:
        return process.complain(f"can't open '{name}': {problem}")
    if not quiet:
        process.stderr.write(encoded(f"saving to '{name}'\n'{name}' saved\n"))
    return 0


def _address(process: Process, host: str) -> str | None:
    if re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", host):
        return host
    if host in ("localhost", process.world.hostname):
        return "127.0.0.1"
    found = process.world.network.lookup(host)
    return None if found is None else found[1]


def nslookup(process: Process) -> int:
    if len(process.argv) < 2:
        return process.complain("usage: nslookup [-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]")
    network, host = process.world.network, process.argv[1]
    process.out(f"Server:\t\t{network.nameserver}\nAddress:\t{network.nameserver}:53\n\n")
    found = network.lookup(host)
    if found is None:
        process.out(f"** server can't find {host}: NXDOMAIN\n\n")
        return 1
    process.out(f"Name:\t{found[0]}\nAddress: {found[1]}\n\n")
    return 0


PROGRAMS = {"nslookup": nslookup, "wget": wget}
