"""Resource quantities: exact reading, canonical writing."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfrep.kubesim import quantity

NANOS = 10**9


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1", "1"),
        (1, "1"),
        (0.5, "500m"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        (".25", "250m"),
        ("1.", "1"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("2000M", "2G"),
        ("1e3", "1e3"),
        ("1500e3", "1500e3"),
        ("12E", "12E"),
        ("100n", "100n"),
        ("0.1n", "1n"),
        ("0", "0"),
        ("0Gi", "0"),
        ("-1500m", "-1500m"),
        ("+5", "5"),
    ],
)
def test_quantities_are_written_canonically(text: str | float, canonical: str) -> None:
    assert quantity.canonical(text) == canonical


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "1 Gi", "1gi", "1Gb", "Gi", "--1", "1e99999", True])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(quantity.InvalidQuantity, match="quantities must match the regular expression"):
        quantity.parse(text)


def test_amounts_are_exact() -> None:
    assert quantity.parse("0.1") == Fraction(1, 10)
    assert quantity.parse("1Gi") == 2**30
    assert quantity.parse("3u") == Fraction(3, 10**6)


def test_cpu_is_reckoned_in_thousandths_rounded_up() -> None:
    assert quantity.milli("1.5") == 1500
    assert quantity.milli("1n") == 1
    assert quantity.whole("1500m") == 2


def test_a_sum_keeps_the_units_of_its_first_part() -> None:
    assert quantity.total("512Mi", "512Mi") == "1Gi"
    assert quantity.total("0", "512Mi", "1Gi") == "1536Mi"
    assert quantity.total("250m", "1") == "1250m"
    assert quantity.total() == "0"


@given(st.integers(min_value=-(10**18), max_value=10**18), st.sampled_from(["DecimalSI", "DecimalExponent"]))
def test_writing_loses_nothing(nanos: int, form: quantity.Format) -> None:
    amount = Fraction(nanos, NANOS)
    assert quantity.parse(quantity.render(amount, form)) == amount


@given(st.integers(min_value=0, max_value=2**62))
def test_whole_numbers_survive_binary_units(number: int) -> None:
    assert quantity.parse(quantity.render(Fraction(number), "BinarySI")) == number


@given(st.integers(min_value=0, max_value=10**15))
def test_canonical_is_a_fixed_point(number: int) -> None:
    for suffix in ("m", "", "k", "Ki", "Mi"):
        once = quantity.canonical(f"{number}{suffix}")
        assert quantity.canonical(once) == once
