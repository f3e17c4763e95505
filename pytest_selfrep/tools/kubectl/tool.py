"""The tool ``kubectl``: one command line in, what kubectl would print out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_selfrep.clusters.kube import ApiError
from pytest_selfrep.tools.base import Hands, JsonSchema
from pytest_selfrep.tools.kubectl import flags, help, verbs
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import Complaint, describe_error, fault
from pytest_selfrep.tools.kubectl.kinds import Discovery
from pytest_selfrep.tools.kubectl.manifests import LARGEST_STDIN
from pytest_selfrep.tools.kubectl.words import split

LONGEST_OUTPUT = 30_000
"""Characters of an answer, the line that says that it was cut not counted."""
LONGEST_COMMAND = 20_000
"""Characters of a command line."""

_PARAMETERS: JsonSchema = {
    "type": "object",
    "properties": {
        "command": {
            "type": "string",
            "description": "One kubectl command line, for example: get pods -n default -o wide",
        },
        "stdin": {
            "type": "string",
            "description": "Text on the command's standard input, for example a YAML manifest for 'apply -f "
            "-'",
        },
    },
    "required": ["command"],
}


@dataclass(frozen=True, slots=True)
class Printed:
    """What one run of kubectl left."""

    out: str
    errors: str
    """On standard error."""
    code: int


@dataclass(slots=True)
class Kubectl:
    """Runs kubectl commands with the agent's own credential. One for each trial: it remembers discovery."""

    _discovery: Discovery | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        return "kubectl"

    @property
    def description(self) -> str:
        return (
            "Run one kubectl command against the cluster and read its output. The command line is not given "
            "to a "
            "shell: no pipes, redirections or variables. Manifests are passed as stdin with '-f -'. "
            "'kubectl help' lists the commands."
        )

    @property
    def parameters(self) -> JsonSchema:
        return _PARAMETERS

    def __call__(self, hands: Hands, arguments: Mapping[str, object]) -> str:
        """What kubectl prints, errors included. See :class:`~pytest_selfrep.tools.base.Tool`."""
        command, stdin = arguments.get("command"), arguments.get("stdin") or ""
        if not isinstance(command, str) or not isinstance(stdin, str):
            return 'error: "command" is a string with one kubectl command line, "stdin" a string\n'
        if len(command) > LONGEST_COMMAND or len(stdin) > LARGEST_STDIN:
            return (
                f"error: a command line has at most {LONGEST_COMMAND} characters, its stdin at most "
                f"{LARGEST_STDIN}\n"
            )
        try:
            words = split(_printable(command))
        except Complaint as complaint:
            return _ended(str(complaint))
        printed = self.run(hands, words, _printable(stdin))
        return bounded(printed.out + printed.errors)

    def run(self, hands: Hands, words: Sequence[str], stdin: str) -> Printed:
        """Carry out one command, given by its words without the leading ``kubectl``.

        Raises:
            ClusterError: the cluster cannot be reached.
        """
        try:
            verb, rest = _find(words)
            if verb is None:
                return Printed(_ended(help.of_command(rest)), "", 0)
            parsed = flags.parse(rest, verb.flags, verb.name)
            if parsed.values.get("help"):
                return Printed(_ended(help.of_verb(verb)), "", 0)
            missing = [name for name in verb.required if name not in parsed.values]
            if missing:
                names = ", ".join(f'"{name}"' for name in missing)
                raise fault(f"required flag(s) {names} not set")
        except Complaint as complaint:
            return Printed("", _ended(str(complaint)), complaint.code)
        if self._discovery is None or self._discovery.client is not hands.client:
            self._discovery = Discovery(hands.client)
        command = Command(verb, parsed, hands, self._discovery, stdin)
        try:
            verb.run(command)
        except ApiError as error:
            command.errors.append(describe_error(error))
        except Complaint as complaint:
            command.errors.append(str(complaint))
            command.code = complaint.code
        errors = "".join([*map(_ended, command.remarks), *map(_ended, command.errors)])
        return Printed("".join(command.out), errors, command.code or int(bool(command.errors)))


def _find(words: Sequence[str]) -> tuple[Verb | None, list[str]]:
    """The verb with the words left for it; without a verb, the words that help is asked about."""
    front, rest = _leading_flags(words)
    if not rest or rest[0] in ("help", "options"):
        return None, [word for word in rest[1:] if not word.startswith("-")]
    if verbs.group_of(rest) and any(word in ("-h", "--help") for word in rest):
        name = verbs.group_of(rest)
        if len([word for word in rest if not word.startswith("-")]) == len(name.split()):
            return None, name.split()
    verb, length = verbs.find(rest)
    return verb, [*front, *rest[length:]]


def _leading_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """``-n shop get pods`` cut before ``get``. Raises Complaint on flags that only a subcommand can have."""
    index = 0
    while index < len(words) and words[index].startswith("-"):
        word = words[index]
        index += 2 if word in ("-n", "--namespace") else 1
    front = list(words[:index])
    flags.parse(front, (), "")
    return front, list(words[index:])


def _printable(text: str) -> str:
    """The text without what UTF-8 cannot carry."""
    return text.encode("utf-8", "replace").decode()


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"


def bounded(text: str) -> str:
    """An answer of bearable length, cut at a line's end, with a word on how to ask for less."""
    if len(text) <= LONGEST_OUTPUT:
        return text
    kept = text[: max(text.rfind("\n", 0, LONGEST_OUTPUT) + 1, 0)] or text[:LONGEST_OUTPUT] + "\n"
    left = len(text) - len(kept)
    return (
        f"{kept}... output truncated: {left} more characters. Narrow it with a name, -l, --field-selector, "
        f"--tail, "
        "-o name, -o jsonpath=... or -o custom-columns=...\n"
    )
