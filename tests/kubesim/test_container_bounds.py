"""What containers do about scripts that would never end, or grow beyond all bounds."""

from __future__ import annotations

import pytest
from kube_driver import Kube
from shell_driver import execute, session, sh


@pytest.fixture
def kube(one_pod: Kube) -> Kube:
    return one_pod


@pytest.mark.parametrize(
    "script",
    [
        "while :; do :; done",
        "while :; do :; done & wait",
        "yes",
        "yes | while read x; do :; done",
        "seq 1000000000",
        "seq 1 0 2",
        "a=x; while :; do a=$a$a; done",
        "x=$(seq 5000); while :; do : $x; done",
        ": $(yes)",
        "while :; do sleep 100 & done",
        "while :; do cat /bin/* /etc/* > /tmp/x; sort /tmp/x; done",
        "printf %9999999d 1",
        "timeout 100 yes > /dev/null",
    ],
)
def test_what_would_never_end_is_killed(kube: Kube, script: str) -> None:
    assert sh(kube, script, seconds=5).code == 137


@pytest.mark.parametrize(
    "script",
    [
        "f() { f; }; f",
        "f() { f & f; }; f",
        "f() { echo $(f); }; f",
        "x='eval $x'; eval $x",
        "echo '. /tmp/r' > /tmp/r; . /tmp/r",
        "echo 'sh /tmp/r' > /tmp/r; sh /tmp/r",
        "echo 'exec /tmp/r' > /tmp/r; chmod +x /tmp/r; /tmp/r",
        "env " * 5000 + "true",
    ],
)
def test_what_nests_without_end_overflows_its_stack(kube: Kube, script: str) -> None:
    assert sh(kube, script, seconds=5).code == 139


def test_a_fork_bomb_in_the_background_dies_with_its_session(kube: Kube) -> None:
    assert sh(kube, "f() { f | f & }; f").code == 0
    listed = execute(kube, "ps").out.splitlines()
    assert [line.split()[-1] for line in listed] == ["COMMAND", "/app/web", "ps"]


@pytest.mark.parametrize(
    ("script", "err"),
    [
        ("echo " + "$(echo " * 200 + "x" + ")" * 200, "sh: syntax error: too deeply nested\n"),
        ("(" * 500 + "echo x" + ")" * 500, "sh: syntax error: too deeply nested\n"),
        ("if " * 300 + "true", "sh: syntax error: too deeply nested\n"),
        ("echo $((" + "(" * 500 + "1" + ")" * 500 + "))", "sh: arithmetic syntax error\n"),
        ("echo $((9**999999))", "sh: arithmetic syntax error\n"),
        ("cat <<E\n" + "x\n" * 5_000_000 + "E\n", "sh: syntax error: Argument list too long\n"),
    ],
)
def test_scripts_that_are_too_large_are_refused(kube: Kube, script: str, err: str) -> None:
    ran = sh(kube, script)
    assert (ran.err, ran.code) == (err, 2)


def test_braces_stand_for_themselves(kube: Kube) -> None:
    assert sh(kube, "echo {1..1000000000}").out == "{1..1000000000}\n"


def test_long_paths_are_refused(kube: Kube) -> None:
    assert sh(kube, "mkdir -p /tmp/" + "d/" * 20_000).err.endswith(": File name too long\n")
    ran = sh(kube, "while mkdir d && cd d; do :; done; find / | wc -l; rm -rf /d; ls -d /d")
    assert ran.err == (
        "mkdir: can't create directory 'd': File name too long\nls: /d: No such file or directory\n"
    )


def test_a_null_byte_is_no_argument(kube: Kube) -> None:
    status = execute(kube, "echo", "a\0b").status
    assert status["message"].endswith('exec: "echo": invalid argument: unknown')


def test_conditions_of_any_length_are_judged(kube: Kube) -> None:
    assert sh(kube, "[ " + "! " * 3001 + "1 ]; echo $?").out == "1\n"
    assert sh(kube, "[ " + "a -a " * 3000 + "1 ]; echo $?").out == "0\n"


def test_a_session_that_sleeps_for_days_keeps_nobody_waiting(kube: Kube) -> None:
    opened = session(kube, "sh", "-c", "sleep 9d; while :; do sleep 1; done")
    kube.advance(3 * 86400)
    assert not opened.closed
    assert sh(kube, "echo here").out == "here\n"
    assert kube.pod("a")["status"]["phase"] == "Running"
    opened.close()
