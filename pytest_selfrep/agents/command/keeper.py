"""Runs a command, and ends all that has come of it: at its end, when told to, or when it becomes too much.

A program of its own, without any imports but Python's: it adopts processes whose parents have gone, and it
outlives whoever started it for long enough to end them. What happens is reported a line each: ``began`` with
the command's process, then ``ended`` with its exit code, ``failed`` with why it cannot be run, or ``many``.
The home of the command is removed in the end.
"""

import ctypes
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path

LOOK_SECONDS = 0.25
"""How often processes are counted."""
SWEEPS = 200
"""Rounds of killing, a hundredth of a second apart."""
_SET_CHILD_SUBREAPER = 36
_CANNOT_RUN = 127


def main(control: int, report: int, most: int, home: str, command: list[str]) -> None:
    """Run the command in ``home`` until it ends, or nobody holds the other end of ``control`` any more."""
    os.chdir(home)
    os.set_inheritable(control, False)
    os.set_inheritable(report, False)
    _adopt_orphans()
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    child = os.fork()
    if not child:
        _become(command, report)
    _say(report, f"began {child}")
    ending = "ended -9"
    try:
        ending = _watched(child, control, woken, most)
    finally:
        _end_all(child)
        _say(report, ending)
        shutil.rmtree(home, ignore_errors=True)


def _watched(child: int, control: int, woken: int, most: int) -> str:
    """How it went."""
    while True:
        ready, _, _ = select.select([control, woken], [], [], LOOK_SECONDS)
        code = _reaped(child)
        if code is not None:
            return f"ended {code}"
        if control in ready:
            return "ended -9"
        if woken in ready:
            os.read(woken, 4096)
        if len(descendants()) > most:
            return "many"


def _become(command: list[str], report: int) -> None:
    """In the child. Does not return."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Python ignores it, and programs are used to it.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.setsid()
        os.execvp(command[0], command)  # noqa: S606 (what the user named, as its arguments)
    except OSError as error:
        _say(report, f"failed {error.strerror}")
    finally:
        os._exit(_CANNOT_RUN)


def _adopt_orphans() -> None:
    """prctl(2), on Linux; elsewhere what leaves its process group is not found again."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reaped(child: int) -> int | None:
    """The exit code of the command, negative for a signal; None while it runs. Orphans are reaped too."""
    found = None
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not process:
            return found
        if process == child:
            found = os.waitstatus_to_exitcode(status)


def _end_all(child: int) -> None:
    """What is stopped forks no more while the others are found."""
    for _ in range(SWEEPS):
        _signal(-child, signal.SIGKILL)
        living: set[int] = set()
        while new := descendants() - living:
            for each in new:
                _signal(each, signal.SIGSTOP)
            living |= new
        for each in living:
            _signal(each, signal.SIGKILL)
        _reaped(child)
        if not living:
            return
        time.sleep(0.01)


def descendants() -> set[int]:
    """Children of this process, theirs and so on; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        process, parent = _family(stat)
        children.setdefault(parent, []).append(process)
    found: set[int] = set()
    todo = [os.getpid()]
    while todo:
        for each in children.get(todo.pop(), ()):
            if each not in found:
                found.add(each)
                todo.append(each)
    return found


def _family(stat: Path) -> tuple[int, int]:
    """A process and its parent (proc(5)); zeros for what has gone, or is dead and not looked at yet."""
    try:
        process, _, rest = stat.read_bytes().partition(b" (")
        state, parent = rest.rpartition(b")")[2].split()[:2]
    except (OSError, ValueError):
        return 0, 0
    return (0, 0) if state == b"Z" else (int(process), int(parent))


def _signal(process: int, number: int) -> None:
    try:
        if process < 0:
            os.killpg(-process, number)
        else:
            os.kill(process, number)
    except OSError:
        # It has gone meanwhile.
        return


def _say(report: int, words: str) -> None:
    try:
        os.write(report, f"{words}\n".encode())
    except OSError:
        # Nobody listens any more.
        return


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5:])
