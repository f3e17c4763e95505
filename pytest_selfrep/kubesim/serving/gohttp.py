"""What is answered to those who do not speak HTTP: the words of Go's net/http, as from an API server."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong


class Server(web.Server):
    """aiohttp's server, but for what it says of itself when a request cannot be read."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        status = 431 if isinstance(exc, LineTooLong) else status
        text = f"{status} {HTTPStatus(status).phrase}"
        answer = web.Response(status=status, text=text, headers={"Server": "kube-apiserver"})
        answer.force_close()
        return answer
