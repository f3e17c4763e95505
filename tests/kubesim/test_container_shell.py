"""The shell and the programs of containers, run through exec."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from kube_driver import Kube
from shell_driver import execute, gathered, session, sh

from pytest_selfrep.kubesim.containers.builtins import BUILTINS
from pytest_selfrep.kubesim.containers.programs import PROGRAMS

EVERYTHING = """
    echo x > /tmp/a; cat /tmp/a /etc/passwd /nope; ls -la /; cp -r /etc /tmp/etc; find / | wc -l
    tar cf /tmp/t /etc; tar xf /tmp/t; rm -rf /tmp/etc; ps; env; date; df; id; kill 999
    wget -qO- localhost:8080; wget -qO- http://example.com; nslookup example.com; sleep 1 & wait
    for i in 1 2; do echo $(hostname) | grep -E 'a+' | sort | uniq -c; done; . /etc/passwd; echo end
"""
OF_THE_MACHINE = (
    "open",
    "os.",
    "subprocess.",
    "socket.",
    "shutil.",
    "tempfile.",
    "glob.",
    "import",
    "ctypes.",
)
DOCS = Path(__file__).parents[2] / "docs/reference/kubesim.md"


@pytest.fixture
def kube(kube: Kube) -> Kube:
    kube.add_node("worker-1")
    kube.add_pod("a", env=[{"name": "GREETING", "value": "hello you"}], ports=[{"containerPort": 8080}])
    kube.advance(10)
    return kube


@pytest.mark.parametrize(
    ("script", "out"),
    [
        ("echo $GREETING; echo \"$GREETING\" '$GREETING'", "hello you\nhello you $GREETING\n"),
        ("false; echo $?", "1\n"),
        ("false && echo a || echo b", "b\n"),
        ("echo one; echo two | cat; (echo three)", "one\ntwo\nthree\n"),
        ("echo $(echo inner) `echo quoted`", "inner quoted\n"),
        ("echo $((2 * (3 + 4))) ${UNSET:-default} ${#GREETING}", "14 default 9\n"),
        ("for i in a b; do echo $i; done", "a\nb\n"),
        ("i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; echo $i", "3\n"),
        ("case web-1 in db*) echo db;; web*) echo web;; esac", "web\n"),
        ("env -i A=b env; env -u PATH hostname", "A=b\na\n"),
        ("if test -d /tmp; then echo yes; else echo no; fi", "yes\n"),
        ("f() { echo $1-$#; return 4; }; f x y; echo $?", "x-2\n4\n"),
        ("cat <<END\nhi $GREETING\nEND\necho after", "hi hello you\nafter\n"),
        ("echo a > /tmp/f; echo b >> /tmp/f; cat < /tmp/f; wc -l < /tmp/f", "a\nb\n2\n"),
        ("ls /nope 2>&1 | grep -c such", "1\n"),
        ("printf '%s-%03d\\n' a 7 b 8", "a-007\nb-008\n"),
        ("mkdir -p /tmp/x/y && cp /etc/hostname /tmp/x/y/z && mv /tmp/x/y /tmp/w && cat /tmp/w/z", "a\n"),
        ("seq 5 | tail -n 2; seq 5 | head -1", "4\n5\n1\n"),
        ("yes | head -2", "y\ny\n"),
        ("yes | head -c 3", "y\ny"),
        ("IFS=,; x=a,b; echo $x", "a b\n"),
        ("echo 'echo ran $1' > /tmp/s; chmod +x /tmp/s; /tmp/s it; PATH=/tmp; s too", "ran it\nran too\n"),
        ("printf 'a\\0b\\n' | { read x; echo $x; }", "ab\n"),
        ("seq 3 | grep -E '^(1|3)$'; echo a.b | grep -o '[a-z]*'", "1\n3\na\nb\n"),
        ("cd /tmp && pwd; id -u; whoami; hostname", "/tmp\n0\nroot\na\n"),
        ("hostname -i | grep -c '^10[.]'; hostname -s; uname -r", "1\na\n6.8.0-58-generic\n"),
        ("sleep 1 & wait; echo done", "done\n"),
        ("trap 'echo bye' EXIT; exit 0", "bye\n"),
        ("echo a b c | { read x y; echo $y; }", "b c\n"),
        ("set -e; false; echo never", ""),
        ("wget -qO- localhost:8080/healthz", "ok\n"),
        ("cd /; echo et*; echo '*'", "etc\n*\n"),
        ("tar cf - -C / etc/hostname | tar tf -", "etc/hostname\n"),
    ],
)
def test_a_script_prints_what_ash_would_print(kube: Kube, script: str, out: str) -> None:
    assert sh(kube, script).out == out


@pytest.mark.parametrize(
    ("script", "err", "code"),
    [
        ("foo", "sh: foo: not found\n", 127),
        ("/etc/hostname", "sh: /etc/hostname: Permission denied\n", 126),
        ("cat /nope", "cat: can't open '/nope': No such file or directory\n", 1),
        ("cd /nope", "sh: cd: line 0: can't cd to /nope: No such file or directory\n", 2),
        ("rm /tmp", "rm: '/tmp' is a directory\n", 1),
        (
            "tar cf /dev/null /nope",
            "tar: /nope: No such file or directory\ntar: error exit delayed from previous errors\n",
            1,
        ),
        ("tar cf /dev/null /etc/hostname", "tar: removing leading '/' from member names\n", 0),
        ("kill 999", "sh: can't kill pid 999: No such process\n", 1),
        ("sleep x", "sleep: invalid number 'x'\n", 1),
        ('echo "open', "sh: syntax error: unterminated quoted string\n", 2),
        ("if; then", 'sh: syntax error: unexpected ";"\n', 2),
        ("echo )", 'sh: syntax error: unexpected ")"\n', 2),
        ("echo > /proc/x", "sh: can't create /proc/x: Read-only file system\n", 1),
        ("wget -qO- localhost:1", "wget: can't connect to remote host (127.0.0.1): Connection refused\n", 1),
    ],
)
def test_what_fails_fails_in_the_words_of_busybox(kube: Kube, script: str, err: str, code: int) -> None:
    ran = sh(kube, script)
    assert (ran.err, ran.code) == (err, code)


def test_a_full_disk_is_full(kube: Kube) -> None:
    ran = sh(kube, "yes | head -c 1000000 > /tmp/a; while cat /tmp/a >> /tmp/b; do echo more; done")
    assert (ran.err, ran.code) == ("cat: write error: No space left on device\n", 0)
    assert ran.out == 15 * "more\n"


def test_standard_input_is_read_as_script_and_as_data(kube: Kube) -> None:
    assert execute(kube, "cat", stdin=b"some\ninput").out == "some\ninput"
    assert execute(kube, "sh", stdin=b"echo one\nread x\nvalue\necho $x\nexit 3\n").code == 3


def test_files_stay_until_the_container_is_restarted(kube: Kube) -> None:
    sh(kube, "echo kept > /tmp/note")
    assert sh(kube, "cat /tmp/note").out == "kept\n"
    sh(kube, "kill 1")
    kube.advance(30)
    assert kube.pod("a")["status"]["containerStatuses"][0]["restartCount"] == 1
    assert sh(kube, "cat /tmp/note").code == 1


def test_the_mounted_token_is_that_of_the_pods_account(kube: Kube) -> None:
    token = sh(kube, "cat /var/run/secrets/kubernetes.io/serviceaccount/token").out
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    answer = kube.create("/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert answer["status"]["user"]["username"] == "system:serviceaccount:default:default"
    assert sh(kube, "cat /var/run/secrets/kubernetes.io/serviceaccount/namespace").out == "default"


def test_sleep_takes_the_clusters_time(kube: Kube) -> None:
    opened = session(kube, "sh", "-c", "echo a; sleep 5; echo b")
    ran = gathered(opened)
    assert ran.out == "a\n"
    kube.advance(4)
    assert not gathered(opened).out
    kube.advance(2)
    assert gathered(opened, ran).out == "a\nb\n"
    assert ran.code == 0


def test_a_terminal_echoes_prompts_and_interrupts(kube: Kube) -> None:
    opened = session(kube, "sh", stdin="true", tty="true")
    ran = gathered(opened)
    for keys in (b"sleep 100\r", b"\x03", b"echo $?\r", b"exit 9\r"):
        opened.receive(b"\0" + keys)
        gathered(opened, ran)
    assert ran.out == "/ # sleep 100\r\n^C\r\n/ # echo $?\r\n130\r\n/ # exit 9\r\n"
    assert ran.code == 9


def test_nothing_of_the_machine_is_touched(
    kube: Kube, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def forbidden(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError(args)

    sh(kube, "true")
    for owner, name in ((subprocess, "Popen"), (socket, "socket"), (Path, "open")):
        monkeypatch.setattr(owner, name, forbidden)
    monkeypatch.setattr("builtins.open", forbidden)
    monkeypatch.setattr("os.system", forbidden)
    probe = tmp_path / "probe"
    ran = sh(
        kube,
        f"echo x > /etc/new; cat {DOCS}; ls {tmp_path}; mkdir -p {probe}; ps; tar cf - /etc | tar xf -",
    )
    assert "No such file or directory" in ran.err
    monkeypatch.undo()
    assert not probe.exists()
    assert not Path("/etc/new").exists()


def test_a_session_asks_nothing_of_the_machine(kube: Kube) -> None:
    sh(kube, EVERYTHING)
    events: list[str] = []
    thread = threading.get_ident()

    def heard(event: str, args: tuple[Any, ...]) -> None:
        if recording and threading.get_ident() == thread and event.startswith(OF_THE_MACHINE):
            events.append(f"{event} {args}")

    recording = False
    sys.addaudithook(heard)
    recording = True
    ran = sh(kube, EVERYTHING)
    recording = False
    assert ran.out.endswith("end\n")
    assert events == []


def test_the_documentation_lists_the_commands_that_there_are() -> None:
    table = DOCS.read_text().partition("### What runs in containers")[2].partition("\nConfigMaps")[0]
    listed = {
        name
        for row in re.findall(r"^\| [^|]+ \| (.+) \|$", table, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    }
    assert listed == {*PROGRAMS, *BUILTINS}
