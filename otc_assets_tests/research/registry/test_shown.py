"""Pages and the command show of the registry what Python gives."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from otc_assets.cli.main import otc
from otc_assets_tests.explorer.tables import Page
from otc_assets_tests.serving.conftest import serving


@pytest.fixture(scope="module")
def page(venue_home: Path) -> Iterator[Callable[[str], Page]]:
    with serving(OTC_HOME=str(venue_home)) as client:
        yield lambda path: Page(client.get(path).raise_for_status().text)


def test_a_venues_page_tells_its_names_and_since_when(page: Callable[[str], Page]):
    newest, before = page("/venue/RENM").rows("registry-table")
    assert (newest["Name"], newest["Names before"]) == ("ELM MIDPOINT ATS", "OAK CROSSING ATS")
    assert (newest["Since"], newest["Until"]) == ("2024-03-08", "–")  # noqa: RUF001
    assert newest["It began"] == "renamed, 11 weeks so far; 3 of 3 symbols stayed (92 % sure)"
    assert (before["Until"], before["It ended"]) == ("2024-03-01", "renamed (92 % sure)")


def test_a_venues_page_leads_to_its_successor_and_says_why(page: Callable[[str], Page]):
    shown = page("/venue/OLDA")
    (row,) = shown.rows("registry-table")
    assert row["Goes on as"] == (
        "NEWB one ended 2024-03-08, the other began 2024-03-15; 8 of 10 symbols stayed (73 % sure)"
    )
    assert "/venue/NEWB" in shown.links


def test_a_venues_page_of_a_day_knows_of_no_later_end(page: Callable[[str], Page]):
    (row,) = page("/venue/OLDA?as_of=2024-03-25").rows("registry-table")
    assert (row["Until"], row["Goes on as"]) == ("–", "")  # noqa: RUF001


def test_the_page_of_a_dealer_has_the_names_of_its_crd_number(page: Callable[[str], Page]):
    rows = page("/venue/101%20OAK%20SECURITIES%20LLC").rows("registry-table")
    assert [row["Name"] for row in rows] == ["ELM CAPITAL INC", "OAK SECURITIES LLC"]


def test_the_league_marks_who_is_back_and_knows_of_no_later_end(
    page: Callable[[str], Page],
):
    back = [row["Venue"] for row in page("/?as_of=2024-05-20").rows("league-table")]
    assert sorted(back) == ["BACK returned", "NEWB", "RENM", "REUS", "SPEL"]
    last = [row["Venue"] for row in page("/?as_of=2024-04-08").rows("league-table")]
    assert "GONE" in last  # week 12 is the newest: nobody knows yet that it is its last


def test_the_command_prints_a_venue_and_its_successor(
    venue_home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTC_HOME", str(venue_home))
    done = CliRunner().invoke(otc, ["venues", "OLDA", "--json"])
    (row,) = json.loads(done.stdout)
    assert (row["successor"], row["valid_until"]) == ("NEWB", "2024-03-08")
    assert row["successor_evidence"]["symbols_shared"] == 8
    table = CliRunner().invoke(otc, ["venues", "--as-of", "2024-03-25"])
    assert "NEWB" not in table.stdout
    assert CliRunner().invoke(otc, ["venues", "NONE"]).exit_code == 1
