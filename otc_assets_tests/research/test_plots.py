"""A chart says what its numbers say, and nothing where there is none."""

import re
from datetime import date, timedelta
from xml.etree import ElementTree

import pytest

from otc_assets.research.plots import Mark, Series, lines, short, stacked

FIRST = date(2025, 5, 2)


def weeks(count: int) -> list[date]:
    return [FIRST + timedelta(weeks=n) for n in range(count)]


def texts(picture: str, kind: str) -> list[str]:
    """The texts of a picture of some class."""
    found = ElementTree.fromstring(picture).iter("text")
    return [each.text or "" for each in found if each.get("class") == kind]


def test_a_bar_stands_on_the_one_below_it():
    series = [Series("A", [3.0, None], 1), Series("B", [1.0, 2.0], 2)]
    picture = stacked(weeks(2), series, "label")
    boxes = {
        colour: re.findall(r"M([\d.]+) ([\d.]+)h[\d.]+v([\d.]+)", path)
        for colour, path in re.findall(r'<path class="s(\d)" d="([^"]*)"', picture)
    }
    ((x, top, height),) = boxes["1"]
    (second, third) = boxes["2"]
    assert float(top) + float(height) == pytest.approx(100)  # on the ground
    assert second[0] == x
    assert float(second[1]) + float(second[2]) == pytest.approx(float(top), abs=0.01)
    assert float(height) == pytest.approx(3 * float(second[2]), rel=1e-3)
    assert float(third[1]) + float(third[2]) == pytest.approx(100)


def test_a_line_is_broken_where_a_week_or_a_number_lacks():
    days = [*weeks(2), *(FIRST + timedelta(weeks=n) for n in (3, 4, 5))]
    picture = lines(days, [Series("A", [1.0, 2.0, 3.0, 4.0, 5.0], 1)], "label")
    assert picture.count('<path class="l1"') == 2
    alone = lines(weeks(3), [Series("A", [1.0, None, 2.0], 1)], "label")
    assert alone.count("<circle") == 2


def test_a_bar_tells_its_numbers_without_a_script():
    picture = stacked(weeks(1), [Series("A&B", [1234567.0], 1)], "label")
    assert "<title>2025-05-02: A&amp;B 1.23 M</title>" in picture


def test_what_was_published_first_has_its_mark_and_words():
    mark = Mark(FIRST, 5.0, "first <5>")
    picture = stacked(weeks(2), [Series("A", [4.0, 4.0], 1)], "label", marks=[mark])
    assert picture.count('class="mark"') == 1
    assert "<title>first &lt;5&gt;</title>" in picture


@pytest.mark.parametrize("count", [1, 2, 10, 18, 30, 52, 104, 300, 640])
def test_few_weeks_are_named_and_each_once(count: int):
    picture = stacked(weeks(count), [Series("A", [1.0] * count, 1)], "label")
    named = texts(picture, "x")
    assert 1 <= len(named) <= 7
    assert 1 <= len(texts(picture, "y")) <= 5


def test_a_picture_has_no_style_script_or_id():
    picture = stacked(weeks(3), [Series("<b>", [1.0, 2.0, 3.0], 1)], '"label"')
    assert not re.search(r"style=|<script|<b>|\bid=|on\w+=", picture)
    assert 'aria-label="&quot;label&quot;"' in picture


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1_234, "1.23 k"), (-5e6, "-5 M"), (2.5e9, "2.5 bn")],
)
def test_a_quantity_has_three_digits(number: float, text: str):
    assert short(number) == text
