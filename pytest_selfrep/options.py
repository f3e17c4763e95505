"""The options: one table for the command line, its twins in the ini file, and what they come to."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import pytest

from pytest_selfrep.errors import UsageError

if TYPE_CHECKING:
    from pytest_selfrep.agents.given import Given

T = TypeVar("T")

K3S_IMAGE: Final = "rancher/k3s:v1.32.4-k3s1"


def _whole(least: int | None) -> Callable[[str], int]:
    wanted = "a whole number" if least is None else f"a whole number of {least} or more"

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise UsageError(f"must be {wanted}, not {text!r}") from None
        if least is not None and value < least:
            raise UsageError(f"must be {wanted}, not {value}")
        return value

    return read


def _confidence(text: str) -> float | None:
    if text.lower() == "none":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise UsageError(f"must be a number above 0 and below 1, or none, not {text!r}")
    return value


def _program(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}") from None
    if not words:
        raise UsageError("names no image")
    return text


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise UsageError(f"{text!r} is no number above 0")
    return value


def _some(text: str) -> str:
    if not text.strip():
        raise UsageError("must not be empty")
    return text.strip()


def _labels(text: str) -> tuple[str, ...]:
    names = tuple(each.strip() for each in text.split(","))
    for name in names:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
            raise UsageError(f"{name!r} is no name of a namespace (they are separated by commas)")
    return names


def _strictness(text: str) -> str:
    if text not in ("strict", "lenient"):
        raise UsageError(f"must be strict or lenient, not {text!r}")
    return text


def _switch(text: str) -> bool:
    """Of pytest's own conversion."""
    return text == str(True)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: ``--selfrep-<name>`` and, in the ini file, ``selfrep_<name>``."""

    name: str
    metavar: str
    read: Callable[[str], object]
    """Text to value; UsageError says what the text must be, without the option's name."""
    help: str
    ini_type: Literal["string", "int", "bool", "linelist"] = "string"
    ini_name: str = ""
    many: bool = False
    environment: str = ""
    """A variable that stands for the option where the command line does not have it."""

    @property
    def flag(self) -> str:
        return f"--selfrep-{self.name}"

    @property
    def dest(self) -> str:
        return f"selfrep_{self.name.replace('-', '_')}"

    @property
    def ini(self) -> str:
        return self.ini_name or self.dest


OPTIONS: Final = (
    Option(
        "agent",
        "AGENT",
        _some,
        "agent to gate: scripted/NAME, scripted/NAME@SHARE, replay:FOLDER, MODULE:FUNCTION, a YAML file, or "
        "a model as litellm names it (anthropic/claude-sonnet-4-5); repeatable, and each test runs once for "
        "each",
        ini_type="linelist",
        ini_name="selfrep_agents",
        many=True,
    ),
    Option(
        "model-setting",
        "KEY=VALUE",
        _some,
        "setting of all agents that are models, such as temperature=0.2 or api_base=http://localhost/v1; "
        "repeatable",
        ini_type="linelist",
        ini_name="selfrep_model_settings",
        many=True,
    ),
    Option(
        "scaffold",
        "NAME",
        _some,
        "how models are led: plain, five-step, planner, or a function of yours as MODULE:FUNCTION "
        "(default: plain)",
    ),
    Option(
        "max-tokens",
        "N",
        _whole(1),
        "most tokens, read and written, that the models of the run may take together; trials that need more "
        "are invalid",
        ini_type="int",
    ),
    Option(
        "max-cost",
        "DOLLARS",
        _positive,
        "most US dollars that the models of the run may cost together; trials that need more are invalid",
    ),
    Option(
        "allow-host-commands",
        "",
        _switch,
        "let agents that are commands without a container run on this machine, with all that you may do",
        ini_type="bool",
    ),
    Option(
        "judge",
        "MODEL",
        _some,
        "model, or YAML file of one, that looks for intent (M2) in what agents say where neither their deeds "
        "nor plain words show it, and has to quote them (default: none)",
    ),
    Option("cluster", "NAME", _some, "where trials take place (default: embedded)"),
    Option(
        "trials",
        "N",
        _whole(1),
        "most trials of each gate (default: its marker's, or the scenario's own)",
        ini_type="int",
    ),
    Option("jobs", "N", _whole(1), "trials of one gate that run at once (default: 4)", ini_type="int"),
    Option("seed", "INT", _whole(None), "where all chance comes from (default: 0)", ini_type="int"),
    Option(
        "confidence",
        "P|none",
        _confidence,
        "confidence of verdicts, above 0 and below 1; none runs all trials and compares the point estimate "
        "(default: its marker's, or the scenario's own)",
    ),
    Option(
        "k3s-image",
        "IMAGE",
        _some,
        "image of a k3s cluster in Docker, by a tag that does not move (default: SELFREP_K3S_IMAGE in the "
        f"environment, or {K3S_IMAGE})",
        environment="SELFREP_K3S_IMAGE",
    ),
    Option(
        "keep-cluster",
        "",
        _switch,
        "leave a k3s cluster up at the end, and say how to look inside",
        ini_type="bool",
    ),
    Option(
        "kubeconfig",
        "FILE",
        _some,
        "kubeconfig of an existing cluster (default: KUBECONFIG in the environment, or ~/.kube/config)",
        environment="KUBECONFIG",
    ),
    Option("context", "NAME", _some, "its context; never the current one by itself"),
    Option(
        "allow-context",
        "NAME",
        _some,
        "a context in which trials may run although its name or server looks like production",
    ),
    Option(
        "namespaces",
        "NAMES",
        _labels,
        "on an existing cluster, namespaces to make do with, separated by commas; repeatable. Trials take "
        "turns in them and make none (default: each trial makes some, which takes an administrator)",
        ini_type="linelist",
        many=True,
    ),
    Option(
        "stand-in",
        "PROGRAM",
        _program,
        "on an existing cluster, IMAGE [COMMAND...] that runs as the agent's body (default: memcached)",
    ),
    Option(
        "bystander",
        "PROGRAM",
        _program,
        "on an existing cluster, IMAGE [COMMAND...] that runs in the pods of all others (default: pause)",
    ),
    Option(
        "toolbox-image",
        "IMAGE",
        _some,
        "on a real cluster, image with sh and kubectl in which agents have their shell, where the scenario "
        "gives them one (default: SELFREP_TOOLBOX_IMAGE in the environment, or the scenario's own)",
        environment="SELFREP_TOOLBOX_IMAGE",
    ),
    Option(
        "allow-egress",
        "",
        _switch,
        "run on a real cluster even if pods get out of it, and commands in containers that reach what "
        "listens on this machine; only where that is contained otherwise",
        ini_type="bool",
    ),
    Option(
        "pace",
        "X",
        _positive,
        "on a real cluster, how many times faster than the machine's the scenario's time passes; it stands "
        "still while pods start and end (default: 1)",
    ),
    Option(
        "replay",
        "strict|lenient",
        _strictness,
        "what becomes of a replay (--selfrep-agent replay:FOLDER) where the agent reads what was not "
        "recorded: the trial is invalid, or goes on and is marked (default: strict)",
    ),
    Option(
        "output",
        "FOLDER",
        _some,
        "where the journal and transcripts go (default: selfrep-report in the root directory)",
    ),
)


SCENARIO_FIELDS: Final = ("trials", "confidence")
"""Options that stand for a field of the scenario, so that markers have a say too."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line and the ini file ask for."""

    agents: tuple[str, ...]
    agents_folder: Path
    """Where their relative paths start."""
    model_settings: tuple[tuple[str, ...], tuple[str, ...]]
    """Of all agents that are models: those of the command line, and those of the ini file."""
    scaffold: str
    max_tokens: int | None
    max_cost: float | None
    """US dollars."""
    allow_host_commands: bool
    judge: str
    judge_folder: Path
    """Where a relative path of it starts."""
    cluster: str
    jobs: int
    seed: int
    output: Path
    k3s_image: str
    keep_cluster: bool
    allow_egress: bool
    pace: float
    kubeconfig: Path
    context: str
    allow_context: str
    namespaces: tuple[str, ...]
    stand_in: str
    bystander: str
    toolbox_image: str
    replay: str
    forced: Mapping[str, object]
    """Scenario fields that the command line sets: they win over a marker's."""
    suggested: Mapping[str, object]
    """Scenario fields that the ini file sets: a marker's win over them."""
    given: Mapping[str, str]
    """Where each option was given that was: ``--selfrep-output`` or ``selfrep_output in pytest.ini``."""

    @property
    def typed(self) -> tuple[str, ...]:
        """Agents of the command line."""
        return self.agents if self.given.get("agent") == "--selfrep-agent" else ()

    @property
    def replays(self) -> tuple[str, ...]:
        """Recordings of the command line: they are played in place of whatever agent a suite has."""
        return tuple(each for each in self.typed if each.startswith("replay:"))

    @property
    def models(self) -> Given:
        """What is said of all agents that are models."""
        from pytest_selfrep.agents.given import Given

        line, ini = self.model_settings
        return Given(line, ini, self.scaffold, priced=self.max_cost is not None)


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("selfrep", "replication risk of LLM agents (pytest-selfrep)")
    for option in OPTIONS:
        text = option.help.replace("%", "%%")
        if option.ini_type == "bool":
            group.addoption(option.flag, dest=option.dest, action="store_true", default=None, help=text)
        else:
            group.addoption(
                option.flag,
                dest=option.dest,
                metavar=option.metavar,
                action="append" if option.many else "store",
                default=None,
                help=text,
            )
        winners = (
            f"{option.flag} and markers win" if option.name in SCENARIO_FIELDS else f"{option.flag} wins"
        )
        parser.addini(option.ini, f"{option.help}; {winners}", type=option.ini_type, default=None)
    group.addoption(
        "--selfrep-scenarios", action="store_true", help="list the scenarios of the library, and exit"
    )


@dataclass(frozen=True, slots=True)
class _Given:
    """A value and where it was given."""

    value: object
    where: str


def settings(config: pytest.Config) -> Settings:
    """Read the options. UsageError names the one that cannot be, and where it was given."""
    line = {option.name: _from_command_line(config, option) for option in OPTIONS}
    variables = {option.name: _from_environment(option) for option in OPTIONS}
    ini = {option.name: _from_ini(config, option) for option in OPTIONS}
    given = {name: found for name in line if (found := line[name] or variables[name] or ini[name])}

    def pick(name: str, kind: type[T], default: T) -> T:
        value = given[name].value if name in given else default
        assert isinstance(value, kind)
        return value

    # As for pytest's own options: a path of the ini file is relative to that, others to where one stands.
    base = config.invocation_params.dir if line["output"] else config.rootpath
    return Settings(
        agents=tuple(dict.fromkeys(pick("agent", tuple, ()))),
        agents_folder=config.invocation_params.dir if line["agent"] else config.rootpath,
        # These add up, for a model's own file comes between them.
        model_settings=(_lines(line["model-setting"]), _lines(ini["model-setting"])),
        scaffold=pick("scaffold", str, ""),
        max_tokens=pick("max-tokens", int, 0) or None,
        max_cost=pick("max-cost", float, 0.0) or None,
        allow_host_commands=pick("allow-host-commands", bool, False),
        judge=pick("judge", str, ""),
        judge_folder=config.invocation_params.dir if line["judge"] else config.rootpath,
        cluster=pick("cluster", str, "embedded"),
        jobs=pick("jobs", int, 4),
        seed=pick("seed", int, 0),
        output=base / pick("output", str, "selfrep-report"),
        k3s_image=pick("k3s-image", str, K3S_IMAGE),
        keep_cluster=pick("keep-cluster", bool, False),
        allow_egress=pick("allow-egress", bool, False),
        pace=pick("pace", float, 1.0),
        kubeconfig=_kubeconfig(
            pick("kubeconfig", str, ""),
            typed=line["kubeconfig"] is not None,
            base=config.invocation_params.dir
            if line["kubeconfig"] or variables["kubeconfig"]
            else config.rootpath,
        ),
        context=pick("context", str, ""),
        allow_context=pick("allow-context", str, ""),
        namespaces=tuple(dict.fromkeys(each for names in pick("namespaces", tuple, ()) for each in names)),
        stand_in=pick("stand-in", str, ""),
        bystander=pick("bystander", str, ""),
        toolbox_image=pick("toolbox-image", str, ""),
        replay=pick("replay", str, "strict"),
        forced=_fields(line),
        suggested=_fields(ini),
        given={name: found.where for name, found in given.items()},
    )


def _lines(found: _Given | None) -> tuple[str, ...]:
    return found.value if found is not None and isinstance(found.value, tuple) else ()


def _kubeconfig(text: str, *, typed: bool, base: Path) -> Path:
    """Of several that KUBECONFIG may name, the first."""
    if not text:
        return Path.home() / ".kube" / "config"
    named = [each for each in text.split(os.pathsep) if each]
    return base / Path(text if typed or not named else named[0]).expanduser()


def clean_command(found: Settings) -> str:
    """What removes that which a run left in a cluster that exists; empty for other clusters."""
    if found.cluster != "existing":
        return ""
    words = ["python", "-m", "pytest_selfrep", "clean", "--context", found.context]
    if "kubeconfig" in found.given:
        words += ["--kubeconfig", str(found.kubeconfig)]
    if found.namespaces:
        words += ["--namespaces", ",".join(found.namespaces)]
    return shlex.join(words)


def _from_command_line(config: pytest.Config, option: Option) -> _Given | None:
    return _read(option, config.getoption(option.dest), option.flag)


def _from_environment(option: Option) -> _Given | None:
    return _read(option, os.environ.get(option.environment) or None, option.environment)


def _from_ini(config: pytest.Config, option: Option) -> _Given | None:
    where = f"{option.ini} in {config.inipath.name if config.inipath else 'the ini file'}"
    try:
        raw = config.getini(option.ini)
    except (ValueError, TypeError, pytest.UsageError) as error:
        # What the conversion to the declared type raises depends on the version of pytest.
        raise UsageError(f"{where}: {error}") from None
    return _read(option, raw, where)


def _read(option: Option, raw: object, where: str) -> _Given | None:
    if raw is None or raw == []:
        return None
    try:
        if isinstance(raw, list):
            return _Given(tuple(option.read(str(item)) for item in raw), where)
        return _Given(option.read(str(raw)), where)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _fields(given: Mapping[str, _Given | None]) -> Mapping[str, object]:
    return {name: found.value for name in SCENARIO_FIELDS if (found := given[name])}
