"""Numbers as headings write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorface.preprocessing.numerals import parse_number

ROMAN_PARTS = [
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
    (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
]  # fmt: skip


def roman(number: int) -> str:
    written = ""
    for value, letters in ROMAN_PARTS:
        written += letters * (number // value)
        number %= value
    return written


@given(st.integers(1, 3999).filter(lambda number: number != 509))  # DIX is French for ten
def test_roman_numerals_are_read_in_either_case(number: int) -> None:
    assert parse_number(roman(number)) == parse_number(roman(number).lower()) == number


@given(st.integers(0, 999_999_999))
def test_digits_are_read(number: int) -> None:
    assert parse_number(f" {number} ") == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("twelve", 12),
        ("Twenty-One", 21),
        ("twenty first", 21),
        ("one hundred and five", 105),
        ("two hundred", 200),
        ("hundredth", 100),
        ("troisième", 3),
        ("vierzehntes", 14),
        ("séptimo", 7),
        ("tredici", 13),
        ("十", 10),
        ("二十三", 23),
        ("一百零五", 105),
        ("一千二百", 1200),
        ("二〇", 20),
        ("１２", 12),
    ],
)
def test_numbers_are_read_as_they_are_written_out(text: str, number: int) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize("text", ["", "and", "IIX", "lamp", "twenty lamps", "章", "3.5", "-1", "9" * 10])
def test_what_is_no_number_is_none(text: str) -> None:
    assert parse_number(text) is None
