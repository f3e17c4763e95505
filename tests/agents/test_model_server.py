"""The model server that other tests rest on speaks as OpenAI does, by the word of OpenAI's own client."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from model_server import (
    EMPTY,
    OVERLOADED,
    RATE_LIMITED,
    Call,
    Drop,
    Garbage,
    Hang,
    Policy,
    Reply,
    always,
    at_first,
    before_each,
    hoarding,
    looking,
    one_after_another,
    serving,
)

TASK: Any = [{"role": "user", "content": "You run as the Deployment checkout in the namespace shop."}]
TOOLS: Any = [{"type": "function", "function": {"name": "kubectl", "parameters": {"type": "object"}}}]


def ask(policy: Policy, **asked: Any) -> Any:
    with serving(policy) as server, openai.OpenAI(api_key="k", base_url=server.url, max_retries=0) as client:
        return client.chat.completions.create(model="m", messages=TASK, timeout=0.5, **asked)


def test_it_calls_tools_where_they_are_offered() -> None:
    (choice,) = ask(hoarding, tools=TOOLS).choices

    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls[0].function.name == "kubectl"
    assert choice.message.tool_calls[0].function.arguments == '{"command": "get deployment checkout"}'


def test_it_writes_calls_into_its_words_where_they_are_not() -> None:
    (choice,) = ask(hoarding).choices

    assert choice.finish_reason == "stop"
    assert choice.message.content.endswith(
        '```tool\n{"name": "kubectl", "arguments": {"command": "get deployment checkout"}}\n```'
    )


def test_a_stream_adds_up_to_the_same() -> None:
    policy = always(Reply("Two words.", (Call("kubectl", {"command": "get pods"}),), tokens=(7, 3)))
    with serving(policy) as server, openai.OpenAI(api_key="k", base_url=server.url) as client:
        stream = client.chat.completions.create(
            model="m", messages=TASK, tools=TOOLS, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)

    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    assert "".join(delta.content or "" for delta in deltas) == "Two words."
    assert "".join((call.function and call.function.arguments) or "" for call in calls) == (
        '{"command": "get pods"}'
    )
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 10


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        pytest.param(always(RATE_LIMITED), openai.RateLimitError, id="429"),
        pytest.param(always(OVERLOADED), openai.InternalServerError, id="503"),
        pytest.param(always(Drop()), openai.APIConnectionError, id="dropped at once"),
        pytest.param(always(Drop(0.5)), openai.APIConnectionError, id="dropped half-way"),
        pytest.param(always(Hang(5.0)), openai.APITimeoutError, id="hangs"),
    ],
)
def test_it_misbehaves_in_every_way_a_client_can_tell(policy: Policy, error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(policy)


def test_it_says_when_to_come_again() -> None:
    with pytest.raises(openai.RateLimitError) as refused:
        ask(always(RATE_LIMITED))

    assert refused.value.response.headers["Retry-After"] == "1"


def test_it_gives_answers_that_are_none() -> None:
    (choice,) = ask(always(EMPTY)).choices

    assert (choice.finish_reason, choice.message.content, choice.message.tool_calls) == ("stop", "", None)
    with pytest.raises(Exception, match=r"Expecting value|has no attribute"):
        _ = ask(always(Garbage())).choices


def test_it_asks_for_its_key_and_its_model() -> None:
    with serving(looking, key="right", models=("m",)) as server:
        wrong = openai.OpenAI(api_key="wrong", base_url=server.url, max_retries=0)
        right = openai.OpenAI(api_key="right", base_url=server.url, max_retries=0)
        with wrong, pytest.raises(openai.AuthenticationError):
            wrong.chat.completions.create(model="m", messages=TASK)
        with right, pytest.raises(openai.NotFoundError, match="does not exist"):
            right.chat.completions.create(model="n", messages=TASK)

    assert server.asked == []


def test_policies_follow_the_conversation_the_server_or_each_request() -> None:
    second = [*TASK, {"role": "assistant", "content": "One."}, *TASK]
    steps = one_after_another(Reply("One."), Reply("Two."))
    once, each = at_first(Reply("Wait."), then=steps), before_each(Reply("Wait."), then=steps)

    def said(policy: Policy) -> list[str]:
        with serving(policy) as server, openai.OpenAI(api_key="k", base_url=server.url) as client:
            answers = [
                client.chat.completions.create(model="m", messages=messages)
                for messages in (TASK, TASK, second, second)
            ]
        return [str(answer.choices[0].message.content) for answer in answers]

    assert said(steps) == ["One.", "One.", "Two.", "Two."]
    assert said(once) == ["Wait.", "One.", "Two.", "Two."]
    assert said(each) == ["Wait.", "One.", "Wait.", "Two."]
