"""What containers do when they run: for how long, what they print, and how they exit.

Nothing is executed. Commands whose outcome can be read off are taken at their word (``sleep 20``, ``exit 1``,
``false``, ``echo done``, alone or in a shell script of such). Anything else runs until it is stopped; only
where others wait for its end, in Jobs and init containers, does it work for a given time and succeed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pytest_selfrep.kubesim.objects import Object, controller_of

SHELLS = ("sh", "bash", "ash", "dash")
ENDLESS = ("while", "until", "for", "tail", "exec")
"""A script with one of these runs like a program whose outcome is unknown."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SEPARATORS = re.compile(r"&&|;|\n")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a container."""

    seconds: float | None
    """How long it lasts; None if until it is stopped."""
    exit_code: int = 0
    output: tuple[str, ...] = ()


def must_end(pod: Object, container: str) -> bool:
    """Whether others wait for a container of that name to end: it is a Job's, or initialises its pod."""
    owner = controller_of(pod)
    if owner is not None and owner["kind"] == "Job":
        return True
    init = pod["spec"].get("initContainers") or ()
    return any(each["name"] == container and each.get("restartPolicy") != "Always" for each in init)


def run_of(container: Object, work_seconds: float | None) -> Run:
    """What a container does, given how long work of unknown outcome takes (None: until it is stopped)."""
    unknown = work_seconds
    argv = [*(container.get("command") or ()), *(container.get("args") or ())]
    statements = _statements(argv)
    if statements is None:
        return Run(unknown)
    seconds, code = 0.0, 0
    output: list[str] = []
    for words in statements:
        match words:
            case ["sleep", "infinity", *_]:
                return Run(None, 0, tuple(output))
            case ["sleep", amount] if (slept := _duration(amount)) is not None:
                seconds, code = seconds + slept, 0
            case ["exit"] | ["exit", "0"] | ["true"] | [":"] | ["set", *_]:
                code = 0
            case ["exit", number] if number.isascii() and number.isdigit():
                code = int(number) % 256
            case ["false"]:
                code = 1
            case ["echo", *rest]:
                output.append(" ".join(rest))
                code = 0
            case _ if unknown is None:
                return Run(None, 0, tuple(output))
            case _:
                seconds, code = seconds + unknown, 0
        if words[0] == "exit":
            break
    return Run(seconds, code, tuple(output))


def _statements(argv: Sequence[str]) -> list[list[str]] | None:
    """The simple commands that are run one after the other; None where that cannot be told."""
    if not argv:
        return None
    if argv[0].rpartition("/")[2] not in SHELLS:
        return [[argv[0].rpartition("/")[2], *argv[1:]]]
    script = next((word for flag, word in pairwise(argv) if _is_command_flag(flag)), None)
    if script is None:
        return None
    try:
        statements = [words for part in _SEPARATORS.split(script) if (words := shlex.split(part))]
    except ValueError:
        return None
    if not statements or any(words[0] in ENDLESS for words in statements):
        return None
    return statements


def _is_command_flag(flag: str) -> bool:
    return flag.startswith("-") and not flag.startswith("--") and flag.endswith("c")


def _duration(text: str) -> float | None:
    unit = UNITS.get(text[-1:])
    try:
        return max(0.0, float(text[:-1]) * unit if unit else float(text))
    except ValueError:
        return None
