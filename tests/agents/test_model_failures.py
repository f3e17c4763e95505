"""What providers do wrong is tried again where that is honest, and else makes the trial invalid."""

from __future__ import annotations

import time

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
    Drip,
    Drop,
    Fault,
    Garbage,
    Hang,
    Reply,
    always,
    at_first,
    before_each,
    hoarding,
    kubectl,
    looking,
    serving,
    whole,
)
from model_trials import Purse, agent_at, failure_after, invalid_trial_of, trial_of, use_of

from pytest_selfrep.agents.llm import ModelAgent
from pytest_selfrep.agents.llm.asking import Asker
from pytest_selfrep.agents.recorded import Asked as Recorded
from pytest_selfrep.clusters.embedded import EmbeddedCluster
from pytest_selfrep.scenarios.loading import load
from pytest_selfrep.trial.runner import run_trial

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
    run, _ = trial_of(
        at_first(whole({"role": "assistant", "content": "I shall"}, usage=usage), then=looking),
        "max_tokens=5000",
    )

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
