"""The registry of an invented history is the one that was written by hand."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from otc_assets.domain.datasets import ATS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.research import venue_registry
from otc_assets.research.registry import corrections, venue_share_by_owner
from otc_assets.research.registry.known import came_and_went
from otc_assets.research.registry.news import of_ats, venue_news
from otc_assets_tests.research.registry.history import (
    CORRECTED,
    CORRECTED_ON,
    DEALER_REGISTRY,
    REGISTRY,
    friday,
    load,
    take_in,
)

HEADER = ",".join(corrections.HEADER)


def told(rows: pd.DataFrame) -> list[tuple[Any, ...]]:
    names = ["venue", "name", "names_before", "valid_from", "last_week", "valid_until"]
    names += ["began_as", "ended_as", "owner"]
    plain = rows[names].astype(object).where(rows[names].notna(), None)
    return [
        tuple(each.date() if isinstance(each, pd.Timestamp) else each for each in row)
        for row in plain.itertuples(index=False, name=None)
    ]


def expected(golden: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(*row[:3], *(each and friday(each) for each in row[3:6]), *row[6:]) for row in golden]


def row(rows: pd.DataFrame, venue: str, number: int = 0) -> dict[Any, Any]:
    mine = rows[rows["venue"] == venue].astype(object)
    return mine.where(mine.notna(), None).to_dict("records")[number]


def test_the_registry_is_the_one_that_was_written_by_hand(history_url: str):
    assert told(venue_registry(dataset="ats", database_url=history_url)) == expected(REGISTRY)


def test_dealers_are_known_by_their_crd_number_and_the_fold_is_never_gone(history_url: str):
    rows = venue_registry(dataset="non_ats", database_url=history_url)
    assert told(rows) == expected(DEALER_REGISTRY)
    assert list(rows["kind"]) == ["de minimis", "dealer", "dealer"]


def test_both_datasets_are_told_of_unless_one_is_named(sqlite_history: str):
    rows = venue_registry(database_url=sqlite_history)
    assert list(rows["dataset"]) == ["ats"] * len(REGISTRY) + ["non_ats"] * len(DEALER_REGISTRY)


def test_a_successor_is_claimed_with_its_symbols_as_evidence(sqlite_history: str):
    rows = venue_registry(database_url=sqlite_history)
    old, new = row(rows, "OLDA"), row(rows, "NEWB")
    # 8 symbols of 10 and 10: 100 * 8 / sqrt(10 * 10) * 10 / 11
    evidence = {
        "ended": "2024-03-08",
        "began": "2024-03-15",
        "symbols_before": 10,
        "symbols_after": 10,
        "symbols_shared": 8,
        "pct_kept": 80.0,
    }
    assert (old["successor"], old["successor_confidence"]) == ("NEWB", 72.7)
    assert (new["predecessor"], new["predecessor_confidence"]) == ("OLDA", 72.7)
    assert old["successor_evidence"] == new["predecessor_evidence"] == evidence
    assert row(rows, "GONE")["successor"] is None


def test_each_claim_has_its_weeks_as_evidence(sqlite_history: str):
    rows = venue_registry(database_url=sqlite_history)
    gone, renamed, reused = row(rows, "GONE"), row(rows, "RENM", 1), row(rows, "REUS", 1)
    # There in 12 of 12 weeks, then 8 without it: 1 - (1/14)^8
    assert gone["ended_evidence"] == {"weeks_absent_after": 8, "weeks_seen": 12, "weeks_known": 12}
    assert gone["ended_confidence"] == 100.0
    # 11 weeks under the new name: 11 / 12
    assert renamed["began_confidence"] == 91.7
    assert renamed["began_evidence"]["pct_kept"] == 100.0
    # 4 of 4 weeks, then 4 without it: 1 - (1/6)^4 = 99.9 %; 12 weeks under the new name: 12 / 13
    assert reused["began_confidence"] == 92.2
    assert reused["began_evidence"]["weeks_absent_before"] == 4
    assert reused["began_evidence"]["pct_kept"] == 0.0


def test_before_a_correction_the_registry_is_what_was_known(sqlite_history: str):
    known = {
        day: told(venue_registry(day, "ats", sqlite_history))
        for day in (CORRECTED_ON - timedelta(days=1), CORRECTED_ON)
    }
    before, after = ([r for r in rows if r[0] == "RENM"] for rows in known.values())
    assert [r[3] for r in before] == [friday(1), friday(CORRECTED)]
    assert [r[3] for r in after] == [friday(1), friday(CORRECTED + 1)]
    others = [[r for r in rows if r[0] != "RENM"] for rows in known.values()]
    assert others[0] == others[1]


def test_a_day_on_which_little_was_public_knows_of_no_end(sqlite_history: str):
    rows = venue_registry("2024-03-25", database_url=sqlite_history)  # week 10 became public
    assert set(rows["valid_from"].dt.date) == {friday(1), friday(4), friday(9)}
    assert pd.isna(row(rows, "OLDA")["valid_until"])
    assert "NEWB" not in set(rows["venue"])


def test_the_registry_of_a_day_is_that_of_a_store_that_has_read_nothing_later(
    sqlite_history: str, tmp_path: Path
):
    day = date(2024, 4, 8)  # week 12 of Tier 1 became public; the correction of week 9 did not
    url = f"sqlite:///{tmp_path / 'otc.db'}"
    load(url, tmp_path, until=day)
    then = venue_registry(day, database_url=sqlite_history)
    pd.testing.assert_frame_equal(then, venue_registry(database_url=url))
    assert row(then, "OLDA")["successor"] == "NEWB"
    assert row(then, "RENM", 1)["valid_from"].date() == friday(CORRECTED)


def test_an_owners_volume_is_that_of_its_venue_and_those_before(history_url: str):
    rows = venue_share_by_owner("OLDA", database_url=history_url)
    assert set(rows["owner"]) == {"NEWB"}
    assert list(rows["week_ending"].dt.date) == [friday(n) for n in range(1, 21)]
    assert list(rows["venues"]) == ["OLDA"] * 10 + ["NEWB"] * 10
    assert set(rows["total_volume"]) == {1000.0}
    everyone = venue_share_by_owner(database_url=history_url)
    sums = everyone.groupby(["tier", "week_ending"])["market_share_pct"].sum()
    assert sums.tolist() == pytest.approx([100.0] * len(sums))


def test_who_came_and_went_is_told_of_the_week_in_which_it_did(sqlite_history: str):
    def told_of(number: int) -> dict[str, str]:
        week = WeekKey(Tier.NMS_TIER_1, friday(number))
        return came_and_went(week, None, dataset="ats", database_url=sqlite_history)

    assert told_of(1) == told_of(20) == {}
    assert told_of(11) == {"NEWB": "new"}
    assert told_of(12) == {"GONE": "gone"}
    assert told_of(18) == {"BACK": "returned"}


def test_news_are_of_the_newest_weeks_alone(sqlite_history: str):
    news = venue_news(sqlite_history)
    events = news[["dataset", "venue", "event"]].itertuples(index=False, name=None)
    assert list(events) == [
        ("ats", "BACK", "returned"),
        ("non_ats", "101", "renamed"),
    ]
    assert list(of_ats(news)["venue"]) == ["BACK"]


@pytest.fixture
def corrected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Corrections of GONE's successor and SPEL's name, public on different days."""
    file = tmp_path / "corrections.csv"
    file.write_text(
        f"{HEADER}\n"
        f"ats,GONE,{friday(1)},{friday(12)},successor,REUS,2024-07-02,An invented notice\n"
        f"ats,OLDA,{friday(1)},{friday(10)},successor,,2024-07-02,An invented denial\n"
        f'ats,SPEL,{friday(1)},{friday(5)},name,ALDER ATS,2024-07-09,"A list, of that day"\n'
    )
    monkeypatch.setattr(corrections, "FILE", file)
    return file


def test_a_correction_counts_from_its_documents_day_on(sqlite_history: str, corrected: Path):
    before, between, after = (
        venue_registry(day, "ats", sqlite_history) for day in ("2024-07-01", "2024-07-02", None)
    )
    assert told(before) == expected(REGISTRY)
    gone = row(between, "GONE")
    assert (gone["successor"], gone["successor_confidence"], gone["owner"]) == ("REUS", 100, "REUS")
    assert gone["successor_evidence"]["source"] == "An invented notice"
    assert gone["corrected_by"] == "An invented notice (2024-07-02)"
    assert row(between, "REUS", 1)["predecessor"] == "GONE"
    assert row(between, "OLDA")["successor"] is None
    assert row(between, "OLDA")["owner"] == "OLDA"
    assert row(between, "SPEL")["name"] == "BIRCH POOL L.L.C."
    assert row(after, "SPEL")["name"] == "ALDER ATS"
    assert row(after, "SPEL")["last_week"].date() == friday(5)
    assert row(after, "SPEL", 1)["names_before"] == "ALDER ATS"


GOOD = "ats,ABCD,2024-01-05,2024-01-12,name,OAK ATS,2024-03-01,A notice"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (GOOD.replace("ats", "atss"), "no dataset 'atss'"),
        (GOOD.replace("2024-01-05", "2024-01-04"), "2024-01-04 is a Thursday"),
        (GOOD.replace("2024-01-12", "soon"), "'soon' is no day"),
        (GOOD.replace("2024-01-05", "2024-02-02"), "2024-01-12 is before first_week 2024-02-02"),
        (GOOD.replace("name", "kind"), "column is 'kind', and has to be name or successor"),
        (GOOD.replace("OAK ATS", " "), "value is ' ', and has to say something"),
        (GOOD.replace("ABCD", ""), "venue is '', and has to say something"),
        (GOOD.replace("A notice", ""), "source is '', and has to say something"),
        (GOOD.replace("2024-03-01", "2024-03"), "'2024-03' is no day"),
        (GOOD.replace("name,OAK ATS", "successor,ABCD"), "'ABCD' cannot be its own successor"),
        (f"{GOOD},more", "9 fields instead of 8"),
    ],
)
def test_a_bad_correction_is_refused_by_file_line_and_value(tmp_path: Path, line: str, said: str):
    file = tmp_path / "mine.csv"
    file.write_text(f"{HEADER}\n{GOOD}\n{line}\n")
    with pytest.raises(ValueError, match=rf"^mine\.csv, line 3: .*{said}"):
        corrections.read_corrections(file)


def test_a_file_of_another_header_is_refused(tmp_path: Path):
    file = tmp_path / "mine.csv"
    file.write_text("venue,name\n")
    with pytest.raises(ValueError, match=r"mine\.csv, line 1: the header is 'venue,name'"):
        corrections.read_corrections(file)


def test_each_correction_that_is_shipped_names_a_public_document():
    shipped = corrections.read_corrections()
    assert shipped
    assert all("https://" in each.source for each in shipped)


def test_each_venue_of_two_real_weeks_has_one_interval_and_its_name(
    real_data: Path, tmp_path: Path
):
    (tmp_path / "source").symlink_to(real_data / "files")
    url = f"sqlite:///{tmp_path / 'otc.db'}"
    weeks = [WeekKey(Tier.OTC, day) for day in (date(2025, 11, 14), date(2025, 11, 21))]
    take_in(url, ATS, tmp_path, weeks, date(2026, 1, 15))
    lines = [
        line.split("|")
        for file in (real_data / "files").iterdir()
        for line in file.read_text().splitlines()[1:]
    ]
    sound = [fields for fields in lines if fields[1]]  # one has no symbol
    names = {fields[4]: fields[3].removeprefix(f"{fields[4]} ") for fields in sound}
    rows = venue_registry(database_url=url)
    assert dict(zip(rows["venue"], rows["name"], strict=True)) == names
    assert len(rows) == len(names)
    assert rows["successor"].isna().all()
