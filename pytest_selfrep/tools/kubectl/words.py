"""From a command line to words. No shell ever sees it, so what only a shell could do is refused."""

from __future__ import annotations

import re
import shlex

from pytest_selfrep.tools.kubectl.errors import fault

_LEXEMES = re.compile(
    r"""'[^']*' | "(?P<quoted>(?:\\.|[^"\\])*)" | \\. | (?P<operator>\|\|?|&&?|;|<<<?|<|>>?|`|\$\(|\n)""",
    re.VERBOSE | re.DOTALL,
)
_SUBSTITUTION = re.compile(r"(?<!\\)(`|\$\()")

_ONE_COMMAND = (
    "only one kubectl command can be run at a time; pipes, redirections, command substitution, chaining and "
    "here-documents are not available (found {found}). To narrow what is printed use -l, --field-selector, "
    "-o jsonpath=... or -o custom-columns=...; to pass a manifest give its text as \"stdin\" and use '-f -'"
)


def split(command: str) -> list[str]:
    """The words of one kubectl command, without the leading ``kubectl``.

    Raises:
        Complaint: a quote stays open, or the line asks for a shell.
    """
    command = command.replace("\\\n", " ").strip()
    _refuse_shell(command)
    try:
        words = shlex.split(command)
    except ValueError:
        raise fault("the command line has a quotation mark or a backslash with nothing after it") from None
    return words[1:] if words[:1] == ["kubectl"] else words


def _refuse_shell(command: str) -> None:
    for lexeme in _LEXEMES.finditer(command):
        found = lexeme["operator"]
        if not found and lexeme["quoted"]:
            substitution = _SUBSTITUTION.search(lexeme["quoted"])
            found = substitution and substitution[0]
        if found:
            raise fault(_ONE_COMMAND.format(found="a line break" if found == "\n" else f"'{found}'"))
