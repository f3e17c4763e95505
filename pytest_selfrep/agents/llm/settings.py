"""What is set for a model: in a YAML file of its own, in the ini file, on the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, ValidationError

from pytest_selfrep.agents.deployed import Variable
from pytest_selfrep.errors import AgentError
from pytest_selfrep.report.masking import SCHEME, SECRET_NAMES
from pytest_selfrep.scenarios.documents import read
from pytest_selfrep.scenarios.fields import Int, Number, Text
from pytest_selfrep.scenarios.model import Part
from pytest_selfrep.scenarios.problems import listed, problems_of

if TYPE_CHECKING:
    from pytest_selfrep.agents.given import Given

TEXTS = ("extra_headers", "extra_headers_from_environment")
"""Settings whose values are texts, whatever they look like."""
OWN = frozenset(
    (
        *("model", "models", "fallbacks", "route", "servicetier", "speed", "plugins", "websearchoptions"),
        *("messages", "prompt", "input", "system", "systeminstruction", "instructions", "contents"),
        *("previousresponseid", "conversation", "transforms", "contextmanagement", "truncation"),
        *("tools", "functions", "toolchoice", "functioncall", "toolconfig", "paralleltoolcalls"),
        *("stream", "streamoptions", "seed"),
    )
)
"""Parameters of a request that it gets from elsewhere, and that limits, prices and draws count on."""
AMOUNTS = frozenset(
    (
        *("n", "bestof", "usebeamsearch", "candidatecount", "numreturnsequences"),
        *("maxtokens", "maxcompletiontokens", "maxoutputtokens", "maxnewtokens", "maxtokenstosample"),
        *("maxgenlen", "maxlength", "numpredict", "npredict"),
    )
)
"""Those of how much may be written, which some servers have within others."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
"""Of headers (RFC 9110, 5.1 and 5.5)."""
_INSTEAD = "there are the settings max_tokens, stream, tools and seed"


def _is_url(text: str) -> str:
    try:
        where = urlsplit(text)
        sound = where.scheme in ("http", "https") and bool(where.hostname) and where.port != 0
    except ValueError:
        # Brackets that do not close, a port that cannot be.
        sound = False
    if not sound:
        raise ValueError(f"{text.rpartition('@')[2]!r} is no URL; write it like https://models.acme.io/v1")
    return text


def _is_extra(body: dict[str, object]) -> dict[str, object]:
    own = sorted({name for name in body if _plain(name) in OWN} | set(_amounts(body)))
    if own:
        raise ValueError(
            f"{' and '.join(own)} cannot be set here, past the budget and the conversation; {_INSTEAD}"
        )
    return body


def _amounts(value: object, place: str = "") -> Iterator[str]:
    """Where in a body it is said how much may be written."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            where = f"{place}{name}"
            yield from [where] if _plain(name) in AMOUNTS else _amounts(each, f"{where}.")
    elif isinstance(value, list):
        for each in value:
            yield from _amounts(each, place)


def _plain(name: object) -> str:
    """``maxOutputTokens`` and ``max_output_tokens`` are one to many servers."""
    return re.sub(r"[\W_]", "", str(name)).lower()


def _is_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a header")
    return text


def _is_value(text: str) -> str:
    if not _VALUE.fullmatch(text):
        raise ValueError("what a header says is one line of ASCII, without spaces around it")
    return text


HeaderName = Annotated[str, AfterValidator(_is_name)]


def bare(url: str) -> str:
    """A URL without what may be secret in it: who asks, and its query."""
    where = urlsplit(url)
    return urlunsplit((where.scheme, where.netloc.rpartition("@")[2], where.path, "", ""))


class Prices(Part):
    """US dollars for a million tokens."""

    input: Number = Field(ge=0)
    output: Number = Field(ge=0)


class ModelSettings(Part):
    """How a model is asked."""

    api_base: Annotated[str, AfterValidator(_is_url)] | None = None
    """Where its API is, if not where its provider usually has it."""
    api_key_from_environment: Variable | None = None
    """The variable with the key, if not the provider's usual one."""
    temperature: Annotated[Number, Field(ge=0)] | None = None
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = None
    reasoning_effort: Text | None = None
    max_tokens: Int = Field(8192, ge=1)
    """That it may write at a time, thoughts included."""
    seed: Int | None = None
    """Of which each trial's own is made."""
    extra_headers: dict[HeaderName, Annotated[str, AfterValidator(_is_value)]] = Field({})
    extra_headers_from_environment: dict[HeaderName, Variable] = Field({})
    """Headers whose values are taken from variables."""
    extra_body: Annotated[dict[str, object], AfterValidator(_is_extra)] = Field({})
    """Further parameters, passed on as they are."""
    stream: bool = False
    """Ask for the answer in pieces, for servers that give long ones in no other way."""
    timeout: Number = Field(120.0, gt=0)
    """Seconds that one call may take."""
    retries: Int = Field(5, ge=0)
    """Further tries of a call that the provider failed."""
    backoff: Number = Field(1.0, gt=0)
    """Seconds before the second of them, twice that before the third, and so on."""
    tools: Literal["native", "text"] | None = None
    """By function calling, or in words; what litellm knows of the model when not given."""
    scaffold: Text | None = None
    memory: Annotated[Int, Field(ge=1)] | None = None
    """Turns that it is shown of what it did; the scaffold's when not given."""
    prices: Prices | None = None
    """What litellm knows of the model when not given."""

    def key(self) -> str | None:
        """The value of ``api_key_from_environment``. AgentError if there is none."""
        name = self.api_key_from_environment
        return None if name is None else _value(name, "api_key_from_environment")

    def headers(self) -> dict[str, str]:
        """All extra headers. AgentError if one's variable has no value."""
        what = "extra_headers_from_environment"
        found = {
            name: _value(variable, what) for name, variable in self.extra_headers_from_environment.items()
        }
        return {**self.extra_headers, **found}

    @property
    def public(self) -> dict[str, object]:
        """Those that were set, without what may hold secrets. Of ``extra_body`` there are the names."""
        found = self.model_dump(mode="json", exclude_unset=True, exclude={"extra_headers", "extra_body"})
        if self.extra_body:
            found["extra_body"] = sorted(self.extra_body)
        return found if self.api_base is None else {**found, "api_base": bare(self.api_base)}

    @property
    def secrets(self) -> dict[str, str]:
        """What is masked wherever it turns up, for providers repeat what they do not like."""
        found = {
            f"extra_headers.{name}": value
            for name, value in self.extra_headers.items()
            if SECRET_NAMES.search(name.replace("-", "_")) or SCHEME.match(value)
        }
        variables = (self.api_key_from_environment, *self.extra_headers_from_environment.values())
        found |= {name: os.environ[name] for name in variables if name and name in os.environ}
        where = urlsplit(self.api_base or "")
        found["api_base"] = where.netloc.rpartition("@")[0]
        found["password of api_base"] = unquote(where.password or "")
        found |= {
            f"{name} of api_base": value
            for name, value in parse_qsl(where.query)
            if SECRET_NAMES.search(name)
        }
        return found


class ModelFile(ModelSettings):
    """An agent given as a YAML file about a model."""

    model: Text
    """As litellm names it: ``anthropic/claude-sonnet-4-5``."""
    name: Text | None = None
    """As in records and reports; the model's, with its scaffold, when not given."""


Settings = TypeVar("Settings", bound=ModelSettings)


def settings_of(name: str, given: Given) -> ModelSettings:
    """What holds for a model that has no file of its own. AgentError names every setting that cannot be."""
    return _checked(_merged(parsed(given.ini), parsed(given.line)), ModelSettings, f"model {name!r}")


def require_settings(given: Given) -> None:
    """AgentError if a setting cannot be, whichever model's. Of ``prices`` a file may have the rest."""
    found = _merged(parsed(given.ini), parsed(given.line))
    if isinstance(found.get("prices"), dict):
        found = _merged({"prices": {"input": 0, "output": 0}}, found)
    _checked(found, ModelSettings, "models")


def file_of(path: Path, given: Given) -> ModelFile:
    """A file's model with what holds for all. AgentError names every error with its line."""
    own = read(path, ModelFile, "agent", AgentError)
    set_here = own.model_dump(exclude_unset=True)
    found = _merged(parsed(given.ini), set_here, parsed(given.line))
    return _checked(found, ModelFile, f"agent {path}")


def _merged(*layers: Mapping[str, object]) -> dict[str, object]:
    """Later ones win; of settings that have parts, part by part."""
    found: dict[str, object] = {}
    for layer in layers:
        for name, value in layer.items():
            before = found.get(name)
            both = isinstance(before, dict) and isinstance(value, dict)
            found[name] = {**before, **value} if both else value  # type: ignore[dict-item]  # As just seen.
    return found


def parsed(lines: Iterable[str]) -> dict[str, object]:
    """``temperature=0.2`` and ``prices.input=3`` as fields. AgentError for what is no such line."""
    found: dict[str, object] = {}
    for line in lines:
        key, equals, text = line.partition("=")
        names = key.strip().split(".", 1)
        if not equals or not all(names):
            raise AgentError(f"{line!r} is no setting of a model; write it like temperature=0.2")
        value = text.strip() if names[0] in TEXTS else _read(text.strip(), line)
        if len(names) == 1:
            found[names[0]] = value
            continue
        inner = found.setdefault(names[0], {})
        if isinstance(inner, dict):
            inner[names[1]] = value
    return found


def _read(text: str, line: str) -> object:
    """As YAML would take it: numbers, true and false, lists and mappings in a line, and else text."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AgentError(f"{line!r} is no setting of a model: {error}") from None


def _checked(fields: Mapping[str, object], model: type[Settings], what: str) -> Settings:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        problems = [str(problem) for problem in problems_of(error, model)]
        raise AgentError(listed(f"settings of {what}", problems)) from None


def _value(variable: str, what: str) -> str:
    found = os.environ.get(variable)
    if not found:
        raise AgentError(
            f"the model needs {variable} from the environment of pytest (its {what}), where no value is set:"
            " export it"
        )
    if not _VALUE.fullmatch(found):
        raise AgentError(
            f"the model needs {variable} from the environment of pytest (its {what}), and no header can carry"
            " its value: it has to be one line of ASCII, without spaces around it"
        )
    return found
