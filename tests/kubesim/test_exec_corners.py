"""Exec and attach where they are seldom used: old protocols, large messages, long commands, few rights."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
import yaml
from kube_driver import PODS, Kube, deployment
from shell_driver import ask, execute, forget_sockets

from pytest_selfrep.kubesim.apiserver.http import Request
from pytest_selfrep.kubesim.serving.server import Served

ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
Link = aiohttp.ClientWebSocketResponse


@pytest.fixture
def kube(one_pod: Kube) -> Iterator[Kube]:
    yield one_pod
    forget_sockets()


@pytest.mark.parametrize(
    ("image", "system"),
    [
        ("nginx:1.27", "debian"),
        ("nginx:1.27-alpine", "alpine"),
        ("registry.example.com/shop/web:2.1", "alpine"),
        ("busybox:1.36", ""),
    ],
)
def test_a_container_knows_the_system_that_its_image_is_made_from(
    kube: Kube, image: str, system: str
) -> None:
    kube.add_pod("b", image=image, command=["sleep", "9000"])
    kube.advance(30)
    found = execute(kube, "cat", "/etc/os-release", pod="b")
    assert (f"ID={system}\n" in found.out) if system else found.err.startswith("cat: can't open")


def ran(words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, capture_output=True, text=True, timeout=30, check=False, env=os.environ | environment
    )


def talk(
    kube: Kube, served: Served, query: str, protocol: str, said: Callable[[Link], Awaitable[Any]]
) -> Any:
    """What comes of a conversation over a WebSocket."""

    async def conversation() -> Any:
        headers = {"Authorization": f"Bearer {kube.cluster.token_for()}"}
        url = f"{served.url}{PODS}/a/exec?{query}"
        async with (
            aiohttp.ClientSession(headers=headers) as client,
            client.ws_connect(url, ssl=False, protocols=(protocol,)) as link,
        ):
            return await said(link)

    try:
        return asyncio.run(conversation())
    finally:
        forget_sockets()


def test_kubectl_execs_in_a_pod_of_a_deployment(kube: Kube, kubectl: list[str]) -> None:
    kube.create("/apis/apps/v1/namespaces/default/deployments", deployment("front", 1))
    kube.advance(10)
    pod = next(each["metadata"]["name"] for each in kube.pods() if each["metadata"]["name"] != "a")
    assert ran([*kubectl, "exec", "deploy/front", "--", "hostname"]).stdout == f"{pod}\n"


def test_kubectl_attach_shows_what_is_printed_from_then_on(kube: Kube, kubectl: list[str]) -> None:
    kube.add_pod("talk", command=["sh", "-c", "while :; do echo tick; sleep 1; done"])
    kube.advance(10)
    process = subprocess.Popen([*kubectl, "attach", "talk"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert [process.stdout.readline() for _ in range(2)] == [b"tick\n", b"tick\n"]
    finally:
        process.kill()
        process.communicate()


def test_the_asynchronous_client_runs_a_command(kube: Kube, served: Served) -> None:
    from kubernetes import aio as untyped_aio
    from kubernetes.aio import stream as untyped_stream

    aio: Any = untyped_aio
    stream: Any = untyped_stream

    async def execute() -> str:
        settings = aio.client.Configuration()
        written = yaml.safe_load(served.kubeconfig(kube.cluster.token_for()))
        await aio.config.load_kube_config_from_dict(written, client_configuration=settings)
        async with stream.WsApiClient(settings) as connected:
            core = aio.client.CoreV1Api(connected)
            words = ["sh", "-c", "echo out; echo err >&2"]
            return str(
                await core.connect_get_namespaced_pod_exec(
                    "a", "default", command=words, stdout=True, stderr=True, stdin=False, tty=False
                )
            )

    assert asyncio.run(execute()) == "out\nerr\n"


@pytest.mark.parametrize("length", [9_000, 100_000])
def test_commands_may_be_long(kubectl: list[str], length: int) -> None:
    script = f"x={'y' * length}; echo ${{#x}}"
    assert ran([*kubectl, "exec", "a", "--", "sh", "-c", script]).stdout == f"{length}\n"


@pytest.mark.parametrize(
    ("words", "variable", "said"),
    [
        (
            ("exec", "a", "--", "true"),
            "KUBECTL_REMOTE_COMMAND_WEBSOCKETS",
            "Error from server (BadRequest): Upgrade request required\n",
        ),
        (
            ("port-forward", "pod/a", ":80"),
            "KUBECTL_PORT_FORWARD_WEBSOCKETS",
            "error: error upgrading connection: Upgrade request required\n",
        ),
    ],
)
def test_spdy_is_refused_plainly(
    kubectl: list[str], words: tuple[str, ...], variable: str, said: str
) -> None:
    refused = ran([*kubectl, *words], **{variable: "false"})
    assert (refused.stderr, refused.returncode) == (said, 1)


def test_channels_may_be_in_base64(kube: Kube, served: Served) -> None:
    async def said(link: Link) -> list[tuple[str, bytes]]:
        assert link.protocol == "v4.base64.channel.k8s.io"
        await link.send_str("0" + base64.b64encode(b"echo $((6 * 7)); exit\n").decode())
        await link.send_str("0 no base64 at all")
        texts = [str(message.data) async for message in link]
        return [(text[0], base64.b64decode(text[1:])) for text in texts]

    found = talk(kube, served, "command=sh&stdin=1&stdout=1", "v4.base64.channel.k8s.io", said)
    assert found == [("1", b""), ("1", b"42\n"), ("3", b'{"metadata":{},"status":"Success"}')]


def test_a_message_that_is_too_large_ends_the_session_alone(kube: Kube, served: Served) -> None:
    async def said(link: Link) -> list[bytes]:
        await link.send_bytes(b"\0" + b"x" * (5 << 20))
        return [message.data async for message in link]

    query, protocol = "command=cat&stdin=1&stdout=1", "v5.channel.k8s.io"
    assert talk(kube, served, query, protocol, said) in ([], [b"\1"])

    async def again(link: Link) -> bytes:
        return b"".join([message.data[1:] async for message in link if message.data[0] == 1])

    assert talk(kube, served, "command=hostname&stdout=1", protocol, again) == b"a\n"


@pytest.mark.parametrize(("verb", "method"), [("get", "GET"), ("create", "POST")])
@pytest.mark.parametrize("kind", ["exec", "attach", "portforward"])
def test_each_method_wants_a_right_of_its_own(kube: Kube, kind: str, verb: str, method: str) -> None:
    rule = {"apiGroups": [""], "resources": [f"pods/{kind}"], "verbs": [verb]}
    kube.create(f"{ROLES}/roles", {"metadata": {"name": "in"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "in"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "in"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "eve"}],
    }
    kube.create(f"{ROLES}/rolebindings", binding)
    token = kube.cluster.token_for("eve", groups=())
    headers = {"authorization": f"Bearer {token}", "upgrade": "websocket", "connection": "Upgrade"}
    query = [("command", "true"), ("stdout", "true"), ("ports", "80")]
    path = f"{PODS}/a/{kind}"
    answers = {each: kube.cluster.handle(Request(each, path, query, headers)) for each in ("GET", "POST")}
    refused = answers["POST" if method == "GET" else "GET"]
    assert (answers[method].status, refused.status) == (101, 403)
    other = {"get": "create", "create": "get"}[verb]
    assert refused.body["message"] == (
        f'pods "a" is forbidden: User "eve" cannot {other} resource "pods/{kind}" in API group "" in the '
        'namespace "default"'
    )


def test_without_an_upgrade_there_is_nothing_to_say(kube: Kube) -> None:
    headers = {"authorization": f"Bearer {kube.cluster.token_for()}"}
    query = [("command", "true"), ("stdout", "true")]
    refused = kube.cluster.handle(Request("POST", f"{PODS}/a/exec", query, headers))
    assert (refused.status, refused.body["message"]) == (400, "Upgrade request required")
    assert ask(kube, "true").status == 101
