"""How answers look on the wire: status lines and headers, as from an API server written in Go."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator

import orjson
import pytest
from definitions import DEFINITIONS, SHIRTS, definition, version
from kube_driver import PODS, Kube, pod

from pytest_selfrep.kubesim.serving.server import AT_ONCE, Served, serve

ADMIN = "kubernetes-admin"
SERVICE_ACCOUNT = "system:serviceaccount:default:default"


class Answer:
    def __init__(self, received: http.client.HTTPResponse) -> None:
        self.status = received.status
        self.names = list(received.headers)
        self.headers = received.headers
        self.body = received.read()


class Client:
    """Asks one after another over one connection."""

    def __init__(self, kube: Kube, served: Served) -> None:
        trust = ssl.create_default_context(cadata=served.ca_pem.decode())
        port = int(served.url.rpartition(":")[2])
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, context=trust, timeout=30)
        self._kube = kube

    @property
    def token(self) -> str:
        return self._kube.cluster.token_for()

    def ask(
        self,
        path: str,
        method: str = "GET",
        user: str = ADMIN,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        token = f"Bearer {self._kube.cluster.token_for(user)}"
        self.connection.request(method, path, body, {"Authorization": token, **(headers or {})})
        return Answer(self.connection.getresponse())


@pytest.fixture
def client(three_nodes: Kube) -> Iterator[Client]:
    served = serve(three_nodes.cluster)
    made = Client(three_nodes, served)
    yield made
    made.connection.close()
    served.close()


def test_headers_are_those_of_an_api_server_in_its_order(client: Client) -> None:
    assert client.ask(PODS).names == [
        "Audit-Id",
        "Cache-Control",
        "Content-Type",
        "X-Kubernetes-Pf-Flowschema-Uid",
        "X-Kubernetes-Pf-Prioritylevel-Uid",
        "Date",
        "Content-Length",
    ]


def test_warnings_stand_in_their_order_and_none_breaks_its_line(client: Client) -> None:
    body = {"metadata": {"name": "a"}, "b": 1, 'é"': 1, "c\r\nX-Mine: d": 1}
    headers = {"Content-Type": "application/json"}
    answer = client.ask(f"{PODS[:-4]}configmaps", "POST", headers=headers, body=orjson.dumps(body))
    assert answer.status == 201
    assert answer.names[2:6] == ["Content-Type", "Warning", "Warning", "X-Kubernetes-Pf-Flowschema-Uid"]
    warned = [each.encode("latin-1").decode() for each in answer.headers.get_all("Warning", [])]
    assert warned == [r'299 - "unknown field \"b\""', r'299 - "unknown field \"é\"\""']
    assert "X-Mine" not in answer.headers


def test_watches_are_warned_too(client: Client, three_nodes: Kube) -> None:
    old = version("v1beta1", storage=False, deprecated=True, deprecationWarning="wear hats")
    three_nodes.create(DEFINITIONS, definition("shirts", "Shirt", version(), old))
    answer = client.ask(f"{SHIRTS.replace('/v1/', '/v1beta1/')}?watch=1&timeoutSeconds=1")
    assert answer.headers["Warning"] == '299 - "wear hats"'
    assert answer.names[:3] == ["Audit-Id", "Cache-Control", "Content-Type"]
    assert answer.names[3:4] == ["Warning"]


def test_of_a_header_that_comes_twice_the_first_counts(client: Client) -> None:
    client.connection.putrequest("GET", PODS)
    client.connection.putheader("Authorization", f"Bearer {client.token}")
    client.connection.putheader("Authorization", "Bearer wrong")
    client.connection.endheaders()
    assert Answer(client.connection.getresponse()).status == 200


@pytest.mark.parametrize(
    ("spoken", "said", "last", "ends"),
    [
        ("1.1", "", "Content-Length: 2", False),
        ("1.1", "Connection: close\r\n", "Connection: close", True),
        ("1.0", "", "Content-Length: 2", True),
        ("1.0", "Connection: keep-alive\r\n", "Connection: keep-alive", False),
    ],
)
def test_what_becomes_of_the_connection_is_said_where_it_is_not_as_usual(
    client: Client, spoken: str, said: str, last: str, ends: bool
) -> None:
    client.connection.connect()
    link = client.connection.sock
    request = f"GET /healthz HTTP/{spoken}\r\nHost: x\r\n{said}\r\n".encode()
    link.sendall(request)
    answer = link.recv(4096)
    assert answer.startswith(f"HTTP/{spoken} 200 OK\r\n".encode())
    assert answer.endswith(f"\r\n{last}\r\n\r\nok".encode())
    if not ends:
        link.sendall(request)
    assert link.recv(9) == (b"" if ends else answer[:9])


def test_long_answers_come_in_chunks(client: Client, three_nodes: Kube) -> None:
    for number in range(10):
        three_nodes.create(PODS, pod(f"a{number}"))
    answer = client.ask(PODS)
    assert len(answer.body) > AT_ONCE
    assert answer.names[-2:] == ["Date", "Transfer-Encoding"]
    assert len(orjson.loads(answer.body)["items"]) == 10


def test_every_answer_has_an_audit_id_of_its_own_or_the_clients(client: Client) -> None:
    first, second = (client.ask("/version").headers["Audit-Id"] for _ in range(2))
    assert first != second
    assert client.ask("/version", headers={"Audit-ID": "mine"}).headers["Audit-Id"] == "mine"


def test_flow_control_tells_users_apart(client: Client) -> None:
    flows = [
        (
            answer.headers["X-Kubernetes-Pf-Flowschema-Uid"],
            answer.headers["X-Kubernetes-Pf-Prioritylevel-Uid"],
        )
        for answer in (client.ask(PODS, user=user) for user in (ADMIN, ADMIN, SERVICE_ACCOUNT, "somebody"))
    ]
    assert flows[0] == flows[1]
    assert len(set(flows)) == 3


@pytest.mark.parametrize(
    ("path", "headers"),
    [(f"{PODS}/none/exec?command=ls&stdout=1", {}), (PODS, {"Authorization": "Bearer wrong"})],
)
def test_what_flow_control_never_sees_has_no_headers_of_it(
    client: Client, path: str, headers: dict[str, str]
) -> None:
    names = client.ask(path, headers=headers).names
    assert "Audit-Id" in names
    assert not [name for name in names if name.startswith("X-Kubernetes-Pf")]


@pytest.mark.parametrize(
    ("method", "path", "code", "reason"),
    [
        ("GET", "/api/v2", 404, "NotFound"),
        ("GET", "/api/v1/nothings", 404, "NotFound"),
        ("GET", "/api//v1/pods", 404, "NotFound"),
        ("PUT", PODS, 405, "MethodNotAllowed"),
        ("OPTIONS", PODS, 405, "MethodNotAllowed"),
        ("POST", "/version", 405, "MethodNotAllowed"),
    ],
)
def test_general_refusals_have_empty_details(
    client: Client, method: str, path: str, code: int, reason: str
) -> None:
    answer = client.ask(path, method)
    assert (answer.status, orjson.loads(answer.body)["reason"]) == (code, reason)
    assert b'"details":{}' in answer.body


def test_a_path_that_is_forbidden_has_empty_details(client: Client) -> None:
    answer = client.ask("/metrics", user="somebody")
    assert answer.status == 403
    assert b'"details":{}' in answer.body


@pytest.mark.parametrize("path", ["/nothing", "//api/v1/pods", "/healthz/", "/healthz/nothing"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_paths_that_lead_nowhere_are_unknown_to_every_method(client: Client, method: str, path: str) -> None:
    answer = client.ask(path, method)
    assert (answer.status, answer.body) == (404, b"404 page not found\n")


@pytest.mark.parametrize(
    ("path", "code"), [("/healthz", 200), ("/version", 405), (PODS, 405), ("/api/v1/namespaces/default", 405)]
)
def test_only_what_is_no_api_can_be_asked_for_its_head(client: Client, path: str, code: int) -> None:
    assert client.ask(path, "HEAD").status == code


def test_a_name_is_no_pattern(client: Client) -> None:
    answer = client.ask(f"{PODS}/a%25b")
    assert orjson.loads(answer.body)["message"] == "Name parameter invalid: \"a%b\": may not contain '%'"


def test_the_path_is_taken_as_it_is_sent(client: Client) -> None:
    assert client.ask("/api/v1/namespaces%2Fdefault").status == 200
    assert client.ask("/api/v1/../v1/namespaces/default").status == 404
    assert client.ask("/api/v1/namespaces/default#part").status == 404


def test_what_the_query_says_that_cannot_be_read_is_not_there(client: Client) -> None:
    assert client.ask(f"{PODS}?limit=%zz&a;b=1").status == 200


def test_the_version_is_laid_out_to_be_read(client: Client) -> None:
    assert client.ask("/version").body.startswith(b'{\n  "major": "1",\n')


def test_after_a_body_too_large_the_connection_ends(client: Client) -> None:
    answer = client.ask(PODS, "POST", body=b" " * (3 * 1024 * 1024 + 1))
    assert (answer.status, answer.headers["Connection"]) == (413, "close")
