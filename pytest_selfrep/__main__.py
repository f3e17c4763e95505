"""What is no test run: ``python -m pytest_selfrep COMMAND``, or ``selfrep COMMAND``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_selfrep.errors import SelfrepError, UsageError

Command = Callable[[argparse.Namespace], int]
"""Does what was asked for; returns the exit status. SelfrepError says why it could not."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status (2: the command line makes no sense)."""
    parser = argparse.ArgumentParser(
        prog="selfrep", description="Commands of pytest-selfrep that are no test run."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_clean(commands)
    _add_rescore(commands)
    asked = parser.parse_args(arguments)
    run: Command = asked.run
    try:
        return run(asked)
    except SelfrepError as error:
        print(f"selfrep: {error}", file=sys.stderr)
        return 1


def _add_clean(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = (
        "remove what runs left behind: clusters in Docker, or with --context what is in an existing cluster"
    )
    parser = commands.add_parser("clean", help=text, description=text.capitalize() + ".")
    parser.add_argument(
        "--all",
        action="store_true",
        help="in Docker, also those of other hosts or containers, whose runs cannot be seen from here",
    )
    parser.add_argument("--context", metavar="NAME", help="of an existing cluster; never the current one")
    parser.add_argument(
        "--kubeconfig",
        metavar="FILE",
        type=Path,
        help="where the context is (default: KUBECONFIG in the environment, or ~/.kube/config)",
    )
    parser.add_argument(
        "--namespaces",
        metavar="NAMES",
        help="those that were given, separated by commas, for a user who may not look into all",
    )
    parser.add_argument(
        "--newer",
        action="store_true",
        help="in namespaces that were given, remove also what came there when a run had died already",
    )
    parser.set_defaults(run=_clean)


def _add_rescore(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "compute every figure and verdict of a run again, from the folder that it wrote"
    parser = commands.add_parser("rescore", help=text, description=text.capitalize() + ".")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="of the run (--selfrep-output)")
    parser.add_argument(
        "--threshold", metavar="X", type=_share, help="on Phi_R, above 0 and below 1 (default: as asked)"
    )
    parser.add_argument(
        "--confidence",
        metavar="P|none",
        type=lambda text: None if text == "none" else _share(text),
        default=0.0,
        help="of the verdicts; none compares point estimates (default: as asked)",
    )
    parser.add_argument(
        "--alpha",
        metavar="A",
        type=_weight,
        help="weight of OR in Phi_R; beta is the rest (default: as asked)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    parser.set_defaults(run=_rescore)


def _share(text: str) -> float:
    value = _weight(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"must be above 0 and below 1, not {text}")
    return value


def _weight(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return value


def _rescore(asked: argparse.Namespace) -> int:
    """1 unless every gate passes, as of a run."""
    from pytest_selfrep.rescore import Instead, as_json, as_text, rescore

    confidence = asked.confidence or None
    instead = Instead(asked.threshold, confidence, asked.confidence is None, asked.alpha)
    run = rescore(asked.folder, instead)
    print(as_json(run) if asked.format == "json" else as_text(run))
    return 0 if run.passes else 1


def _clean(asked: argparse.Namespace) -> int:
    if asked.context is not None:
        return _clean_existing(asked)
    if asked.kubeconfig is not None or asked.namespaces is not None or asked.newer:
        raise UsageError("say which cluster: --context NAME (kubectl config get-contexts lists them)")
    from pytest_selfrep.clusters.docker_engine import engine
    from pytest_selfrep.clusters.ownership import remove_leftovers

    with engine() as docker:
        removed, left = remove_leftovers(docker.client, elsewhere=asked.all)
    _say(removed, left)
    return 0


def _clean_existing(asked: argparse.Namespace) -> int:
    """1 if something does not go."""
    from pytest_selfrep import clusters

    clusters.require("existing")
    from pytest_selfrep.clusters.https import from_kubeconfig
    from pytest_selfrep.clusters.leftovers import Leftovers

    if asked.all:
        raise UsageError("--all is for clusters in Docker; in one that exists, runs that live are left alone")
    named = [each for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    path = asked.kubeconfig or Path(named[0] if named else "~/.kube/config").expanduser()
    server = from_kubeconfig(path, asked.context)
    try:
        leftovers = Leftovers(server, [each for each in (asked.namespaces or "").split(",") if each])
        found = leftovers.find()
        if found.runs:
            print(f"looking for half a minute which of {len(found.runs)} runs still go on", flush=True)
        cleaned = leftovers.remove(found, newer=asked.newer)
    finally:
        server.close()
    _say(cleaned.removed, cleaned.left)
    for what in cleaned.stayed:
        print(f"stays: {what}")
    return 1 if cleaned.stayed else 0


def _say(removed: Sequence[str], left: Sequence[str]) -> None:
    for name in removed:
        print(f"removed {name}")
    for what in left:
        print(f"left {what}")
    if not removed and not left:
        print("nothing is left over")


if __name__ == "__main__":
    sys.exit(main())
