"""The harness of `make chaos`: what it reports is what was done, and can be done again."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random

import pytest

from chaos import __main__ as harness
from chaos import claims
from chaos.experiment import Counts, Experiment, Round
from otc_assets.domain.events import EventType
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.events import EventLog, select_events
from otc_assets.warehouse.store import Warehouse

WEEK = WeekKey(Tier.OTC, date(2025, 5, 23))
NOW = datetime(2025, 7, 1, tzinfo=UTC)
drawn: list[int] = []
"""What the toy's rounds drew, in their order."""


def toy(name: str, planted: range = range(0), short: int = 3, long: int = 5) -> Experiment:
    """An experiment that breaks nothing; a round that draws a number of ``planted`` differs."""

    def play(random: Random, counts: Counts) -> None:
        drawn.append(number := random.randrange(100))
        counts["draws"] += 1
        assert number not in planted, f"{number} was drawn"

    @contextmanager
    def prepare(folder: Path) -> Iterator[Round]:
        assert not list(folder.iterdir())
        yield play

    return Experiment(name, "nothing is broken", short, long, prepare)


@pytest.fixture(autouse=True)
def sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two experiments without a difference; their draws are kept."""
    drawn.clear()
    monkeypatch.setattr(harness, "EXPERIMENTS", (toy("one"), toy("two", long=10)))


def of_all_rounds(*options: str) -> list[int]:
    drawn.clear()
    harness.main([*options])
    return list(drawn)


@pytest.mark.parametrize(("form", "rounds"), [([], (5, 10)), (["--short"], (3, 3))])
def test_the_counts_are_what_was_done(
    capsys: pytest.CaptureFixture[str], form: list[str], rounds: tuple[int, int]
):
    assert harness.main(form) == 0
    line = r"(\w+) +(\d+) rounds +\d+ s +0 differences +(\d+) draws"
    told = re.findall(line, capsys.readouterr().out)
    assert told == [("one", *2 * [str(rounds[0])]), ("two", *2 * [str(rounds[1])])]
    assert len(drawn) == sum(rounds)


def test_a_difference_exits_1_and_its_round_is_done_again_by_the_line_that_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(harness, "EXPERIMENTS", (toy("planted", range(50), long=20),))
    assert harness.main(["--seed", "7"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("seed 7\n")
    lines = re.findall(r"again by: python -m chaos (.*)", out)
    differing = [number for number in drawn if number < 50]
    assert len(drawn) == 20  # a difference ends no other round
    assert f"{len(lines)} differences" in out
    assert 0 < len(differing) == len(lines)
    assert f"AssertionError: {differing[0]} was drawn" in out
    for line, number in zip(lines, differing, strict=True):
        assert harness.main(line.split()) == 1
        assert drawn[-1] == number


def test_a_seed_gives_the_same_rounds_and_another_one_others():
    assert of_all_rounds("--seed", "7") == of_all_rounds("--seed", "7")
    assert of_all_rounds("--seed", "7") != of_all_rounds("--seed", "8")


def test_a_round_is_the_same_whatever_else_is_done():
    alone = of_all_rounds("two", "--seed", "7")
    assert of_all_rounds("two", "--seed", "7", "--first", "4", "--rounds", "1") == alone[4:5]
    assert set(alone) <= set(of_all_rounds("--seed", "7"))


def test_with_minutes_rounds_are_done_in_proportion(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    seconds = iter(range(10**6))
    monkeypatch.setattr(harness, "monotonic", lambda: next(seconds))
    harness.main(["--minutes", "2"])
    one, two = map(int, re.findall(r"(\d+) rounds", capsys.readouterr().out))
    assert abs(two - 2 * one) <= 2


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        harness.main(["three"])
    assert "no experiment three; there are one, two" in capsys.readouterr().err


def test_an_event_told_twice_and_one_without_its_cause_are_found(sqlite_warehouse: Warehouse):
    batch = {"execution_id": "r", "batch_id": "b", "correlation_id": "c"}
    with sqlite_warehouse.engine.begin() as connection:
        log = EventLog(connection, sqlite_warehouse.dataset, WEEK, batch | {"created_at": NOW})
        first = log.append(EventType.FILE_DOWNLOADED, {"rows": 1}, None)
        log.append(EventType.RAW_RECORDS_INGESTED, {"rows": 1, "policy": "versioned"}, first)
        log.append(EventType.RAW_RECORDS_INGESTED, {"rows": 1, "policy": "merge"}, first)
        log.append(EventType.RAW_RECORDS_INGESTED, {"rows": 2}, "nothing")
        log.flush()
        events = select_events(connection)
    claims.nothing_is_told_twice(events[:2])
    claims.every_cause_is_there(events[:3])
    with pytest.raises(AssertionError, match="told twice, 1 times"):
        claims.nothing_is_told_twice(events)
    with pytest.raises(AssertionError, match="its cause is not there"):
        claims.every_cause_is_there(events)
