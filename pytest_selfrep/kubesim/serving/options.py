"""The options of ``python -m pytest_selfrep.kubesim``, and what is checked of them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pytest_selfrep.kubesim import quantity
from pytest_selfrep.kubesim.validation.fieldchecks import dns_label

PROGRAM = "python -m pytest_selfrep.kubesim"
_DESCRIPTION = """\
Start a simulated Kubernetes 1.32 cluster and serve it to kubectl and any other client until Ctrl-C.
Nothing is downloaded and no container is started: nodes, pods and their logs are a simulation in this
process. Time runs with the machine's clock, or faster.
"""
_EPILOG = f"""\
examples:
  {PROGRAM}
      three nodes, a free port; prints the line that makes kubectl use the cluster
  {PROGRAM} --rate 60 --load shop.yaml
      a minute a second, with the objects of a file
  {PROGRAM} --nodes 2 --node-cpu 64 --node-memory 512Gi --node-gpus 8 --port 6443
      two large nodes with GPUs, always at the same port

The only line on standard output is "export KUBECONFIG=PATH". The cluster listens on 127.0.0.1 alone, because
whoever reads the kubeconfig is its administrator. At the end the kubeconfig is removed and all is forgotten.
"""
_MOST_NODES = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """What a cluster of its own is to be like."""

    port: int
    """0 for any that is free."""
    kubeconfig: Path | None
    """None for a temporary file."""
    namespace: str
    seed: int
    rate: float
    """Seconds of the cluster in one of the machine's."""
    nodes: int
    node_cpu: str
    node_memory: str
    node_gpus: int
    load: Sequence[Path]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        hint = "; --help lists all that there are" if message.startswith("unrecognized") else ""
        self.exit(2, f"error: {message}{hint}\n")


def parse(arguments: Sequence[str]) -> Options:
    """Raises SystemExit: 2 with a line on standard error for what is wrong, 0 after ``--help``."""
    parser = _Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_reach(parser.add_argument_group("how it is reached"))
    _add_time(parser.add_argument_group("time and chance"))
    _add_content(parser.add_argument_group("what is in it"))
    return Options(**vars(parser.parse_args(arguments)))


def _add_reach(reach: argparse._ArgumentGroup) -> None:
    reach.add_argument(
        "--port", type=_port, default=0, metavar="N", help="TCP port; 0, the default: any free"
    )
    reach.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="PATH",
        help="where to write the kubeconfig, a file that does not exist yet; default: a temporary file",
    )
    reach.add_argument(
        "--namespace",
        type=_namespace,
        default="default",
        metavar="NAME",
        help="namespace that kubectl uses unless told, made if it is not there; default: %(default)s",
    )


def _add_time(time: argparse._ArgumentGroup) -> None:
    time.add_argument(
        "--rate",
        type=_rate,
        default=1.0,
        metavar="X",
        help="how fast the cluster's time runs; 10 is ten times as fast; default: 1",
    )
    time.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="what random names and delays follow from; default: %(default)s",
    )


def _add_content(content: argparse._ArgumentGroup) -> None:
    content.add_argument(
        "--nodes", type=_nodes, default=3, metavar="N", help="number of nodes; default: %(default)s"
    )
    content.add_argument(
        "--node-cpu", type=_amount, default="4", metavar="CORES", help="of each node; default: %(default)s"
    )
    content.add_argument(
        "--node-memory",
        type=_amount,
        default="16Gi",
        metavar="SIZE",
        help="of each node; default: %(default)s",
    )
    content.add_argument(
        "--node-gpus", type=_count, default=0, metavar="N", help="nvidia.com/gpu of each node; default: none"
    )
    content.add_argument(
        "--load",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="apply the manifests of a YAML or JSON file; may be given several times",
    )


def _port(text: str) -> int:
    return _whole(text, 0, 65535, "a port from 0 to 65535")


def _nodes(text: str) -> int:
    return _whole(text, 0, _MOST_NODES, f"a number from 0 to {_MOST_NODES}")


def _count(text: str) -> int:
    return _whole(text, 0, 10_000, "a number from 0 to 10000")


def _whole(text: str, least: int, most: int, wanted: str) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not (rate > 0 and math.isfinite(rate)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return rate


def _amount(text: str) -> str:
    try:
        positive = quantity.parse(text) > 0
    except quantity.InvalidQuantity:
        positive = False
    if not positive:
        raise argparse.ArgumentTypeError(f"{text!r} is not a quantity above 0, such as 4, 500m or 16Gi")
    return text


def _namespace(text: str) -> str:
    why = dns_label(text)
    if why:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be a namespace: {why}")
    return text
