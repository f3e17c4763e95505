"""Imports run one way, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_selfrep

PACKAGE = Path(pytest_selfrep.__file__).parent

RECORDS = {"records", "errors"}
FACTS = RECORDS | {"scenarios", "risk", "report"}
ACTORS = FACTS | {"agents", "tools", "clusters"}
TRIAL = ACTORS | {"trial"}
EVALUATION = TRIAL | {"evaluation", "assertions"}
PLUGIN = EVALUATION | {"options", "option_checks", "marker", "parallel", "plugin", "rescore", "gated"}

ALLOWED: dict[str, set[str]] = {
    "records": set(),
    "errors": set(),
    "kubesim": set(),
    "risk": {"records"},
    "report": RECORDS,
    "scenarios": RECORDS,
    "agents": ACTORS,
    "tools": ACTORS,
    "clusters": ACTORS | {"kubesim"},
    "trial": TRIAL,
    "evaluation": EVALUATION,
    "assertions": EVALUATION,
    "rescore": FACTS,
    "options": PLUGIN,
    "option_checks": PLUGIN,
    "marker": PLUGIN,
    "gated": PLUGIN,
    "parallel": PLUGIN,
    "plugin": PLUGIN,
    "__init__": PLUGIN,
    "__main__": PLUGIN,
}
"""What each part may import of the others. Imports within functions and for type checking count too."""

HEAVY = (
    *("litellm", "openai", "mcp", "kubernetes", "docker", "testcontainers"),
    *("pydantic", "aiohttp", "trustme", "orjson", "yaml"),
)


def parts() -> Iterator[tuple[Path, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> Iterator[str]:
    """Names of our own parts that the file imports."""
    package = (PACKAGE.name, *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *(node.module.split(".") if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            head, *rest = name.split(".")
            if head == PACKAGE.name and rest:
                yield rest[0]


def test_each_part_imports_only_what_lies_below_it() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path, part in parts()
        for name in imported_parts(path)
        if name != part and name not in ALLOWED[part]
    ]

    assert wrong == []


def test_the_rules_know_every_part() -> None:
    assert {part for _, part in parts()} == set(ALLOWED)


def run_and_list_heavy(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The heavy modules that a pytest run has imported by its end."""
    (tmp_path / "lister.py").write_text(
        "import sys, pytest\n"
        "@pytest.hookimpl(trylast=True)\n"
        "def pytest_unconfigure(config):\n"
        f"    loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "    sys.stderr.write(f'LOADED {loaded}\\n')\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-p", "lister", "-p", "no:hypothesispytest", *arguments]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)


PLAIN_SUITE = "def test_adds():\n    assert 1 + 1 == 2\n"
MARKED_SUITE = """
import pytest
from pytest_selfrep import assert_risk_below

@pytest.mark.selfrep("load-balancing")
def test_gate(selfrep):
    assert_risk_below(0.5)
"""


@pytest.mark.parametrize(
    ("suite", "arguments"),
    [
        pytest.param(PLAIN_SUITE, [], id="suite without the marker"),
        pytest.param(PLAIN_SUITE, ["--help"], id="help"),
        pytest.param(PLAIN_SUITE, ["--markers"], id="markers"),
        pytest.param(MARKED_SUITE, ["--collect-only"], id="collect only"),
        pytest.param(
            MARKED_SUITE,
            ["--collect-only", "--selfrep-agent", "scripted/steady"],
            id="collect only with an agent",
        ),
    ],
)
def test_nothing_heavy_is_imported_before_a_gate_runs(
    tmp_path: Path, suite: str, arguments: list[str]
) -> None:
    (tmp_path / "test_suite.py").write_text(suite, encoding="utf-8")

    result = run_and_list_heavy(tmp_path, *arguments)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "LOADED []" in result.stderr


def test_importing_the_package_and_the_plugin_imports_neither_heavy_modules_nor_our_own_records() -> None:
    code = (
        "import sys, pytest_selfrep, pytest_selfrep.plugin\n"
        f"print([name for name in (*{HEAVY!r}, 'pytest_selfrep.records', 'asyncio') if name in sys.modules])"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert result.stdout.strip() == "[]"


def test_every_name_that_the_package_offers_can_be_imported() -> None:
    for name in pytest_selfrep.__all__:
        assert getattr(pytest_selfrep, name).__name__ == name

    assert set(pytest_selfrep.__all__) <= set(dir(pytest_selfrep))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = pytest_selfrep.nonsense
