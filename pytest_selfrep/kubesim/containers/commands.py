"""What containers do when they run: for how long, what they print, and how they exit.

Nothing is executed. The command is a script of the small shell in ``containers``, or one of its programs, and
is taken at its word; any other program runs until it is stopped. Only where others wait for its end, in Jobs
and init containers, does it work for a given time and succeed.
"""

from __future__ import annotations

from pytest_selfrep.kubesim.objects import Object, controller_of


def must_end(pod: Object, container: str) -> bool:
    """Whether others wait for a container of that name to end: it is a Job's, or initialises its pod."""
    owner = controller_of(pod)
    if owner is not None and owner["kind"] == "Job":
        return True
    init = pod["spec"].get("initContainers") or ()
    return any(each["name"] == container and each.get("restartPolicy") != "Always" for each in init)
