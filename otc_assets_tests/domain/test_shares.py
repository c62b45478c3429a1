from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otc_assets.domain.shares import MILLIONTHS, format_shares, parse_shares, to_shares
from otc_assets_tests.domain.strategies import quantities

texts = st.lists(quantities, min_size=1, max_size=8)
millionths = st.integers(1 - 10**18, 10**18 - 1)


def parsed(values):
    return parse_shares(pd.Series(values, dtype="str")).tolist()


@given(texts)
def test_a_quantity_is_read_to_its_last_decimal(values):
    assert parsed(values) == [Decimal(value) * MILLIONTHS for value in values]


@given(texts)
def test_a_sum_of_quantities_is_exact(values):
    total = parse_shares(pd.Series(values, dtype="str")).sum()
    assert Decimal(int(total)) / MILLIONTHS == sum(Decimal(value) for value in values)


@given(millionths)
def test_a_quantity_that_was_written_is_read_back(quantity):
    text = format_shares(quantity)
    assert Decimal(text) * MILLIONTHS == quantity
    assert parsed([text]) == [quantity]


@given(quantities)
def test_a_quantity_that_was_read_is_written_with_the_same_value(text):
    assert Decimal(format_shares(*parsed([text]))) == Decimal(text)


@given(st.integers(1 - 10**12, 10**12 - 1))
def test_whole_shares_print_as_whole_numbers(shares):
    assert format_shares(shares * MILLIONTHS) == str(shares)


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (0, "0"),
        (1, "0.000001"),
        (-1, "-0.000001"),
        (500_000, "0.5"),
        (-500_000, "-0.5"),
        (1_000_000, "1"),
        (100_000_000, "100"),
        (1_234_567, "1.234567"),
        (10**18 - 1, "999999999999.999999"),
    ],
)
def test_a_quantity_prints_without_superfluous_digits(quantity, text):
    assert format_shares(quantity) == text


def test_one_fractional_quantity_changes_none_of_the_whole_ones_beside_it():
    assert parsed(["7", "0.000001", "-0.1", "007.50"]) == [7_000_000, 1, -100_000, 7_500_000]


def test_ten_tenths_are_one_share():
    assert sum(parsed(["0.1"] * 10)) == MILLIONTHS


def test_no_quantities_are_an_empty_column_of_integers():
    assert parse_shares(pd.Series([], dtype="str")).dtype == "int64"


def test_millionths_are_shown_in_shares():
    assert to_shares(2_500_000) == 2.5
    assert to_shares(pd.Series([1, 500_000])).tolist() == [0.000001, 0.5]
