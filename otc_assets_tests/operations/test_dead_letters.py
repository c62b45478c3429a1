"""A slice that cannot be taken in says so until a later run takes it in, and nothing is lost."""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations import intake
from otc_assets.operations.intake import ingest
from otc_assets.operations.outcome import SliceOutcome
from otc_assets.sources.archive import Archive
from otc_assets.sources.errors import ArchiveError, SourceError
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds
from otc_assets_tests.pipeline import RUN, TODAY, content
from otc_assets_tests.sources.samples import NAMED, WEEK, piped, row

GOOD = piped([row(), row("BRK.B", shares="0.5")])
CORRECTED = piped([row(shares=1300, updated="2025-12-29"), row("BRK.B", shares="0.5")])
BROKEN = GOOD[:-5]
NEWER = "otc_20251215_corrected_20251229.csv"
LOADED, REFUSED = SliceStatus.LOADED, SliceStatus.REFUSED


class Desk:
    """A folder of files, an archive, and a store that takes them in slice by slice."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        self.warehouse = warehouse
        self.source, self.archive = folder / "source", folder / "archive"
        self.source.mkdir()

    def put(self, name: str, data: bytes) -> None:
        (self.source / name).write_bytes(data)

    def take(self, week: WeekKey = WEEK, run: RunIds = RUN) -> SliceOutcome:
        index, archive = FileSource(str(self.source)).index(TODAY), Archive(str(self.archive))
        return ingest(self.warehouse, archive, index, week, run, TODAY)

    def letters(self) -> list[dict[str, Any]]:
        with self.warehouse.read() as reader:
            return reader.dead_letters()

    def letter(self) -> dict[str, Any]:
        (letter,) = self.letters()
        return letter

    def manifest(self, week: WeekKey = WEEK) -> dict[str, Any]:
        with self.warehouse.read() as reader:
            return reader.manifest(week) or {}

    def volumes(self, week: WeekKey = WEEK) -> dict[int, list[float]]:
        """The volumes of each revision in the store."""
        found: dict[int, list[float]] = {}
        with self.warehouse.read() as reader:
            for record in reader.records("raw", week):
                found.setdefault(record["source_revision"], []).append(record["share_volume"])
        return found

    def archived(self) -> set[bytes]:
        return {path.read_bytes() for path in self.archive.rglob("*.csv")}


@pytest.fixture
def desk(sqlite_warehouse: Warehouse, tmp_path: Path) -> Desk:
    return Desk(sqlite_warehouse, tmp_path)


@pytest.fixture
def each_desk(warehouse: Warehouse, tmp_path: Path) -> Desk:
    """A desk with a store on each database."""
    return Desk(warehouse, tmp_path)


def test_a_refused_file_leaves_a_letter_that_counts_its_runs_until_it_is_mended(each_desk: Desk):
    each_desk.put(NAMED, BROKEN)
    outcome = each_desk.take(run=RunIds("first run", "a backfill"))
    first = each_desk.letter()
    assert outcome.status is REFUSED
    assert "line 3: the file is truncated" in str(outcome.reason)
    assert first["error"] == outcome.reason == each_desk.manifest()["reason"]
    assert (first["tier"], first["week_ending"]) == (WEEK.tier.value, WEEK.week_ending)
    assert (first["attempts"], first["first_failed_at"]) == (1, first["failed_at"])
    assert (first["execution_id"], first["correlation_id"]) == ("first run", "a backfill")
    assert Archive(str(each_desk.archive)).get(first["archive_key"]) == BROKEN

    each_desk.take(run=RunIds("second run", "a backfill"))
    second = each_desk.letter()
    assert (second["attempts"], second["execution_id"]) == (2, "second run")
    assert second["first_failed_at"] == first["failed_at"] < second["failed_at"]
    assert second["archive_key"] == first["archive_key"]

    each_desk.put(NAMED, GOOD)
    assert each_desk.take().status is LOADED
    assert each_desk.letters() == []
    assert each_desk.volumes() == {1: [1200, 0.5]}

    each_desk.put(NAMED, BROKEN + b"|")
    each_desk.take()
    assert each_desk.letter()["attempts"] == 1
    assert each_desk.letter()["first_failed_at"] > second["failed_at"]


def test_each_slice_has_its_own_letter(desk: Desk):
    later = WEEK.shifted(1)
    desk.put(NAMED, BROKEN)
    desk.put(f"otc_20251222_week_{later.week_ending}.csv", b"<html>")
    for week in (later, WEEK, later):
        desk.take(week)
    assert [(r["week_ending"], r["attempts"]) for r in desk.letters()] == [
        (WEEK.week_ending, 1),
        (later.week_ending, 2),
    ]
    desk.put(NAMED, GOOD)
    desk.take()
    assert [r["week_ending"] for r in desk.letters()] == [later.week_ending]


def test_a_broken_file_beside_a_good_one_leaves_a_letter_and_the_good_rows(desk: Desk):
    desk.put(NAMED, GOOD)
    desk.put(NEWER, b"<html>")
    assert desk.take().status is REFUSED
    assert desk.volumes() == {1: [1200, 0.5]}
    assert NEWER in desk.letter()["error"]
    assert "otc/2025-11-14/refused/" in desk.letter()["archive_key"]
    desk.put(NEWER, CORRECTED)
    assert desk.take().status is LOADED
    assert desk.letters() == []
    assert desk.volumes() == {1: [1200, 0.5], 2: [1300, 0.5]}


def test_every_broken_file_is_named_in_the_letter(desk: Desk):
    desk.put(NAMED, BROKEN)
    desk.put(NEWER, b"<html>")
    desk.take()
    assert NAMED in desk.letter()["error"]
    assert NEWER in desk.letter()["error"]
    assert desk.letter()["attempts"] == 1


@pytest.mark.parametrize("week", [WEEK, WEEK.shifted(10), WEEK.shifted(-700)])
def test_a_slice_without_a_file_leaves_no_letter(desk: Desk, week: WeekKey):
    assert desk.take(week).status in (SliceStatus.MISSING, SliceStatus.NOT_DUE)
    assert desk.letters() == []


def test_a_slice_is_read_again_until_nothing_of_it_is_refused(desk: Desk):
    desk.put(NAMED, GOOD)
    desk.put(NEWER, b"<html>")
    desk.take()
    assert desk.manifest()["source_version"] is None
    desk.put(NEWER, CORRECTED)
    desk.take()
    index = FileSource(str(desk.source)).index(TODAY)
    assert desk.manifest()["source_version"] == index.version_of(WEEK) == index.versions()[WEEK]
    desk.put(NEWER, CORRECTED + b"OTC|TOO|SHORT\n")
    assert FileSource(str(desk.source)).index(TODAY).version_of(WEEK) != index.version_of(WEEK)


class Unreachable:
    """An index of a source that does not answer when it is asked for a slice."""

    source = "nowhere"

    def files_of(self, week: WeekKey) -> list[Any]:
        raise SourceError("FINRA", f"{week}: 503 Service Unavailable (attempt 6, the last)")


def test_a_source_that_does_not_answer_leaves_a_letter_without_bytes(desk: Desk):
    desk.put(NAMED, GOOD)
    desk.take()
    before = content(desk.warehouse)
    archive = Archive(str(desk.archive))
    outcome = ingest(desk.warehouse, archive, Unreachable(), WEEK, RUN, TODAY)
    assert outcome.status is REFUSED
    assert desk.letter()["archive_key"] is None
    assert "503 Service Unavailable" in desk.letter()["error"]
    assert content(desk.warehouse) == before
    assert desk.take().status is LOADED
    assert desk.letters() == []


def instead_of_folder(path: Path) -> None:
    """Put a file where the archive needs a folder; what the folder had is kept beside it."""
    if path.exists():
        path.rename(path.with_name("aside"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"in the way")


def folder_again(path: Path) -> None:
    path.unlink()
    if path.with_name("aside").exists():
        path.with_name("aside").rename(path)


PLACES = {
    "the whole archive": ".",
    "the folder of the week": "otc/2025-11-14",
    "the folder of received files": "otc/2025-11-14/refused",
    "the folder of the correction": "otc/2025-11-14/2025-12-29",
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_an_archive_that_fails_costs_nothing_and_heals(each_desk: Desk, place: str):
    each_desk.put(NAMED, GOOD)
    assert each_desk.take().status is LOADED
    before = content(each_desk.warehouse)
    each_desk.put(NEWER, CORRECTED)
    broken = each_desk.archive / place
    instead_of_folder(broken)
    for attempt in (1, 2):
        outcome = each_desk.take()
        assert outcome.status is REFUSED
        assert "the archive (OTC_ARCHIVE_URL) fails: " in str(outcome.reason)
        assert NEWER in str(outcome.reason)
        assert len(outcome.rows) == 2
        letter = each_desk.letter()
        assert (letter["error"], letter["attempts"]) == (outcome.reason, attempt)
        assert each_desk.manifest()["source_version"] is None
        assert content(each_desk.warehouse) == before

    folder_again(broken)
    assert each_desk.take().status is LOADED
    assert each_desk.letters() == []
    assert each_desk.volumes() == {1: [1200, 0.5], 2: [1300, 0.5]}
    assert each_desk.archived() == {GOOD, CORRECTED}
    assert len(list(each_desk.archive.rglob("*.csv"))) == 2


@pytest.mark.parametrize("step", ["receive", "accepted_on", "accept"])
def test_an_archive_that_fails_at_one_content_takes_none_of_its_slice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, step: str
):
    """A correction that came in alone would become the first revision."""
    desk.put(NAMED, GOOD)
    desk.put(NEWER, CORRECTED)
    fails, real = iter([True]), getattr(Archive, step)

    def once(archive: Archive, *args: Any) -> Any:
        if next(fails, False):
            raise ArchiveError("a key", "the archive (OTC_ARCHIVE_URL) fails")
        return real(archive, *args)

    monkeypatch.setattr(Archive, step, once)
    assert desk.take().status is REFUSED
    assert desk.volumes() == {}
    assert desk.take().status is LOADED
    assert desk.volumes() == {1: [1200, 0.5], 2: [1300, 0.5]}


def test_an_archive_that_fails_from_the_first_has_no_rows_without_bytes(desk: Desk):
    desk.put(NAMED, GOOD)
    instead_of_folder(desk.archive)
    outcome = desk.take()
    assert (outcome.status, len(outcome.rows)) == (REFUSED, 0)
    assert desk.volumes() == {}
    assert desk.letter()["archive_key"] is None
    folder_again(desk.archive)
    assert desk.take().status is LOADED
    assert desk.archived() == {GOOD}


def test_of_two_contents_none_is_stored_where_one_has_no_place_in_the_archive(desk: Desk):
    desk.put(NAMED, GOOD)
    desk.put(NEWER, CORRECTED)
    place = desk.archive / PLACES["the folder of the correction"]
    instead_of_folder(place)
    assert desk.take().status is REFUSED
    assert desk.volumes() == {}
    assert desk.archived() == {GOOD, CORRECTED}
    folder_again(place)
    assert desk.take().status is LOADED
    assert desk.volumes() == {1: [1200, 0.5], 2: [1300, 0.5]}


def test_an_archive_that_fails_for_one_slice_costs_no_other(desk: Desk):
    later = WEEK.shifted(1)
    desk.put(NAMED, GOOD)
    desk.put("otc_20251222.csv", piped([row(updated="2025-12-22")]))
    instead_of_folder(desk.archive / PLACES["the folder of the week"])
    assert [desk.take(week).status for week in (WEEK, later)] == [REFUSED, LOADED]
    assert desk.letter()["week_ending"] == WEEK.week_ending
    assert desk.volumes(later) == {1: [1200]}


def test_an_archive_that_fails_hides_no_broken_file(desk: Desk):
    desk.put(NAMED, BROKEN)
    desk.put(NEWER, CORRECTED)
    instead_of_folder(desk.archive / PLACES["the folder of the correction"])
    desk.take()
    assert "the archive (OTC_ARCHIVE_URL) fails" in desk.letter()["error"]
    assert f"{NAMED}, line 3: the file is truncated" in desk.letter()["error"]
    assert Archive(str(desk.archive)).get(desk.letter()["archive_key"]) == BROKEN


def test_bytes_that_the_archive_has_lost_come_back_with_the_next_run(desk: Desk):
    desk.put(NAMED, GOOD)
    desk.take()
    before = sorted(desk.archive.rglob("*.csv"))
    shutil.rmtree(desk.archive)
    assert desk.take().status is LOADED
    assert sorted(desk.archive.rglob("*.csv")) == before
    assert desk.archived() == {GOOD}


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A run that dies when its rows are written and its bytes are archived."""

    def die(*_: object) -> None:
        raise RuntimeError("the power fails")

    with monkeypatch.context() as patch:
        patch.setattr(intake.SliceIntake, "_close", die)
        yield patch


def test_a_run_that_dies_after_it_has_archived_is_made_good_by_the_next(
    desk: Desk, dying: pytest.MonkeyPatch
):
    desk.put(NAMED, GOOD)
    with pytest.raises(RuntimeError, match="the power fails"):
        desk.take()
    assert (desk.volumes(), desk.letters(), desk.archived()) == ({}, [], {GOOD})
    dying.undo()
    assert desk.take().status is LOADED
    assert desk.volumes() == {1: [1200, 0.5]}
    assert [path.parent.parent.name for path in desk.archive.rglob("*.csv")] == ["2025-12-15"]


def test_the_date_of_a_slice_that_heals_is_that_of_its_file(desk: Desk):
    desk.put(NAMED, GOOD)
    desk.take()
    desk.put(NEWER, CORRECTED)
    instead_of_folder(desk.archive)
    desk.take()
    folder_again(desk.archive)
    desk.take()
    with desk.warehouse.read() as reader:
        dates = [(r["revision_date"], r["as_of_source"]) for r in reader.records("revisions", WEEK)]
    assert dates == [(date(2025, 12, 15), "finra"), (date(2025, 12, 29), "finra")]
