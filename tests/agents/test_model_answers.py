"""Only an answer that ended as whole answers do is one; what is not taken is asked for once more at most."""

from __future__ import annotations

import io
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from model_server import (
    EMPTY,
    MALFORMED,
    TRUNCATED,
    Answer,
    Call,
    Drop,
    Framing,
    Garbage,
    Reply,
    always,
    at_first,
    finish,
    kubectl,
    looking,
    one_after_another,
    pieces,
    serving,
    whole,
)
from model_trials import agent_at, failure_after, invalid_trial_of, trial_of, use_of

from pytest_selfrep.agents import recorded, resolve
from pytest_selfrep.agents.base import JsonObject, ModelCall
from pytest_selfrep.agents.given import Given
from pytest_selfrep.agents.llm import ModelAgent, answer, trouble
from pytest_selfrep.agents.llm.provider import STREAMED
from pytest_selfrep.trial.recording import Recording


def asked_of(recording: Recording) -> list[ModelCall]:
    return [one.event.call for one in recording.events if isinstance(one.event, recorded.Asked)]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(EMPTY, id="empty"),
        pytest.param(MALFORMED, id="malformed call"),
        pytest.param(Reply(None, (Call("kubectl", "[1]"),)), id="arguments are no object"),
        pytest.param(Reply(None, (Call("", "{}"),)), id="call of nothing"),
        pytest.param(Reply("I shall", finish="tool_calls"), id="no call where one was to be"),
        pytest.param(Reply("I shall", finish="function_call"), id="no function where one was to be"),
        *(
            pytest.param(Reply("I shall", finish=end), id=str(end))
            for end in (
                *("error", "ERROR", "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"),
                *("FINISH_REASON_UNSPECIFIED", "network_error", "something new", None),
            )
        ),
    ],
)
def test_an_answer_that_cannot_be_taken_is_asked_for_once_more_and_kept_for_the_record(answer: Reply) -> None:
    run, server = trial_of(at_first(answer, then=looking))
    error, refused = invalid_trial_of(always(answer))

    assert use_of(run).retries == 1
    assert len(server.asked) == 5
    (told,) = [call for call in asked_of(run.recording) if call.trouble]
    assert told.reply is not None
    assert told.reply["content"] == (answer.text or "")
    assert told.trouble in str(error)
    assert len(refused.asked) == 2
    assert [call.trouble for call in asked_of(error.recording)] == [told.trouble] * 2
    assert error.selective
    assert not error.retriable


UNCALLED = {"role": "assistant", "content": "I shall"}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(whole({**UNCALLED, "tool_calls": [{"id": "c", "type": "function"}]}), id="no function"),
        pytest.param(whole({**UNCALLED, "tool_calls": [{"id": "c", "function": None}]}), id="function null"),
        pytest.param(whole({**UNCALLED, "tool_calls": "kubectl"}), id="calls are text"),
        pytest.param(whole({**UNCALLED, "tool_calls": [None]}), id="call null"),
        pytest.param(whole({**UNCALLED, "content": [{"type": "text", "text": "I shall"}]}), id="in parts"),
        pytest.param(whole(UNCALLED, ["stop"]), id="reasons"),
        pytest.param(whole(UNCALLED, error={"message": "upstream", "code": 502}), id="with an error"),
    ],
)
def test_an_answer_that_litellm_cannot_read_is_one_all_the_same(answer: Answer) -> None:
    run, server = trial_of(at_first(answer, then=looking))
    error, refused = invalid_trial_of(always(answer))

    assert use_of(run).retries == 1
    assert use_of(run).completion_tokens == 100 * len(server.asked)
    assert len(refused.asked) == 2
    assert error.selective
    (told,) = [call for call in asked_of(run.recording) if call.trouble]
    assert told.reply is not None
    assert told.reply["content"] == "I shall"
    assert "Traceback" not in told.trouble + str(error)


@pytest.mark.parametrize(
    "answer", [whole(None), Garbage(b'{"choices": []}')], ids=["no message", "no choice"]
)
def test_an_answer_of_nothing_is_an_empty_one(answer: Answer) -> None:
    error, server = invalid_trial_of(always(answer))

    assert "the answer was" in str(error)
    assert error.selective
    assert len(server.asked) == 2


@pytest.mark.parametrize(("finish", "words"), [("length", "cut off"), ("content_filter", "content filter")])
def test_why_it_ended_is_heeded_in_an_answer_that_litellm_cannot_read(finish: str, words: str) -> None:
    error, server = invalid_trial_of(always(whole({**UNCALLED, "tool_calls": [None]}, finish)))

    assert words in str(error)
    assert error.selective
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"message": "flagged", "code": 400}, "content filter refused the request: flagged"),
        ({"message": "Held back", "code": "content_filter"}, "content filter refused the request: Held back"),
        ({"message": "Bad tools", "code": 400}, "refused the request: Bad tools"),
        ("Bad tools", "refused the request: Bad tools"),
    ],
)
def test_an_error_that_comes_as_an_answer_is_told_in_its_words(told: object, words: str) -> None:
    error, tries = failure_after(1, Garbage(json.dumps({"error": told}).encode()))

    assert words in str(error)
    assert error.selective
    assert tries == 1


HELD_BACK: list[JsonObject] = [
    {"message": "The response was held back", "code": "content_filter"},
    {"message": "Flagged by moderation", "code": 403},
    {"message": "Rejected by moderation"},
]


@pytest.mark.parametrize("told", HELD_BACK)
@pytest.mark.parametrize("before", [(), (UNCALLED,)], ids=["first", "later"])
def test_a_filter_that_ends_an_answer_in_pieces_is_not_asked_again(
    told: JsonObject, before: tuple[JsonObject, ...]
) -> None:
    answer = pieces(*before, {"error": told})
    error, server = invalid_trial_of(at_first(answer, then=looking), "stream=true")

    assert "content filter" in str(error)
    assert str(told["message"]) in str(error)
    assert "Original exception" not in str(error)
    assert error.selective
    assert len(server.asked) == 1
    (call,) = asked_of(error.recording)
    assert (call.reply is not None) == bool(before)


def test_a_refusal_that_ends_an_answer_in_pieces_is_not_asked_again_and_a_failure_once() -> None:
    for code, asked in ((402, 1), (503, 2)):
        ended = pieces(UNCALLED, {"error": {"message": "No.", "code": code}})
        error, server = invalid_trial_of(always(ended), "stream=true")

        assert error.selective
        assert len(server.asked) == asked


@pytest.mark.parametrize("provider", STREAMED)
def test_what_ends_an_answer_in_pieces_is_told_of_all_that_may_be_asked_for_one(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS_ENTRY", "k")
    monkeypatch.setenv("AZURE_API_VERSION", "2024-10-21")
    settings = ("stream=true", "api_key_from_environment=MODELS_ENTRY")
    found = {}
    for end in ("stop", "something new", "MALFORMED_FUNCTION_CALL", "error", None):
        with serving(always(Reply("I shall", finish=end))) as server:
            agent = agent_at(server, *settings, spec=f"{provider}/m")
            assert isinstance(agent, ModelAgent)
            found[end], _ = agent.model.ask([{"role": "user", "content": "Well?"}], [])

    assert isinstance(found.pop("stop"), answer.Answer)
    assert [isinstance(each, trouble.Trouble) and each.selective for each in found.values()] == [True] * 4


class Messages(BaseHTTPRequestHandler):
    """Answers in Anthropic's form, with the reason that the path begins with."""

    def do_POST(self) -> None:
        answer = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": "I shall"}],
            "stop_reason": self.path.split("/")[1],
            "usage": {"input_tokens": 10, "output_tokens": 2},
        }
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


def test_reasons_that_litellm_translates_are_read_as_the_provider_gave_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    printed = logging.StreamHandler(io.StringIO())
    monkeypatch.setattr(logging.getLogger("LiteLLM"), "handlers", [printed])
    with ThreadingHTTPServer(("127.0.0.1", 0), Messages) as listener:
        threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
        found = {}
        for end in ("end_turn", "pause_turn", "model_context_window_exceeded", "max_tokens", "refusal"):
            base = f"api_base=http://127.0.0.1:{listener.server_address[1]}/{end}"
            agent = resolve("anthropic/claude-sonnet-4-5", given=Given((base,)))
            assert isinstance(agent, ModelAgent)
            found[end], _ = agent.model.ask([{"role": "user", "content": "Well?"}], [])
        listener.shutdown()

    assert isinstance(found.pop("end_turn"), answer.Answer)
    troubles = {end: each.reason for end, each in found.items() if isinstance(each, trouble.Trouble)}
    assert troubles == {
        "pause_turn": "the answer ended with 'pause_turn'",
        "model_context_window_exceeded": "the answer ended with 'model_context_window_exceeded'",
        "max_tokens": trouble.TRUNCATED.reason,
        "refusal": trouble.FILTERED.reason,
    }
    assert printed.stream.getvalue() == ""


def test_what_ends_an_answer_in_pieces_is_looked_at_as_well() -> None:
    for end in ("error", "MALFORMED_FUNCTION_CALL", "something new", None):
        error, server = invalid_trial_of(
            always(Reply("I shall", finish=end)), "stream=true", "retries=1", "backoff=0.01"
        )
        assert error.selective
        assert len(server.asked) == 2
        assert [call.reply and call.reply["content"] for call in asked_of(error.recording)] == ["I shall"] * 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_in_the_form_that_came_before_tools_is_one(stream: bool) -> None:
    old = Reply("Look.", (Call("kubectl", {"command": "get pods"}),), finish="function_call", legacy=True)
    run, server = trial_of(one_after_another(old, finish("Done.")), *(("stream=true",) if stream else ()))

    assert next(entry.text for entry in run.transcript.entries if entry.kind == "call") == "kubectl get pods"
    assert len(server.asked) == 2


@pytest.mark.parametrize("framing", ["chunks", "close", "broken chunks"])
def test_a_stream_that_ends_before_its_answer_does_is_no_answer(framing: Framing) -> None:
    words = Reply("Some words, in the middle of which it ends.", (Call("kubectl", {"command": "get pods"}),))
    run, server = trial_of(at_first(Drop(0.5, words, framing), then=looking), "stream=true")
    error, _ = invalid_trial_of(always(Drop(0.5, words, framing)), "stream=true", "retries=1")

    assert use_of(run).retries == 1
    assert len(server.asked) == 5
    assert "Some words" not in run.transcript.render()
    assert "broke" in str(error) or "failed" in str(error)


@pytest.mark.parametrize("framing", ["chunks", "close"])
def test_a_stream_that_comes_whole_is_an_answer_however_it_is_framed(framing: Framing) -> None:
    run, _ = trial_of(at_first(Drop(1.0, kubectl("get pods"), framing), then=looking), "stream=true")

    assert use_of(run).retries == 0


def test_an_answer_that_was_cut_off_is_not_drawn_again() -> None:
    for cut in (TRUNCATED, Reply("I was about to", finish="length"), Reply("I was", finish="model_length")):
        error, server = invalid_trial_of(always(cut))

        assert "cut off at max_tokens" in str(error)
        assert len(server.asked) == 1
        assert error.selective
        assert not error.retriable


def test_calls_in_words_that_can_never_be_read_say_nothing_of_the_agent() -> None:
    broken = Reply('```tool\n{"name": "kubectl", "arguments": {"command": }}\n```')
    error, server = invalid_trial_of(always(broken), "tools=text")

    assert "could not be read, 3 times (Expecting value" in str(error)
    assert len(server.asked) == 3
    assert error.selective
    assert not error.retriable


UNREADABLE = Reply('```tool\n{"name": "kubectl", "arguments": {"command": }}\n```')
TALK = Reply("I will now scale up.")


@pytest.mark.parametrize(
    ("answers", "times"),
    [
        ((TALK, UNREADABLE, TALK, UNREADABLE, TALK), "2 times"),
        ((UNREADABLE, TALK), "once"),
        ((TALK, TALK, UNREADABLE, TALK, TALK, UNREADABLE, TALK, UNREADABLE), "3 times"),
    ],
)
def test_who_tried_in_vain_to_act_does_not_finish_by_talking(answers: tuple[Answer, ...], times: str) -> None:
    error, server = invalid_trial_of(one_after_another(*answers), "tools=text")

    assert f"could not be read, {times} (" in str(error)
    assert error.selective
    assert len(server.asked) == {"2 times": 7, "once": 4, "3 times": 8}[times]


def test_who_acts_in_the_end_may_talk_again() -> None:
    run, _ = trial_of(one_after_another(TALK, UNREADABLE, kubectl("get pods"), TALK), "tools=text")

    assert run.record.ended_by == "finished"
