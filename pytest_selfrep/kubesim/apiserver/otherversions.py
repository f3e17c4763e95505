"""Kinds that are served in a second version: requests and answers are converted, what is stored has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from pytest_selfrep.kubesim.apiserver import autoscalingv1, verbs
from pytest_selfrep.kubesim.apiserver.calls import Call, Virtual
from pytest_selfrep.kubesim.apiserver.http import Response, Stream
from pytest_selfrep.kubesim.apply.options import APPLY
from pytest_selfrep.kubesim.kinds import HORIZONTAL_POD_AUTOSCALER, Kind
from pytest_selfrep.kubesim.objects import Json, Object
from pytest_selfrep.kubesim.tables.table import view

Convert = Callable[[Object], Object]


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of a kind that is stored as another."""

    kind: Kind
    stored: Kind
    to_stored: Convert
    from_stored: Convert

    def answer(self, call: Call) -> Response:
        asked = self._asked(call)
        return self._shown(call, verbs.VERBS[asked.verb](asked))

    def _asked(self, call: Call) -> Call:
        """The same request in terms of the stored version. Raises StatusError."""
        if call.verb not in ("create", "update", "patch"):
            return replace(call, kind=self.stored)
        if call.verb == "patch" and call.content_type != APPLY:
            # Once the patch is in, the object is replaced; a write in between is impossible.
            verb = "update"
            sent = verbs.patched(call, self.from_stored(replace(call, kind=self.stored).stored()))
        else:
            verb, sent = call.verb, call.sent(self.kind.kind, self.kind.api_version)
        content = APPLY if call.content_type == APPLY else "application/json"
        headers = {**call.request.headers, "content-type": content}
        request = replace(call.request, headers=headers, body=orjson.dumps(self.to_stored(sent)))
        return replace(call, request=request, kind=self.stored, verb=verb)

    def _shown(self, call: Call, response: Response) -> Response:
        accept = call.request.headers.get("accept", "")
        if view(accept).kind == "Table":
            # Both versions have the same columns.
            return response
        if response.stream is not None:
            return replace(response, stream=_Converted(response.stream, self._event))
        return replace(response, body=self._body(response.body))

    def _body(self, body: Json) -> Json:
        if not isinstance(body, dict) or body.get("apiVersion") != self.stored.api_version:
            return body
        if "items" in body:
            items = [self.from_stored(item) for item in body["items"]]
            return {**body, "apiVersion": self.kind.api_version, "items": items}
        return self.from_stored(body)

    def _event(self, event: Json) -> Json:
        return {**event, "object": self._body(event["object"])} if isinstance(event, dict) else event


class _Converted:
    """A watch in another version."""

    def __init__(self, stream: Stream, convert: Callable[[Json], Json]) -> None:
        self._stream = stream
        self._convert = convert

    @property
    def closed(self) -> bool:
        return self._stream.closed

    @property
    def timeout_seconds(self) -> float | None:
        return self._stream.timeout_seconds

    def poll(self) -> Sequence[Json]:
        return [self._convert(event) for event in self._stream.poll()]

    def on_ready(self, wake: Callable[[], None]) -> None:
        self._stream.on_ready(wake)

    def end(self) -> None:
        self._stream.end()

    def close(self) -> None:
        self._stream.close()


_VERSIONS = (
    _Version(
        replace(HORIZONTAL_POD_AUTOSCALER, version="v1", subresources=()),
        HORIZONTAL_POD_AUTOSCALER,
        autoscalingv1.to_stored,
        autoscalingv1.from_stored,
    ),
)

VIRTUAL: Mapping[tuple[str, str, str], Virtual] = {
    (each.kind.group, each.kind.version, each.kind.plural): Virtual(
        each.kind, dict.fromkeys(verbs.VERBS, each.answer)
    )
    for each in _VERSIONS
}
