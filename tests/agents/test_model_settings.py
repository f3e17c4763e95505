"""Settings of models: how files, ini and command line come together, and what is refused at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from model_server import looking, serving
from model_trials import agent_at, trial_at, use_of

from pytest_selfrep.agents import require_sound, resolve
from pytest_selfrep.agents.given import Given
from pytest_selfrep.agents.llm.library import litellm
from pytest_selfrep.errors import AgentError


def refusal(*line: str, spec: str = "openai/m") -> str:
    with pytest.raises(AgentError) as refused:
        resolve(spec, given=Given(line))
    return str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        *("n", "best_of", "candidateCount", "max_tokens", "max_completion_tokens", "max_new_tokens"),
        *("maxOutputTokens", "num_predict", "n_predict", "options.num_predict"),
        *("generationConfig.maxOutputTokens", "stream", "seed", "tools", "tool_choice", "functions"),
        *("messages", "prompt", "system", "model", "models", "fallbacks", "service_tier"),
    ],
)
def test_nothing_gets_past_the_budget_in_the_extra_body(name: str) -> None:
    outer, _, inner = name.partition(".")
    words = refusal(f"extra_body.{outer}={{{inner}: 3}}" if inner else f"extra_body.{name}=3")

    assert f"extra_body: {name} cannot be set here" in words
    assert "settings max_tokens" in words


def test_what_the_extra_body_has_is_known_by_its_names() -> None:
    with serving(looking) as server:
        agent: Any = agent_at(server, "extra_body.top_k=5", "extra_body.chat_template_kwargs={badge: hidden}")

    assert agent.settings["extra_body"] == ["chat_template_kwargs", "top_k"]
    assert "hidden" not in str(agent.settings)


def test_headers_are_secret_by_their_names() -> None:
    with serving(looking) as server:
        agent: Any = agent_at(
            server,
            *(f"extra_headers.{name}=replicas" for name in ("X-Team", "User-Agent", "X-Title")),
            *(f"extra_headers.{name}=0123456789" for name in ("X-Api-Key", "Authorization", "Cookie")),
            *(f"extra_headers.{name}=0123456789" for name in ("x-auth-token", "X-Pass")),
            "extra_headers.X-Entry=Bearer 0123456789",
        )

    secret = {name.partition(".")[2] for name, value in agent.secrets.items() if value}
    assert secret == {"X-Api-Key", "Authorization", "Cookie", "x-auth-token", "X-Pass", "X-Entry"}


@pytest.mark.parametrize(
    "url", ["http://localhost:99999/v1", "http://[::1/v1", "http://:80/v1", "http://h:port/v1", "ftp://h/v1"]
)
def test_a_base_that_is_no_url_is_one_error(url: str) -> None:
    assert "is no URL; write it like" in refusal(f"api_base={url}")


def test_a_password_in_a_base_that_is_no_url_is_not_shown() -> None:
    assert "hidden" not in refusal("api_base=http://me:hidden@host:port/v1")


def test_a_part_of_a_setting_leaves_its_other_parts_as_they_were(tmp_path: Path) -> None:
    with serving(looking) as server:
        (tmp_path / "mine.yaml").write_text(
            f"model: openai/mine\napi_base: {server.url}\nprices: {{input: 1, output: 2}}\n"
            "extra_headers: {X-Team: red, X-Stage: early}\nextra_body: {top_k: 5}\n"
        )
        line = ("prices.input=3", "extra_headers.X-Team=blue", "extra_body.min_p=0.1")
        require_sound(Given(line))
        agent: Any = agent_at(server, *line, spec=str(tmp_path / "mine.yaml"))

    settings = agent.model.settings
    assert (settings.prices.input, settings.prices.output) == (3, 2)
    assert settings.extra_headers == {"X-Team": "blue", "X-Stage": "early"}
    assert settings.extra_body == {"top_k": 5, "min_p": 0.1}


def test_a_part_of_the_prices_alone_is_no_price() -> None:
    assert "prices.output" in refusal("prices.input=3")
    with pytest.raises(AgentError, match=r"prices\.inptu"):
        require_sound(Given(("prices.inptu=3",)))


@pytest.mark.parametrize("header", ["X Team=red", "X-Team=red\nX-Other: blue", "X-Team=rouge é"])
def test_what_no_header_can_carry_is_an_error_before_any_call(header: str) -> None:
    assert "extra_headers" in refusal(f"extra_headers.{header}")


def test_a_key_with_a_line_end_is_an_error_that_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_KEY", "half-of-it\nother-half")

    words = refusal("api_key_from_environment=TEAM_KEY")
    assert "TEAM_KEY" in words
    assert "one line of ASCII" in words
    assert "half" not in words


def test_half_a_price_is_an_unknown_one(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6}
    monkeypatch.setitem(litellm().model_cost, "half-priced", {**listed, "output_cost_per_token": 0.0})
    with serving(looking) as server:
        agent: Any = agent_at(server, spec="openai/half-priced")
        run = trial_at(server, spec="openai/half-priced")

    assert agent.model.dearest is None
    assert use_of(run).dollars is None


@pytest.mark.parametrize("provider", ["ollama", "ollama_chat"])
def test_what_is_known_of_a_model_is_not_asked_over_the_network(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(looking) as server:
        monkeypatch.setenv("OLLAMA_API_BASE", server.url.removesuffix("/v1"))
        listed: Any = resolve(f"{provider}/llama2")
        own: Any = resolve(f"{provider}/of-my-own:8b", given=Given(("temperature=0.5",)))

    assert server.strays == []
    assert (listed.model.native, own.model.native) == (False, True)
    assert own.model.price(10, 10) == 0.0


@pytest.mark.parametrize(
    "model",
    [
        *("gemini/gemini-2.5-pro", "anthropic/claude-sonnet-4-5", "openrouter/acme/large", "mistral/large"),
        *("bedrock/anthropic.claude-3-haiku-20240307-v1:0", "hosted_vllm/m", "groq/m", "deepseek/m"),
    ],
)
def test_pieces_of_an_answer_are_not_asked_of_those_whose_end_nobody_tells(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS_ENTRY", "k")
    key = "api_key_from_environment=MODELS_ENTRY"

    assert "leave out stream" in refusal(key, "stream=true", spec=model)
    resolve(model, given=Given((key,)))
