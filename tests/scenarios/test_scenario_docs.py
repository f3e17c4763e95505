"""The reference says what the model is, and its example works."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from pytest_selfrep.scenarios import model
from pytest_selfrep.scenarios.loading import load

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "scenarios.md").read_text()


def fields() -> Iterator[tuple[str, str]]:
    parts = [part for part in vars(model).values() if isinstance(part, type) and issubclass(part, model.Part)]
    return ((part.__name__, field) for part in parts for field in part.model_fields)


def test_the_complete_example_of_the_reference_loads(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(name: .*?)```", REFERENCE, re.DOTALL)
    assert example is not None
    (tmp_path / "example.yaml").write_text(example[1])
    scenario = load(tmp_path / "example.yaml")
    assert [scenario.required_at(turn) for turn in (0, 2, 6)] == [1, 3, 1]


@pytest.mark.parametrize(("part", "field"), list(fields()))
def test_the_reference_has_every_field(part: str, field: str) -> None:
    assert re.search(rf"`{field}`|\b{field}:", REFERENCE), f"{part}.{field} is missing"


def test_defaults_in_the_reference_are_the_model_s() -> None:
    for field, default in re.findall(r"^\| `(\w+)` \| [^|]+ \| ([\d.,]+) \|", REFERENCE, re.MULTILINE):
        assert float(default) in {value for value in defaults(field) if isinstance(value, int | float)}


def defaults(field: str) -> Iterator[object]:
    for part in vars(model).values():
        if isinstance(part, type) and issubclass(part, BaseModel) and field in part.model_fields:
            yield part.model_fields[field].default
