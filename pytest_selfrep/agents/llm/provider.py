"""A model behind its provider: what is known of it beforehand, and one call."""

from __future__ import annotations

import os
import re
import socket
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pytest_selfrep.agents.base import JsonObject
from pytest_selfrep.agents.llm import sent, trouble
from pytest_selfrep.agents.llm.answer import Answer, read, unread
from pytest_selfrep.agents.llm.library import litellm, unwarned
from pytest_selfrep.agents.llm.settings import ModelSettings, Prices, bare
from pytest_selfrep.agents.llm.trouble import Trouble
from pytest_selfrep.errors import AgentError, UnknownModel
from pytest_selfrep.tools.base import JsonSchema

LOCAL = ("ollama", "ollama_chat", "llamafile", "lm_studio", "hosted_vllm", "oobabooga", "xinference")
"""Providers that run on machines of one's own: a price of zero is meant."""
ASKED = {"ollama": "ollama", "ollama_chat": "ollama", "huggingface": "huggingface", "lemonade": "lemonade"}
"""Providers that litellm would ask about a model over the network, and how its list names theirs."""
STREAMED = (
    *("openai", "azure", "custom_openai", "litellm_proxy", "llamafile", "lm_studio", "xinference"),
    *("baseten", "cerebras", "dashscope", "deepinfra", "featherless_ai", "github", "hyperbolic", "lambda_ai"),
    *("meta_llama", "moonshot", "nebius", "novita", "nscale", "nvidia_nim", "perplexity", "sambanova"),
    *("vercel_ai_gateway", "volcengine", "wandb", "zai"),
)
"""Those of whose answers in pieces litellm tells why they ended. Of all others it says ``stop``, mostly."""
REACH_SECONDS = 5.0
_KEY = re.compile(r"_(?:API_)?(?:KEY|TOKEN)$")
_INPUT_PRICE = re.compile(
    r"input_cost_per_token(?:_above_\w+)?|cache_creation_input_token_cost(?:_above_\w+)?"
)
_OUTPUT_PRICE = re.compile(r"output_cost_per_token(?:_above_\w+)?|output_cost_per_reasoning_token")


@dataclass(frozen=True, slots=True)
class Tokens:
    """That a call took, as its provider counted them."""

    prompt: int
    completion: int
    dollars: float | None
    """None when the price is unknown."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be asked. Threads may share it."""

    name: str
    settings: ModelSettings
    native: bool
    """Whether tools are offered by function calling, and not in words."""
    most: int
    """Tokens that it may write at a time."""
    dearest: Prices | None
    """The most that a million tokens may cost; None when that is unknown."""
    allowed: tuple[str, ...] = ()
    """Parameters that are passed on although litellm knows nothing of them, for it knows no such model."""

    def ask(
        self, messages: list[JsonObject], tools: list[JsonSchema], seed: int | None = None
    ) -> tuple[Answer | Trouble, Tokens | None]:
        """One call, without further tries, and what it took where the provider says so."""
        library = litellm()
        asked: dict[str, Any] = {**self._parameters(), "messages": messages}
        if tools:
            asked["tools"] = tools
        if seed is not None:
            asked["seed"] = seed
        raw: list[object] = []
        asked["logger_fn"] = lambda details: raw.append(details.get("original_response"))
        pieces: list[Any] = []
        broke: Exception | None = None
        try:
            with unwarned():
                response = library.completion(**asked)
                if self.settings.stream:
                    stream, broke = response, _drained(response, pieces)
                    if broke is not None and not pieces:
                        raise broke
                    response = library.stream_chunk_builder(pieces, messages=messages)
            choice = response.choices[0] if response and response.choices else None
            native = sent.ends_of(stream) if self.settings.stream else sent.ends(choice, sent.body_of(raw))
        except Exception as error:
            return self._unread(library, broke or error, sent.body_of(raw), pieces)
        if choice is None:
            return trouble.EMPTY, None
        tokens = self._taken(library, getattr(response, "usage", None))
        found = read(choice.message.model_dump(exclude_none=True), str(choice.finish_reason), native)
        return (found, tokens) if broke is None else (trouble.halfway(broke, found.message), None)

    def price(self, prompt: int, completion: int) -> float | None:
        """The most that so many tokens may cost."""
        if self.dearest is None:
            return None
        return (prompt * self.dearest.input + completion * self.dearest.output) / 1e6

    def _parameters(self) -> dict[str, Any]:
        settings = self.settings
        found: dict[str, Any] = {
            "model": self.name,
            "max_retries": 0,
            "num_retries": 0,
            "timeout": self.settings.timeout,
            **_parameters(settings),
            "max_tokens": self.most,
        }
        if settings.api_base is not None:
            found["api_base"] = settings.api_base
        if (key := _key(self.name, settings)) is not None:
            found["api_key"] = key
        if headers := settings.headers():
            found["extra_headers"] = headers
        if settings.extra_body:
            found["extra_body"] = settings.extra_body
        if settings.stream:
            found |= {"stream": True, "stream_options": {"include_usage": True}}
        if self.allowed:
            found["allowed_openai_params"] = list(self.allowed)
        return found

    def _unread(
        self, library: Any, error: Exception, body: Mapping[str, Any], pieces: Sequence[Any]
    ) -> tuple[Trouble, Tokens | None]:
        """Of a call that came to nothing: the provider may have answered what litellm could not read."""
        if pieces:
            return trouble.halfway(error, _words(pieces)), None
        if body.get("choices") == []:
            return trouble.EMPTY, None
        message = sent.message_of(body)
        if message is None:
            return trouble.of(error, body), None
        counted = sent.counted(body)
        usage = counted and library.Usage(prompt_tokens=counted[0], completion_tokens=counted[1])
        return unread(message, sent.reasons(body), sent.error_of(body)), self._taken(library, usage)

    def _taken(self, library: Any, usage: Any) -> Tokens | None:
        prompt = int(getattr(usage, "prompt_tokens", 0) or 0)
        completion = int(getattr(usage, "completion_tokens", 0) or 0)
        if prompt <= 0 or completion <= 0:
            # No answer is made of nothing, and none without writing: the server has not counted.
            return None
        own = self.settings.prices
        if own is not None:
            return Tokens(prompt, completion, (prompt * own.input + completion * own.output) / 1e6)
        if self.dearest is None or not (self.dearest.input or self.dearest.output):
            return Tokens(prompt, completion, self.price(prompt, completion))
        try:
            # Not completion_cost: that goes by the name that the server gives itself.
            costs = library.cost_per_token(model=self.name, usage_object=usage)
        except Exception:
            return Tokens(prompt, completion, self.price(prompt, completion))
        return Tokens(prompt, completion, float(sum(costs)))


def _drained(stream: Iterable[Any], pieces: list[Any]) -> Exception | None:
    """What ended an answer in pieces before its time, if something did; ``pieces`` are those that came."""
    try:
        for piece in stream:
            pieces.append(piece)  # What came before an error is kept.
    except Exception as error:
        return error
    return None


def _words(pieces: Iterable[Any]) -> JsonObject:
    """The message of an answer in pieces that do not add up to one."""
    deltas = [choice.delta for piece in pieces for choice in piece.choices or ()]
    words = [str(getattr(delta, "content", None) or "") for delta in deltas]
    return {"role": "assistant", "content": "".join(words)}


def prepared(name: str, settings: ModelSettings, *, priced: bool = False) -> Model:
    """The model of this name, once everything about it has been checked that can be without asking it.

    Args:
        name: As litellm names it: ``anthropic/claude-sonnet-4-5``.
        priced: Whether it has to be known what it costs.

    Raises:
        AgentError: litellm is not there or does not know such a model's provider; a key is missing; the
            model does not take a setting; nobody listens at ``api_base``; its price is unknown.
    """
    with unwarned():
        return _prepared(litellm(), name, settings, priced)


def _prepared(library: Any, name: str, settings: ModelSettings, priced: bool) -> Model:
    model, provider = _provider(library, name, settings)
    _require_key(library, name, provider, settings)
    settings.headers()
    if settings.stream and provider not in STREAMED:
        raise AgentError(
            f"model {name!r}: how an answer in pieces ended is not told by litellm of {provider}; leave out"
            " stream, or name a server that speaks as OpenAI's does openai/NAME, with api_base"
        )
    known = _known(library, name, model, provider)
    allowed = () if known else tuple(_parameters(settings))
    _require_settings(library, name, model, provider, settings, allowed)
    if settings.api_base is not None:
        _require_reachable(name, settings.api_base)
    dearest = settings.prices or _dearest(known, provider)
    if priced and dearest is None:
        raise AgentError(
            f"what model {name!r} costs is unknown, so a limit in dollars cannot be kept: set prices.input"
            " and prices.output (dollars for a million tokens), or limit tokens"
        )
    tools = settings.tools or ("native" if _calls(library, name, provider, known) else "text")
    bound = known.get("max_output_tokens")
    given = "max_tokens" in settings.model_fields_set
    most = settings.max_tokens if given or not bound else min(settings.max_tokens, int(bound))
    return Model(name, settings, tools == "native", most, dearest, allowed)


def _provider(library: Any, name: str, settings: ModelSettings) -> tuple[str, str]:
    try:
        model, provider, *_ = library.get_llm_provider(name, api_base=settings.api_base)
    except Exception as error:
        raise UnknownModel(
            f"litellm knows no model {name!r}: name one with its provider in front, such as"
            " anthropic/claude-sonnet-4-5, or openai/NAME with api_base for a server that speaks as OpenAI's"
            " does"
        ) from error
    return str(model), str(provider)


def _known(library: Any, name: str, model: str, provider: str) -> dict[str, Any]:
    """What litellm's list says of a model; nothing of one that is not in it."""
    if provider in ASKED:
        return dict(library.model_cost.get(f"{ASKED[provider]}/{model}") or {})
    try:
        return dict(library.get_model_info(name))
    except Exception:
        return {}


def _calls(library: Any, name: str, provider: str, known: dict[str, Any]) -> bool:
    """Whether it calls functions; taken for granted of a model that nothing is known of."""
    if provider in ASKED:
        return not known or bool(known.get("supports_function_calling"))
    return not known or bool(library.supports_function_calling(name))


def _dearest(known: dict[str, Any], provider: str) -> Prices | None:
    found = [
        max([float(value) for key, value in known.items() if value and pattern.fullmatch(key)], default=0.0)
        for pattern in (_INPUT_PRICE, _OUTPUT_PRICE)
    ]
    if not any(found):
        free = provider in ASKED or bool(known)
        return Prices(input=0.0, output=0.0) if provider in LOCAL and free else None
    if not all(found):
        # One of the two is not in the list, which says zero of such.
        return None
    return Prices(input=found[0] * 1e6, output=found[1] * 1e6)


def _key(name: str, settings: ModelSettings) -> str | None:
    key = settings.key()
    if key is None and settings.api_base is not None and name.startswith("openai/"):
        # Servers of one's own take any, but the client insists on one. Others' keys are not for them.
        return os.environ.get("OPENAI_API_KEY") or "none"
    return key


def _require_key(library: Any, name: str, provider: str, settings: ModelSettings) -> None:
    if _key(name, settings) is not None:
        return
    try:
        asked = library.validate_environment(name)
    except Exception:
        # It does not know; the first call will.
        return
    missing = [each for each in asked.get("missing_keys") or () if _KEY.search(each)]
    if missing and not asked.get("keys_in_environment"):
        raise AgentError(
            f"model {name!r} needs a key of {provider} in the environment: export {' and '.join(missing)},"
            " or name another variable with api_key_from_environment"
        )


def _parameters(settings: ModelSettings) -> dict[str, Any]:
    """Those of the model itself, as far as they were set."""
    names = ("temperature", "top_p", "reasoning_effort", "seed")
    return {name: value for name in names if (value := getattr(settings, name)) is not None}


def _require_settings(
    library: Any, name: str, model: str, provider: str, settings: ModelSettings, allowed: tuple[str, ...]
) -> None:
    try:
        library.utils.get_optional_params(
            model=model,
            custom_llm_provider=provider,
            allowed_openai_params=list(allowed),
            **_parameters(settings),
        )
    except library.UnsupportedParamsError as error:
        words = trouble.of(error).reason.partition(": ")[2].partition(" To drop")[0]
        raise AgentError(f"model {name!r} does not take its settings: {words}") from None
    except Exception:
        # It cannot tell without what is not installed or not set here; the first call will.
        return


def _require_reachable(name: str, base: str) -> None:
    where = urlsplit(base)
    host, port = where.hostname or "", where.port or (443 if where.scheme == "https" else 80)
    if where.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        # The proxy may reach what this machine does not.
        return
    try:
        socket.create_connection((host, port), REACH_SECONDS).close()
    except OSError as error:
        raise AgentError(
            f"model {name!r}: nobody answers at {bare(base)} ({error.strerror or error}): start its server,"
            " or mend api_base"
        ) from error
