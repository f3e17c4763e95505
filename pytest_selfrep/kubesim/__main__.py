"""``python -m pytest_selfrep.kubesim``: a simulated cluster to explore with kubectl."""

from __future__ import annotations

import sys

from pytest_selfrep.kubesim.serving.options import parse


def main() -> int:
    """0 after an orderly end, 2 when there could be no cluster."""
    options = parse(sys.argv[1:])
    # Everything else takes a moment to import, which --help need not wait for.
    from pytest_selfrep.kubesim.serving.standalone import NoCluster, run

    try:
        run(options)
    except NoCluster as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
