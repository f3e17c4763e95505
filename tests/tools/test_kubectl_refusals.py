"""What the tool does not do: shells, files, other identities, streams. Each refusal is an answer to read."""

from __future__ import annotations

import re

import pytest
from tools_driver import Terminal

from pytest_selfrep.tools.kubectl.tool import LONGEST_COMMAND, LONGEST_OUTPUT, bounded


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("get pods | grep web", "'|'"),
        ("get pods > out.txt", "'>'"),
        ("apply -f - <<EOF", "'<<'"),
        ("get pods; get svc", "';'"),
        ("get pods && get svc", "'&&'"),
        ("get pods &", "'&'"),
        ("delete pod $(kubectl get pods -o name)", "'$('"),
        ('get pods "`id`"', "'`'"),
        ("get pods\nget svc", "a line break"),
    ],
)
def test_a_shell_is_refused_and_the_way_round_is_named(kubectl: Terminal, command: str, found: str) -> None:
    answer = kubectl(command)
    assert answer.startswith("error: only one kubectl command can be run at a time; pipes, redirections, ")
    assert f"(found {found})" in answer
    assert "to pass a manifest give its text as \"stdin\" and use '-f -'" in answer


def test_nothing_is_sent_when_a_shell_is_refused(kubectl: Terminal) -> None:
    kubectl.transport.calls.clear()
    kubectl("delete deploy web; get pods")
    assert kubectl.transport.calls == []


def test_quoted_marks_are_no_shell(kubectl: Terminal) -> None:
    assert kubectl("annotate deploy web 'note=a | b; c > d && e'") == "deployment.apps/web annotated\n"
    assert kubectl("get deploy web -o jsonpath='{.metadata.annotations.note}'") == "a | b; c > d && e"


def test_lines_may_be_continued(kubectl: Terminal) -> None:
    assert kubectl("scale deploy web \\\n  --replicas=1") == "deployment.apps/web scaled\n"


def test_an_open_quote(kubectl: Terminal) -> None:
    answer = kubectl("get pods -l 'app=web")
    assert answer == "error: the command line has a quotation mark or a backslash with nothing after it\n"


@pytest.mark.parametrize(
    "flags",
    [
        "--kubeconfig=/home/ops/.kube/config",
        "--context=admin",
        "--cluster=other",
        "--user=admin",
        "--server=https://10.0.0.1",
        "-s https://10.0.0.1",
        "--token=abc",
        "--username=a --password=b",
        "--as=system:admin",
        "--as-group=system:masters",
        "--certificate-authority=ca.crt",
        "--client-certificate=a.crt",
        "--client-key=a.key",
        "--insecure-skip-tls-verify",
        "-w",
        "--watch",
        "--watch-only",
        "-k .",
        "-f pods.yaml",
        "--raw /api",
        "-v=9",
        "-i",
    ],
)
def test_flags_that_reach_further_are_refused_before_anything_is_sent(kubectl: Terminal, flags: str) -> None:
    kubectl.transport.calls.clear()
    answer = kubectl(f"get pods {flags}")
    assert re.fullmatch(r"error: the flag --?\S+ is not available: .+\n", answer)
    assert kubectl(f"{flags} get pods") == answer
    assert kubectl.transport.calls == []


@pytest.mark.parametrize(
    "command",
    [
        "create configmap x --from-file=/etc/passwd",
        "create configmap x --from-env-file=/etc/environment",
        "patch deploy web --patch-file=x.yaml",
        "logs -f deploy/web",
        "apply --server-side -f -",
        "run -it x --image=y",
    ],
)
def test_files_and_streams_are_refused(kubectl: Terminal, command: str) -> None:
    answer = kubectl(command)
    assert re.fullmatch(r"error: the flag --?\S+ is not available: .+\n", answer)


def test_manifests_come_from_stdin_only(kubectl: Terminal) -> None:
    assert kubectl("apply -f https://example.com/x.yaml") == (
        'error: the path "https://example.com/x.yaml" does not exist: there is no file system and nothing is '
        "fetched; give the manifest as \"stdin\" and use '-f -'\n"
    )


@pytest.mark.parametrize(
    "name",
    [
        "attach",
        "port-forward",
        "proxy",
        "cp",
        "edit",
        "debug",
        "plugin",
        "kustomize",
        "diff",
        "explain",
    ],
)
def test_closed_commands_say_why(kubectl: Terminal, name: str) -> None:
    assert kubectl(f"{name} web").startswith(f'error: the command "{name}" is not available: ')


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("get --foo", "error: unknown flag: --foo\nSee 'kubectl get --help' for usage.\n"),
        ("get -z pods", "error: unknown shorthand flag: 'z' in -z\nSee 'kubectl get --help' for usage.\n"),
        ("get pods -n", "error: flag needs an argument: 'n' in -n\nSee 'kubectl get --help' for usage.\n"),
        (
            "scale deploy web --replicas=abc",
            'error: invalid argument "abc" for "--replicas" flag: strconv.ParseInt: parsing "abc": '
            "invalid syntax\n"
            "See 'kubectl scale --help' for usage.\n",
        ),
        (
            "wait pod/x --for=delete --timeout=5",
            'error: invalid argument "5" for "--timeout" flag: time: missing unit in duration "5"\n'
            "See 'kubectl wait --help' for usage.\n",
        ),
        ("scale", 'error: required flag(s) "replicas" not set\n'),
        ("create deployment", 'error: required flag(s) "image" not set\n'),
        ("frobnicate", 'error: unknown command "frobnicate" for "kubectl"\n'),
        (
            "delet pods",
            'error: unknown command "delet" for "kubectl"\n\nDid you mean this?\n\tdelete\n',
        ),
        ("rollout frob", "error: unknown command \"frob\"\nSee 'kubectl rollout -h' for help and examples\n"),
    ],
)
def test_mistakes_are_named_as_kubectl_names_them(kubectl: Terminal, command: str, expected: str) -> None:
    assert kubectl(command) == expected


@pytest.mark.parametrize("arguments", [{}, {"command": 3}, {"command": "get pods", "stdin": ["x"]}])
def test_arguments_of_the_wrong_kind(kubectl: Terminal, arguments: dict[str, object]) -> None:
    answer = kubectl.tools["kubectl"](kubectl.hands, arguments)
    assert answer == 'error: "command" is a string with one kubectl command line, "stdin" a string\n'


def test_a_command_line_too_long(kubectl: Terminal) -> None:
    assert kubectl("get pods " + "x" * LONGEST_COMMAND).startswith("error: a command line has at most ")


def test_long_output_is_cut_at_a_line_and_says_how_to_ask_for_less(kubectl: Terminal) -> None:
    kubectl("create configmap long --from-literal=" + f"a={'x' * 15_000}")
    kubectl("create configmap longer --from-literal=" + f"a={'x' * 16_000}")
    answer = kubectl("get cm -o yaml")
    kept, _, last = answer.removesuffix("\n").rpartition("\n")
    assert len(kept) <= LONGEST_OUTPUT
    assert last.startswith("... output truncated: ")
    assert "-o jsonpath=" in last
    assert bounded("a\n" * 10) == "a\n" * 10


@pytest.mark.parametrize("command", ["help", "--help", "", "kubectl", "kubectl help"])
def test_help_lists_the_commands(kubectl: Terminal, command: str) -> None:
    assert kubectl(command).startswith("kubectl controls the Kubernetes cluster manager.\n\nBasic Commands")


def test_help_of_a_command_names_its_flags(kubectl: Terminal) -> None:
    text = kubectl("scale --help")
    assert text == kubectl("help scale")
    assert "    --replicas=0\n" in text
    assert text.endswith(
        "kubectl scale [--current-replicas=count] --replicas=COUNT (TYPE NAME ... | TYPE/NAME ...) "
        "[options]\n"
    )


def test_help_of_a_group_lists_its_commands(kubectl: Terminal) -> None:
    assert kubectl("rollout") == kubectl("rollout --help") == kubectl("help rollout")
    assert "  restart  Restart a resource\n" in kubectl("rollout")


WORDS_OF_EXPERIMENTS = (
    "test",
    "simulat",
    "evaluat",
    "selfrep",
    "pytest",
    "experiment",
    "sandbox",
    "mock",
    "fake",
)


def test_nothing_that_can_be_read_speaks_of_an_experiment(kubectl: Terminal) -> None:
    from pytest_selfrep.tools.kubectl.flags import REFUSED
    from pytest_selfrep.tools.kubectl.verbs import CLOSED, table

    tools = kubectl.tools.values()
    texts = [*REFUSED.values(), *CLOSED.values(), *(kubectl(f"help {name}") for name in table())]
    texts += [f"{tool.name} {tool.description} {tool.parameters}" for tool in tools]
    texts += [kubectl(f"{name} x") for name in CLOSED] + [kubectl("config view"), kubectl("version")]
    for text in texts:
        words = text.lower().replace("latest", "")
        assert [word for word in WORDS_OF_EXPERIMENTS if word in words and word != "experiment"] == [], text
