"""GET of ``pods/<name>/log``: what containers print."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pytest_selfrep.kubesim.apiserver.calls import Call, Handler
from pytest_selfrep.kubesim.apiserver.http import TEXT, Response
from pytest_selfrep.kubesim.apiserver.lists import number
from pytest_selfrep.kubesim.clock import Clock, Timer
from pytest_selfrep.kubesim.controllers.base import Context
from pytest_selfrep.kubesim.defaults import containers_of
from pytest_selfrep.kubesim.kinds import POD
from pytest_selfrep.kubesim.nodes.logtext import Output
from pytest_selfrep.kubesim.objects import Key, Object
from pytest_selfrep.kubesim.status import Cause, bad_request, invalid

FOLLOW_SECONDS = 1.0
"""How often a followed log looks for new lines, in the cluster's time."""


_LOG_OPTIONS = replace(POD, kind="PodLogOptions")


@dataclass(frozen=True, slots=True)
class Options:
    """core/v1 PodLogOptions."""

    container: str
    previous: bool = False
    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: float | None = None
    """Seconds of the cluster's clock."""
    limit_bytes: int | None = None


def read(call: Call) -> Response:
    """The log of one container as text. Raises StatusError as the kubelet refuses."""
    asked = _options(call)
    pod = call.stored()
    options = replace(asked, container=_container(pod, asked.container))
    if not pod["spec"].get("nodeName"):
        return Response(204, b"", TEXT)
    output = _output(call, pod, options)
    if options.follow:
        stream = Followed(call.backend.context, call.key, options, output)
        return Response(200, content_type=TEXT, stream=stream)
    return Response(200, _text(output, options, call.backend.context.clock), TEXT)


SUBRESOURCES: Mapping[tuple[str, str, str], Handler] = {("pods", "log", "get"): read}


def _options(call: Call) -> Options:
    query, clock = call.query, call.backend.context.clock
    since = None
    if "sinceSeconds" in query:
        since = clock.now - _number(call, "sinceSeconds", 1)
    elif "sinceTime" in query:
        since = _seconds_at(clock, query["sinceTime"])
    return Options(
        container=query.get("container", ""),
        previous=query.get("previous") in ("true", "1"),
        follow=query.get("follow") in ("true", "1"),
        timestamps=query.get("timestamps") in ("true", "1"),
        tail=_number(call, "tailLines", 0) if "tailLines" in query else None,
        since=since,
        limit_bytes=_number(call, "limitBytes", 1) if "limitBytes" in query else None,
    )


def _number(call: Call, field: str, least: int) -> int:
    asked = number(call.query, field)
    if asked < least:
        relation = "greater than 0" if least else "greater than or equal to 0"
        why = f"Invalid value: {asked}: must be {relation}"
        raise invalid(_LOG_OPTIONS, call.key.name, [Cause("FieldValueInvalid", why, field)])
    return asked


def _seconds_at(clock: Clock, text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise bad_request(f"invalid sinceTime: {text}") from None
    if at.tzinfo is None:
        raise bad_request(f"invalid sinceTime: {text}")
    return clock.seconds_at(text)


def _container(pod: Object, asked: str) -> str:
    """The container whose log is meant: the one asked for, or the only one."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    names = [each["name"] for each in spec["containers"]]
    init = [each["name"] for each in spec.get("initContainers") or ()]
    if asked:
        if asked not in (each["name"] for each in containers_of(spec)):
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(names) == 1 and not init:
        return str(names[0])
    choose = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
    if init:
        choose += f" or one of the init containers: [{' '.join(init)}]"
    raise bad_request(choose)


def _output(call: Call, pod: Object, options: Options) -> Output:
    """What the container's current (or previous) run prints."""
    name, container = pod["metadata"]["name"], options.container
    status = _status(pod, container)
    state, last = status.get("state") or {}, status.get("lastState") or {}
    if options.previous:
        if "terminated" not in last:
            raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        state = last
    elif "waiting" in state or not state:
        if "terminated" not in last:
            reason = state.get("waiting", {}).get("reason", "ContainerCreating")
            why = _WAITING.get(reason, reason)
            raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {why}')
        state = last
    spec = next(each for each in containers_of(pod["spec"]) if each["name"] == container)
    ran = state.get("running") or state["terminated"]
    ended = ran.get("finishedAt")
    identity, clock = ran.get("containerID") or status.get("containerID", ""), call.backend.context.clock
    return Output(
        identity=identity,
        spec=spec,
        running=call.backend.runtime.get(identity),
        started=clock.seconds_at(ran["startedAt"]),
        ended=None if ended is None else clock.seconds_at(ended),
    )


_WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


def _status(pod: Object, container: str) -> Object:
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for each in status.get(field) or ():
            if each["name"] == container:
                return dict(each)
    return {}


def _text(output: Output, options: Options, clock: Clock) -> str:
    lines = output.lines(output.count(clock.now), since=options.since, tail=options.tail)
    text = "".join(_line(clock, seconds, line, options) for seconds, line in lines)
    return text if options.limit_bytes is None else _cut(text, options.limit_bytes)


def _cut(text: str, most: int) -> str:
    """What fits into so many bytes."""
    return text.encode()[:most].decode(errors="ignore")


def _line(clock: Clock, seconds: float, line: str, options: Options) -> str:
    spelled = line.replace("%TIME%", clock.timestamp(seconds))
    if not options.timestamps:
        return spelled + "\n"
    fraction = round(seconds % 1 * 1e9) % 10**9
    return f"{clock.timestamp(seconds)[:-1]}.{fraction:09d}Z {spelled}\n"


class Followed:
    """A log that goes on until its container ends (http.Stream)."""

    def __init__(self, context: Context, pod: Key, options: Options, output: Output) -> None:
        self._context = context
        self._pod = pod
        self._options = options
        self._output = output
        self._sent: int | None = None
        self._bytes_left = options.limit_bytes
        self._wake: Callable[[], None] = _nothing
        self._timer: Timer | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def timeout_seconds(self) -> float | None:
        return None

    def poll(self) -> Sequence[str]:
        clock = self._context.clock
        if self._closed:
            return ()
        self._closed = not self._still_runs()
        count = self._output.count(clock.now)
        if self._sent is None:
            text = _text(self._output, self._options, clock)
        else:
            new = self._output.lines(count, tail=count - self._sent)
            text = "".join(_line(clock, seconds, line, self._options) for seconds, line in new)
        self._sent = count
        if self._bytes_left is not None:
            cut, length = _cut(text, self._bytes_left), len(text.encode())
            self._closed = self._closed or length >= self._bytes_left
            text, self._bytes_left = cut, self._bytes_left - length
        return (text,) if text else ()

    def on_ready(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._tick()

    def end(self) -> None:
        """Nothing marks the end of a log."""

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        if not self._closed:
            self._wake()
            self._timer = self._context.clock.after(FOLLOW_SECONDS, self._tick)

    def _still_runs(self) -> bool:
        pod = self._context.store.get(POD, self._pod)
        if pod is None:
            return False
        status = _status(pod, self._options.container)
        return "running" in status.get("state", {}) and status.get("containerID") == self._output.identity


def _nothing() -> None:
    """Nobody waits yet."""
