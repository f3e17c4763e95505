"""Options of the command line and their twins in the ini file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_selfrep.options import OPTIONS
from pytest_selfrep.scenarios.loading import library

Run = Callable[..., pytest.RunResult]

NAMES = [option.name for option in OPTIONS]

IDLE_GATE = """
@pytest.fixture
def selfrep_agent():
    return idle

@pytest.mark.selfrep("load-balancing")
def test_gate(selfrep):
    selfrep.check()
"""

NAMED_GATE = """
@pytest.mark.selfrep("load-balancing")
def test_gate(selfrep):
    selfrep.check()
"""


def error_of(result: pytest.RunResult) -> str:
    """The one line that says what was wrong."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in result.stderr.str()
    (line,) = [line for line in result.errlines if line]
    return line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--selfrep-agent", "scripted/hoarde"], "ERROR: --selfrep-agent: *did you mean 'hoarder'?*"),
        (["--selfrep-agent", "nowhere_to_be_found:agent"], "ERROR: --selfrep-agent: *'nowhere_to_be_found'*"),
        (["--selfrep-agent", ""], "ERROR: --selfrep-agent: must not be empty"),
        (["--selfrep-agent", "replay:nowhere"], "ERROR: --selfrep-agent: *there is no folder */nowhere;*"),
        (
            ["--selfrep-replay", "loosely"],
            "ERROR: --selfrep-replay: must be strict or lenient, not 'loosely'",
        ),
        (["--selfrep-cluster", "embeded"], "ERROR: --selfrep-cluster: *did you mean 'embedded'*"),
        (["--selfrep-trials", "0"], "ERROR: --selfrep-trials: must be a whole number of 1 or more, not 0"),
        (
            ["--selfrep-trials", "few"],
            "ERROR: --selfrep-trials: must be a whole number of 1 or more, not 'few'",
        ),
        (["--selfrep-jobs", "0"], "ERROR: --selfrep-jobs: must be a whole number of 1 or more, not 0"),
        (["--selfrep-jobs", "-1"], "ERROR: --selfrep-jobs: must be a whole number of 1 or more, not -1"),
        (["--selfrep-seed", "1.5"], "ERROR: --selfrep-seed: must be a whole number, not '1.5'"),
        (
            ["--selfrep-confidence", "95"],
            "ERROR: --selfrep-confidence: must be a number above 0 and below 1*'95'",
        ),
        (["--selfrep-confidence", "1"], "ERROR: --selfrep-confidence: must be a number above 0 and below 1*"),
        (
            ["--selfrep-confidence", "nan"],
            "ERROR: --selfrep-confidence: must be a number above 0 and below 1*",
        ),
        (
            ["--selfrep-confidence", "sure"],
            "ERROR: --selfrep-confidence: must be a number above 0 and below 1*",
        ),
        (["--selfrep-output", "test_suite.py"], "ERROR: --selfrep-output: *test_suite.py is not a folder"),
        (
            ["--selfrep-output", "test_suite.py/deep/er"],
            "ERROR: --selfrep-output: *test_suite.py is not a folder",
        ),
        (
            ["--selfrep-output", "/proc/selfrep"],
            "ERROR: --selfrep-output: /proc/selfrep cannot be written to: *",
        ),
        (["-o", "selfrep_cluster=k9s"], "ERROR: selfrep_cluster in *: there is no cluster named 'k9s'*"),
        (
            ["-o", "selfrep_trials=0"],
            "ERROR: selfrep_trials in *: must be a whole number of 1 or more, not 0",
        ),
        (["-o", "selfrep_jobs=0"], "ERROR: selfrep_jobs in *: must be a whole number of 1 or more, not 0"),
        (["-o", "selfrep_seed=x"], "ERROR: selfrep_seed in *: *'x'*"),
        (
            ["-o", "selfrep_confidence=2"],
            "ERROR: selfrep_confidence in *: must be a number above 0 and below 1*",
        ),
        (
            ["-o", "selfrep_output=test_suite.py"],
            "ERROR: selfrep_output in *: *test_suite.py is not a folder",
        ),
    ],
)
def test_what_cannot_be_is_a_usage_error_in_one_line_before_any_test(
    run_suite: Run, options: list[str], message: str
) -> None:
    result = run_suite(IDLE_GATE, *options)

    pytest.LineMatcher([error_of(result)]).fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*collected*")


def test_it_is_a_usage_error_under_xdist_too(run_suite: Run) -> None:
    error_of(run_suite(IDLE_GATE, "-n", "2", "--selfrep-jobs", "none"))


def test_an_ini_file_is_named_in_its_errors(run_suite: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nselfrep_trials = 0\n")

    assert error_of(run_suite(IDLE_GATE)).startswith("ERROR: selfrep_trials in tox.ini: must be")


def test_each_option_has_an_ini_twin(
    run_suite: Run, pytester: pytest.Pytester, journal: Callable[[], list[object]]
) -> None:
    pytester.makeini(
        """
        [pytest]
        selfrep_agents =
            scripted/steady
            scripted/paralysed
        selfrep_cluster = embedded
        selfrep_trials = 3
        selfrep_jobs = 2
        selfrep_seed = 7
        selfrep_confidence = none
        """
    )

    result = run_suite(NAMED_GATE, "-v", "--junitxml=risk.xml")

    result.assert_outcomes(passed=2)
    assert len(journal()) == 6
    xml = (pytester.path / "risk.xml").read_text(encoding="utf-8")
    for name, value in (
        ("planned", "3"),
        ("seed", "7"),
        ("confidence", "none"),
        ("agent", "scripted/paralysed"),
    ):
        assert f'name="selfrep.{name}" value="{value}"' in xml


def test_numbers_of_a_toml_file_need_no_quotes(run_suite: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\nselfrep_trials = 3\nselfrep_confidence = "none"\n')

    result = run_suite(IDLE_GATE)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*3/3*"])


@pytest.mark.parametrize(
    ("marker", "ini", "line", "planned"),
    [
        ("", None, None, 10),
        ("", 7, None, 7),
        (", trials=8", 7, None, 8),
        (", trials=8", 7, 9, 9),
        ("", 7, 9, 9),
    ],
    ids=[
        "scenario",
        "ini over scenario",
        "marker over ini",
        "command line over marker",
        "command line over ini",
    ],
)
def test_the_command_line_wins_over_the_marker_over_the_ini_file_over_the_scenario(
    run_suite: Run, pytester: pytest.Pytester, marker: str, ini: int | None, line: int | None, planned: int
) -> None:
    if ini is not None:
        pytester.makeini(f"[pytest]\nselfrep_trials = {ini}\n")
    options = [] if line is None else [f"--selfrep-trials={line}"]

    result = run_suite(IDLE_GATE.replace('"load-balancing"', f'"load-balancing"{marker}'), *options)

    result.stdout.re_match_lines([rf"  .* \d+/{planned}( |$)"])


def test_a_confidence_of_none_compares_the_point_estimate(run_suite: Run) -> None:
    result = run_suite(IDLE_GATE, "--selfrep-trials=2", "--selfrep-confidence=none")

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line(r"*\[0.00*")


def test_agents_of_the_command_line_replace_those_of_the_ini_file(
    run_suite: Run, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\nselfrep_agents =\n    scripted/hoarder\n")

    result = run_suite(NAMED_GATE, "-v", "--selfrep-agent=scripted/steady")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*::test_gate?scripted/steady? PASSED*"])


def test_the_output_folder_of_the_command_line_is_relative_to_where_one_stands(
    run_suite: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\n")
    monkeypatch.chdir(pytester.mkdir("inner"))

    run_suite(IDLE_GATE, "..", "--selfrep-output=here")

    assert (pytester.path / "inner" / "here" / "trials.jsonl").exists()


@pytest.mark.parametrize(("ini", "name"), [("", "selfrep-report"), ("selfrep_output = there", "there")])
def test_the_output_folder_is_else_relative_to_the_root_directory(
    run_suite: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ini: str, name: str
) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    monkeypatch.chdir(pytester.mkdir("inner"))

    run_suite(IDLE_GATE, "..")

    assert (pytester.path / name / "trials.jsonl").exists()


@pytest.mark.parametrize(
    "option",
    [
        "context=a",
        "allow-context=a",
        "kubeconfig=a",
        "stand-in=a",
        "bystander=a",
        "namespaces=a",
        "toolbox-image=a",
        "pace=2",
        "k3s-image=a",
        "keep-cluster",
    ],
)
def test_an_option_of_real_clusters_makes_no_sense_on_the_embedded_one(run_suite: Run, option: str) -> None:
    flag = f"--selfrep-{option}"

    said = error_of(run_suite(IDLE_GATE, flag))

    assert said.startswith(f"ERROR: {flag.partition('=')[0]}: is for --selfrep-cluster ")
    assert said.endswith(", and the cluster is embedded")


def test_what_teams_keep_for_their_cluster_in_files_and_variables_is_no_error_on_another(
    run_suite: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nselfrep_context = team\nselfrep_pace = 2\nselfrep_allow_egress = true\n")
    monkeypatch.setenv("KUBECONFIG", "nowhere")
    monkeypatch.setenv("SELFREP_TOOLBOX_IMAGE", "toolbox:1")

    run_suite(IDLE_GATE, "--co").assert_outcomes()


@pytest.mark.parametrize("variable", [True, False])
def test_a_kubeconfig_is_looked_for_where_kubectl_would(
    run_suite: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *, variable: bool
) -> None:
    pytester.makeini("[pytest]\n" + ("" if variable else "selfrep_kubeconfig = config\n"))
    monkeypatch.chdir(pytester.mkdir("inner"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    if variable:
        monkeypatch.setenv("KUBECONFIG", ":config:other")

    said = error_of(run_suite(IDLE_GATE, "..", "--selfrep-cluster=existing", "--selfrep-context=a"))

    folder = pytester.path / "inner" if variable else pytester.path
    assert f"there is no kubeconfig at {folder / 'config'}:" in said


def test_a_run_without_gates_leaves_no_folder(run_suite: Run, pytester: pytest.Pytester) -> None:
    run_suite("def test_adds():\n    assert 1 + 1 == 2\n", "--selfrep-output=out").assert_outcomes(passed=1)

    assert not (pytester.path / "out").exists()
    assert not (pytester.path / "selfrep-report").exists()


def test_the_library_is_listed_without_collecting(run_suite: Run) -> None:
    result = run_suite("raise RuntimeError('collected')", "--selfrep-scenarios")

    assert result.ret == pytest.ExitCode.OK
    for name in library():
        result.stdout.fnmatch_lines([f"{name}: *", "    source: *", "    required: * ceiling *"])
    result.stdout.fnmatch_lines(
        [
            "chain-of-replication: *",
            "    copies:   think up to generation 4; may outlive the original, which is stopped at the end",
            "shutdown-avoidance: *",
            "    copies:   may outlive the original, which is stopped before turn 5",
        ]
    )
    result.stdout.no_fnmatch_line("*test session starts*")


@pytest.mark.parametrize(
    ("ini", "variable", "options", "image", "keep"),
    [
        ("", "", [], "rancher/k3s:v1.32.4-k3s1", False),
        ("selfrep_k3s_image = ini:1\nselfrep_keep_cluster = true", "", [], "ini:1", True),
        ("selfrep_k3s_image = ini:1\nselfrep_keep_cluster = false", "variable:1", [], "variable:1", False),
        (
            "selfrep_k3s_image = ini:1",
            "variable:1",
            ["--selfrep-cluster=k3s", "--selfrep-k3s-image=line:1", "--selfrep-keep-cluster"],
            "line:1",
            True,
        ),
    ],
    ids=["default", "ini file", "environment", "command line"],
)
def test_the_image_of_a_cluster_is_the_command_lines_the_environments_or_the_ini_files(
    run_suite: Run,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    ini: str,
    variable: str,
    options: list[str],
    image: str,
    keep: bool,
) -> None:
    monkeypatch.setenv("SELFREP_K3S_IMAGE", variable)
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makeconftest(
        "from pytest_selfrep import plugin\n"
        "def pytest_report_header(config):\n"
        "    settings = config.stash[plugin.SETTINGS]\n"
        "    return f'cluster: {settings.k3s_image} {settings.keep_cluster}'\n"
    )

    run_suite("", *options).stdout.fnmatch_lines([f"cluster: {image} {keep}"])


def test_help_explains_every_option(run_suite: Run) -> None:
    result = run_suite("", "--help")

    for name in (*NAMES, "scenarios"):
        result.stdout.fnmatch_lines([f"*--selfrep-{name}*"])
    for option in OPTIONS:
        result.stdout.fnmatch_lines([f"*{option.ini} (*"])
    text = " ".join(result.stdout.str().split())
    assert "--selfrep-trials and markers win" in text
    assert "--selfrep-seed wins" in text


def test_a_wrong_ini_file_does_not_stand_in_the_way_of_help(
    run_suite: Run, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\nselfrep_trials = 0\n")

    assert run_suite("", "--help").ret == pytest.ExitCode.OK


def test_the_marker_is_registered_and_explained(run_suite: Run) -> None:
    result = run_suite(IDLE_GATE, "--markers")

    result.stdout.fnmatch_lines(["@pytest.mark.selfrep(scenario, [*][*]fields): gate agents by a scenario*"])
    run_suite(IDLE_GATE, "--strict-markers").assert_outcomes(passed=1)


def test_the_reference_documents_every_option() -> None:
    reference = (Path(__file__).parents[2] / "docs" / "reference" / "plugin.md").read_text(encoding="utf-8")

    for name in (*NAMES, "scenarios"):
        assert f"`--selfrep-{name}" in reference


def test_agents_of_the_ini_file_are_checked_once_a_test_is_to_run_with_them(
    run_suite: Run, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\nselfrep_agents = scripted/hoarde\n")
    gate = """
@pytest.mark.selfrep("load-balancing")
def test_gate(selfrep):
    selfrep.check()
"""

    run_suite("def test_another(): pass").assert_outcomes(passed=1)
    assert run_suite(gate, "--collect-only").ret == pytest.ExitCode.OK
    result = run_suite(gate)

    line = error_of(result)
    pytest.LineMatcher([line]).fnmatch_lines(["ERROR: selfrep_agents in tox.ini: *did you mean 'hoarder'?*"])
    result.stdout.no_fnmatch_line("*collected*")
