"""The README promises what continuous integration does, and shows what the plugin prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TRY_IT = README.split("## Try it")[1].split("## Use it")[0]


def test_every_command_of_the_set_up_the_main_job_and_the_tests_is_run_in_ci() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ (.+)$", TRY_IT, re.MULTILINE)

    assert len(commands) == 4
    for command in commands:
        assert command.replace("pip install", "pip install --quiet") in script or command in script


def test_the_main_job_prints_the_table_that_the_readme_shows_and_exits_with_1(tmp_path: Path) -> None:
    shown = re.findall(r"^  scripted/.+$", TRY_IT, re.MULTILINE)
    command = re.search(r"^\$ \.venv/bin/pytest (example_suites.+)$", TRY_IT, re.MULTILINE)
    assert command

    run = subprocess.run(
        [sys.executable, "-m", "pytest", *command.group(1).split(), f"--selfrep-output={tmp_path / 'out'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1
    assert re.findall(r"^  scripted/.+$", run.stdout, re.MULTILINE) == shown


def test_links_of_the_readme_and_the_docs_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"
