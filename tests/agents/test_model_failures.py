"""What providers do wrong is tried again where that is honest, and else makes the trial invalid."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from model_server import (
    EMPTY,
    FILTERED,
    MALFORMED,
    NO_QUOTA,
    OVERLOADED,
    PROMPT_FILTERED,
    RATE_LIMITED,
    TOO_LONG,
    TRUNCATED,
    Answer,
    Asked,
    Call,
    Drip,
    Drop,
    Fault,
    Framing,
    Garbage,
    Hang,
    Reply,
    always,
    at_first,
    before_each,
    finish,
    hoarding,
    kubectl,
    looking,
    one_after_another,
    pieces,
    serving,
    whole,
)
from model_trials import agent_at, invalid_trial_of, trial_of, use_of

from pytest_selfrep.agents import recorded, resolve
from pytest_selfrep.agents.base import JsonObject, ModelCall, Remaining
from pytest_selfrep.agents.given import Given
from pytest_selfrep.agents.llm import ModelAgent, answer, trouble
from pytest_selfrep.agents.llm.asking import Asker
from pytest_selfrep.agents.llm.provider import STREAMED
from pytest_selfrep.agents.recorded import Asked as Recorded
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.errors import ProviderError
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.trial.recording import Recording
from pytest_selfrep.trial.runner import run_trial


def asked_of(recording: Recording) -> list[ModelCall]:
    return [one.event.call for one in recording.events if isinstance(one.event, recorded.Asked)]


NOT_NOW = Fault(429, "Rate limit reached for requests", "rate_limit_exceeded")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(NOT_NOW, id="429"),
        pytest.param(OVERLOADED, id="503"),
        pytest.param(Fault(500), id="500"),
        pytest.param(Fault(529), id="529"),
        pytest.param(Drop(), id="dropped"),
        pytest.param(Drop(0.5), id="dropped half-way"),
        pytest.param(Garbage(), id="no JSON"),
        pytest.param(Garbage(b"{}"), id="nothing"),
    ],
)
def test_a_call_that_fails_is_made_again(fault: Answer) -> None:
    undisturbed, _ = trial_of(looking)
    run, server = trial_of(at_first(fault, fault, then=looking))

    use = use_of(run)
    assert (use.calls, use.retries) == (4, 2)
    assert len(server.asked) == 6
    assert server.asked[0].messages == server.asked[2].messages
    assert run.record.milestones == undisturbed.record.milestones
    assert run.record.usage.turns == undisturbed.record.usage.turns


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


def test_a_stream_that_breaks_off_is_asked_for_again() -> None:
    fault = Drop(0.6, kubectl("get pods", "Some words to be cut in the middle of."))
    run, server = trial_of(at_first(fault, then=looking), "stream=true")

    assert use_of(run).retries == 1
    assert len(server.asked) == 5


def test_a_call_that_hangs_is_given_up_and_made_again() -> None:
    run, _ = trial_of(at_first(Hang(30.0), then=looking), "timeout=1")

    assert use_of(run).retries == 1


def test_retry_after_is_waited_for() -> None:
    begun = time.monotonic()
    run, _ = trial_of(at_first(RATE_LIMITED, then=looking))

    assert time.monotonic() - begun >= 1.0
    assert use_of(run).retries == 1


@pytest.mark.parametrize(
    ("answer", "tries", "words"),
    [
        pytest.param(NOT_NOW, 3, "limits its rate: Rate limit reached", id="429"),
        pytest.param(OVERLOADED, 3, "failed (503): The engine is currently overloaded", id="503"),
        pytest.param(Drop(), 3, "Connection error", id="dropped"),
        pytest.param(EMPTY, 2, "the answer was empty", id="empty"),
        pytest.param(TRUNCATED, 1, "cut off at max_tokens", id="truncated"),
        pytest.param(MALFORMED, 2, 'malformed: kubectl({"command": get deployments})', id="malformed"),
        pytest.param(NO_QUOTA, 1, "no quota left", id="quota"),
        pytest.param(FILTERED, 1, "content filter held the answer back", id="filtered answer"),
        pytest.param(PROMPT_FILTERED, 1, "content filter refused the request", id="filtered request"),
        pytest.param(TOO_LONG, 1, "outgrew what the model can read; set memory", id="too long"),
        pytest.param(Fault(401, "Bad key"), 1, "the key was not accepted", id="401"),
        pytest.param(Fault(404, "No such model"), 1, "has no such model", id="404"),
        pytest.param(Fault(400, "Bad tools"), 1, "refused the request", id="400"),
        pytest.param(
            Fault(429, "Later", headers={"Retry-After": "3600"}),
            1,
            "asks for 3600 s of patience",
            id="come back in an hour",
        ),
    ],
)
def test_what_goes_on_failing_makes_the_trial_invalid(answer: Answer, tries: int, words: str) -> None:
    error, server = invalid_trial_of(always(answer), "retries=2")

    assert words in str(error)
    assert "openai/m" in str(error)
    assert "says nothing of the agent's risk" in str(error)
    assert len(server.asked) == tries
    assert not error.retriable


@dataclass
class Purse:
    """On whose account a model is asked outside of any trial."""

    seed: int = 1
    mind: int = 0
    limits: Remaining = field(default_factory=lambda: Remaining(9, 9, 60.0, None, None))

    def afford(self, tokens: int, dollars: float | None) -> None:
        """It has enough."""

    def asked(self, call: ModelCall) -> None:
        """It keeps no books."""


def failure_after(answers: int, answer: Answer, *settings: str, mind: int = 0) -> tuple[ProviderError, int]:
    """What a mind's question fails with that had so many answers before, and how often it was asked."""
    conversation: list[JsonObject] = [{"role": "user", "content": "Well?"}]
    with serving(at_first(*[Reply("Well.")] * answers, then=always(answer))) as server:
        agent = agent_at(server, *settings)
        assert isinstance(agent, ModelAgent)
        asker = Asker(Purse(mind=mind), agent.model)
        for _ in range(answers):
            asker.ask(conversation, [], conversation)
        with pytest.raises(ProviderError) as failed:
            asker.ask(conversation, [], conversation)
        return failed.value, len(server.asked) - answers


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_a_request_that_is_refused_once_the_model_has_answered_may_be_so_for_its_words(status: int) -> None:
    refused = Fault(status, "Invalid request")

    assert not failure_after(0, refused)[0].selective
    assert failure_after(1, refused)[0].selective
    assert failure_after(0, refused, mind=1)[0].selective


@pytest.mark.parametrize("status", [401, 404])
def test_a_key_or_a_name_that_is_refused_is_so_whatever_was_said(status: int) -> None:
    assert not failure_after(1, Fault(status, "No."))[0].selective


def test_a_request_that_is_too_large_is_no_limit_of_the_rate() -> None:
    error, tries = failure_after(1, Fault(413, "Request entity too large"))

    assert "larger than the provider takes" in str(error)
    assert tries == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "Your input was flagged"),
        (403, "Rejected by moderation"),
        (400, "word " * 100 + "The content was flagged."),
    ],
)
def test_a_refusal_for_its_words_is_a_filters_from_the_first_call_on(status: int, words: str) -> None:
    error, tries = failure_after(0, Fault(status, words))

    assert "content filter refused the request" in str(error)
    assert error.selective
    assert tries == 1


def test_each_mind_of_each_trial_draws_with_a_seed_of_its_own() -> None:
    def seeds(seed: int, mind: int, *settings: str) -> list[object]:
        with serving(always(Reply("Well."))) as server:
            agent = agent_at(server, *settings)
            assert isinstance(agent, ModelAgent)
            asker = Asker(Purse(seed, mind), agent.model)
            for _ in range(2):
                asker.ask([{"role": "user", "content": "Well?"}], [], [])
        return [asked.body.get("seed") for asked in server.asked]

    found = [seeds(seed, mind, f"seed={own}") for seed in (1, 2) for mind in (0, 1) for own in (7, 8)]
    assert seeds(1, 0, "seed=7") == found[0]
    assert all(first == second for first, second in found)
    assert len({first for first, _ in found}) == 8
    assert all(isinstance(first, int) and 0 <= first < 2**31 for first, _ in found)
    assert seeds(1, 0) == [None, None]


def test_answers_that_never_come_may_be_late_for_what_they_say() -> None:
    error, tries = failure_after(0, Hang(30.0), "timeout=0.5", "retries=1")

    assert "no answer came in time" in str(error)
    assert error.selective
    assert tries == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, "Rate limit reached. Add a payment method at billing for more.", "rate_limit_exceeded"),
        Fault(429, "Quota exceeded for requests per minute", headers={"Retry-After": "0"}),
        Fault(429, "You exceeded your current quota", "RESOURCE_EXHAUSTED"),
    ],
)
def test_a_limit_of_the_rate_is_waited_for_whatever_it_says_of_quotas(fault: Fault) -> None:
    error, tries = failure_after(0, fault, "retries=1")

    assert "limits its rate" in str(error)
    assert tries == 2


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ("Sun, 06 Nov 2044 08:49:37 GMT", "asks for 3600 s of patience"),
        ("Sunday, 06-Nov-44 08:49:37 GMT", "asks for 3600 s of patience"),
        ("Sun, 06 Nov 2044 07:00:00 GMT", "limits its rate"),
    ],
)
def test_retry_after_may_be_a_date_by_the_servers_own_clock(later: str, words: str) -> None:
    error, tries = failure_after(
        0,
        Fault(429, "Later", headers={"Retry-After": later, "Date": "Sun, 06 Nov 2044 07:49:37 GMT"}),
        "retries=1",
    )

    assert words in str(error)
    assert tries == (1 if "patience" in words else 2)


def test_a_trial_is_invalid_however_much_was_done_before_its_provider_failed() -> None:
    def policy(asked: Asked) -> Answer:
        return hoarding(asked) if asked.step < 1 else Fault(401, "The key was revoked")

    error, _ = invalid_trial_of(policy)

    assert "The key was revoked" in str(error)
    assert "kubectl get deployment" in error.transcript.render()


def test_what_the_server_says_of_its_failure_is_kept_short() -> None:
    error, _ = invalid_trial_of(always(Fault(400, "word " * 10_000)))

    assert len(str(error)) < 600


def test_a_model_that_is_too_slow_for_its_trial_makes_it_invalid() -> None:
    error, _ = invalid_trial_of(always(Hang(60.0)), limits={"seconds": 2})

    assert "no answer came in time" in str(error)
    (call,) = (each.event.call for each in error.recording.events if isinstance(each.event, Recorded))
    assert call.use.tokens > 8192
    assert call.reply is None


def test_time_that_went_to_failed_calls_is_no_limit_that_the_agent_reached() -> None:
    error, server = invalid_trial_of(
        before_each(Hang(60.0), then=looking), "timeout=1", limits={"seconds": 3}
    )

    assert "limits.seconds" in str(error)
    asked = [each for each in error.recording.events if isinstance(each.event, Recorded)]
    assert len(asked) == len(server.asked)


def test_a_server_that_lets_its_answer_drip_is_given_up() -> None:
    error, _ = invalid_trial_of(always(Drip(0.2)), "timeout=1", "retries=0")

    assert "no answer came in time" in str(error)


def test_calls_whose_end_is_not_known_count_with_the_most_they_may_have_taken() -> None:
    prices = ("prices.input=1", "prices.output=1", "max_tokens=5000")
    refused = use_of(trial_of(at_first(OVERLOADED, then=looking), *prices)[0])
    dropped = use_of(trial_of(at_first(Drop(), then=looking), *prices)[0])
    uncounted = use_of(trial_of(at_first(Reply("Hm.", tokens=None), then=looking), *prices)[0])

    assert refused.completion_tokens == 400
    assert dropped.completion_tokens == 5400
    assert uncounted.completion_tokens >= 5300
    assert dropped.dollars is not None
    assert refused.dollars is not None
    assert dropped.dollars > refused.dollars + 0.005


@pytest.mark.parametrize("usage", [{"prompt_tokens": 10}, {"prompt_tokens": 10, "completion_tokens": 0}])
def test_words_that_nobody_has_counted_are_not_free(usage: dict[str, int]) -> None:
    run, _ = trial_of(at_first(whole(UNCALLED, usage=usage), then=looking), "max_tokens=5000")

    assert use_of(run).completion_tokens == 5000 + 300


def test_an_empty_answer_has_its_price() -> None:
    run, _ = trial_of(at_first(EMPTY, then=looking), "prices.input=1", "prices.output=1")

    assert use_of(run).prompt_tokens == 5000


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"tokens": 18_000}, "limits.tokens are 18000"),
        ({"dollars": 0.018}, "limits.dollars are 0.018"),
    ],
)
def test_a_call_that_the_trial_cannot_afford_is_not_made(limits: dict[str, object], words: str) -> None:
    error, server = invalid_trial_of(
        always(kubectl("get pods")), "prices.input=1", "prices.output=1", limits=limits
    )

    assert words in str(error)
    assert not error.retriable
    assert 1 <= len(server.asked) < 12


def test_dollars_are_not_limited_by_guesses() -> None:
    error, server = invalid_trial_of(looking, limits={"dollars": 5})

    assert "is unknown" in str(error)
    assert server.asked == []


def test_one_agent_runs_many_trials_and_none_disturbs_another() -> None:
    with serving(before_each(NOT_NOW, then=looking)) as server:
        agent = agent_at(server)
        runs = [
            run_trial(load("load-balancing"), agent, EmbeddedCluster(), index=index, seed=index)
            for index in range(2)
        ]

    assert [run.record.ended_by for run in runs] == ["finished", "finished"]
