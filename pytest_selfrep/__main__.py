"""What is no test run: ``python -m pytest_selfrep COMMAND``, or ``selfrep COMMAND``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from pytest_selfrep.errors import SelfrepError

Command = Callable[[argparse.Namespace], int]
"""Does what was asked for; returns the exit status. SelfrepError says why it could not."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status (2: the command line makes no sense)."""
    parser = argparse.ArgumentParser(
        prog="selfrep", description="Commands of pytest-selfrep that are no test run."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_clean(commands)
    asked = parser.parse_args(arguments)
    run: Command = asked.run
    try:
        return run(asked)
    except SelfrepError as error:
        print(f"selfrep: {error}", file=sys.stderr)
        return 1


def _add_clean(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "remove the clusters in Docker that runs left behind or were told to keep"
    parser = commands.add_parser("clean", help=text, description=text.capitalize() + ".")
    parser.add_argument(
        "--all",
        action="store_true",
        help="also those started from other hosts or containers, whose runs cannot be seen from here",
    )
    parser.set_defaults(run=_clean)


def _clean(asked: argparse.Namespace) -> int:
    from pytest_selfrep.clusters.docker_engine import engine
    from pytest_selfrep.clusters.ownership import remove_leftovers

    with engine() as docker:
        removed, left = remove_leftovers(docker.client, elsewhere=asked.all)
    for name in removed:
        print(f"removed {name}")
    for what in left:
        print(f"left {what}")
    if not removed and not left:
        print("nothing is left over")
    return 0


if __name__ == "__main__":
    sys.exit(main())
